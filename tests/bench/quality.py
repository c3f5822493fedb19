"""What the quality checks find in real recordings: as they are, and of harm done to them on purpose; and how fast.

python -m tests.bench.quality FOLDER      FOLDER/ptbxl, FOLDER/cinc2021 and FOLDER/cinc2021_reduced as they are published
"""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

import numpy as np

from ecgbench.ecg.build import store_for
from ecgbench.ecg.quality.batch import Batch, batches
from ecgbench.ecg.quality.checks import CHECKS, SIGNAL_CHECKS
from ecgbench.ecg.quality.report import check_store
from ecgbench.ecg.recording import LEADS
from ecgbench.ecg.store import Store
from tests.real.quality_harms import HARMS
from tests.unit.quality_made import arms_swapped, heart

SETS = {"ptbxl": "ptbxl", "cinc2021": "cinc", "cinc2021_reduced": "cinc"}
GENERATED = (
    "normal", "right-axis-deviation", "severe-right-axis-deviation", "lateral-wall-infarction",
    "right-ventricular-hypertrophy", "ventricular-tachycardia",
)  # fmt: skip


def as_they_are(name: str, store: Store) -> None:
    check_store(store)  # the first time reads the disk
    start = time.perf_counter()
    quality = check_store(store)
    rate = len(store) / (time.perf_counter() - start)
    told = {about.id: len(quality.found[about.id]) for about in CHECKS if quality.found[about.id]}
    print(f"{name}: {len(store)} records, {rate:.0f}/s, {told}")


def of_harm(stores: dict[str, Store]) -> None:
    print(f"\n| harm | check | {' | '.join(stores)} |")
    for harm, (check, do) in HARMS.items():
        found = []
        for store in stores.values():
            rows = {
                remark.row
                for batch in batches(store)
                for remark in SIGNAL_CHECKS[check](Batch(do(batch.counts), batch.real, batch.rows))
            }
            found.append(f"{len(rows)} of {len(store)}")
        print(f"| {harm} | {check} | {' | '.join(found)} |")


def of_lead_one(hearts: int = 100) -> None:
    print(f"\nlead I upside down, of {hearts} generated hearts each: as they are, and with the arm electrodes swapped")
    for finding in GENERATED:
        told = []
        for alter in (dict, arms_swapped):
            signals = [np.stack([*alter(heart(number, finding)).values()]) for number in range(hearts)]
            counts = np.rint(np.stack(signals) * 1000).astype(np.int16)
            batch = Batch(counts, np.ones((hearts, len(LEADS)), bool), np.arange(hearts))
            told.append(len(SIGNAL_CHECKS["inverted-lead-I"](batch)))
        print(f"| {finding} | {told[0]} | {told[1]} |")


def main(folder: Path) -> None:
    stores = {name: store_for(f"{source}:{folder / name}", workers=1) for name, source in SETS.items()}
    for name, store in stores.items():
        as_they_are(name, store)
    of_harm({name: stores[name] for name in ("ptbxl", "cinc2021")})
    of_lead_one()
    print(f"\npeak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000:.0f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
