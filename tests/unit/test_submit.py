"""`ecgbench submit`: scores made elsewhere become a marked, ranked row, or are refused with the reason."""

from __future__ import annotations

import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from leaderboard_made import DATA, N_TEST, N_VALIDATION, OTHER_DATA, make, scores_of
from test_leaderboard import PAGE, ranking, section

from ecgbench.cli.main import run_command
from ecgbench.ecg.build import store_for
from ecgbench.evaluation.scores import Scores
from ecgbench.leaderboard import build_pages, check_pages, collect
from ecgbench.leaderboard.testset import from_store
from ecgbench.results import read_result

BOARD = PAGE.removesuffix(".md")
WITHOUT_PAGES = ("--out", f"leaderboards/results/{BOARD}")
"""Puts a submission on its board and makes no pages."""
BASE = ("--task", "superclass", "--data-hash", DATA, "--name", "our-net", "--trained-on", "MIMIC-IV-ECG")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of one run on public data."""
    results = tmp_path_factory.mktemp("made") / "results"
    make(results, "run", skill=1.0, noise=1, board=BOARD)
    return results


@pytest.fixture
def boards(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of boards with that run; the working folder is the one above."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made, tmp_path / "leaderboards" / "results")
    return tmp_path / "leaderboards"


@pytest.fixture
def theirs() -> Scores:
    """What another system says of the same records."""
    return scores_of("superclass", DATA, 3.0, 5)


def short(path: Path, theirs: Scores, **other: Any) -> str:
    """The short form: the test records, shuffled."""
    test = theirs.rows("test")
    test = test.select(np.random.default_rng(0).permutation(N_TEST))
    np.savez(path, **{"record_id": test.record_id, "class_id": test.class_id, "scores": test.scores} | other)
    return str(path)


def submitted(boards: Path) -> Path:
    (folder,) = boards.glob("results/*/submitted--*")
    return folder


def test_a_submission_is_a_marked_row_ranked_with_the_others(
    boards: Path, theirs: Scores, capsys: pytest.CaptureFixture[str]
) -> None:
    claims = [
        "--parameters",
        "1200000",
        "--licence",
        "MIT",
        "--encoder-name",
        "wave",
        "--text-name",
        "medbert",
        "--add",
    ]
    assert run_command(["submit", short(boards.parent / "s.npz", theirs), *BASE, *claims]) == 0
    assert "macro_f1" in capsys.readouterr().out
    assert check_pages(boards) == []
    found = ranking((boards / PAGE).read_text("utf-8"))
    row = found[0]
    assert (row["Encoder"], row["Text tower"], row["Recipe"]) == ("our-net (wave)", "medbert", "— · *submitted*")
    assert row["Rank"].startswith("1") and (row["Encoder, M"], row["Seeds"], row["Licence"]) == ("1.2", "—", "MIT")
    assert row["Trained on"] == "claimed: MIMIC-IV-ECG"
    result = read_result(submitted(boards) / "result.json")
    of_run = read_result(next(boards.glob("results/*/run/result.json")))
    assert result.data == of_run.data and result.comparable["superclass"] == of_run.comparable["superclass"]
    # the same model as a run of ecgbench would have the same numbers, thresholds aside
    twin = make(boards.parent / "twin", "run", skill=3.0, noise=5)
    wanted = read_result(twin / "result.json").tasks["superclass"]
    for metric in ("accuracy", "macro_auroc", "micro_auprc"):
        assert result.tasks["superclass"].metrics[metric] == wanted.metrics[metric]
    assert result.tasks["superclass"].metrics["macro_f1"].value is None
    assert run_command(["rescore", str(submitted(boards))]) == 0
    assert run_command(["compare", str(submitted(boards)), str(next(boards.glob("results/*/run")))]) == 0


def test_a_whole_scores_file_brings_its_validation_records(boards: Path, theirs: Scores) -> None:
    theirs.save(boards.parent / "whole.npz")
    assert run_command(["submit", "whole.npz", *BASE, "--seed", "3", *WITHOUT_PAGES]) == 0
    result = read_result(submitted(boards) / "result.json")
    assert result.tasks["superclass"].metrics["macro_f1"].value is not None and result.seed == 3
    assert collect(boards / "results")[1] == []


def test_the_template_names_what_is_to_be_scored_and_no_label(boards: Path) -> None:
    assert run_command(["submit", "--template", "todo.npz", "--task", "superclass", "--data-hash", DATA]) == 0
    with np.load("todo.npz") as todo:
        assert sorted(todo.files) == ["class_id", "record_id", "scores"]
        assert todo["scores"].shape == (N_TEST, 5) and not todo["scores"].any()
    assert run_command(["submit", "todo.npz", *BASE]) == 0
    assert len(list(Path("submissions").glob("submitted--our-net--superclass--*/scores/superclass.npz"))) == 1


def test_probabilities_near_one_are_kept_in_full(boards: Path, theirs: Scores) -> None:
    """float16 has 11 bits: it would tie what these scores tell apart."""
    sharp = replace(theirs, scores=(1 - np.exp(-12 - theirs.scores)).astype(np.float32))
    assert run_command(["submit", short(boards.parent / "s.npz", sharp), *BASE, *WITHOUT_PAGES]) == 0
    with np.load(submitted(boards) / "scores" / "superclass.npz") as kept:
        assert kept["scores"].dtype == np.float32
    assert collect(boards / "results")[1] == []


def wrong_file(kind: str, path: Path, scores: Scores) -> str:
    """A score file with one fault."""
    test = scores.rows("test")
    validation = scores.rows("validation")
    if kind == "another split":
        np.savez(path, record_id=validation.record_id, class_id=test.class_id, scores=validation.scores)
    elif kind == "one record of another split":
        short(path, test, record_id=np.array([validation.record_id[0], *test.record_id[1:]]))
    elif kind == "missing":
        np.savez(path, record_id=test.record_id[1:], class_id=test.class_id, scores=test.scores[1:])
    elif kind == "twice":
        short(path, test, record_id=np.array([test.record_id[1], *test.record_id[1:]]))
    elif kind == "nan":
        short(path, test, scores=np.where(np.arange(5) == 2, np.nan, test.scores))
    elif kind == "order":
        short(path, test, class_id=test.class_id[::-1])
    elif kind == "class":
        short(path, test, class_id=np.array(["sinus", *test.class_id[1:]]))
    elif kind == "whole numbers":
        short(path, test, scores=np.zeros(test.scores.shape, int))
    elif kind == "shape":
        short(path, test, scores=test.scores[:, :4])
    elif kind == "labels too":
        short(path, test, labels=test.labels)
    elif kind == "objects":
        short(path, test, record_id=np.array(test.record_id, dtype=object))
    elif kind == "pickle":
        path.write_bytes(pickle.dumps({"scores": [1, 2]}))
    elif kind == "text":
        path.write_text("record,normal\nr1,0.5\n", encoding="utf-8")
    elif kind == "relabelled":
        changed = scores.labels.copy()
        changed[-1] = np.roll(changed[-1], 1)
        replace(scores, labels=changed).save(path)
    elif kind == "another patient":
        replace(scores, patient_id=np.array([*scores.patient_id[:-1], "x"])).save(path)
    elif kind == "half of validation":
        scores.select(np.arange(N_VALIDATION // 2, N_VALIDATION + N_TEST)).save(path)
    elif kind == "another task":
        scores_of("rhythm", DATA, 1.0, 1).save(path)
    return str(path)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (
            "another split",
            "no test record at all of superclass: 'r000' is in the validation split; give the 40 test records",
        ),
        ("one record of another split", "1 that are no test records of superclass: 'r000' is in the validation split"),
        ("missing", "lacks 1 of the 40 test records of superclass: 'r010'; score them all"),
        ("twice", "record_id 'r011' stands there more than once"),
        ("nan", "score that is not finite for the class 'myocardial-infarction'"),
        ("order", "another order than the task's: 'st-t-change' at place 0, where 'normal-ecg' belongs"),
        ("class", "class_id lacks 'normal-ecg'"),
        ("whole numbers", "scores are int64 of shape (40, 5)"),
        ("shape", "scores are float32 of shape (40, 4): 40 records x 5 classes"),
        ("labels too", "holds 'labels' too"),
        ("objects", "Python objects, which are never unpickled"),
        ("pickle", "is damaged or no scores file"),
        ("text", "is damaged or no scores file"),
        ("relabelled", "of the class"),
        ("another patient", "the patient 'x', and the data say"),
        ("half of validation", "lacks the validation record 'r000'"),
        ("another task", "is of task rhythm version 2, and --task superclass"),
    ],
)
def test_wrong_score_files_are_refused_with_the_reason(
    boards: Path, theirs: Scores, capsys: pytest.CaptureFixture[str], kind: str, said: str
) -> None:
    before = sorted(boards.rglob("*"))
    assert run_command(["submit", wrong_file(kind, boards.parent / "s.npz", theirs), *BASE, "--add"]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1
    assert sorted(boards.rglob("*")) == before and not Path("submissions").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"--data-hash": OTHER_DATA}, "no board in leaderboards/results has the data hash"),
        ({"--data-hash": DATA[:12]}, "is no data hash: give the 64 hexadecimal digits"),
        ({"--task": "superclas"}, "did you mean superclass"),
        ({"--task": "rhythm"}, "no result with scores of task rhythm, version 2, has the data hash"),
        ({"--name": "resnet1d18"}, "'resnet1d18' is the name of an encoder that is run here"),
        ({"--name": "our net"}, "is no name for a system"),
        ({"--trained-on": " "}, "--trained-on is missing"),
        ({"--name": ""}, "--name is missing"),
        ({"--lang": "de"}, "--lang de is no language"),
        ({"--prompts": "papr"}, "papr"),
    ],
)
def test_wrong_requests_are_refused(
    boards: Path, theirs: Scores, capsys: pytest.CaptureFixture[str], changes: dict[str, str], said: str
) -> None:
    options = dict(zip(BASE[::2], BASE[1::2], strict=True)) | changes
    words = [word for pair in options.items() for word in pair]
    assert run_command(["submit", short(boards.parent / "s.npz", theirs), *words, "--add"]) == 2
    assert said in capsys.readouterr().err
    assert not list(boards.glob("results/*/submitted--*"))


def test_two_systems_with_one_name(boards: Path, theirs: Scores, capsys: pytest.CaptureFixture[str]) -> None:
    path = short(boards.parent / "s.npz", theirs)
    other = short(boards.parent / "o.npz", scores_of("superclass", DATA, 1.0, 8))
    assert run_command(["submit", path, *BASE, *WITHOUT_PAGES]) == 0
    assert run_command(["submit", path, *BASE, *WITHOUT_PAGES]) == 0, "the very same is no second system"
    for words, said in (
        ([other, *BASE], "they have other numbers of superclass and one seed"),
        ([path, *BASE, "--licence", "MIT"], "they claim another licence, 'MIT' and None"),
    ):
        capsys.readouterr()
        assert run_command(["submit", *words, "--add"]) == 2
        assert said in capsys.readouterr().err
    assert run_command(["submit", other, *BASE]) == 2
    assert run_command(["submit", other, *BASE, "--seed", "1", "--add"]) == 0, "another seed of the same system"
    found = {row["Encoder"]: row["Seeds"] for row in ranking((boards / PAGE).read_text("utf-8"))}
    assert found["our-net"] == "1"
    # a pull request that brings two of one name past `submit`
    for folder in boards.glob("results/*/submitted--*"):
        shutil.rmtree(folder)
    for each, licence in ((path, "MIT"), (other, "Apache-2.0")):
        assert run_command(["submit", each, *BASE, "--licence", licence]) == 0
    shutil.copytree("submissions", boards / "results" / BOARD, dirs_exist_ok=True)
    _, left_out = collect(boards / "results")
    assert len(left_out) == 2 and all("two systems have the name 'our-net'" in each.reason for each in left_out)
    assert all(each.wrong for each in left_out)


def edited(folder: Path, *keys: str, value: Any) -> None:
    data = json.loads((folder / "result.json").read_text("utf-8"))
    place = data
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    (folder / "result.json").write_text(json.dumps(data), encoding="utf-8")


@pytest.mark.parametrize(
    ("keys", "value", "said"),
    [
        (("tasks", "superclass", "metrics", "accuracy", "value"), 0.999, "accuracy is 0.9990 and"),
        (("encoder", "parameters"), 1, "encoder and identity differ: the file was edited"),
        (("submitted", "trained_on"), "nothing", "submitted and identity differ: the file was edited"),
        (("text", "licence"), "MIT", "text.licence and identity differ"),
        (("submitted",), None, "differ: the file was edited"),
    ],
)
def test_an_edited_submission_is_left_out(
    boards: Path, theirs: Scores, keys: tuple[str, ...], value: Any, said: str
) -> None:
    assert run_command(["submit", short(boards.parent / "s.npz", theirs), *BASE, *WITHOUT_PAGES]) == 0
    edited(submitted(boards), *keys, value=value)
    _, (left_out,) = collect(boards / "results")
    assert said in left_out.reason and left_out.wrong


def test_scores_that_were_changed_afterwards_are_noticed(boards: Path, theirs: Scores) -> None:
    """By less than what any number shows."""
    assert run_command(["submit", short(boards.parent / "s.npz", theirs), *BASE, *WITHOUT_PAGES]) == 0
    path = submitted(boards) / "scores" / "superclass.npz"
    scores = Scores.load(path)
    scores.scores[0, 0] = np.nextafter(np.float16(scores.scores[0, 0]), np.float16(9))
    scores.save(path, dtype=np.float16)
    _, (left_out,) = collect(boards / "results")
    assert "superclass: the scores are not those that were submitted" in left_out.reason


def test_a_submission_without_its_scores_is_left_out(boards: Path, theirs: Scores) -> None:
    assert run_command(["submit", short(boards.parent / "s.npz", theirs), *BASE, *WITHOUT_PAGES]) == 0
    shutil.rmtree(submitted(boards) / "scores")
    _, (left_out,) = collect(boards / "results")
    assert "superclass: scores were submitted and nothing is there" in left_out.reason


def test_a_page_says_how_much_was_submitted(boards: Path, theirs: Scores) -> None:
    assert run_command(["submit", short(boards.parent / "s.npz", theirs), *BASE, *WITHOUT_PAGES]) == 0
    page = build_pages(boards / "results")[PAGE]
    trust = section(page, "## Can it be trusted")
    assert "(*submitted*), the model not run here: 1." in trust
    assert "Not, or not only, trained on these data: our-net × *submitted*." in trust


SOURCE = "synth98:balanced=6,labels=atrial-fibrillation+normal"


def test_the_data_themselves_say_what_is_to_be_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No board yet: records, labels and counts come from the store."""
    monkeypatch.chdir(tmp_path)
    store = store_for(SOURCE)
    of_store = ["--task", "superclass", "--data-hash", store.data_hash, "--data", SOURCE]
    named = ["--name", "our-net", "--trained-on", "nothing"]
    assert run_command(["submit", "--template", "todo.npz", *of_store]) == 0
    assert run_command(["submit", "todo.npz", *of_store, *named, "--add"]) == 0
    (folder,) = Path("leaderboards/results").glob("*/submitted--*")
    result = read_result(folder / "result.json")
    score, test = result.tasks["superclass"], int((store.records["split"] == "test").sum())
    assert score.n_records + score.n_excluded == test == result.data.splits["test"].records
    assert 0 < score.n_excluded < test and result.data.data_hash == store.data_hash
    kept, wanted = Scores.load(folder / "scores" / "superclass.npz"), from_store("superclass", store).of_split("test")
    assert kept.record_id.tolist() == wanted.record_id.tolist() and (kept.labels == wanted.labels).all()
    assert check_pages(Path("leaderboards")) == []
    with np.load("todo.npz") as todo:
        members = {name: todo[name] for name in todo.files}
    excluded = store.records["record"][
        (store.records["split"] == "test") & (store.records["labels"] == "atrial-fibrillation")
    ]
    train = store.records["record"][store.records["split"] == "train"]
    for record, said in (
        (excluded.iloc[0], "a test record without a class of the task"),
        (train.iloc[0], "in the train split"),
    ):
        np.savez("s.npz", **members | {"record_id": np.array([record, *members["record_id"][1:]])})
        assert run_command(["submit", "s.npz", *of_store, *named]) == 2
        assert f"'{record}' is {said}" in capsys.readouterr().err
    assert run_command(["submit", "todo.npz", *of_store[:3], DATA, *of_store[4:], *named]) == 2
    assert "is not the hash of synth98" in capsys.readouterr().err
