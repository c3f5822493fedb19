"""What a file is, by its content; its name decides nothing but where a WFDB record's header stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

Kind = Literal[
    "WFDB", "DICOM", "HL7 aECG", "SCP-ECG", "MFER", "GE MUSE XML", "Philips Sierra XML", "ISHNE", "EDF",
    "NPY", "NPZ", "Parquet", "text table",
]  # fmt: skip
HEAD = 1 << 16
"""Bytes that are looked at."""

_MAGIC: tuple[tuple[int, bytes, Kind], ...] = (
    (128, b"DICM", "DICOM"),
    (0, b"ISHNE1.0", "ISHNE"),
    (0, b"0       ", "EDF"),
    (0, b"\x93NUMPY", "NPY"),
    (0, b"PK\x03\x04", "NPZ"),
    (0, b"PAR1", "Parquet"),
)
_ROOT: dict[str, Kind] = {
    "AnnotatedECG": "HL7 aECG",
    "RestingECG": "GE MUSE XML",
    "restingecgdata": "Philips Sierra XML",
}
_PROLOG = re.compile(r"\s*(?:<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^\[>]*(?:\[.*?\]\s*)?>)", re.DOTALL)
_ELEMENT = re.compile(r"\s*<(?:[\w.-]+:)?([A-Za-z_][\w.-]*)[\s/>]")
_RECORD_LINE = re.compile(r"\S+\s+\d{1,6}(\s+[\d.]\S*(\s+\d+(\s.*)?)?)?\s*")
_SIGNAL_LINE = re.compile(r"(?=\S*[A-Za-z~])(?P<file>\S+)\s+\d+(x\d+)?(:\d+)?(\+\d+)?(\s.*)?")
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?")
_SEPARATOR = re.compile(r"[\t,; ]+")


def sniff(head: bytes, path: Path) -> Kind | None:
    """The kind of the file whose first `HEAD` bytes are `head`; None where it is none of those that are read here."""
    for at, magic, kind in _MAGIC:
        if head[at : at + len(magic)] == magic:
            return kind
    if beside_header(path):
        return "WFDB"
    text = as_text(head)
    if text is None:
        return "SCP-ECG" if _is_scp(head) else "MFER" if _is_mfer(head, path) else None
    if text.lstrip("\ufeff \t\r\n").startswith("<"):
        return _of_root(text.lstrip("\ufeff"))
    if is_wfdb_header(text):
        return "WFDB"
    return "text table" if _is_table(text) else None


def _of_root(text: str) -> Kind | None:
    """The kind of an XML document by its root element."""
    at = 0
    while prolog := _PROLOG.match(text, at):
        at = prolog.end()
    root = _ELEMENT.match(text, at)
    return _ROOT.get(root[1]) if root else None


def as_text(head: bytes) -> str | None:
    """The bytes as text, or None where they are none; the last character may be cut."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return head.decode("utf-16", "ignore")
    if re.search(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]", head):
        return None
    return head.decode("utf-8-sig", "replace")


def header_lines(text: str) -> list[str]:
    """The lines of a WFDB header without comments and blank ones."""
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def is_wfdb_header(text: str) -> bool:
    """Whether the text follows the grammar of a WFDB header: a record line, then as many signal lines as it says."""
    lines = header_lines(text)
    if not lines or not _RECORD_LINE.fullmatch(lines[0]):
        return False
    count = _lines_to_come(lines[0])
    return len(lines) > count >= 1 and all(_SIGNAL_LINE.fullmatch(line) for line in lines[1 : count + 1])


def signal_files(text: str) -> list[str]:
    """The distinct signal files that a WFDB header names, in their order there; of a record of several segments the
    names of these."""
    if not is_wfdb_header(text):
        return []
    lines = header_lines(text)
    count = _lines_to_come(lines[0])
    return list(dict.fromkeys(line.split()[0] for line in lines[1 : count + 1]))


def _lines_to_come(record_line: str) -> int:
    """How many signals a WFDB record line announces; segments where its name says their number (`a/3 12 500`)."""
    name, count = record_line.split()[:2]
    segments = name.partition("/")[2]
    return int(segments if segments.isdecimal() and len(segments) <= 6 else count)


def beside_header(path: Path) -> bool:
    """Whether a WFDB header of the same name stands beside the file and names it as one of its signal files."""
    header = path.with_suffix(".hea")
    if header == path or not header.is_file():
        return False
    return path.name in signal_files(header_text(header))


def header_text(header: Path) -> str:
    """The text of a WFDB header, '' where it is none; nothing after the first MiB."""
    with header.open("rb") as handle:
        return as_text(handle.read(1 << 20)) or ""


def _is_scp(head: bytes) -> bool:
    """Section 0 stands first, is of a length that a table of 10-byte pointers can have, and points to itself."""
    if len(head) < 32:
        return False

    def number(at: int, size: int) -> int:
        return int.from_bytes(head[at : at + size], "little")

    length = number(10, 4)
    pointers_fit = length >= 26 and (length - 16) % 10 == 0 and number(2, 4) >= 6 + length
    return number(8, 2) == 0 and pointers_fit and number(22, 2) == 0 and number(28, 4) == 7


def _is_mfer(head: bytes, path: Path) -> bool:
    from ecgdatakit.parsing.parsers.mfer import MFERParser

    return MFERParser.can_parse(path, head[:4096])


def _is_table(text: str) -> bool:
    """Whether one of the first lines, comments and one heading aside, is numbers between separators."""
    lines = [line.strip() for line in text.lstrip("\ufeff").splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")][:2]
    for line in lines:
        cells = [cell.strip("\"' ") for cell in _SEPARATOR.split(line)]
        numbers = [cell for cell in cells if _NUMBER.fullmatch(cell)]
        if 2 * len(numbers) > len(cells):
            return True
    return False
