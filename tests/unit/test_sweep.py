"""Cells carried out in processes of their own: what is done is skipped, what dies is told, what was stopped goes on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
import yaml
from rich.console import Console

from ecgbench.cli.main import run_command
from ecgbench.errors import EcgbenchError
from ecgbench.pipeline.sweep.attempt import Order, Outcome, carry_out
from ecgbench.pipeline.sweep.boards import check_boards
from ecgbench.pipeline.sweep.cells import Cell
from ecgbench.pipeline.sweep.estimates import ONCE, Estimates
from ecgbench.pipeline.sweep.live import Moving, duration, summary
from ecgbench.pipeline.sweep.local import workers_here
from ecgbench.pipeline.sweep.plan import Plan, Planned
from ecgbench.pipeline.sweep.progress import Progress
from ecgbench.pipeline.sweep.readiness import Ready, steps_of
from ecgbench.pipeline.sweep.records import Records
from ecgbench.recipe import load_recipe
from ecgbench.results import Result, read_result
from ecgbench.workers import usable_cores
from tests.conftest import OVERLAY, ROOT

ASKED = {"data": "tiny", "text": "char-ngram", "epochs": 1, "tasks": ["retrieval98", "superclass"]}
"""As the fixture tiny_run."""


@pytest.fixture
def out(tiny_run: Path, tmp_path: Path) -> Path:
    """A folder of runs with one that is done."""
    shutil.copytree(tiny_run, tmp_path / "runs" / tiny_run.name)
    (tmp_path / "runs" / "cells").mkdir()
    return tmp_path / "runs"


def grid_at(path: Path, **axes: Any) -> Path:
    path.write_text(yaml.safe_dump({"name": "g", "summary": "for tests", **ASKED, **axes}), encoding="utf-8")
    return path


def order(out: Path, run_id: str, *arguments: str) -> Order:
    return Order(run_id, arguments, 1, str(out), str(ROOT), {})


def never() -> Any:
    return 0


def test_a_run_is_done_only_with_a_whole_and_valid_result(out: Path, tiny_run: Path) -> None:
    records = Records(out, tiny_run.name)
    assert records.standing().state == "done"
    scores = out / tiny_run.name / "scores" / "superclass.npz"
    scores.rename(scores.with_suffix(".away"))
    assert records.standing() == replace(
        records.standing(), state="failed", reason="its scores of superclass are not there."
    )
    result = out / tiny_run.name / "result.json"
    result.write_text(result.read_text(encoding="utf-8").replace('"seed": 0', '"seed": 1'), encoding="utf-8")
    assert records.standing().state == "failed"
    assert "edited" in str(records.standing().reason)


def test_another_run_s_result_does_not_count(out: Path, tiny_run: Path) -> None:
    (out / tiny_run.name).rename(out / "0123456789abcdef")
    standing = Records(out, "0123456789abcdef").standing()
    assert standing.state == "failed"
    assert tiny_run.name in str(standing.reason)


def test_what_was_stopped_is_told_from_what_failed(tmp_path: Path) -> None:
    records = Records(tmp_path, "0123456789abcdef")
    (tmp_path / "cells").mkdir()
    assert records.standing().state == "to do"
    records.write("begun")
    assert records.standing().state == "to do"
    (records.run / "checkpoints").mkdir(parents=True)
    assert records.standing().state == "stopped"
    records.write("ended", exit=-9, seconds=1.0, reason="it was killed")
    assert (records.standing().state, records.standing().reason) == ("failed", "it was killed")
    records.write("begun")  # taken up again, and cut off in the middle of the next line
    with (tmp_path / "cells" / "0123456789abcdef.jsonl").open("a", encoding="utf-8") as handle:
        handle.write('{"event": "en')
    assert records.standing().state == "stopped"


def test_a_cell_that_is_done_is_not_repeated(out: Path, tiny_run: Path) -> None:
    outcome = carry_out(order(out, tiny_run.name, "--no-such-option"), never)
    assert (outcome.state, outcome.before) == ("done", True)
    assert Records(out, tiny_run.name).journal() == []


def test_a_wrong_request_fails_with_the_words_of_run(tmp_path: Path) -> None:
    outcome = carry_out(order(tmp_path, "0123456789abcdef", "--encoder", "statz", "--text", "random"), never)
    assert outcome.state == "failed"
    assert str(outcome.reason).startswith("unknown encoder 'statz': did you mean stats?")
    assert [line["event"] for line in Records(tmp_path, "0123456789abcdef").journal()] == ["begun", "ended"]


def test_two_never_work_on_one_cell(out: Path, tiny_run: Path) -> None:
    """The second waits while the first holds the cell, in another process too, and finds it done."""
    records, outcomes = Records(out, tiny_run.name), []
    with records.locked(lambda: False) as lock:
        assert lock is not None
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], pass_fds=(lock,))
    waiting = Thread(target=lambda: outcomes.append(carry_out(order(out, tiny_run.name), never)))
    waiting.start()
    time.sleep(0.5)
    assert outcomes == []
    child.kill()
    child.wait()
    waiting.join(10)
    assert [outcome.before for outcome in outcomes] == [True]


def test_who_waits_for_a_cell_can_be_stopped(out: Path, tiny_run: Path) -> None:
    stop = Event()
    with Records(out, tiny_run.name).locked(lambda: False):
        Thread(target=lambda: (time.sleep(0.3), stop.set())).start()
        assert carry_out(order(out, tiny_run.name), lambda: 1 if stop.is_set() else 0).state == "stopped"


def test_a_cell_that_is_killed_is_told_and_takes_nothing_with_it(
    out: Path, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A grid of a run that is done and one that the system kills: the board is made of the first, and the second is carried
    out again only when that is asked for."""
    own = tmp_path / "own" / "registry" / "encoders"
    own.mkdir(parents=True)
    card = (OVERLAY / "registry" / "encoders" / "pooled.yaml").read_text(encoding="utf-8")
    (own / "deadly.yaml").write_text(card.replace("pooled.py:Pooled", "deadly.py:Deadly").replace("pooled", "deadly"))
    (tmp_path / "own" / "deadly.py").write_text(
        "import os, torch\nclass Deadly(torch.nn.Linear):\n    def __init__(self, leads, samples, rate, width):\n"
        "        super().__init__(leads, width)\n    def forward(self, x):\n        os.kill(os.getpid(), 9)\n"
    )
    monkeypatch.setenv("ECGBENCH_PATH", os.pathsep.join([str(OVERLAY), str(tmp_path / "own")]))
    grid = grid_at(tmp_path / "grid.yaml", encoder=["pooled", "deadly"])
    assert run_command(["sweep", str(grid), "--out", str(out), "--workers", "1"]) == 1
    said = capsys.readouterr()
    assert "killed by signal 9 (SIGKILL), which is how a system ends a process when memory runs out" in said.out
    assert "1 done, 1 failed" in said.out
    boards = out / "boards" / "g"
    assert len(list((boards / "results").glob("*/*/result.json"))) == 1
    assert "pooled" in next(boards.glob("tiny-*.md")).read_text(encoding="utf-8")
    assert len(list((out / "cells").glob("*.jsonl"))) == 1  # the run that was done was not begun
    (journal,) = (out / "cells").glob("*.jsonl")
    assert run_command(["sweep", str(grid), "--out", str(out), "--json"]) == 1
    cells = json.loads(capsys.readouterr().out)["cells"]
    assert [(cell["name"], cell["state"]) for cell in cells] == [("pooled", "done"), ("deadly", "failed")]
    assert len(journal.read_text(encoding="utf-8").splitlines()) == 2
    assert run_command(["sweep", str(grid), "--out", str(out), "--dry-run", "--retry-failed", "--workers", "1"]) == 0
    assert "To be carried out: 1" in capsys.readouterr().out


