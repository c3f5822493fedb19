"""Records of synth98 generated a second by one core, all in one run, and as ratio to drawing 12 x 5000 normal numbers.

python tests/bench/synth98_generation.py [--records 300] [--rounds 5]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np

from ecgbench.ecg.recording import LEADS, STORE_SAMPLES
from ecgbench.ecg.sources import open_source


def rate(work: Callable[[int], object], times: int) -> float:
    """How often a second: processor seconds of all threads, so a busy machine or a second thread changes nothing."""
    start = time.process_time()
    for number in range(times):
        work(number)
    return times / (time.process_time() - start)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    _, source = open_source("synth98")
    entries = source.entries()[: asked.records]
    rng = np.random.default_rng(0)
    works: dict[str, Callable[[int], object]] = {
        "12 x 5000 normal numbers (numpy)": lambda number: rng.standard_normal((len(LEADS), STORE_SAMPLES)),
        "a record of synth98 with noise": lambda number: source.load(entries[number]),
    }
    for work in works.values():  # reads criteria, fills tables
        rate(work, min(20, len(entries)))
    rates: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(asked.rounds):  # in turn, so that a drift of the machine's speed meets both alike
        for name, work in works.items():
            rates[name].append(rate(work, len(entries)))
    yardstick = next(iter(rates.values()))
    print("| what one core makes | a second | ratio to the first row |\n|---|---:|---:|")
    for name, found in rates.items():
        ratio = statistics.median(a / b for a, b in zip(found, yardstick, strict=True))
        print(f"| {name} | {statistics.median(found):.0f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
