"""77 challenge records of four hospitals and 32 with leads left out: findings, samples, and a store of them."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import wfdb
from scipy.io import loadmat

from ecgbench.ecg.build import build_store
from ecgbench.ecg.sources import open_source
from ecgbench.ecg.store import Store
from ecgbench.findings import label_bank
from tests.conftest import REAL_ECGS, ROOT

GOLDEN = ROOT / "tests" / "golden" / "cinc_77_findings.csv"
LIMB = ("I", "II", "III", "aVR", "aVL", "aVF")


def folder_of(name: str) -> Path:
    folder = REAL_ECGS / name
    if not folder.is_dir():
        pytest.skip(f"real recordings are absent: {folder} is not there")
    return folder


@pytest.fixture(scope="module")
def whole() -> Path:
    return folder_of("cinc2021")


@pytest.fixture(scope="module")
def reduced() -> Path:
    return folder_of("cinc2021_reduced")


@pytest.fixture(scope="module")
def store(reduced: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    target = tmp_path_factory.mktemp("cinc") / "store"
    assert build_store(*open_source(f"cinc:{reduced}"), target) == []
    return Store(target)


def naive_findings(text: str) -> tuple[str, set[str]]:
    """The #Dx cell of a header, and the findings whose `snomed` cell has all codes of one alternative in it; LVH or LAE
    alone (the one composite that these records could have) is not looked at where they stand together."""
    dx = re.search(r"^# ?Dx: (.*)$", text, re.MULTILINE)
    assert dx
    codes = set(dx[1].strip().split(","))
    found = set()
    for name, cell in label_bank().column("snomed").items():
        if cell[0] != "~" and any(set(part.split("+")) <= codes for part in cell.split("|")):
            found.add(name)
    return dx[1].strip(), found


@pytest.mark.parametrize("name", ["cinc2021", "cinc2021_reduced"])
def test_every_record_has_the_findings_of_the_naive_labeller(name: str) -> None:
    folder = folder_of(name)
    source = open_source(f"cinc:{folder}")[1]
    for entry in source.entries():
        cell, expected = naive_findings((folder / f"{entry.origin}.hea").read_text(encoding="utf-8"))
        assert ",".join(entry.codes) == cell and not any("-with-" in finding for finding in expected)
        assert set(entry.findings) == expected, entry.record


def test_every_record_has_its_committed_findings(whole: Path) -> None:
    with GOLDEN.open(encoding="utf-8", newline="") as handle:
        golden = {row["record"]: (row["codes"], row["findings"]) for row in csv.DictReader(handle)}
    read = {
        entry.record: ("|".join(entry.codes), "|".join(entry.findings))
        for entry in open_source(f"cinc:{whole}")[1].entries()
    }
    assert len(read) == 77 and read == golden


@pytest.mark.parametrize(
    ("record", "age", "sex", "site", "findings"),
    [
        # read from the header by eye
        ("A0689", 80.0, "male", "CPSC", ("atrial-fibrillation",)),
        ("E00271", 83.0, "female", "Georgia", ()),  # 59118001, a right bundle branch block not said to be complete
        ("HR03961", 9.0, "female", "PTB-XL", ()),  # 426783006, sinus rhythm, which is near to normal and no more
        ("JS01048", 56.0, "female", "Chapman-Shaoxing", ("sinus-bradycardia",)),
    ],
)
def test_by_hand(whole: Path, record: str, age: float, sex: str, site: str, findings: tuple[str, ...]) -> None:
    entry = next(entry for entry in open_source(f"cinc:{whole}")[1].entries() if entry.record == record)
    assert (entry.age, entry.sex, entry.site, entry.findings) == (age, sex, site, findings)
    assert entry.patient == record and entry.split == ""


def test_the_hospitals_of_the_77(whole: Path) -> None:
    source = open_source(f"cinc:{whole}")[1]
    source.entries()
    assert source.remarks()["sites"] == {  # type: ignore[attr-defined]
        "CPSC": 4, "Chapman-Shaoxing": 9, "Georgia": 11, "Ningbo": 36, "PTB-XL": 17
    }  # fmt: skip


@pytest.mark.parametrize("name", ["cinc2021", "cinc2021_reduced"])
def test_samples_are_those_that_scipy_reads(name: str) -> None:
    """Every one of these headers gives 1000 counts a mV and no baseline."""
    folder = folder_of(name)
    source = open_source(f"cinc:{folder}")[1]
    for entry in source.entries():
        lines = (folder / f"{entry.origin}.hea").read_text(encoding="utf-8").splitlines()
        signals = [line.split() for line in lines[1:] if not line.startswith("#")]
        assert {(line[2].lower(), line[4]) for line in signals} == {("1000/mv", "0")}
        raw = source.load(entry)
        assert tuple(raw.leads) == tuple(line[-1] for line in signals) and raw.rate == 500
        counts = loadmat(folder / f"{entry.origin}.mat")["val"]
        np.testing.assert_array_equal(np.stack(list(raw.leads.values())), counts / 1000)


def test_samples_are_those_that_wfdb_reads(whole: Path, tmp_path: Path) -> None:
    """The Georgia headers are given to the library with the record's plain name, without which it refuses them."""
    source = open_source(f"cinc:{whole}")[1]
    for entry in source.entries()[::6]:
        shutil.copyfile(whole / f"{entry.record}.mat", tmp_path / f"{entry.record}.mat")
        first, _, rest = (whole / f"{entry.record}.hea").read_text(encoding="utf-8").partition("\n")
        plain = " ".join([entry.record, *first.split()[1:4]])
        (tmp_path / f"{entry.record}.hea").write_text(f"{plain}\n{rest}", encoding="utf-8")
        expected = wfdb.rdrecord(str(tmp_path / entry.record)).p_signal.T
        np.testing.assert_allclose(np.stack(list(source.load(entry).leads.values())), expected, atol=1e-12)


