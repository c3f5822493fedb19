"""Bootstrap values in the place of scores: the same ranks, and no id."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from leaderboard_made import DATA, OTHER_DATA, make, scores_of
from test_leaderboard import PAGE, ranking, rows, section
from test_submit import BOARD, WITHOUT_PAGES

from ecgbench.cards import TaskCard
from ecgbench.catalogue import load_card
from ecgbench.cli.main import run_command
from ecgbench.errors import EcgbenchError
from ecgbench.evaluation.scores import Scores
from ecgbench.evaluation.values import BootstrapValues, patients_hash
from ecgbench.leaderboard import build_pages, check_pages, collect
from ecgbench.leaderboard.adding import add_run

SUPERCLASS = load_card(TaskCard, "superclass")
BASE = ("--task", "superclass", "--data-hash", DATA, "--name", "our-net", "--trained-on", "our own ECGs")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of three systems on private data, as a hospital has them."""
    folder = tmp_path_factory.mktemp("hospital")
    for noise, name in enumerate(("linear", "resnet1d18", "vit1d-tiny")):
        make(folder, name, encoder=name, skill=0.4 * noise, noise=noise, public=False, board="runs", dtype=np.float32)
    return folder / "runs"


@pytest.fixture
def boards(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hospital's own board: the results with their scores."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made, tmp_path / "leaderboards" / "results" / BOARD)
    return tmp_path / "leaderboards"


def without_scores(made: Path, boards: Path, *names: str) -> None:
    """Replace results by what may leave the house."""
    for name in names:
        shutil.rmtree(boards / "results" / BOARD / name)
        add_run(made / name, boards)


def test_ranks_from_values_are_those_from_scores(made: Path, boards: Path) -> None:
    """All rows by scores, one by values, all by values: one table, references included."""
    wanted = ranking(build_pages(boards / "results")[PAGE])
    differences = rows(section(build_pages(boards / "results")[PAGE], "### Differences to the controls"))
    assert all(row["Rank"] != "—" for row in wanted if "chance" not in row["Recipe"])
    for names in (("resnet1d18",), ("linear", "vit1d-tiny")):
        without_scores(made, boards, *names)
        page = build_pages(boards / "results")[PAGE]
        found = ranking(page)
        for row in (*found, *wanted):
            row.pop("Result", None)
        assert found == wanted
        assert rows(section(page, "### Differences to the controls")) == differences
    assert "With bootstrap values in the place of scores, which give the overall numbers: 3." in page


def test_what_leaves_the_house_names_no_record_and_no_patient(made: Path, boards: Path) -> None:
    add_run(made / "linear", boards)
    (folder,) = boards.glob(f"results/{BOARD}/linear--*")
    ids = {
        *scores_of("superclass", DATA, 1, 1).record_id.tolist(),
        *scores_of("superclass", DATA, 1, 1).patient_id.tolist(),
    }
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert not list(folder.rglob("scores")) and len([path for path in files if path.suffix == ".npz"]) == 3
    for path in files:
        if path.suffix == ".npz":
            with np.load(path) as members:
                told = " ".join(str(members[name].tolist()) for name in members.files)
        else:
            told = path.read_text("utf-8")
            assert json.loads(told)["data"]["damaged"] == [{"record": "—", "reason": "empty"}]
        assert not [each for each in ids if f'"{each}"' in told or f"'{each}'" in told]
    assert run_command(["rescore", str(folder)]) == 0


def test_other_patients_are_other_resamples_and_get_no_rank(made: Path, boards: Path) -> None:
    """The same hospital's data under another key: other ids, another order, other draws."""
    scores = scores_of("superclass", DATA, 3.0, 9)
    rekeyed = replace(scores, patient_id=np.array([f"q{each[::-1]}" for each in scores.patient_id]))
    assert run_command(["submit", "--bootstrap", values_of(Path("v.npz"), rekeyed), *BASE, *WITHOUT_PAGES]) == 0
    for names in ((), ("linear", "resnet1d18", "vit1d-tiny")):
        without_scores(made, boards, *names)
        page = build_pages(boards / "results")[PAGE]
        ranks = {row["Encoder"]: row["Rank"] for row in ranking(page) if "untrained" not in row["Recipe"]}
        assert ranks["our-net"] == "—" and "—" not in (ranks["linear"], ranks["resnet1d18"], ranks["vit1d-tiny"])
        assert "other resamples than the other rows': our-net × *submitted*." in page
        found = {row["Encoder"]: row["to majority"] for row in rows(section(page, "### Differences to the controls"))}
        assert found["our-net"] == "—" and found["linear"] != "—"


def test_the_hash_of_patients_depends_on_order_and_data() -> None:
    hashes = {patients_hash(DATA, ("a", "b")), patients_hash(DATA, ("b", "a")), patients_hash(OTHER_DATA, ("a", "b")),
              patients_hash(DATA, ("ab",)), patients_hash(DATA, ('a","b',))}  # fmt: skip
    assert len(hashes) == 5


def values_of(path: Path, scores: Scores | None = None, **changes: Any) -> str:
    scores = scores or scores_of("superclass", DATA, 3.0, 9)
    replace(BootstrapValues.of(scores, SUPERCLASS, DATA), **changes).save(path)
    return str(path)


def test_submitted_values_are_a_marked_row_with_a_rank(boards: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["rescore", str(boards / "results" / BOARD / "linear"), "--bootstrap-out", "values"]) == 0
    assert "wrote values/superclass.npz" in capsys.readouterr().err
    assert run_command(["submit", "--bootstrap", "values/superclass.npz", *BASE, "--add"]) == 0
    assert check_pages(boards) == []
    found = ranking((boards / PAGE).read_text("utf-8"))
    own, twin = (next(row for row in found if row["Encoder"] == name) for name in ("our-net", "linear"))
    for column in ("Rank", "accuracy", "macro_auroc"):
        assert own[column] == twin[column]
    assert run_command(["rescore", *map(str, boards.glob("results/*/submitted--*"))]) == 0
    assert run_command(["compare", *map(str, boards.glob("results/*/submitted--*")), str(boards)]) == 2
    assert "bootstrap values in the place of scores" in capsys.readouterr().err


def test_scores_of_private_data_are_refused(boards: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scores_of("superclass", DATA, 1.0, 1).save(Path("s.npz"))
    assert run_command(["submit", "s.npz", *BASE, "--add"]) == 2
    assert "are not public, and scores hold record ids" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data_hash": OTHER_DATA}, "the values are of data with the hash"),
        ({"task_version": 1}, "the values are of task superclass version 1"),
        ({"task": "rhythm"}, "the values are of task rhythm"),
        ({"n_patients": 3}, "n_patients is 20 and the values are of 3"),
        ({"score": "{}"}, "is no part of a result"),
    ],
)
def test_wrong_values_are_refused(
    boards: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], said: str
) -> None:
    assert run_command(["submit", "--bootstrap", values_of(Path("v.npz"), **changes), *BASE, "--add"]) == 2
    assert said in capsys.readouterr().err
    assert not list(boards.glob("results/*/submitted--*"))


