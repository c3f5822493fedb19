"""Records per second from files: the direct reader, `wfdb.rdrecord` and `scipy.io.loadmat`, on the same files in one loop.

    python tests/bench/reading.py [FOLDER]     FOLDER: with ptbxl/ and cinc2021/, the real recordings of the tests

Each way reads the same records in turn, `ROUNDS` times, and its best round counts: the files are in memory by then, and
what is compared is the reading. `to a store's counts` adds the conversion to int16 microvolts and the hash of the samples.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT.parent / "shared" / "ecg"
ROUNDS = 5
RECORDS = 200


def seconds_per_record(ways: dict[str, Callable[[str], object]], records: list[str]) -> dict[str, float]:
    """The best of `ROUNDS` rounds of each way, all ways in every round."""
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS):
        for name, read in ways.items():
            start = time.perf_counter()
            for record in records:
                read(record)
            best[name] = min(best[name], (time.perf_counter() - start) / len(records))
    return best


def told(title: str, records: list[str], seconds: dict[str, float], against: str) -> None:
    from ecgbench.cli.tables import table

    rows = [
        [name, f"{1e6 * each:.0f}", f"{1 / each:.0f}", f"{seconds[against] / each:.1f}"]
        for name, each in seconds.items()
    ]
    print(f"{title}, {len(records)} records\n")
    print(table(["way", "µs a record", "records/s", f"times {against}"], rows, right=(1, 2, 3)) + "\n")


def main() -> None:
    import wfdb
    from scipy.io import loadmat

    from ecgbench.ecg.formats.wfdb_plain import read_plain
    from ecgbench.ecg.standardise import to_store

    def as_counts(record: str) -> bytes:
        raw = read_plain(record)
        assert raw is not None, record
        return hashlib.sha256(to_store(raw.leads, raw.rate).counts.data).digest()

    def all_leads(record: str) -> object:
        raw = read_plain(record)
        assert raw is not None, record
        return {lead: raw.leads[lead] for lead in raw.leads}

    ways: dict[str, Callable[[str], object]] = {
        "read directly, as counts": read_plain,
        "read directly, as float64 mV": all_leads,
        "read directly, to a store's counts": as_counts,
        "wfdb.rdrecord": lambda record: wfdb.rdrecord(record),
    }
    ptbxl = [os.fspath(p.with_suffix("")) for p in sorted((FOLDER / "ptbxl/records500").rglob("*.hea"))][:RECORDS]
    told("PTB-XL, 12 x 5000 samples of 16 bits", ptbxl, seconds_per_record(ways, ptbxl), "wfdb.rdrecord")

    cinc = [os.fspath(p.with_suffix("")) for p in sorted((FOLDER / "cinc2021").rglob("*.hea"))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        readable = [record for record in cinc if _reads(wfdb.rdrecord, record)]
    ways["scipy.io.loadmat (samples alone)"] = lambda record: loadmat(record + ".mat")
    told(
        "CinC 2021, .mat files whose header wfdb accepts", readable, seconds_per_record(ways, readable), "wfdb.rdrecord"
    )


def _reads(reader: Callable[[str], object], record: str) -> bool:
    try:
        reader(record)
    except Exception:
        return False
    return True


if __name__ == "__main__":
    main()