def ready(run_id: str = "a", **recipe: Any) -> Ready:
    own = load_recipe("quick").model_copy(update=recipe)
    return Ready(Cell("tiny", "pooled", "random", "quick"), run_id, run_id, 100, own, "pooled", "d")


def test_time_is_told_from_runs_that_are_done(tiny_run: Path) -> None:
    result = read_result(tiny_run / "result.json")
    seconds, steps = result.provenance.seconds, result.settings["steps"]
    estimates = Estimates()
    estimates.add(result)
    asked = replace(ready(), data_hash=result.data.data_hash, recipe=load_recipe("quick", epochs=1), steps=steps)
    whole = sum(value for stage, value in seconds.items() if stage not in ONCE)
    assert estimates.of(asked) == pytest.approx(whole)
    longer = replace(asked, recipe=load_recipe("quick", epochs=3), steps=3 * steps)
    assert estimates.of(longer) == pytest.approx(whole + 2 * seconds["training"])
    assert estimates.of(replace(asked, encoder="other")) is None
    assert estimates.of(replace(longer, recipe=load_recipe("quick+rate=500", epochs=3))) is None
    estimates.add(result, seconds=100.0)
    assert estimates.of(asked) == pytest.approx((100.0 + whole) / 2)


def test_time_left_is_shared_by_those_side_by_side_and_never_less_than_the_longest(tmp_path: Path) -> None:
    cells = [Planned(ready(name), "to do", None, seconds) for name, seconds in (("a", 10.0), ("b", 30.0), ("c", None))]
    plan = Plan(cells)
    progress = Progress(plan, plan.wanted(retry_failed=False), tmp_path, 1)
    assert progress.time_left() == 60.0  # the third counts as the mean of the others
    progress.at_once = 3
    assert progress.time_left() == 30.0
    assert summary(progress) == "0 of 3 done · about 0:30 left"