def test_a_store_of_reduced_records_knows_which_leads_are_real(store: Store) -> None:
    masks = {
        "two_leads": LIMB,  # I and II, from which the others follow
        "three_leads": (*LIMB, "V2"),
        "four_leads": (*LIMB, "V2"),
        "six_leads": LIMB,
    }
    order = (*LIMB, "V1", "V2", "V3", "V4", "V5", "V6")
    for row in range(len(store)):
        recording = store[row]
        real = masks[str(store.records["record"].iloc[row]).partition("/")[0]]
        assert recording.real_leads == tuple(lead in real for lead in order)
        assert not recording.signal[[lead not in real for lead in order]].any()
        assert recording.signal[[lead in real for lead in order]].any(axis=1).all()


def test_a_store_of_reduced_records_has_every_copy_of_a_patient_in_one_split(store: Store, reduced: Path) -> None:
    assert set(store.records["patient"]) == {path.stem for path in reduced.rglob("*.hea")}
    assert store.records.groupby("patient")["split"].nunique().max() == 1
    assert len(store) == 32 and not store.manifest.damaged


def test_a_store_tells_what_was_read_directly_and_what_no_finding_was_made_of(store: Store) -> None:
    remarks = json.loads((store.folder / "manifest.json").read_text(encoding="utf-8"))["remarks"]
    assert remarks["read_directly"]["records"] == 32 and remarks["records_with_codes"] == 32
    assert remarks["record_names"] == 8 and remarks["codes_without_finding"]["426783006"] == 4


def test_a_store_keeps_codes_age_sex_and_site(store: Store) -> None:
    row = store.records.set_index("record").loc["two_leads/E07500"]
    assert (row["codes"], row["age"], row["sex"], row["site"]) == ("67741000119109|426177001", "78", "male", "Georgia")
    assert row["labels"] == "sinus-bradycardia|left-atrial-enlargement"
