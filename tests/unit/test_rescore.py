"""A result is what its scores say, or `rescore` names the first number that is not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from leaderboard_made import DATA, all_scores, make

from ecgbench.cli.main import run_command
from ecgbench.evaluation.bootstrap import interval, patient_weights
from ecgbench.evaluation.metrics import metric_named
from ecgbench.evaluation.scores import Scores
from ecgbench.evaluation.scoring import tested_rows as rows_tested
from ecgbench.leaderboard.bands import bands, class_number
from ecgbench.leaderboard.rescore import card_of, rescore_result, rescore_scores

ROOT = Path(__file__).resolve().parents[2]
TASKS = ("superclass", "retrieval98")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run's folder: two tasks and their references, scores in float32."""
    return single(make(tmp_path, "run", tasks=TASKS, noise=3))


def single(folder: Path) -> Path:
    """The scores of a made result in full precision, as a run leaves them."""
    for task in TASKS:
        for kind, scores in all_scores(task, DATA, 1.0, 3).items():
            middle = ("references", kind) if kind else ()
            scores.save(folder.joinpath("scores", *middle, f"{task}.npz"))
    return folder


def edit(folder: Path, *keys: str | int, value: Any) -> None:
    """Change one number of a result file by hand."""
    path = folder / "result.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    part = data
    for key in keys[:-1]:
        part = part[key]
    part[keys[-1]] = value
    path.write_text(json.dumps(data), encoding="utf-8")


def test_a_run_is_reproduced_to_the_last_digit(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result, verdicts = rescore_result(run)
    assert {each.agreement for each in verdicts} == {"exact"}
    assert [each.where for each in verdicts] == [
        *(f"tasks.{task}" for task in sorted(TASKS)),
        *(f"references.{which}.{task}" for which in ("majority", "untrained") for task in sorted(TASKS)),
        "references.chance",
    ]
    assert verdicts[1].scores == result.tasks["superclass"].model_dump(mode="json")
    assert verdicts[1].n_numbers == len(leaves(verdicts[1].scores))
    assert run_command(["rescore", str(run), str(run / "result.json")]) == 0
    out, err = capsys.readouterr()
    assert out.count("reproduced to the last digit") == 14 and err == ""


def leaves(value: Any) -> list[Any]:
    """Numbers of a nested document; a list of names counts as one."""
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in leaves(item)]
    if isinstance(value, list) and any(isinstance(item, (float, list)) for item in value):
        return [leaf for item in value for leaf in leaves(item)]
    return [value]


