"""Patients in two splits of a built store's index. A store with any is not opened, so the index is read by itself."""

from __future__ import annotations

import csv
from pathlib import Path

from ecgbench.ecg.quality.report import Noted


def patients_in_two_splits(folder: Path) -> list[Noted]:
    """A note for each record of a patient who stands in more than one split, in the order of the index; none where the
    folder has no index that can be read (opening the store says so)."""
    path = folder / "index.csv"
    if not path.is_file():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as handle:
            rows = [(row["record"], row["patient"], row["split"]) for row in csv.DictReader(handle)]
    except (KeyError, UnicodeDecodeError, csv.Error):
        return []
    splits_of: dict[str, set[str]] = {}
    for _, patient, split in rows:
        splits_of.setdefault(patient, set()).add(split)
    return [
        Noted(record, split, f"patient {patient} in {' and '.join(sorted(splits_of[patient]))}", {"patient": patient})
        for record, patient, split in rows
        if len(splits_of[patient]) > 1
    ]
