"""One small valid file of every format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import get_args

import numpy as np

from ecgbench.ecg.formats.layout import PlainLayout
from ecgbench.ecg.formats.sniff import Kind
from tests.fuzz import made_binary, made_dicom, made_tables, made_xml
from tests.fuzz.made_signal import RATE, STORED, counts

KINDS: tuple[Kind, ...] = get_args(Kind)
LAYOUT = PlainLayout(rate=RATE, unit="mV", leads=STORED)
"""Of the plain tables, whose numbers are counts and so thousands of times too large as mV: that is no reader's matter."""


@dataclass(frozen=True)
class Made:
    """A file: its name and bytes, and those of files that belong to it. `name` is the one to read."""

    name: str
    files: dict[str, bytes]

    def write(self, folder: Path) -> Path:
        for name, data in self.files.items():
            (folder / name).write_bytes(data)
        return folder / self.name


@cache
def made_files(kind: Kind) -> tuple[Made, ...]:
    """The files of a format: its variants (packed or not, other encodings)."""
    return _WRITERS[kind](counts())


def _one(name: str, *written: bytes) -> tuple[Made, ...]:
    return tuple(Made(name, {name: data}) for data in written)


def _wfdb(leads: dict[str, np.ndarray]) -> tuple[Made, ...]:
    plain = {"a.hea": made_tables.wfdb_header(leads, "a.dat"), "a.dat": made_tables.wfdb_samples(leads)}
    small = {
        "b.hea": made_tables.wfdb_header(leads, "b.dat", date="", signal_format="212"),
        "b.dat": made_tables.wfdb_samples_212(leads),
    }
    return Made("a.hea", plain), Made("b.hea", small), Made("b.dat", small)


_WRITERS: dict[Kind, Callable[[dict[str, np.ndarray]], tuple[Made, ...]]] = {
    "WFDB": _wfdb,
    "DICOM": lambda leads: _one("a.dcm", *(made_dicom.dicom(leads, each) for each in made_dicom.CHARACTER_SETS)),
    "HL7 aECG": lambda leads: _one("a.xml", made_xml.aecg(leads)),
    "SCP-ECG": lambda leads: _one("a.scp", made_binary.scp(leads), made_binary.scp(leads, packed=False)),
    "MFER": lambda leads: _one(
        "a.mwf", *(made_binary.mfer(leads, character_set=each) for each in ("RFC 1468", "Shift_JIS"))
    ),
    "GE MUSE XML": lambda leads: _one("a.xml", made_xml.muse(leads), made_xml.muse(leads, checksums=False)),
    "Philips Sierra XML": lambda leads: _one("a.xml", made_xml.sierra(leads), made_xml.sierra(leads, packed=False)),
    "ISHNE": lambda leads: _one("a.ecg", made_binary.ishne(leads)),
    "EDF": lambda leads: _one("a.edf", made_binary.edf(leads), made_binary.edf(leads, unit="mV")),
    "NPY": lambda leads: _one("a.npy", made_tables.npy(leads)),
    "NPZ": lambda leads: _one("a.npz", made_tables.npz(leads)),
    "Parquet": lambda leads: _one("a.parquet", made_tables.parquet(leads)),
    "text table": lambda leads: _one("a.csv", *(made_tables.text(leads, separator) for separator in ",;\t")),
}
