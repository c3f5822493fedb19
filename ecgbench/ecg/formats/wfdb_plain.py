"""The plain case of WFDB, read directly: one file of 16-bit samples, every lead with its checksum.

The library spends most of its time in the header's text. Here a header is taken only where it follows, to the letter,
the grammar below (WFDB header format, https://physionet.org/physiotools/wag/header-5.htm); all others, and every file
that does not check out against its header, go to the library.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecgbench.ecg.formats.digital import DigitalLeads
from ecgbench.ecg.formats.wfdb_file import LEAD_OF, read_wfdb
from ecgbench.ecg.recording import RawEcg

LONGEST = 5_000_000
"""Samples of a file that is read whole; longer ones are left to the library."""
MARKED_INVALID = -32768
_ROWS = 50  # rows summed side by side: 16-bit sums wrap as the checksum does, and long rows add up faster

_FIRST = re.compile(
    rb"(?P<name>[\w.-]+) (?P<leads>\d{1,2}) (?P<rate>\d{1,5}(?:\.\d+)?) (?P<samples>\d{1,7})(?: [\w:./-]+)*"
)
_LEAD = re.compile(
    rb"^(?P<file>[\w.-]+) 16(?:\+(?P<skip>\d{1,4}))? (?P<gain>\d+(?:\.\d+)?)(?:\((?P<baseline>-?\d+)\))?/m[Vv]"
    rb" \d+ (?P<zero>-?\d+) -?\d+ (?P<checksum>-?\d+) 0 (?P<lead>\w+)$",
    re.MULTILINE,
)
_LEAD_OF = {name.encode(): lead for name, lead in LEAD_OF.items()}


@dataclass(frozen=True)
class _Header:
    file: str
    skip: int
    rate: float
    samples: int
    names: tuple[str, ...]
    per_mv: tuple[float, ...]
    baseline: tuple[int, ...]
    checksums: np.ndarray


_library_only: ContextVar[bool] = ContextVar("library_only", default=False)


@contextmanager
def library_only() -> Iterator[None]:
    """While this lasts `read_wfdb_fast` asks the library alone: to hold the direct reading against it."""
    token = _library_only.set(True)
    try:
        yield
    finally:
        _library_only.reset(token)


def read_wfdb_fast(record: Path) -> RawEcg:
    """As `read_wfdb`, the very same values: directly where the record is plain and sound, through the library where it
    is anything else. `record` is the path without extension."""
    return (None if _library_only.get() else read_plain(os.fspath(record))) or read_wfdb(record)


def read_plain(record: str) -> RawEcg | None:
    """A plain record whose samples match its header; None where it is not one."""
    try:
        text = _bytes_of(record + ".hea", 65536)
        header = _header(text, os.path.basename(record))  # noqa: PTH119 - a Path costs more than the reading
        if header is None:
            return None
        data = _bytes_of(os.path.join(os.path.dirname(record), header.file), LONGEST)  # noqa: PTH118, PTH120
    except OSError:
        return None
    leads = len(header.names)
    if len(data) != header.skip + 2 * leads * header.samples:
        return None
    samples = np.frombuffer(data, "<i2", offset=header.skip).reshape(header.samples, leads)
    if _sums(samples).tobytes() != header.checksums.tobytes() or samples.min() == MARKED_INVALID:
        return None
    return RawEcg(DigitalLeads(header.names, samples.T, header.per_mv, header.baseline), header.rate, format="WFDB")


def _bytes_of(path: str, at_most: int) -> bytes:
    """The file's bytes, one more than `at_most` where it is longer."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        data = os.read(descriptor, min(os.fstat(descriptor).st_size, at_most) + 1)  # no more than is there: room costs
        while len(data) <= at_most and (more := os.read(descriptor, at_most + 1 - len(data))):
            data += more
    finally:
        os.close(descriptor)
    return data


def _header(text: bytes, record: str) -> _Header | None:
    lines = [line.rstrip() for line in text.splitlines()]
    first = _FIRST.fullmatch(lines[0]) if lines else None
    if (
        first is None
        or not _names(first["name"].decode(), record)
        or not float(first["rate"])
        or not int(first["samples"])
    ):
        return None
    end = 1 + int(first["leads"])
    rows = _LEAD.findall(b"\n".join(lines[1:end]))  # all lines at once: a match for each costs twice as much
    if not rows or len(rows) != end - 1 or len(lines) < end or any(not line.startswith(b"#") for line in lines[end:]):
        return None
    files, skips, gains, baselines, zeros, checksums, leads = zip(*rows, strict=True)
    names = tuple(_LEAD_OF.get(lead.upper(), "") for lead in leads)
    if "" in names or len(set(names)) != len(names) or len(set(files)) != 1 or len(set(skips)) != 1:
        return None
    per_mv = tuple(map(float, gains))
    if not all(per_mv):
        return None
    return _Header(
        file=files[0].decode(),
        skip=int(skips[0] or 0),
        rate=float(first["rate"]),
        samples=int(first["samples"]),
        names=names,
        per_mv=per_mv,
        baseline=tuple(int(baseline or zero) for baseline, zero in zip(baselines, zeros, strict=True)),
        checksums=np.array([int(checksum) & 0xFFFF for checksum in checksums], np.uint16),
    )


def _names(said: str, record: str) -> bool:
    """Whether a header says the name of its own file; some of the challenge's add the signal file's ending."""
    return said in (record, f"{record}.mat")


def _sums(samples: np.ndarray) -> np.ndarray:
    """uint16 (leads,): the sum of each lead's samples modulo 65536."""
    rows, leads = samples.shape
    whole = rows - rows % _ROWS
    wide = samples[:whole].reshape(whole // _ROWS, _ROWS * leads)
    partial = np.add.reduce(wide, axis=0, dtype=np.int16).reshape(_ROWS, leads)
    return np.asarray(
        np.add.reduce(partial, axis=0, dtype=np.int16) + np.add.reduce(samples[whole:], axis=0, dtype=np.int16)
    ).view(np.uint16)
