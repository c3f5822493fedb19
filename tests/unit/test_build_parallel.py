"""Stores built by several processes: the same bytes, and nothing left behind when one of them ends early."""

from __future__ import annotations

import filecmp
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ecgbench.ecg import parallel
from ecgbench.ecg.build import build_store, store_for
from ecgbench.ecg.sources import open_source
from ecgbench.ecg.store import open_store
from ecgbench.errors import EcgbenchError, RunFailedError

ROOT = Path(__file__).resolve().parents[2]

CARD = """name: ward
summary: a source that does what a test asks for
entry_point: ward.py:Ward
version: 1
params: {}
builtin: true
public: true
licence: null
reference: null
"""

SOURCE = '''
import multiprocessing, os, signal
import numpy as np
from ecgbench.ecg.recording import LEADS, DamagedRecordError, Entry, RawEcg
from ecgbench.errors import EcgbenchError

class Ward:
    """`ward:WHAT=NUMBER,…`: 240 records of which some are damaged, kill their process, or fail."""

    def __init__(self, argument, card, bank, options):
        self.at = dict(part.split("=") for part in (argument or "").split(",") if part)

    def fingerprint(self):
        return self.at

    def entries(self):
        return [Entry(f"r{i}", f"p{i}", ("train", "validation", "test")[i % 3], ("normal",), f"sha{i}") for i in range(240)]

    def load(self, entry):
        number = int(entry.record[1:])
        if number < int(self.at.get("damaged", 0)):
            raise DamagedRecordError("cut short")
        if number == int(self.at.get("kill", -1)) and multiprocessing.parent_process() is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        if number == int(self.at.get("fail", -1)):
            raise EcgbenchError("this record cannot be asked for.")
        x = np.random.default_rng(number).normal(size=(12, 5000))
        return RawEcg(dict(zip(LEADS, x, strict=True)), 500.0)
'''


