"""The result file: strict, whole, and tied to what decides its numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ecgbench.errors import EcgbenchError
from ecgbench.results import Result, read_result, result_schema, run_id_of, write_result

ROOT = Path(__file__).resolve().parents[2]


def a_result(**changes: object) -> Result:
    identity = {"protocol_version": 1, "seed": 0}
    score = {
        "version": 1, "n_records": 4, "n_instances": 5, "n_patients": 3, "n_excluded": 0, "n_present": 1, "absent": ["b"],
        "few": ["a"], "metrics": {"accuracy": {"value": 0.5, "ci": [0.1, 0.9], "chance": 0.2, "ceiling": 1.0}},
        "per_class": {"a": {"n": 5, "positives": 4, "accuracy": 0.5}, "b": {"n": 0, "positives": 0}},
    }  # fmt: skip
    fields = {
        "schema": 1, "run_id": run_id_of(identity), "status": "ok", "identity": identity,
        "encoder": {"name": "e", "card": "c", "source": "s", "parameters": 3, "licence": None},
        "text": {"name": "t", "identity": {}, "control": False, "licence": None},
        "data": {"name": "d", "version": 1, "data_hash": "h", "splits_hash": "h", "splits": {}, "damaged": [],
                 "duplicates": [], "clipped_records": 0, "resampled_records": 0, "public": True, "licence": None},
        "recipe": {"name": "quick", "hash": "h", "fields": {}}, "seed": 0, "control": "none", "comparable": {},
        "tasks": {"x": score},
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
        (lambda d: d.update(schema=2), "has schema 2; this version reads schema 1"),
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
