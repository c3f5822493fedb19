"""Which findings a store can test, counted again the slow way."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from ecgbench.cards import DatasetCard
from ecgbench.catalogue import load_card
from ecgbench.cli.data_info import coverage_text, facts
from ecgbench.ecg.build import build_store
from ecgbench.ecg.coverage import coverage
from ecgbench.ecg.recording import LEADS, Entry, RawEcg
from ecgbench.ecg.store import Store, open_store
from ecgbench.findings import label_bank

MADE = [  # record, patient, split, findings
    *[(f"t{n}", f"pt{n // 2}", "test", ("normal",)) for n in range(12)],
    ("t12", "pt9", "test", ("atrial-fibrillation",)),
    ("v0", "pv0", "validation", ("normal", "sinus-tachycardia")),
    *[(f"r{n}", f"pr{n}", "train", ("normal", "left-axis-deviation")) for n in range(3)],
]


class Made:
    """Noise with the findings of `MADE`."""

    def fingerprint(self) -> int:
        return 0

    def entries(self) -> list[Entry]:
        return [Entry(record, patient, split, findings, record) for record, patient, split, findings in MADE]

    def load(self, entry: Entry) -> RawEcg:
        rng = np.random.default_rng(zlib.crc32(entry.record.encode()))
        return RawEcg({lead: rng.normal(0, 0.2, 5000) for lead in LEADS}, 500.0)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("made") / "store"
    build_store(load_card(DatasetCard, "ptbxl"), Made(), folder)
    return open_store(folder)


def test_records_and_patients_are_counted_as_by_hand(store: Store) -> None:
    for covered in coverage(store):
        for split in ("train", "validation", "test", "all"):
            rows = [row for row in MADE if covered.id in row[3] and split in (row[2], "all")]
            assert covered.records[split] == len(rows) and covered.patients[split] == len({row[1] for row in rows})


def test_why_a_finding_cannot_be_tested(store: Store) -> None:
    state = {covered.id: covered.state for covered in coverage(store)}
    cell = label_bank().column("scp")
    for finding in label_bank().ids:
        if finding in ("normal", "atrial-fibrillation"):
            expected = "tested"
        elif finding in ("sinus-tachycardia", "left-axis-deviation"):
            expected = "not in test"
        elif finding not in cell:
            expected = "no code"
        else:
            expected = "near code" if cell[finding][0] == "~" else "no record"
        assert state[finding] == expected, finding


def test_few_and_untrained_are_marked(store: Store) -> None:
    by_id = {covered.id: covered for covered in coverage(store)}
    assert by_id["atrial-fibrillation"].few and by_id["atrial-fibrillation"].untrained
    assert not by_id["normal"].few and not by_id["normal"].untrained
    assert not by_id["sinus-tachycardia"].few and not by_id["sinus-tachycardia"].untrained


def test_the_text_names_every_finding_once(store: Store) -> None:
    text = coverage_text(facts(store))
    assert text.startswith("Can be tested: 2 of 98 findings, 1 of them on under 10 records.")
    assert "Tested, and in no training record (1):\n  atrial-fibrillation" in text
    listed = [word.strip(",") for line in text.splitlines() if line.startswith("  ") for word in line.split()]
    assert sorted(listed) == sorted({*label_bank().ids} - {"normal"})
    assert max(map(len, text.splitlines())) <= 110


def test_the_brief_text_is_short_and_counts_the_rest(store: Store) -> None:
    text = coverage_text(facts(store), brief=True)
    assert len(text) < len(coverage_text(facts(store))) / 2 and "(`ecgbench data info` lists them)" in " ".join(
        text.split()
    )
