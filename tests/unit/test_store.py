"""The store: whole or absent, patients and duplicates kept apart, the same hash whatever the order."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecgbench.cards import DatasetCard
from ecgbench.catalogue import load_card
from ecgbench.ecg.build import build_store, store_for
from ecgbench.ecg.recording import LEADS, DamagedRecordError, Entry, RawEcg
from ecgbench.ecg.store import Store, data_hash_of, open_store
from ecgbench.errors import EcgbenchError


@dataclass
class Ward:
    """A source in memory: `signals[record]` is a 12-lead ECG in mV, or None for a damaged file."""

    listed: list[Entry]
    signals: dict[str, np.ndarray | None] = field(default_factory=dict)

    def fingerprint(self) -> Any:
        return "ward"

    def entries(self) -> list[Entry]:
        return self.listed

    def load(self, entry: Entry) -> RawEcg:
        signal = self.signals[entry.record]
        if signal is None:
            raise DamagedRecordError("cut short")
        return RawEcg(dict(zip(LEADS, signal, strict=True)), 500.0)


def ward(records: int = 200) -> Ward:
    """Two records a patient, patients in turn in the three splits."""
    rng = np.random.default_rng(0)
    entries = [
        Entry(f"r{i}", f"p{i // 2}", ("train", "validation", "test")[i // 2 % 3], ("normal",), f"sha{i}", age=40.0 + i % 50, sex="female")
        for i in range(records)
    ]  # fmt: skip
    return Ward(entries, {e.record: rng.normal(size=(12, 5000)).astype(np.float32) for e in entries})


@pytest.fixture(scope="module")
def card() -> DatasetCard:
    return load_card(DatasetCard, "ptbxl")


def test_what_goes_in_comes_out(card: DatasetCard, tmp_path: Path) -> None:
    source = ward(6)
    build_store(card, source, tmp_path / "store")
    store = open_store(tmp_path / "store")
    assert len(store) == 6 and list(store.records["record"]) == [f"r{i}" for i in range(6)]
    for row, entry in enumerate(source.listed):
        recording = store[row]
        signal = source.signals[entry.record]
        assert signal is not None
        np.testing.assert_allclose(recording.signal, signal, atol=0.00051)  # half a count, and float32
        assert (recording.record, recording.patient, recording.age, recording.sex) == (
            entry.record,
            entry.patient,
            entry.age,
            "female",
        )
        assert recording.findings == ("normal",) and all(recording.real_leads) and recording.rate == 500
    np.testing.assert_array_equal(store.signals(np.array([4, 1]))[0], store[4].signal)
    assert store.rows_of("validation").tolist() == [2, 3]


def test_rows_are_read_across_shards(card: DatasetCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ecgbench.ecg.workplace.SHARD_RECORDS", 4)
    build_store(card, ward(10), tmp_path / "sharded")
    monkeypatch.setattr("ecgbench.ecg.workplace.SHARD_RECORDS", 100)
    build_store(card, ward(10), tmp_path / "whole")
    sharded, whole = open_store(tmp_path / "sharded"), open_store(tmp_path / "whole")
    assert sharded.manifest.shards == [4, 4, 2] and whole.manifest.shards == [10]
    rows = np.array([9, 0, 5, 3, 4])
    np.testing.assert_array_equal(sharded.counts(rows), whole.counts(rows))
    assert sharded.data_hash == whole.data_hash
    assert sharded.manifest.signals_sha256 == whole.manifest.signals_sha256


def test_the_data_hash_follows_its_parts_and_not_their_order() -> None:
    rows = [(f"r{i}", f"sha{i}", ("a", "b"), "train") for i in range(20)]
    shuffled = random.Random(0).sample(rows, len(rows))
    assert data_hash_of("x", 1, rows) == data_hash_of("x", 1, shuffled)
    for change in [
        ("other", "sha0", ("a", "b"), "train"),
        ("r0", "other", ("a", "b"), "train"),
        ("r0", "sha0", ("a",), "train"),
        ("r0", "sha0", ("a", "b"), "test"),
    ]:
        assert data_hash_of("x", 1, [change, *rows[1:]]) != data_hash_of("x", 1, rows)
    assert data_hash_of("x", 2, rows) != data_hash_of("x", 1, rows) != data_hash_of("y", 1, rows)


def test_a_damaged_record_is_named_skipped_and_counted(card: DatasetCard, tmp_path: Path) -> None:
    source = ward(200)
    source.signals["r7"] = None
    build_store(card, source, tmp_path / "store")
    store = open_store(tmp_path / "store")
    assert len(store) == 199 and "r7" not in set(store.records["record"])
    assert store.manifest.damaged == [{"record": "r7", "reason": "cut short"}]


def test_more_than_one_percent_damaged_stops_and_leaves_nothing(card: DatasetCard, tmp_path: Path) -> None:
    source = ward(200)
    source.signals.update({"r7": None, "r8": None, "r9": None})
    with pytest.raises(EcgbenchError, match=r"3 of 200 records are damaged, more than 1 %.*r7 \(cut short\)"):
        build_store(card, source, tmp_path / "store")
    assert list(tmp_path.iterdir()) == []


def test_a_patient_in_two_splits_is_refused(card: DatasetCard, tmp_path: Path) -> None:
    source = ward(6)
    source.listed[1] = replace(source.listed[1], split="test")
    with pytest.raises(EcgbenchError, match="patient p0 is in two splits"):
        build_store(card, source, tmp_path / "store")


@pytest.mark.parametrize(
    ("first", "second", "kept"), [("r0", "r2", "r2"), ("r0", "r4", "r4"), ("r2", "r4", "r4"), ("r0", "r1", "r0")]
)
def test_of_equal_signals_the_most_held_out_stays(
    card: DatasetCard, tmp_path: Path, first: str, second: str, kept: str
) -> None:
    source = ward(6)
    source.signals[second] = source.signals[first]
    build_store(card, source, tmp_path / "store")
    store = open_store(tmp_path / "store")
    lost = ({first, second} - {kept}).pop()
    of_another = {} if kept == "r0" else {"of_another": "patient and split"}
    assert store.manifest.duplicates == [{"record": lost, "same_as": kept, **of_another}]
    assert set(store.records["record"]) == {f"r{i}" for i in range(6)} - {lost}
    np.testing.assert_allclose(store[len(store) - 1].signal, source.signals["r5"], atol=0.00051)


@pytest.mark.parametrize("name", ["manifest.json", "index.csv", "signals-00000.npy"])
def test_a_store_with_a_part_missing_or_cut_is_refused(card: DatasetCard, tmp_path: Path, name: str) -> None:
    build_store(card, ward(6), tmp_path / "store")
    path = tmp_path / "store" / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(EcgbenchError, match=r"build it again|not readable|index\.csv"):
        Store(tmp_path / "store")
    path.unlink()
    with pytest.raises(EcgbenchError, match=r"no store|lacks|missing"):
        Store(tmp_path / "store")


@pytest.mark.parametrize(
    ("old", "new"), [("r0,p0,train,normal", "r0,p0,test,normal"), ("r1,p0,train,normal", "r1,p0,train,bradycardia")]
)
def test_an_edited_index_is_noticed(card: DatasetCard, tmp_path: Path, old: str, new: str) -> None:
    build_store(card, ward(6), tmp_path / "store")
    index = tmp_path / "store" / "index.csv"
    text = index.read_text(encoding="utf-8")
    assert old in text
    index.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(EcgbenchError, match="not the one that was built"):
        Store(tmp_path / "store")


def test_a_patient_moved_across_splits_is_noticed(card: DatasetCard, tmp_path: Path) -> None:
    build_store(card, ward(6), tmp_path / "store")
    index = tmp_path / "store" / "index.csv"
    index.write_text(index.read_text(encoding="utf-8").replace("r2,p1,", "r2,p0,"), encoding="utf-8")
    with pytest.raises(EcgbenchError, match="patient p0 is in two splits"):
        Store(tmp_path / "store")


def test_the_users_umask_is_kept(card: DatasetCard, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        build_store(card, ward(6), tmp_path / "store")
    finally:
        os.umask(before)
    for path in [tmp_path / "store", *(tmp_path / "store").iterdir()]:
        assert path.stat().st_mode & 0o077 == 0, path.name


def test_an_unknown_split_and_an_empty_source_are_refused(card: DatasetCard, tmp_path: Path) -> None:
    source = ward(2)
    source.listed[0] = replace(source.listed[0], split="dev")
    with pytest.raises(EcgbenchError, match="split 'dev'"):
        build_store(card, source, tmp_path / "store")
    with pytest.raises(EcgbenchError, match="no records"):
        build_store(card, Ward([]), tmp_path / "store")


def test_a_source_that_is_none_is_said() -> None:
    with pytest.raises(EcgbenchError, match=r"did you mean ptbxl or "):
        store_for("ptb-xl:somewhere")
    with pytest.raises(EcgbenchError, match="neither a built store"):
        store_for("./no/such/folder")
    with pytest.raises(EcgbenchError, match="write ptbxl:PATH"):
        store_for("ptbxl")