@pytest.fixture
def ward(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The overlay with the source above; gives the folder to build in."""
    overlay, work = tmp_path / "overlay", tmp_path / "work"
    (overlay / "registry" / "datasets").mkdir(parents=True)
    (overlay / "registry" / "datasets" / "ward.yaml").write_text(CARD, encoding="utf-8")
    (overlay / "ward.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.setenv("ECGBENCH_PATH", str(overlay))
    work.mkdir()
    return work


def build(spec: str, target: Path, workers: int) -> list[tuple[int, int]]:
    card, source = open_source(spec)
    seen: list[tuple[int, int]] = []
    build_store(card, source, target, lambda *now: seen.append(now), spec=spec, workers=workers)
    return seen


def same_files(one: Path, other: Path) -> bool:
    names = sorted(path.name for path in one.iterdir())
    if names != sorted(path.name for path in other.iterdir()):
        return False
    return filecmp.cmpfiles(one, other, names, shallow=False) == (names, [], [])


def test_synth98_is_the_same_whatever_the_number_of_workers(tmp_path: Path) -> None:
    for workers in (1, 2, 3):
        seen = build("synth98:balanced=6", tmp_path / str(workers), workers)
        assert seen == [(done, len(seen)) for done in range(1, len(seen) + 1)] and len(seen) > 200
    assert same_files(tmp_path / "1", tmp_path / "2") and same_files(tmp_path / "1", tmp_path / "3")
    assert open_store(tmp_path / "2").manifest.remarks["balanced"] == 6


def test_damaged_records_count_alike(ward: Path) -> None:
    for workers in (1, 2):
        build("ward:damaged=2", ward / str(workers), workers)
    assert same_files(ward / "1", ward / "2")
    store = open_store(ward / "2")
    assert [row["record"] for row in store.manifest.damaged] == ["r0", "r1"] and len(store) == 238
    for workers in (1, 2):
        with pytest.raises(EcgbenchError, match=r"3 of 240 records are damaged.*r2 \(cut short\)"):
            build("ward:damaged=9", ward / "none", workers)
    assert {path.name for path in ward.iterdir()} == {"1", "2"}


def test_a_worker_that_dies_is_one_clear_error_and_loses_nothing(ward: Path) -> None:
    with pytest.raises(RunFailedError, match=r"a worker process ended before its time after \d+ of 240 records"):
        build("ward:kill=100", ward / "store", 2)
    assert [path.name for path in ward.iterdir()] == [".store.part"]
    seen = build("ward:kill=100", ward / "store", 1)  # it kills workers only
    assert 0 < len(seen) < 240 and len(open_store(ward / "store")) == 240
    build("ward:kill=100", ward / "whole", 1)
    assert same_files(ward / "store", ward / "whole") and {path.name for path in ward.iterdir()} == {"store", "whole"}


def test_what_a_worker_refuses_is_said_as_it_said_it(ward: Path) -> None:
    with pytest.raises(EcgbenchError, match=r"^this record cannot be asked for\.$"):
        build("ward:fail=50", ward / "store", 2)
    assert list(ward.iterdir()) == []


def test_few_records_and_no_source_text_need_no_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert parallel.workers_for(199, 8) == 1 and parallel.workers_for(200, 8) == 8
    assert parallel.workers_for(200, None) == parallel.usable_cores() >= 1
    with pytest.raises(EcgbenchError, match="0 workers were asked for"):
        parallel.workers_for(200, 0)

    def none(*_: object) -> None:
        raise AssertionError("a worker was started")

    monkeypatch.setattr("ecgbench.ecg.build.loaded_by_workers", none)
    card, source = open_source("synth98:balanced=6")
    build_store(card, source, tmp_path / "store", workers=4)  # no SOURCE by which workers could open it


def test_a_built_store_is_opened_without_reading_the_source(ward: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = store_for("ward", workers=1)

    def none(*_: object, **__: object) -> None:
        raise AssertionError("it was built again")

    monkeypatch.setattr("ecgbench.ecg.build.build_store", none)
    assert store_for("ward").data_hash == first.data_hash


def test_a_script_without_a_main_guard_may_build(ward: Path) -> None:
    """Worker processes usually run the caller's script again; here they must not."""
    script = ward / "script.py"
    script.write_text(
        "print('begun', flush=True)\n"
        "from ecgbench.ecg.build import build_store\n"
        "from ecgbench.ecg.sources import open_source\n"
        "from pathlib import Path\n"
        "build_store(*open_source('ward'), Path('store'), spec='ward', workers=2)\n"
        "import os; assert 'MKL_NUM_THREADS' not in os.environ\n",
        encoding="utf-8",
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("MKL_NUM_THREADS", None)
    done = subprocess.run(
        [sys.executable, str(script)], cwd=ward, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "begun\n", "")
    assert len(open_store(ward / "store")) == 240


@pytest.mark.skipif(os.name != "posix", reason="process groups are POSIX")
@pytest.mark.parametrize("after", [0.0, 0.3, 1.5], ids=lambda after: f"{after:g} s")
def test_ctrl_c_leaves_no_half_store_and_no_traceback(tmp_path: Path, after: float) -> None:
    """While the workers are being started, just after, and in the middle of the work."""
    command = [sys.executable, "-m", "ecgbench", "data", "build", "synth98:M", "--out", "store", "--workers", "2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    running = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a job in a shell's background ignores Ctrl-C
    )
    until = time.monotonic() + 60
    while not list(tmp_path.glob(".store.*")):
        assert time.monotonic() < until and running.poll() is None
        time.sleep(0.05)
    time.sleep(after)
    os.killpg(running.pid, signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert (
        running.returncode == 130
        and "Traceback" not in said
        and said.rstrip().endswith("ecgbench: stopped; the same command goes on where this one ended.")
    )
    assert [path.name for path in tmp_path.iterdir()] == [".store.part"]


def test_older_manifests_without_remarks_open(tmp_path: Path) -> None:
    card, source = open_source("synth98:balanced=6,labels=flat-t-wave")
    build_store(card, source, tmp_path / "store")
    path = tmp_path / "store" / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    assert manifest.pop("remarks")["labels"] == ["flat-t-wave"]
    path.write_text(json.dumps(manifest), encoding="utf-8")
    assert open_store(tmp_path / "store").manifest.remarks == {}
