"""The scores file: what is written is what is read, and nothing wrong gets in."""

from __future__ import annotations

import os
import time
import zipfile
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecgbench.errors import EcgbenchError
from ecgbench.evaluation.scores import Scores, age_band


def text(*values: str) -> np.ndarray:
    return np.array(values, dtype=str)


def example(**changes: Any) -> Scores:
    """Four records of three patients, three classes; the Japanese patient has two records."""
    scores = Scores(
        task="rhythm",
        task_version=2,
        record_id=text("r1", "r2", "r3", "r4"),
        patient_id=text("p1", "患者2", "患者2", "p3"),
        split=text("validation", "test", "test", "test"),
        class_id=text("sinus-rhythm", "atrial-fibrillation", "sinus-tachycardia"),
        scores=np.array([[0.1, 0.2, 0.3], [0.5, -0.5, 0.0], [1 / 3, 0.7, 0.7], [0, 0, -1]], dtype=np.float32),
        labels=np.array([[1, 0, 0], [0, 1, 2], [1, 1, 0], [0, 0, 1]], dtype=np.int16),
        sex=text("female", "male", "", "male"),
        age_band=text("0-17", "40-64", "", "90+"),
        site=text("", "東京", "", "B"),
    )
    return replace(scores, **changes)


def changed(name: str, at: Any, value: Any) -> Scores:
    """The example with one cell changed."""
    array = getattr(example(), name)
    array = array.astype("<U20") if array.dtype.kind == "U" else array.copy()
    array[at] = value
    return example(**{name: array})


def assert_equal(a: Scores, b: Scores) -> None:
    assert (a.task, a.task_version) == (b.task, b.task_version)
    for field in fields(Scores)[2:]:
        left, right = getattr(a, field.name), getattr(b, field.name)
        assert left.dtype.kind == right.dtype.kind
        np.testing.assert_array_equal(left, right, err_msg=field.name)


def test_round_trip_keeps_everything(tmp_path: Path) -> None:
    example().save(tmp_path / "rhythm.npz")
    read = Scores.load(tmp_path / "rhythm.npz")
    assert_equal(read, example())
    assert read.scores.dtype == np.float32 and read.labels.dtype == np.int16
    assert type(read.task) is str and type(read.task_version) is int
    assert [path.name for path in tmp_path.iterdir()] == ["rhythm.npz"]


def test_an_empty_task_can_be_written(tmp_path: Path) -> None:
    none = example().select(np.zeros(4, dtype=bool))
    none.save(tmp_path / "none.npz")
    assert_equal(Scores.load(tmp_path / "none.npz"), none)


def test_same_content_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    example().save(tmp_path / "a.npz")
    monkeypatch.setattr(time, "time", lambda: 2e9)
    wide = {name: getattr(example(), name).astype("<U40") for name in ("record_id", "sex", "site")}
    fortran = np.asfortranarray(example().scores)
    example(**wide, scores=fortran).save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    changed("scores", (0, 0), 0.25).save(tmp_path / "c.npz")
    assert (tmp_path / "a.npz").read_bytes() != (tmp_path / "c.npz").read_bytes()