def test_a_training_s_steps_are_those_of_the_trainer(tiny_run: Path) -> None:
    result: Result = read_result(tiny_run / "result.json")
    assert steps_of(load_recipe("quick", epochs=1), result.settings["training_records"]) == result.settings["steps"]


def test_the_table_keeps_to_the_terminal_and_shows_first_what_is_at_work(tmp_path: Path) -> None:
    plan = Plan([Planned(ready(f"cell{number:02}"), "to do", None, 10.0) for number in range(30)])
    progress = Progress(plan, plan.wanted(retry_failed=False), tmp_path, 2)
    progress.begin("cell20", "node7")
    (tmp_path / "cell20").mkdir()
    (tmp_path / "cell20" / "log.jsonl").write_text('{"step": 3}\n{"step": 57, "loss": 1.0}\n', encoding="utf-8")
    progress.end("cell25", Outcome("failed", "it was killed"))
    console = Console(file=StringIO(), width=100, height=16)
    console.print(Moving(progress, console).table())
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len(lines) < 16
    assert any("cell20" in line and "running on node7" in line and "57/100" in line for line in lines)
    assert any("cell25" in line and "failed" in line for line in lines)
    assert "and 20 more cells" in lines[-2]
    assert "0 of 30 done · 1 failed · 1 running · about 2:25 left" in lines[-1]


@pytest.mark.parametrize(("seconds", "said"), [(None, "—"), (0.4, "0:00"), (59.6, "1:00"), (3723, "1:02:03")])
def test_durations(seconds: float | None, said: str) -> None:
    assert duration(seconds) == said


def test_workers_do_not_share_cores() -> None:
    cores = usable_cores()
    assert workers_here(None, [ready(threads=cores)]) == 1
    assert workers_here(None, [ready(threads=1)]) == cores
    assert workers_here(1, [ready(threads=cores + 1)]) == 1
    with pytest.raises(EcgbenchError, match=f"need {cores + 1} cores and this machine has {cores}"):
        workers_here(cores + 1, [ready(threads=1)])


def test_boards_are_not_made_over_what_no_sweep_made(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(EcgbenchError, match="holds other things"):
        check_boards(tmp_path)
    check_boards(tmp_path / "new")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--ray", "auto", "--workers", "2"], "--workers and --ray were both given"),
        (["--gpus", "1"], "--gpus is for --ray"),
        (["--dry-run", "--add"], "a plan has no results to add"),
    ],
)
def test_options_that_do_not_go_together(
    tmp_path: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = grid_at(tmp_path / "grid.yaml", encoder="pooled")
    assert run_command(["sweep", str(grid), *words]) == 2
    assert said in capsys.readouterr().err


def block_sigint() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


@pytest.mark.slow
@pytest.mark.parametrize(("number", "surroundings"), [(signal.SIGINT, None), (signal.SIGTERM, block_sigint)])
def test_what_is_stopped_goes_on_to_the_same_weights(
    tmp_path: Path, number: signal.Signals, surroundings: Callable[[], None] | None
) -> None:
    """By Ctrl-C, and by SIGTERM where whoever started the sweep keeps SIGINT from it, as Ray does: the cells hear it."""
    grid = grid_at(tmp_path / "grid.yaml", encoder="pooled", epochs=150, seed=[0, 1], recipe="quick+threads=1")
    out, straight = tmp_path / "runs", tmp_path / "straight"
    command = [sys.executable, "-m", "ecgbench", "sweep", str(grid), "--out"]
    own = {**os.environ, "ECGBENCH_PATH": str(OVERLAY), "OMP_NUM_THREADS": "1"}
    sweep = subprocess.Popen([*command, str(out)], cwd=ROOT, env=own, preexec_fn=surroundings)
    while not list(out.glob("*/log.jsonl")):
        assert sweep.poll() is None
        time.sleep(0.2)
    sweep.send_signal(number)
    assert sweep.wait(120) == 130
    stopped = [path.parent.parent.parent.name for path in out.glob("*/checkpoints/checkpoint-*/complete")]
    assert stopped
    for folder in (out, straight):
        assert subprocess.run([*command, str(folder)], cwd=ROOT, env=own).returncode == 0
    assert "--resume" in (out / "cells" / f"{stopped[0]}.log").read_text(encoding="utf-8")
    for weights in out.glob("*/model.safetensors"):
        assert weights.read_bytes() == (straight / weights.relative_to(out)).read_bytes()
