"""The findings of 500 real PTB-XL records, as committed and as read, and spot checks made by hand from the source file."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from ecgbench.ecg.sources import open_source

GOLDEN = Path(__file__).with_name("ptbxl_500_findings.csv")


@pytest.fixture(scope="module")
def golden() -> dict[str, tuple[str, str]]:
    with GOLDEN.open(encoding="utf-8", newline="") as handle:
        return {row["ecg_id"]: (row["split"], row["findings"]) for row in csv.DictReader(handle)}


def test_every_record_has_its_committed_findings_and_split(
    ptbxl_folder: Path, golden: dict[str, tuple[str, str]]
) -> None:
    _, source = open_source(f"ptbxl:{ptbxl_folder}")
    read = {entry.record: (entry.split, "|".join(entry.findings)) for entry in source.entries()}
    assert len(read) == 500
    assert read == golden


@pytest.mark.parametrize(
    ("record", "split", "findings"),
    [
        # scp_codes NORM 100, LVOLT 0 (which only is near to a finding), fold 3
        ("1", "train", "normal"),
        # NORM 80, SBRAD 0, fold 2
        ("2", "train", "normal|sinus-bradycardia"),
        # ASMI 100, ALMI 100, IMI 100, LAFB 100, Stadium II twice, fold 9
        ("281", "validation", None),
        # IMI 50, Stadium II-III (no exact stage), ABQRS, SBRAD, fold 10
        ("240", "test", None),
    ],
)
def test_by_hand(golden: dict[str, tuple[str, str]], record: str, split: str, findings: str | None) -> None:
    by_hand = {
        "281": {
            "subacute-anteroseptal-infarction",
            "subacute-inferior-wall-infarction",
            "left-anterior-fascicular-block",
        },
        "240": {"suspected-inferior-wall-infarction", "sinus-bradycardia"},
    }
    expected = by_hand.get(record) or set(str(findings).split("|"))
    assert golden[record][0] == split
    assert set(golden[record][1].split("|")) - {"left-axis-deviation", "right-axis-deviation"} == expected
