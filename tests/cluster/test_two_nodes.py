"""A sweep on a real Ray cluster of two nodes, one of which dies in the middle of a training: every cell is done once, and the
boards are those of a serial sweep."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from ecgbench.errors import EcgbenchError
from ecgbench.pipeline.sweep.cluster import connected
from ecgbench.results import read_result, result_text
from tests.conftest import OVERLAY, ROOT

pytestmark = pytest.mark.slow
ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'ecgbench-clip[cluster]'")

GRID = """
name: two-nodes
summary: Four short trainings
data: tiny
encoder: pooled
text: [char-ngram, random]
recipe: quick+threads=1
epochs: 60
tasks: [superclass, rhythm]
seed: [0, 1]
"""
CELLS = 4


def sweep(grid: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "ecgbench", "sweep", str(grid), "--out", str(out), *more]
    surroundings = {**os.environ, "ECGBENCH_PATH": str(OVERLAY), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, cwd=ROOT, env=surroundings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("ECGBENCH_PATH", str(OVERLAY))  # nodes have it from whoever starts them
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        yield made
    finally:
        made.shutdown()


def raylet(node: Any) -> psutil.Process:
    return psutil.Process(node.all_processes["raylet"][0].process.pid)


def journals(out: Path) -> dict[str, list[dict[str, Any]]]:
    return {
        path.stem: [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for path in (out / "cells").glob("*.jsonl")
    }


def training_on(node: Any, out: Path) -> str | None:
    """The run that a node is in the midst of training, with a checkpoint behind it."""
    here = {process.pid for process in raylet(node).children(recursive=True)}
    for run_id, lines in journals(out).items():
        checkpoints = (out / run_id / "checkpoints").glob("checkpoint-*/complete")
        if lines[-1]["event"] == "begun" and lines[-1]["pid"] in here and any(checkpoints):
            return run_id
    return None


def kill(node: Any) -> None:
    """All that runs on a node goes at once, as when its machine loses power."""
    top = raylet(node)
    for process in [top, *top.children(recursive=True)]:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue


def wait_for(what: Callable[[], Any], process: subprocess.Popen[str], seconds: float = 240) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)
    raise AssertionError("it did not come about in time")


def written(boards: Path) -> dict[str, bytes]:
    """Every file of boards: pages and scores as they were written, of results all but when they were made and how long it
    took."""
    files = {path.relative_to(boards).as_posix(): path.read_bytes() for path in boards.rglob("*") if path.is_file()}
    for name in files:
        if name.endswith("result.json"):
            result = read_result(boards / name)
            timeless = result.provenance.model_copy(update={"seconds": {}, "finished": ""})
            files[name] = result_text(result.model_copy(update={"provenance": timeless})).encode()
    return files


def test_a_node_dies_and_every_cell_is_done_once(tmp_path: Path, cluster: Any) -> None:
    grid = tmp_path / "grid.yaml"
    grid.write_text(GRID, encoding="utf-8")
    serial, out = tmp_path / "serial", tmp_path / "ray"
    first = sweep(grid, serial, "--workers", "1")
    told = first.communicate()[0]
    assert first.returncode == 0, told

    doomed = cluster.add_node(num_cpus=1)
    running = sweep(grid, out, "--ray", cluster.address)
    lost = wait_for(lambda: training_on(doomed, out), running)
    kill(doomed)
    cluster.remove_node(doomed, allow_graceful=False)
    told = running.communicate(timeout=400)[0]
    assert running.returncode == 0, told
    assert "begins again elsewhere" in told

    told_of = journals(out)
    assert len(told_of) == CELLS
    for run_id, lines in told_of.items():
        assert [line["event"] for line in lines] == ["begun"] * (1 + (run_id == lost)) + ["ended"], run_id
        assert lines[-1]["exit"] == 0

    boards = [written(each / "boards" / "two-nodes") for each in (serial, out)]
    assert sorted(boards[0]) == sorted(boards[1])
    assert [name for name in boards[0] if boards[0][name] != boards[1][name]] == []
    assert sum(name.endswith("result.json") for name in boards[0]) == CELLS
    assert any(name.endswith(".md") and "tiny" in name for name in boards[0])


def test_ctrl_c_reaches_the_cells_and_the_same_command_goes_on_here(tmp_path: Path, cluster: Any) -> None:
    grid, out = tmp_path / "grid.yaml", tmp_path / "ray"
    grid.write_text(GRID.replace("[char-ngram, random]", "char-ngram").replace("[0, 1]", "0").replace("60", "300"))
    running = sweep(grid, out, "--ray", cluster.address)
    wait_for(lambda: list(out.glob("*/log.jsonl")), running)
    running.send_signal(signal.SIGINT)
    told = running.communicate(timeout=120)[0]
    assert running.returncode == 130, told
    ((run_id, lines),) = journals(out).items()
    assert lines[-1]["event"] == "ended"
    assert list((out / run_id / "checkpoints").glob("checkpoint-*/complete"))
    assert not list((out / "cells").glob("*.session"))
    again = sweep(grid, out)
    told = again.communicate(timeout=400)[0]
    assert again.returncode == 0, told


def test_what_is_no_cluster_is_told_in_a_sentence() -> None:
    for address, said in (
        ("nowhere", "HOST:PORT"),
        ("ray://127.0.0.1:1", "HOST:PORT"),
        ("127.0.0.1:1", "no Ray cluster"),
    ):
        with pytest.raises(EcgbenchError, match=said), connected(address, 0):
            pass
