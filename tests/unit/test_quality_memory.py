"""A check of a store takes no more memory for more records, but for the few bytes that each is remembered by."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd

from ecgbench.ecg.quality.report import check_store
from ecgbench.ecg.store import Store
from tests.unit.quality_made import Held, heart, made_store

BYTES_A_RECORD = 400
"""12 hashes and an amplitude are 104; names, splits and the sorting of the hashes are the rest. A signal has 120,000."""


class Longer(Store):
    """A store of a few hearts that goes on for `records`, each a recording of its own: every lead has another sample."""

    def __init__(self, folder: Path, records: int) -> None:
        super().__init__(folder)
        self.few = len(self.records)
        again = self.records.iloc[np.arange(records) % self.few].reset_index(drop=True)
        self.records = again.assign(record=pd.Series([f"r{k}" for k in range(records)]))

    def counts(self, rows: np.ndarray) -> np.ndarray:
        held = super().counts(np.asarray(rows))
        for place, row in enumerate(rows):
            held[place, :, row // self.few] += 5
        return held


def peak(store: Store) -> int:
    tracemalloc.start()
    try:
        quality = check_store(store)
        assert not any(quality.found.values())
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_is_flat_in_the_number_of_records(tmp_path: Path) -> None:
    made_store(tmp_path / "store", *(Held(f"r{k}", heart(k)) for k in range(8)))
    peak(Longer(tmp_path / "store", 64))  # what is loaded once
    few, many = (peak(Longer(tmp_path / "store", records)) for records in (256, 2048))
    assert many - few < BYTES_A_RECORD * (2048 - 256)
