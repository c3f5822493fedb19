"""The challenge's real records by the label sets of CPSC2018 and of Chapman-Shaoxing-Ningbo."""

from __future__ import annotations

import csv
import re
from collections import Counter
from pathlib import Path

import pytest

from ecgbench.cards import TaskCard
from ecgbench.catalogue import load_card, table_path
from ecgbench.ecg.build import build_store
from ecgbench.ecg.sources import open_source
from ecgbench.ecg.store import Store
from ecgbench.evaluation.tables import task_records
from ecgbench.findings import label_bank
from tests.conftest import REAL_ECGS


@pytest.fixture(scope="module")
def folder() -> Path:
    found = REAL_ECGS / "cinc2021"
    if not found.is_dir():
        pytest.skip(f"real recordings are absent: {found} is not there")
    return found


@pytest.fixture(scope="module")
def store(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    target = tmp_path_factory.mktemp("csn38") / "store"
    assert build_store(*open_source(f"csn38:{folder}"), target) == []
    return Store(target)


def naive(name: str, header: Path) -> set[str]:
    """A header's codes looked up in the label table, cell by cell."""
    said = re.search(r"^# ?Dx: (.*)$", header.read_text(encoding="utf-8"), re.MULTILINE)
    assert said
    with table_path(f"labels-{name}.csv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    return {row["id"] for code in said[1].split(",") for row in rows if code.strip() in row["snomed"].split("|")}


@pytest.mark.parametrize(("name", "pattern", "n"), [("cpsc2018", "A*.hea", 4), ("csn38", "JS*.hea", 45)])
def test_the_records_of_a_site_and_their_findings(folder: Path, name: str, pattern: str, n: int) -> None:
    entries = open_source(f"{name}:{folder}")[1].entries()
    assert {entry.record for entry in entries} == {path.stem for path in folder.glob(pattern)} and len(entries) == n
    for entry in entries:
        assert set(entry.findings) == naive(name, folder / f"{entry.record}.hea"), entry.record


@pytest.mark.parametrize(
    ("name", "record", "findings"),
    [
        # read from the header by eye
        ("cpsc2018", "A1041", ("atrial-fibrillation", "left-bundle-branch-block")),
        ("cpsc2018", "A5215", ("right-bundle-branch-block", "premature-atrial-contraction")),
        ("csn38", "JS01048", ()),  # sinus bradycardia
        ("csn38", "JS20052", ("atrial-premature-beats", "right-bundle-branch-block", "sinus-rhythm")),
        ("csn38", "JS14622", ("ventricular-premature-beat", "atrial-flutter")),
        ("csn38", "JS19852", ("abnormal-q-wave", "t-wave-change", "t-wave-opposite", "atrial-flutter")),
    ],
)
def test_by_hand(folder: Path, name: str, record: str, findings: tuple[str, ...]) -> None:
    (entry,) = [entry for entry in open_source(f"{name}:{folder}")[1].entries() if entry.record == record]
    assert entry.findings == findings


def test_substring_matching_would_mark_what_exact_codes_do_not(folder: Path) -> None:
    """The fault of the commonly shared files, done again on these records: the acronyms of a record joined, each column
    marked where its name stands somewhere in them."""
    with table_path("labels-csn38.csv").open(encoding="utf-8", newline="") as handle:
        acronym = {row["id"]: row["acronym"] for row in csv.DictReader(handle)}
    exact: Counter[str] = Counter()
    marked: Counter[str] = Counter()
    for entry in open_source(f"csn38:{folder}")[1].entries():
        exact.update(acronym[finding] for finding in entry.findings)
        joined = ",".join(acronym[finding] for finding in entry.findings)
        marked.update(name for name in acronym.values() if name in joined)
    wrong = {name: (marked[name], exact[name]) for name in acronym.values() if marked[name] != exact[name]}
    assert wrong == {"ST": (7, 6)}  # the acronym STTC, in a record without sinus tachycardia


def test_a_store_of_csn38_is_asked_by_its_own_task(store: Store, folder: Path) -> None:
    assert len(store) == 45 and store.manifest.labels == "labels-csn38.csv"
    (task,) = task_records(load_card(TaskCard, "csn38"), label_bank("labels-csn38.csv"), "paper", store)
    findings = store.findings()
    assert task.targets.belongs.sum() == sum(bool(each) for each in findings) == 37
    assert task.targets.counts.sum() == sum(len(each) for each in findings)
    assert set(store.records["site"]) == {"Chapman-Shaoxing", "Ningbo"}