def test_values_that_do_not_give_the_told_number_are_refused(boards: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = BootstrapValues.of(scores_of("superclass", DATA, 3.0, 9), SUPERCLASS, DATA)
    told = json.loads(values.score)
    told["metrics"]["accuracy"]["value"] = 0.999
    assert run_command(["submit", "--bootstrap", values_of(Path("v.npz"), score=json.dumps(told)), *BASE]) == 2
    assert "accuracy is 0.9990" in capsys.readouterr().err
    told = json.loads(values.score)
    told["per_class"]["hypertrophy"]["positives"] += 1
    edited = values_of(Path("v.npz"), score=json.dumps(told))
    assert run_command(["submit", "--bootstrap", edited, *BASE]) == 0, "nothing in the values tells of the classes"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"seed": 1}, "from the seed 1"),
        ({"values": np.zeros((8, 11))}, "a plain value and 1000 replicates"),
        ({"values": np.full((8, 1001), np.inf)}, "must be finite"),
        ({"metric": np.array(["accuracy"] * 8)}, "names a metric twice"),
        ({"score": "{"}, "is no JSON object"),
        ({"score": "[1]"}, "is no JSON object"),
        ({"n_patients": 0}, "1 or more"),
    ],
)
def test_values_that_cannot_be_are_not_written(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(EcgbenchError, match=said):
        values_of(tmp_path / "v.npz", **changes)
    assert not list(tmp_path.iterdir())


def test_files_that_are_no_values_are_refused(tmp_path: Path) -> None:
    path = Path(values_of(tmp_path / "v.npz"))
    with np.load(path) as stored:
        members = {name: stored[name] for name in stored.files}
    for changes, said in (
        ({"extra": np.zeros(2)}, "holds 'extra', which is no part"),
        ({"values": None}, "lacks 'values'"),
        ({"seed": np.array(0.5)}, "seed is not one whole number"),
        ({"task": np.array(["superclass"])}, "task is not one text"),
        ({"schema": np.array(7)}, "another schema"),
        ({"metric": np.zeros(8)}, "a list of names"),
    ):
        np.savez(path, **{name: value for name, value in {**members, **changes}.items() if value is not None})
        with pytest.raises(EcgbenchError, match=said):
            BootstrapValues.load(path)
    scores_of("superclass", DATA, 1.0, 1).save(path)
    with pytest.raises(EcgbenchError, match="is a scores file: give it without --bootstrap"):
        BootstrapValues.load(path)
    path.write_text("1,2,3\n", encoding="utf-8")
    with pytest.raises(EcgbenchError, match="damaged or no values file"):
        BootstrapValues.load(path)


def test_a_result_edited_beside_its_values_is_left_out(made: Path, boards: Path) -> None:
    without_scores(made, boards, "linear")
    (folder,) = boards.glob(f"results/{BOARD}/linear--*")
    text = (folder / "result.json").read_text("utf-8")
    for keys, value, said in (
        (("tasks", "superclass", "metrics", "accuracy", "ci"), [0.9, 1.0], "the bootstrap values give"),
        (
            ("tasks", "superclass", "per_class", "hypertrophy", "accuracy_ci"),
            [0.0, 1.0],
            "its counts or classes are not",
        ),
    ):
        data = json.loads(text)
        place = data
        for key in keys[:-1]:
            place = place[key]
        assert place[keys[-1]] != value
        place[keys[-1]] = value
        (folder / "result.json").write_text(json.dumps(data), encoding="utf-8")
        _, (left_out,) = collect(boards / "results")
        assert said in left_out.reason
