"""How evenly findings are dealt out, against patients shuffled; and how long many patients take.

python -m tests.bench.splits
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from ecgbench.ecg.recording import Entry
from ecgbench.ecg.sources import open_source
from ecgbench.ecg.splits import with_splits
from tests.unit.test_splits import dealt_at_random, in_all_splits, patients_with, unevenness

SEEDS = range(20)
SOURCES = ("synth98:S", "synth98:M")
RARE, COMMON = (3, 9), (10, 10**9)


def evenness(spec: str) -> None:
    entries = [replace(entry, split="") for entry in open_source(spec)[1].entries()]
    sizes = [len(people) for people in patients_with(entries).values()]
    for name, deal in (
        ("iterative", lambda seed: with_splits(entries, "patient", seed)[0]),
        ("shuffled", lambda seed: dealt_at_random(entries, seed)),
    ):
        dealt = [deal(seed) for seed in SEEDS]
        told = [
            f"{np.mean([in_all_splits(d, *bounds) for d in dealt]):.1f} of {sum(bounds[0] <= n <= bounds[1] for n in sizes)}"
            for bounds in (RARE, COMMON)
        ]
        print(f"| {spec} | {name} | {told[0]} | {told[1]} | {np.mean([unevenness(d) for d in dealt]):.3f} |")


def duration(patients: int, records: int) -> None:
    """98 findings of very different prevalence, 2.5 a record."""
    rng = np.random.default_rng(0)
    chance = 1 / np.arange(1, 99) ** 1.2
    chance /= chance.sum()
    kinds = [tuple(f"f{k:02d}" for k in set(rng.choice(98, 1 + rng.poisson(1.5), p=chance))) for _ in range(20_000)]
    whose = rng.integers(0, patients, records) if records > patients else np.arange(patients)
    drawn = rng.integers(0, len(kinds), records)
    entries = [Entry(f"r{k}", f"p{whose[k]:07d}", "", kinds[drawn[k]]) for k in range(records)]
    start = time.perf_counter()
    with_splits(entries, "patient", 0)
    print(f"{patients} patients, {records} records: {time.perf_counter() - start:.1f} s")


if __name__ == "__main__":
    print("| data | patients | rare findings in all splits | common ones | unevenness |")
    for source in SOURCES:
        evenness(source)
    duration(100_000, 100_000)
    duration(160_000, 800_000)
