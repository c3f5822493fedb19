"""CSV and TSV files of samples."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path

import numpy as np

from ecgbench.ecg.formats.plain import Table
from ecgbench.ecg.recording import DamagedRecordError

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_DECIMAL_COMMA = re.compile(r"(?<=\d),(?=\d)")


def read_text(path: Path, size: int) -> Table:
    """The table of a text file in UTF-8, UTF-16 or cp932.

    Tab, semicolon, comma or blanks stand between columns; beside the first two the decimal sign may be a comma. One
    heading or none. Lines that begin with # are comments. DamagedRecordError names row (from 1, as an editor counts) and
    column of the first cell that is no number.
    """
    numbered = [
        (row, line) for row, line in enumerate(_decode(path.read_bytes()).splitlines(), 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]  # fmt: skip
    separator = _separator([line for _, line in numbered[:2]])
    if separator in (";", "\t"):
        numbered = [(row, _DECIMAL_COMMA.sub(".", line)) for row, line in numbered]
    heading = _cells(numbered[0][1], separator)
    names = () if _are_samples(heading) else tuple(heading)
    rows = numbered[1:] if names else numbered
    if not rows:
        raise DamagedRecordError("the file holds no samples")
    try:
        text = StringIO("\n".join(line for _, line in rows))
        values = np.loadtxt(text, delimiter=separator, quotechar='"', ndmin=2, comments=None)
    except ValueError:
        raise _first_fault(rows, separator, len(heading)) from None
    if values.shape[1] != len(heading):
        raise DamagedRecordError(f"row {rows[0][0]} has {values.shape[1]} columns, the heading {len(heading)}")
    return Table(values, names)


def _are_samples(cells: list[str]) -> bool:
    """Whether the first row is samples; 0, 1, 2, … is how pandas heads columns without names."""
    numbered = cells[1:] if cells and not cells[0] else cells
    if len(numbered) > 1 and any(
        numbered == [str(place + first) for place in range(len(numbered))] for first in (0, 1)
    ):
        return False
    return all(_NUMBER.fullmatch(cell) for cell in cells if cell)


def _decode(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp932", "replace")


def _separator(lines: list[str]) -> str | None:
    """The first of tab, semicolon and comma in the last of the first two lines; None for blanks."""
    return next((sign for sign in "\t;," if lines and sign in lines[-1]), None)


def _cells(line: str, separator: str | None) -> list[str]:
    return [cell.strip().strip('"').strip() for cell in line.split(separator)]


def _first_fault(rows: list[tuple[int, str]], separator: str | None, columns: int) -> DamagedRecordError:
    """What is wrong with the first row that is not `columns` numbers."""
    for row, line in rows:
        cells = _cells(line, separator)
        if len(cells) != columns:
            return DamagedRecordError(f"row {row} has {len(cells)} columns in place of {columns}")
        for place, cell in enumerate(cells, 1):
            if not _NUMBER.fullmatch(cell):
                what = "is not a number" if cell else "is empty"
                return DamagedRecordError(f"row {row}, column {place} {what}")
    return DamagedRecordError("the file is no table of numbers")
