"""`ecgbench data check`: what it prints, as text and as JSON, and with which code it ends."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
from wcwidth import wcswidth

from ecgbench.cli.main import run_command
from ecgbench.ecg.quality.checks import CHECKS
from tests.unit.quality_made import Held, heart, made_store


def copy_of(number: int) -> dict[str, np.ndarray]:
    return {lead: x + 0.05 * lead.startswith("V") for lead, x in heart(number).items()}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One flat lead and one short record under Japanese names, a record that could not be read, and no leak."""
    folder = tmp_path_factory.mktemp("sound") / "心電図 1"
    made_store(
        folder,
        Held("心電図-1", {**heart(1), "V3": np.zeros(5000)}, "p1"),
        Held("ECG-2", {lead: x[:3000] for lead, x in heart(2).items()}, "p2", "validation"),
        Held("ｶﾅ-3", {"I": heart(3)["I"], "II": heart(3)["II"]}, "p3", "test"),
        Held("ECG-4", heart(4), "p4"),
        Held("壊れた", {lead: x * np.nan for lead, x in heart(5).items()}, "p5"),
    )
    return folder


@pytest.fixture(scope="module")
def leaking(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Record `a` of the training split stands in the test split too, under another name and patient."""
    folder = tmp_path_factory.mktemp("leaking") / "store"
    made_store(folder, Held("a", heart(1)), Held("b", heart(2)), Held("z", copy_of(1), split="test"))
    return folder


@pytest.fixture
def crossing(leaking: Path, tmp_path: Path) -> Path:
    """A store in whose index patient a was written into the row of record z by hand."""
    folder = tmp_path / "crossing"
    folder.mkdir()
    for path in leaking.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    index = folder / "index.csv"
    index.write_text(index.read_text(encoding="utf-8").replace("z,z,test", "z,a,test"), encoding="utf-8")
    return folder


def checked(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = run_command(["data", "check", *map(str, arguments)])
    return code, *capsys.readouterr()


def test_a_store_without_a_leak_ends_with_0_and_says_so(sound: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = checked(capsys, sound)
    assert code == 0
    assert (
        out.splitlines()[-1] == "No leak found: no patient stands in two splits, and no recording does under two names."
    )
    assert out.startswith("ptbxl, version 1: 4 records of 4 patients\nthe largest lead of the median record has ")


def test_the_table_has_a_row_for_each_check(sound: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = checked(capsys, sound)
    rows = {about.title: next(line for line in out.splitlines() if line.startswith(about.title)) for about in CHECKS}
    assert len(rows) == len(CHECKS)
    assert "1    25.0%  心電図-1 (V3 at most 0 µV)" in rows["leads flat"]
    assert "1    25.0%  ECG-2 (6 of 10 s)" in rows["shorter than 10 s"]
    assert "1    20.0%  壊れた (it holds NaN or infinite samples)" in rows["not readable, left out"]
    assert rows["unit mix-up"].split() == ["unit", "mix-up", "0", "0.0%", "—"]


def test_what_was_found_is_explained_and_what_was_not_found_is_not(
    sound: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = checked(capsys, sound)
    explained = {about.id for about in CHECKS if f"{about.title}: {about.meaning}." in out}
    assert explained == {"flat-lead", "short", "missing-lead", "damaged"}
    assert "Records without a lead: V1 1, V2 1, V3 1, V4 1, V5 1, V6 1." in out


def test_records_are_listed_with_split_and_everything_said_of_them(
    sound: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = checked(capsys, sound, "--records")
    lines = out[out.index("record    ") :].splitlines()
    told = {cells[0]: cells[1:] for line in lines[2:6] if (cells := re.split(r" {2,}", line))}
    assert told == {
        "心電図-1": ["train", "leads flat: V3 at most 0 µV"],
        "ECG-2": ["validation", "shorter than 10 s: 6 of 10 s"],
        "ｶﾅ-3": ["test", "leads missing: V1, V2, V3, V4, V5, V6"],
        "壊れた": ["—", "not readable, left out: it holds NaN or infinite samples"],
    }


def test_the_columns_stand_straight_beside_wide_characters(sound: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = checked(capsys, sound, "--records")
    lines = out[out.index("record    ") :].splitlines()[:6]
    starts = {wcswidth(line[: re.match(r"\S+ {2,}", line).end()]) for line in lines}  # type: ignore[union-attr]
    assert len(starts) == 1


def test_no_row_of_examples_grows_beyond_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "非常に長い名前の心電図記録/2024-01-31/0000"
    made_store(tmp_path / "store", *(Held(f"{name}{k}", {"I": heart(k)["I"]}) for k in range(4)), Held("n", heart(9)))
    _, out, _ = checked(capsys, tmp_path / "store")
    row = next(line for line in out.splitlines() if line.startswith("leads missing"))
    assert f"{name}0 (" in row and f"{name}1 (" not in row and wcswidth(row) <= 150


def test_the_json_says_what_the_table_says(sound: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = checked(capsys, sound, "--json")
    said = json.loads(out)
    assert code == 0 and said["leak"] is False and said["leaks"] == [] and said["records"] == 4
    assert [check["id"] for check in said["checks"]] == [about.id for about in CHECKS]
    found = {check["id"]: check for check in said["checks"] if check["records"]}
    assert set(found) == {"flat-lead", "short", "missing-lead", "damaged"}
    assert found["short"]["found"] == [
        {"record": "ECG-2", "split": "validation", "text": "6 of 10 s", "measured": {"seconds": 6.0}}
    ]
    assert found["damaged"]["share"] == pytest.approx(1 / 5) and found["short"]["share"] == pytest.approx(1 / 4)


def test_a_copy_across_splits_ends_with_1(leaking: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = checked(capsys, leaking)
    assert code == 1
    assert out.splitlines()[-1].startswith("LEAK: one recording in test and train: a (train), z (test); ")
    assert "No leak" not in out


def test_a_copy_across_splits_ends_with_1_as_json_too(leaking: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = checked(capsys, leaking, "--json")
    said = json.loads(out)
    assert code == 1 and said["leak"] is True and len(said["leaks"]) == 1
    (check,) = [check for check in said["checks"] if check["id"] == "leak"]
    assert [(note["record"], note["split"]) for note in check["found"]] == [("a", "train"), ("z", "test")]


def test_a_patient_in_two_splits_ends_with_1_though_the_store_cannot_be_opened(
    crossing: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert checked(capsys, crossing)[:2] == (
        1,
        f"LEAK: patient a in test and train.\nThe store '{crossing}' cannot be opened for this: build it again.\n",
    )


def test_the_records_of_a_patient_in_two_splits_are_listed(crossing: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = checked(capsys, crossing, "--records")
    assert code == 1 and [line.split()[:2] for line in out.splitlines()[2:4]] == [["a", "train"], ["z", "test"]]


def test_a_patient_in_two_splits_as_json_has_the_same_keys(crossing: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = checked(capsys, crossing, "--json")
    said = json.loads(out)
    assert code == 1 and said["leak"] is True and said["leaks"] == ["patient a in test and train"]
    (check,) = said["checks"]
    assert check["id"] == "patient-leak" and check["records"] == 2
    assert [(note["record"], note["split"]) for note in check["found"]] == [("a", "train"), ("z", "test")]


def test_many_leaks_are_counted_not_all_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held = [Held(f"a{k}", heart(k)) for k in range(23)] + [Held(f"z{k}", copy_of(k), split="test") for k in range(23)]
    made_store(tmp_path / "store", *held)
    code, out, _ = checked(capsys, tmp_path / "store")
    assert code == 1 and out.splitlines()[-1] == "LEAK: 3 more; --records lists all their records."
    assert sum(line.startswith("LEAK: one recording in test and train: ") for line in out.splitlines()) == 20


def test_a_whole_source_of_an_odd_scale_is_asked_about(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held = [Held(f"r{k}", {lead: 4.88 * x for lead, x in heart(k).items()}) for k in range(20)]
    made_store(tmp_path / "store", *held)
    code, out, _ = checked(capsys, tmp_path / "store")
    assert code == 0 and "is the unit, or the gain, of the whole source as it was stated?" in out


def test_a_source_is_built_and_checked(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = checked(capsys, "synth98:balanced=6,labels=atrial-fibrillation")
    assert code == 0 and out.startswith("synth98, version ")


def test_nothing_in_the_store_is_changed(sound: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def state() -> dict[str, str]:
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(sound.rglob("*.*"))}

    before = state()
    checked(capsys, sound, "--records")
    assert state() == before


def test_what_is_no_store_is_one_sentence_and_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = checked(capsys, tmp_path / "nothing")
    assert code == 2 and out == "" and err.startswith("ecgbench: ") and err.count("\n") == 1