@pytest.mark.parametrize(
    "keys",
    [
        ("tasks", "superclass", "metrics", "accuracy", "value"),
        ("tasks", "superclass", "metrics", "macro_auroc", "ci", 1),
        ("tasks", "retrieval98", "metrics", "top5", "chance"),
        ("tasks", "superclass", "per_class", "hypertrophy", "auroc"),
        ("tasks", "superclass", "per_class", "hypertrophy", "accuracy_ci", 0),
        ("references", "majority", "superclass", "metrics", "accuracy", "ceiling"),
        ("references", "untrained", "retrieval98", "metrics", "mrr", "value"),
        ("references", "chance", "superclass", "accuracy"),
    ],
    ids=lambda keys: ".".join(map(str, keys)),
)
def test_one_changed_digit_is_named_with_both_values(
    run: Path, keys: tuple[str | int, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    data: Any = json.loads((run / "result.json").read_text(encoding="utf-8"))
    for key in keys:
        data = data[key]
    edit(run, *keys, value=data + 1e-12)
    assert run_command(["rescore", str(run)]) == 1
    out, err = capsys.readouterr()
    place = ".".join(f"[{key}]" if isinstance(key, int) else key for key in keys).replace(".[", "[")
    assert err == f"ecgbench: {run}: {place} is {data + 1e-12} in the result file and {data} by its scores.\n"
    assert out.count("NOT reproduced") == 1 and out.count("to the last digit") == 6


def test_counts_and_names_are_compared_too(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(run, "tasks", "superclass", "n_instances", value=1)
    assert run_command(["rescore", str(run)]) == 1
    assert "tasks.superclass.n_instances is 1 in the result file and " in capsys.readouterr().err
    edit(run, "tasks", "retrieval98", "absent", value=[])
    assert run_command(["rescore", str(run)]) == 1
    assert "tasks.retrieval98.absent is [] in the result file and ['" in capsys.readouterr().err
    edit(run, "tasks", "retrieval98", "metrics", "top1", "ci", value=None)
    edit(run, "tasks", "retrieval98", "absent", value=rescore_result(run)[1][0].scores["absent"])
    assert run_command(["rescore", str(run)]) == 1
    assert "tasks.retrieval98.metrics.top1.ci[0] is missing in the result file" in capsys.readouterr().err


def test_board_copies_agree_within_rounding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make(tmp_path, "board", tasks=TASKS)
    assert run_command(["rescore", str(folder)]) == 0
    assert "within 0.002 of what half-precision scores leave open" in capsys.readouterr().out
    # Full precision leaves nothing open: the same rounded scores stored as float32 are other scores.
    for path in folder.glob("scores/*.npz"):
        Scores.load(path).save(path)
    assert run_command(["rescore", str(folder)]) == 1


@pytest.mark.parametrize(
    "keys",
    [
        ("metrics", "macro_auroc", "value"),
        ("metrics", "macro_auroc", "ci", 0),
        ("per_class", "normal-ecg", "auroc"),
        ("per_class", "normal-ecg", "accuracy_ci", 1),
    ],
    ids=lambda keys: ".".join(map(str, keys)),
)
@pytest.mark.parametrize("by", [-0.05, 0.05])
def test_a_board_copy_does_not_excuse_everything(
    tmp_path: Path, keys: tuple[str | int, ...], by: float, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make(tmp_path, "board", noise=1)
    data: Any = json.loads((folder / "result.json").read_text(encoding="utf-8"))["tasks"]["superclass"]
    for key in keys:
        data = data[key]
    edit(folder, "tasks", "superclass", *keys, value=data + by)
    assert run_command(["rescore", str(folder)]) == 1
    err = capsys.readouterr().err
    assert "tasks.superclass: " in err and (f"{data + by:.4f}" in err or "its classes together give" in err)


def test_what_the_boards_check_is_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A class within the tolerance of its scores, and not what its mean needs."""
    folder = make(tmp_path, "board", noise=1)
    path = ("tasks", "superclass", "per_class", "normal-ecg", "accuracy")
    score = json.loads((folder / "result.json").read_text(encoding="utf-8"))["tasks"]["superclass"]
    edit(folder, *path, value=score["per_class"]["normal-ecg"]["accuracy"] + 1e-3)
    assert run_command(["rescore", str(folder)]) == 1
    assert "tasks.superclass: accuracy is " in capsys.readouterr().err


@pytest.mark.parametrize("task", TASKS)
def test_the_bands_hold_what_rounding_moved(task: str) -> None:
    """Scores a hair apart, so that rounding ties many: every number of the exact scores lies in the bands of the
    rounded ones, by the plain metric functions."""
    made = all_scores(task, DATA, 1.0, 3)[""]
    exact = Scores(**{**vars(made), "scores": (0.5 + made.scores * 2e-3).astype(np.float32)})
    rounded = Scores(**{**vars(made), "scores": exact.scores.astype(np.float16).astype(np.float32)})
    assert len(np.unique(rounded.scores)) < 20 < len(np.unique(exact.scores))
    card = card_of(exact)
    metrics = [metric_named(name) for name in card.metrics]
    test = rows_tested(exact, card)
    weights = patient_weights(test.patient_id, plain=True)
    found = bands(metrics, rows_tested(rounded, card), weights)
    moved = 0
    for metric in metrics:
        totals, by_class = metric.values(test.scores, test.labels, weights)
        columns = {metric.name: totals}
        if metric.per_class:
            names = test.class_id.tolist()
            columns |= {class_number(metric.per_class, name): by_class[:, i] for i, name in enumerate(names)}
        for name, values in columns.items():
            band = found.pop(name)
            if np.isnan(values[0]):
                continue
            ends = interval(values[1:])
            for number, (low, high) in zip((values[0], *ends), (band.value, band.low, band.high), strict=True):
                assert low - 1e-9 <= number <= high + 1e-9, name
            moved += band.value[0] < band.value[1]
    assert not found and moved > 5


def test_a_scores_file_prints_its_tables(tmp_path: Path, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = run / "scores" / "superclass.npz"
    score = rescore_result(run)[0].tasks["superclass"]
    assert run_command(["rescore", str(path)]) == 0
    out = capsys.readouterr().out
    accuracy, ci = score.metrics["accuracy"], score.metrics["accuracy"].ci
    assert ci is not None
    assert f"{accuracy.value:.4f}  {ci[0]:.4f} to {ci[1]:.4f}    {accuracy.chance:.4f}" in out
    assert f"{score.per_class['hypertrophy'].accuracy:.4f}" in next(x for x in out.splitlines() if "hypertrophy" in x)
    assert next(x for x in out.splitlines() if "st-t-change" in x).split()[1:] == ["0", *["—"] * 8]


def test_a_long_task_prints_its_classes_when_asked(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(run / "scores" / "retrieval98.npz")
    assert run_command(["rescore", path]) == 0
    short = capsys.readouterr().out
    assert run_command(["rescore", path, "--per-class"]) == 0
    long = capsys.readouterr().out
    assert "sinus-tachycardia" not in short and "sinus-tachycardia" in long
    assert len(long.splitlines()) == len(short.splitlines()) + 1 + 2 + 98
    assert "top1" in long and "top5" in long and "auroc" in long


def test_json_is_one_document(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["rescore", str(run), str(run / "scores" / "superclass.npz"), "--json"]) == 0
    whole, alone = json.loads(capsys.readouterr().out)["rescored"]
    result = json.loads((run / "result.json").read_text(encoding="utf-8"))
    assert whole["reproduced"] is True and whole["run_id"] == result["run_id"]
    parts = {part["part"]: part["scores_give"] for part in whole["parts"]}
    assert parts["tasks.superclass"] == result["tasks"]["superclass"]
    assert parts["references.chance"] == result["references"]["chance"]
    assert alone["task"] == "superclass" and "n_excluded" not in alone
    assert alone["metrics"] == result["tasks"]["superclass"]["metrics"]
    edit(run, "tasks", "superclass", "metrics", "accuracy", "value", value=0.125)
    assert run_command(["rescore", str(run), "--json"]) == 1
    (whole,) = json.loads(capsys.readouterr().out)["rescored"]
    assert whole["reproduced"] is False
    assert [part["part"] for part in whole["parts"] if part["first_difference"]] == ["tasks.superclass"]


def test_rescore_scores_gives_what_the_run_has(run: Path) -> None:
    scores, score = rescore_scores(run / "scores" / "retrieval98.npz")
    assert scores.task == "retrieval98"
    assert score.model_copy(update={"n_excluded": 3}) == rescore_result(run)[0].tasks["retrieval98"]


def wrong_file(folder: Path, case: str) -> Path:
    """A request that cannot be carried out."""
    scores = folder / "scores"
    superclass = Scores.load(scores / "superclass.npz")
    if case == "no scores file":
        (folder / "text.npz").write_text("hello")
        return folder / "text.npz"
    if case == "other version":
        Scores(**{**vars(superclass), "task_version": 7}).save(folder / "old.npz")
        return folder / "old.npz"
    if case == "unknown task":
        Scores(**{**vars(superclass), "task": "superclas"}).save(folder / "unknown.npz")
        return folder / "unknown.npz"
    if case == "missing scores":
        (scores / "references" / "majority" / "superclass.npz").unlink()
    if case == "scores of another task":
        Scores(**{**vars(superclass), "task": "superclass_clinical"}).save(scores / "superclass.npz")
    if case == "result of another version":
        return single(make(folder.parents[1], "old", tasks=TASKS, task_version=7))
    if case == "nowhere":
        return folder / "nowhere"
    return folder


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("no scores file", "is damaged or no scores file"),
        ("other version", "scores are of task superclass version 7, the card is of superclass"),
        ("unknown task", "unknown task 'superclas': did you mean superclass"),
        ("missing scores", "there is no scores file"),
        ("scores of another task", "is of task superclass_clinical, superclass belongs there"),
        ("result of another version", "was version 7 then and is version 2 now"),
        ("nowhere", "no result file at"),
    ],
)
def test_a_wrong_request_is_one_line_and_exit_2(
    run: Path, case: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["rescore", str(wrong_file(run, case))]) == 2
    out, err = capsys.readouterr()
    assert out == "" and message in err and err.count("\n") == 1


def test_a_failed_run_and_a_misplaced_option_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    failed = make(tmp_path, "failed", failed="the loss is not a number")
    assert run_command(["rescore", str(failed)]) == 2
    assert "failed (the loss is not a number) and has no numbers" in capsys.readouterr().err
    assert run_command(["rescore", str(make(tmp_path, "good")), "--per-class"]) == 2
    assert "--per-class is for scores files" in capsys.readouterr().err


def test_torch_stays_out(run: Path) -> None:
    code = (
        "import sys; from ecgbench.cli.main import run_command as go; run = sys.argv[1]; "
        "done = go(['rescore', run]) or go(['compare', run, run]); sys.exit(done or 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(run)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("verb", ["rescore", "compare"])
def test_help_imports_nothing_heavy(verb: str) -> None:
    code = (
        "import sys; from ecgbench.cli.main import run_command as go; go([sys.argv[1], '--help']); "
        "sys.exit(bool({'numpy', 'pandas', 'torch'} & set(sys.modules)))"
    )
    assert (
        subprocess.run([sys.executable, "-c", code, verb], cwd=ROOT, capture_output=True, check=False).returncode == 0
    )