def test_numpy_reads_the_file_without_pickle(tmp_path: Path) -> None:
    example().save(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as members:
        assert set(members) == {field.name for field in fields(Scores)} | {"schema"}
        np.testing.assert_array_equal(members["labels"], example().labels)


def test_a_file_of_plain_numpy_is_read(tmp_path: Path) -> None:
    """Anyone can enter a board with such a file; sex, age band and site may be unknown."""
    source = example()
    needed = {f.name: getattr(source, f.name) for f in fields(Scores) if f.name not in ("sex", "age_band", "site")}
    np.savez(tmp_path / "theirs.npz", schema=1, **needed)
    blank = text("", "", "", "")
    assert_equal(Scores.load(tmp_path / "theirs.npz"), replace(source, sex=blank, age_band=blank, site=blank))


def test_float16_loads_as_float32_of_the_rounded_values(tmp_path: Path) -> None:
    example().save(tmp_path / "small.npz", dtype=np.float16)
    read = Scores.load(tmp_path / "small.npz")
    assert read.scores.dtype == np.float32
    np.testing.assert_array_equal(read.scores, example().scores.astype(np.float16).astype(np.float32))
    with pytest.raises(EcgbenchError, match="not finite for the class 'sinus-rhythm'"):
        changed("scores", (1, 0), 1e6).save(tmp_path / "overflow.npz", dtype=np.float16)
    with pytest.raises(EcgbenchError, match="float32 or float16"):
        example().save(tmp_path / "ints.npz", dtype=np.int8)
    assert [path.name for path in tmp_path.iterdir()] == ["small.npz"]


def test_rows_and_classes(tmp_path: Path) -> None:
    test = example().rows("test")
    assert test.record_id.tolist() == ["r2", "r3", "r4"] and test.site.tolist() == ["東京", "", "B"]
    assert test.scores.shape == (3, 3) and example().rows("validation").patient_id.tolist() == ["p1"]
    with pytest.raises(EcgbenchError, match="no split 'train'"):
        example().rows("train")
    turned = example().with_classes(("sinus-tachycardia", "sinus-rhythm", "atrial-fibrillation"))
    assert turned.scores[1].tolist() == [0.0, 0.5, -0.5] and turned.labels[1].tolist() == [2, 0, 1]
    with pytest.raises(EcgbenchError, match="lack the class 'sinus-bradycardia'"):
        example().with_classes((*example().class_id.tolist(), "sinus-bradycardia"))
    with pytest.raises(EcgbenchError, match="hold the class 'sinus-tachycardia', which is not in the task"):
        example().with_classes(("sinus-rhythm", "atrial-fibrillation"))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (example(task=""), "name and a version"),
        (example(task_version=0), "version 0"),
        (changed("scores", (2, 1), np.nan), "'r3' has a score that is not finite .*'atrial-fibrillation'"),
        (changed("scores", (3, 2), -np.inf), "'r4' has a score that is not finite .*'sinus-tachycardia'"),
        (changed("labels", (1, 0), -1), "'r2' has a negative label .*'sinus-rhythm'"),
        (changed("labels", 2, 0), "'r3' has no label"),
        (changed("record_id", 3, "r1"), "record_id 'r1' stands there 2 times"),
        (changed("record_id", 1, ""), "record_id is empty at position 1"),
        (changed("patient_id", 0, ""), "patient_id is empty at position 0"),
        (changed("class_id", 1, "sinus-rhythm"), "class_id 'sinus-rhythm' stands there 2 times"),
        (changed("split", 2, "train"), "'r3' has the split 'train'"),
        (changed("patient_id", 0, "患者2"), "patient '患者2' stands in two splits"),
        (changed("sex", 0, "F"), "'r1' has the sex 'F'"),
        (changed("age_band", 0, "7"), "'r1' has the age_band '7'"),
        (
            example(scores=np.zeros((4, 2), np.float32)),
            r"scores has the shape \(4, 2\): 4 records x 3 classes",
        ),
        (example(labels=np.ones((3, 3), np.int16)), r"labels has the shape \(3, 3\)"),
        (example(scores=example().scores.astype(np.float64)), "scores is float64: float32 is needed"),
        (example(labels=example().labels > 0), "labels is bool: int16 is needed"),
        (example(sex=text("male")), "sex has 1 entries for 4 records"),
        (example(record_id=np.arange(4)), "record_id is int64"),
        (example(site=np.array([None] * 4)), "site is object"),
        (example(patient_id=text("a", "b", "c", "d")[:, None]), "patient_id is <U1 with shape"),
        (
            example(class_id=text()[:0], scores=np.zeros((4, 0), np.float32), labels=np.zeros((4, 0), np.int16)),
            "hold no class",
        ),
    ],
)
def test_wrong_scores_are_refused_and_never_written(wrong: Scores, says: str, tmp_path: Path) -> None:
    with pytest.raises(EcgbenchError, match=says):
        wrong.validate()
    with pytest.raises(EcgbenchError, match=says):
        wrong.save(tmp_path / "wrong.npz")
    assert not list(tmp_path.iterdir())


