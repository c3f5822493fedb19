"""The result file: strict, whole, and tied to what decides its numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ecgbench.errors import EcgbenchError
from ecgbench.files import hash_of
from ecgbench.results import Result, control_of, read_result, result_schema, result_text, run_id_of, write_result

ROOT = Path(__file__).resolve().parents[2]


def a_result(**changes: object) -> Result:
    task = {"version": 1, "card": "c", "labels": "l", "mapping": "paper", "language": "ja", "prompts": "p"}
    identity = {
        "protocol_version": 1, "encoder": {"card": "c", "source": "s"}, "text": {"name": "t", "dim": 4},
        "recipe": {"objective": "contrastive", "train_encoder": True, "epochs": 3}, "data_hash": "h", "splits_hash": "i",
        "prompts": "p", "tasks": {"x": task}, "seed": 0,
    }  # fmt: skip
    score = {
        "version": 1, "n_records": 4, "n_instances": 5, "n_patients": 3, "n_excluded": 0, "n_present": 1, "absent": ["b"],
        "few": ["a"], "metrics": {"accuracy": {"value": 0.5, "ci": [0.1, 0.9], "chance": 0.2, "ceiling": 1.0}},
        "per_class": {"a": {"n": 5, "positives": 4, "accuracy": 0.5}, "b": {"n": 0, "positives": 0}},
    }  # fmt: skip
    fields = {
        "schema": 2, "run_id": run_id_of(identity), "status": "ok", "identity": identity,
        "encoder": {"name": "e", "card": "c", "source": "s", "parameters": 3, "licence": None},
        "text": {"name": "t", "identity": identity["text"], "control": False, "licence": None},
        "data": {"name": "d", "version": 1, "data_hash": "h", "splits_hash": "i", "splits": {}, "damaged": [],
                 "duplicates": [], "clipped_records": 0, "resampled_records": 0, "public": True, "licence": None},
        "recipe": {"name": "quick", "hash": hash_of(identity["recipe"]), "fields": identity["recipe"]}, "seed": 0,
        "control": "none", "comparable": {"x": task}, "tasks": {"x": score}, "settings": {"prompts_hash": "p"},
        "provenance": {"version": "0", "git_commit": None, "git_dirty": None, "python": "3", "platform": "p", "processor": "p",
                       "device": "cpu", "packages": {}, "seconds": {}, "finished": "now"},
    }  # fmt: skip
    return Result.model_validate({**fields, **changes})


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_result(tmp_path / "result.json", a_result())
    assert read_result(tmp_path / "result.json") == a_result()
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_an_undefined_number_stays_null(tmp_path: Path) -> None:
    write_result(tmp_path / "result.json", a_result())
    stored = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    assert stored["tasks"]["x"]["per_class"]["b"]["accuracy"] is None


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda d: d["identity"].update(seed=1), "run_id is not the hash of identity"),
        (lambda d: d.update(schema=9), "has schema 9; this version reads schema 1, 2"),
        (lambda d: d.update(extra=1), "extra: Extra inputs"),
        (lambda d: d.pop("seed"), "seed: Field required"),
        (lambda d: d.update(status="failed"), "a failed run needs a reason"),
        (lambda d: d.update(tasks={}), "a run that is ok needs scores"),
        (lambda d: d["tasks"]["x"]["metrics"]["accuracy"].update(value="high"), "value"),
    ],
)
def test_a_file_that_is_not_right_is_refused(tmp_path: Path, edit, message: str) -> None:
    path = tmp_path / "result.json"
    write_result(path, a_result())
    data = json.loads(path.read_text(encoding="utf-8"))
    edit(data)
    path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(EcgbenchError, match=message):
        read_result(path)


def changed(data: dict, *keys: str, value: object) -> None:
    for key in keys[:-1]:
        data = data[key]
    assert data[keys[-1]] != value
    data[keys[-1]] = value


@pytest.mark.parametrize(
    ("keys", "value", "field"),
    [
        (("seed",), 1, "seed"),
        (("encoder", "card"), "d", "encoder.card"),
        (("encoder", "source"), "t", "encoder.source"),
        (("text", "identity"), {"name": "t", "dim": 5}, "text.identity"),
        (("text", "name"), "another", "text.name"),
        (("data", "data_hash"), "g", "data.data_hash"),
        (("data", "splits_hash"), "g", "data.splits_hash"),
        (("recipe", "fields", "epochs"), 4, "recipe.fields"),
        (("recipe", "fields", "epochs"), 3.5, "recipe.fields"),
        (("recipe", "hash"), "h", "recipe.hash"),
        (("control",), "frozen-random", "control"),
        (("control",), "supervised", "control"),
        (("comparable", "x", "version"), 2, "comparable"),
        (("comparable", "x", "language"), "en", "comparable"),
        (("comparable", "x", "prompts"), "q", "comparable"),
        (("comparable",), {}, "comparable"),
        (("settings", "prompts_hash"), "q", 'settings["prompts_hash"]'),
        (("settings",), {}, 'settings["prompts_hash"]'),
    ],
)
def test_what_identity_decides_cannot_be_told_otherwise(tmp_path: Path, keys, value: object, field: str) -> None:
    path = tmp_path / "result.json"
    write_result(path, a_result())
    data = json.loads(path.read_text(encoding="utf-8"))
    changed(data, *keys, value=value)
    path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(EcgbenchError) as error:
        read_result(path)
    assert f"{field} and identity differ: the file was edited" in str(error.value)


@pytest.mark.parametrize(
    ("recipe", "control"),
    [
        ({"objective": "contrastive", "train_encoder": True}, "none"),
        ({"objective": "contrastive", "train_encoder": False}, "frozen-random"),
        ({"objective": "supervised", "train_encoder": True}, "supervised"),
    ],
)
def test_a_control_is_known_by_its_recipe(recipe: dict, control: str) -> None:
    """A control that calls itself a system would be ranked among the systems."""
    assert control_of(recipe) == control
    identity = {**a_result().identity, "recipe": recipe}
    parts = {
        "identity": identity,
        "run_id": run_id_of(identity),
        "recipe": {"name": "quick", "hash": hash_of(recipe), "fields": recipe},
    }
    assert a_result(**parts, control=control).control == control
    for other in {"none", "frozen-random", "supervised"} - {control}:
        with pytest.raises(ValueError, match="control and identity differ"):
            a_result(**parts, control=other)


@pytest.mark.parametrize("text", ["", "{", '{"schema": NaN}', "[]", '"x"'])
def test_what_is_no_result_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "result.json").write_text(text, encoding="utf-8")
    with pytest.raises(EcgbenchError):
        read_result(tmp_path / "result.json")


def test_nan_never_enters_a_result() -> None:
    broken = a_result().model_dump(by_alias=True)
    broken["tasks"]["x"]["metrics"]["accuracy"]["value"] = float("nan")
    with pytest.raises(ValueError, match="finite"):
        Result.model_validate(broken)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "result.json"
    write_result(path, a_result())
    before = path.read_bytes()

    def no_space(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", no_space)
    with pytest.raises(OSError, match="no space"):
        write_result(path, a_result(status="failed", reason="x", tasks={}))
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["result.json"]


def test_the_committed_schema_is_the_models() -> None:
    """After a change: python -c "from ecgbench.results import *; print(result_schema(), end='')" > docs/result.schema.json"""
    assert (ROOT / "docs" / "result.schema.json").read_text(encoding="utf-8") == result_schema()


def test_a_result_of_schema_1_is_migrated(tmp_path: Path) -> None:
    new = a_result()
    old = json.loads(result_text(new))
    old["schema"] = 1
    del old["trained_on"]
    for task in old["tasks"].values():
        for later in ("no_threshold", "calibration", "confusion"):
            del task[later]
    path = tmp_path / "result.json"
    path.write_text(json.dumps(old), encoding="utf-8")
    assert read_result(path) == new


def test_what_a_model_was_trained_on_is_part_of_its_identity(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    write_result(path, a_result())
    data = json.loads(path.read_text(encoding="utf-8"))
    data["trained_on"] = {"run_id": "0" * 16, "data": "other", "version": 1, "data_hash": "x"}
    path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(EcgbenchError, match="trained_on and identity differ"):
        read_result(path)
