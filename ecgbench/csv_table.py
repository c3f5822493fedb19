"""A CSV file as rows of text, strictly: every cell as it was written, every fault with its row and column."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ecgbench.csv_decoding import BAD, decode
from ecgbench.errors import EcgbenchError
from ecgbench.files import atomic_path

_LONGEST_SHOWN = 40
_EXCEL_BLOCK = 16
"""Excel saves text in blocks of so many rows, and leaves out the last columns of a block that are empty in all of it."""

_MORE = "row 1 must name every column, and a cell that holds a comma or tab stands in quotes"
_UNUSABLE = re.compile("[\0\udc80-\udcff]")
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_END_OF_FILE = "\x1a"
"""What a hospital's older systems put behind the last row."""

_AS_CSV = "'CSV UTF-8 (Comma delimited)' ('CSV UTF-8 (コンマ区切り)')"
"""What Excel calls the format to save in."""


@dataclass(frozen=True)
class Row:
    """`number` as Excel counts: the header is row 1, a cell of several lines is one row."""

    number: int
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A CSV file. `rows` are those below the header that are not empty, each with as many cells as the header."""

    path: Path
    header: tuple[str, ...]
    rows: tuple[Row, ...]
    encoding: str
    delimiter: str

    def fault(self, row: Row, column: int, what: str) -> EcgbenchError:
        """The error for one cell; `what` is the rest of the sentence."""
        return _fault(self.path, row.number, self.header[column], what)


def read_table(path: Path) -> Table:
    """A CSV file in UTF-8 (with or without its mark), cp932 or UTF-16 with its mark; the header decides comma or tab.

    EcgbenchError, with row and column, for a byte that fits no encoding, a NUL, broken quotes, a row that has not as
    many cells as the header, and a file without a header or rows.
    """
    text, encoding = _text(path)
    delimiter = _delimiter(text)
    lines = _lines(path, text, delimiter, encoding)
    header = tuple(name.strip() for name in next(lines, Row(1, ())).cells)
    while header and not header[-1]:
        header = header[:-1]
    if not header:
        raise EcgbenchError(f"{path} has no header: its first row must name the columns, as file, patient, findings.")
    rows = [row for row in lines if any(cell.strip() for cell in row.cells)]
    if not rows:
        raise EcgbenchError(f"{path} has a header and no rows below it.")
    even = tuple(_even(path, header, rows, whole=text.endswith(("\n", "\r"))))
    return Table(path, header, even, encoding, delimiter)


def write_csv(path: Path, rows: Iterable[Sequence[str]]) -> None:
    """Write rows of text as UTF-8 with a byte-order mark, by which Excel knows it, atomically."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8-sig", newline="") as handle:
        csv.writer(handle).writerows(rows)


def shown(text: str) -> str:
    """A cell as a message quotes it: cut to a few words, control characters and bad bytes as escapes."""
    cut = text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"
    return "'" + "".join(c if c.isprintable() or c == "\u3000" else ascii(c)[1:-1] for c in cut) + "'"


def _fault(path: Path, row: int, column: str, what: str) -> EcgbenchError:
    return EcgbenchError(f"{path}, row {row}, column {shown(column)[1:-1] or 'without a name'}: {what}.")


def _text(path: Path) -> tuple[str, str]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise EcgbenchError(f"{path} cannot be read: {error.strerror}.") from None
    if not data.strip():
        raise EcgbenchError(f"{path} is empty: a CSV with a header and rows below it is needed.")
    if data.startswith(_WORKBOOKS):
        raise EcgbenchError(f"{path} is an Excel workbook: save it in Excel as {_AS_CSV}.")
    text, encoding = decode(data)
    return text.removesuffix(_END_OF_FILE), encoding


def _delimiter(text: str) -> str:
    """Tab where the header line has more tabs than commas outside quotes."""
    tabs = commas = 0
    quoted = False
    for character in text:
        if character == '"':
            quoted = not quoted
        elif not quoted:
            if character in "\r\n":
                break
            tabs += character == "\t"
            commas += character == ","
    return "\t" if tabs > commas else ","


def _lines(path: Path, text: str, delimiter: str, encoding: str) -> Iterator[Row]:
    """Every row of the file, the header and empty ones too."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    sound = not _UNUSABLE.search(text)
    header: list[str] = []
    number = 0
    try:
        for number, cells in enumerate(reader, start=1):
            header = header or cells
            if not sound:
                _refuse_unusable(path, number, cells, header, encoding)
            yield Row(number, tuple(cells))
    except csv.Error as error:
        raise EcgbenchError(
            f"{path}, row {number + 1}: its quotes are broken ({error}): a cell with quotes in it is written in quotes, "
            "with each of its own doubled."
        ) from None


def _refuse_unusable(path: Path, number: int, cells: list[str], header: list[str], encoding: str) -> None:
    for place, cell in enumerate(cells):
        found = _UNUSABLE.search(cell)
        if not found:
            continue
        name = header[place] if number > 1 and place < len(header) else str(place + 1)
        if found[0] == "\0":
            raise _fault(path, number, name, f"holds a NUL byte: save the file in Excel as {_AS_CSV}")
        assert BAD.match(found[0])
        tried = {"UTF-8": "UTF-8", "cp932": "UTF-8 or cp932 (Shift_JIS)", "UTF-16": "UTF-16"}[encoding]
        byte = "bytes that are" if encoding == "UTF-16" else f"the byte 0x{ord(found[0]) - 0xDC00:02X}, which is"
        raise _fault(path, number, name, f"holds {byte} not {tried}: correct the cell and save in Excel as {_AS_CSV}")


def _even(path: Path, header: tuple[str, ...], rows: list[Row], *, whole: bool) -> Iterator[Row]:
    """The rows with as many cells as the header: more may only be empty ones, fewer only as Excel leaves them out."""
    lengths: dict[int, set[int]] = {}
    for row in rows:
        lengths.setdefault(_block(row), set()).add(len(row.cells))
    for row in rows:
        cells, more = row.cells[: len(header)], row.cells[len(header) :]
        by_excel = row.number > _EXCEL_BLOCK and len(lengths[_block(row)]) == 1 and (whole or row is not rows[-1])
        if any(cell.strip() for cell in more) or (len(cells) < len(header) and not by_excel):
            raise EcgbenchError(
                f"{path}, row {row.number}: it has {len(row.cells)} cells, the header has {len(header)}: "
                f"{_MORE if more else 'the last columns are missing from it'} "
                f"(the last cell is of column {shown(header[min(len(row.cells), len(header)) - 1])[1:-1]})."
            )
        yield Row(row.number, cells + ("",) * (len(header) - len(cells)))


def _block(row: Row) -> int:
    return (row.number - 1) // _EXCEL_BLOCK
