"""Peak memory and rate of a store's build against its number of records, each build in a process of its own.

    python tests/bench/build_memory.py [RECORDS …]      100,000 records need 12 GB of disk in the temporary folder

The records are noise, made from their number: what is measured is the builder, not a source. 1 record is 120 kB of signal.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from ecgbench.cards import DatasetCard
from ecgbench.ecg.build import build_store
from ecgbench.ecg.recording import LEADS, STORE_SAMPLES, Entry, RawEcg

SIZES = (1_000, 10_000, 100_000)
FINDINGS = ("normal", "sinus-tachycardia", "atrial-fibrillation", "left-axis-deviation", "flat-t-wave")


class Noise:
    """`records` recordings of noise, two a patient."""

    def __init__(self, records: int) -> None:
        self.records = records
        self.base = np.random.default_rng(0).normal(0, 0.3, (len(LEADS), 2 * STORE_SAMPLES))

    def fingerprint(self) -> int:
        return self.records

    def entries(self) -> list[Entry]:
        return [
            Entry(
                record=f"{number:06d}", patient=f"p{number // 2:06d}", split="train", findings=(FINDINGS[number % 5],),
                source_sha256=f"{number:064d}",
            )
            for number in range(self.records)
        ]  # fmt: skip

    def load(self, entry: Entry) -> RawEcg:
        number = int(entry.record)
        shifted = self.base[:, number % STORE_SAMPLES :][:, :STORE_SAMPLES] + number / 1e5
        return RawEcg(dict(zip(LEADS, shifted, strict=True)), 500.0)


def build(records: int) -> None:
    """In a process of its own: build, and print seconds and peak memory before and after in MB."""
    card = DatasetCard.model_validate({
        "name": "noise", "summary": "Noise", "entry_point": "tests.bench.build_memory:Noise", "version": 1,
        "labels": "labels98.csv", "builtin": True, "public": True, "licence": None, "reference": None,
    })  # fmt: skip
    before = peak_mb()
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        build_store(card, Noise(records), Path(folder, "store"))
        print(time.perf_counter() - start, before, peak_mb())


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    from ecgbench.cli.tables import table

    rows = []
    for records in [int(word) for word in sys.argv[1:]] or SIZES:
        said = subprocess.run(
            [sys.executable, __file__, "--build", str(records)], capture_output=True, text=True, check=True
        )
        seconds, before, after = map(float, said.stdout.split())
        rows.append(
            [
                f"{records:,}",
                f"{records * 0.12:,.0f}",
                f"{before:.0f}",
                f"{after:.0f}",
                f"{1024 * (after - before) / records:.2f}",
                f"{records / seconds:.0f}",
            ]
        )
    heads = ["records", "signals, MB", "MB before", "MB at peak", "kB more a record", "records/s"]
    print(table(heads, rows, right=range(6)))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--build"]:
        build(int(sys.argv[2]))
    else:
        main()