def members_of(scores: Scores) -> dict[str, Any]:
    return {"schema": 1} | {field.name: getattr(scores, field.name) for field in fields(Scores)}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"schema": 7}, "schema 7"),
        ({"schema": None}, "lacks 'schema'"),
        ({"labels": None}, "lacks 'labels'"),
        ({"comment": "hello"}, "holds 'comment'"),
        ({"task": np.array(["rhythm", "rhythm"])}, "task must be one string"),
        ({"task_version": np.array(1.5)}, "task_version one integer"),
        (
            {"scores": np.full((4, 3), np.nan, np.float32)},
            "theirs.npz: record 'r1' has a score that is not finite",
        ),
        ({"record_id": np.array([{}] * 4)}, "damaged or no scores file"),
    ],
)
def test_foreign_files_are_refused(change: dict[str, Any], says: str, tmp_path: Path) -> None:
    members = {k: v for k, v in (members_of(example()) | change).items() if v is not None}
    np.savez(tmp_path / "theirs.npz", **members)
    with pytest.raises(EcgbenchError, match=says):
        Scores.load(tmp_path / "theirs.npz")


def test_what_is_no_scores_file(tmp_path: Path) -> None:
    with pytest.raises(EcgbenchError, match="there is no scores file"):
        Scores.load(tmp_path / "absent.npz")
    with pytest.raises(EcgbenchError, match="there is no scores file"):
        Scores.load(tmp_path)
    for name, content in (("empty", b""), ("text", b"record,score\n"), ("npy", b"\x93NUMPY\x01\x00")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(EcgbenchError, match="damaged or no scores file"):
            Scores.load(tmp_path / name)
    with zipfile.ZipFile(tmp_path / "other.npz", "w") as archive:
        archive.writestr("schema.npy", "not an array")
    with pytest.raises(EcgbenchError, match="damaged or no scores file"):
        Scores.load(tmp_path / "other.npz")


def test_damage_never_passes(tmp_path: Path) -> None:
    """Cut short or with a byte changed, a file is refused or reads as it was."""
    path = tmp_path / "a.npz"
    example().save(path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 37):
        path.write_bytes(whole[:length])
        with pytest.raises(EcgbenchError):
            Scores.load(path)
    refused = 0
    for at in range(0, len(whole), 3):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        try:
            assert_equal(Scores.load(path), example())
        except EcgbenchError:
            refused += 1
    assert refused > len(whole) / 3 * 0.5


def test_a_failed_save_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.npz"
    example().save(path)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        changed("scores", (0, 0), 0.9).save(path)
    monkeypatch.undo()
    assert_equal(Scores.load(path), example())
    assert [each.name for each in tmp_path.iterdir()] == ["a.npz"]


@pytest.mark.parametrize(
    ("age", "band"),
    [(None, ""), (float("nan"), ""), (0, "0-17"), (17.9, "0-17"), (18, "18-39"), (39, "18-39"), (40, "40-64"),
     (64.5, "40-64"), (65, "65-89"), (89, "65-89"), (89.9, "65-89"), (90, "90+"), (300, "90+")],
)  # fmt: skip
def test_age_bands(age: float | None, band: str) -> None:
    assert age_band(age) == band


@pytest.mark.parametrize("age", [-1, float("inf"), float("-inf")])
def test_impossible_ages_are_refused(age: float) -> None:
    with pytest.raises(EcgbenchError, match="0 or more"):
        age_band(age)
