"""Seconds and memory of each stage of a run against records, of scoring against labels, of a board against its rows.

Each stage is measured by itself at three sizes, on made arrays and an index whose signals are holes in files, in a process of
its own with one thread. Seconds are the processor's, so that other work on the machine counts little; MB are what the
process grew by at its peak. The exponent is the slope between the last two sizes on logarithmic axes: 1 is linear.

python -m tests.bench.scale [--axis records|labels|rows] [--stage WORDS] [--most SIZE]
"""

from __future__ import annotations

import argparse
import ctypes
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
STEEP = 1.1
"""Exponents above this are marked."""
SHORT = 0.05
"""Seconds below which an exponent says nothing."""


def measured(place: int, size: int) -> None:
    """In a process of its own: print seconds, MB, and what the work says of itself."""
    from tests.bench.scale_stages import STAGES, caches_in

    with tempfile.TemporaryDirectory() as folder:
        caches_in(Path(folder))
        work = STAGES[place].make(size, Path(folder))
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
        before, start = memory("VmRSS"), time.process_time()
        said = work()
        print(time.process_time() - start, memory("VmHWM") - before, said if isinstance(said, str) else "", sep="\t")


def memory(key: str) -> float:
    """MB of this process as Linux counts them: VmRSS now, VmHWM at the peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:")) * 1024 / 1e6


def in_own_process(place: int, size: int) -> tuple[float, float, str]:
    said = subprocess.run(
        [sys.executable, "-m", "tests.bench.scale", "--one", str(place), str(size)],
        env={**os.environ, **ONE_THREAD}, stdout=subprocess.PIPE, text=True, check=True,
    ).stdout.rstrip("\n").split("\t")  # fmt: skip
    return float(said[0]), float(said[1]), said[2]


def exponent(sizes: list[int], values: list[float], least: float) -> str:
    """The slope between the last two sizes, `—` where one of them is too small to tell."""
    if len(sizes) < 2 or min(values[-2:]) < least:
        return "—"
    slope = math.log(values[-1] / values[-2]) / math.log(sizes[-1] / sizes[-2])
    return f"{slope:.2f}" + (" *" if slope > STEEP else "")


def main() -> None:
    from tests.bench.scale_stages import STAGES

    parser = argparse.ArgumentParser()
    parser.add_argument("--axis", choices=["records", "labels", "rows"])
    parser.add_argument("--stage", help="stages whose name holds these words")
    parser.add_argument("--most", type=int, help="no larger size than this")
    parser.add_argument("--one", nargs=2, type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        return measured(*asked.one)
    axis = ""
    for place, stage in enumerate(STAGES):
        if (asked.axis and stage.axis != asked.axis) or (asked.stage and asked.stage not in stage.name):
            continue
        if stage.axis != axis:
            axis = stage.axis
            print(
                f"\n| {axis}: stage | sizes | seconds | exponent | MB at peak | exponent |\n|---|---|---|---:|---|---:|"
            )
        sizes = [size for size in stage.sizes if asked.most is None or size <= asked.most]
        seconds, grown, said = zip(*(in_own_process(place, size) for size in sizes), strict=True)
        cells = [
            stage.name + (f" ({said[-1]})" if said[-1] else ""),
            " / ".join(f"{size:,}" for size in sizes),
            " / ".join(f"{each:.2f}" for each in seconds),
            exponent(sizes, list(seconds), SHORT),
            " / ".join(f"{each:,.0f}" for each in grown),
            exponent(sizes, list(grown), 10.0),
        ]
        print(f"| {' | '.join(cells)} |", flush=True)
    print(f"\n* above {STEEP}: grows faster than linearly")


if __name__ == "__main__":
    main()
