"""What must hold between the rows of a hospital's table."""

from __future__ import annotations

import os

from ecgbench.csv_table import Row
from ecgbench.ecg.recording import Entry
from ecgbench.ecg.sources.manifest.rows import Origin, Rows, is_file
from ecgbench.errors import EcgbenchError


def check_rows(rows: Rows, entries: list[Entry]) -> None:
    """EcgbenchError for a file or record in two rows, a patient id with and without its zeros, splits that are given
    for some rows only, a patient in two splits, and a table none of whose files is there. `entries`: one for each row,
    in order."""
    pairs = list(zip(rows.table.rows, entries, strict=True))
    _check_one_each(rows, pairs)
    _check_zeros(rows, pairs)
    _check_splits(rows, pairs)
    _check_files(rows, pairs)


def origin_of(entry: Entry) -> Origin:
    """TypeError for an entry of another source."""
    if not isinstance(entry.origin, Origin):
        raise TypeError(f"entry {entry.record} does not come from this source")
    return entry.origin


def _check_one_each(rows: Rows, pairs: list[tuple[Row, Entry]]) -> None:
    files: dict[str, int] = {}
    records: dict[str, int] = {}
    for row, entry in pairs:
        first = files.setdefault(os.path.normpath(origin_of(entry).path), row.number)
        if first != row.number:
            what = f"the same file stands in row {first} already; write all findings of a recording into one row"
            raise rows.table.fault(row, rows.columns["path"], what)
        first = records.setdefault(entry.record, row.number)
        if first != row.number:
            column = rows.columns.get("record", rows.columns["path"])
            raise rows.table.fault(row, column, f"the same record stands in row {first} already; give each its own")


def _check_zeros(rows: Rows, pairs: list[tuple[Row, Entry]]) -> None:
    """One patient under two ids could stand in two splits."""
    written: dict[tuple[str | None, str], tuple[str, int]] = {}
    for row, entry in pairs:
        if entry.patient.isdecimal():
            number = (entry.site, entry.patient.lstrip("0"))
            first, at = written.setdefault(number, (entry.patient, row.number))
            if first != entry.patient:
                what = (
                    f"it is the id of row {at} but for zeros in front, which Excel takes off; format the column as text "
                    "in Excel and write the id in one way"
                )
                raise rows.table.fault(row, rows.columns["patient"], what)


def _check_splits(rows: Rows, pairs: list[tuple[Row, Entry]]) -> None:
    if "split" not in rows.columns:
        return
    column = rows.columns["split"]
    (first, begin), *_ = pairs
    split_of: dict[str, tuple[str, int]] = {}
    for row, entry in pairs:
        if bool(entry.split) != bool(begin.split):
            there, not_there = (row, first) if entry.split else (first, row)
            what = f"row {there.number} has a split and row {not_there.number} has none; fill in every row or none"
            raise rows.table.fault(row, column, what)
        split, number = split_of.setdefault(entry.patient, (entry.split, row.number))
        if split != entry.split:
            what = f"this patient is in {entry.split} here and in {split} in row {number}; one patient has one split"
            raise rows.table.fault(row, column, what)


def _check_files(rows: Rows, pairs: list[tuple[Row, Entry]]) -> None:
    if not any(is_file(origin_of(entry).path) for _, entry in pairs):
        row, entry = pairs[0]
        raise EcgbenchError(
            f"{rows.table.path}: not one of its {len(pairs)} files is there; that of row {row.number} is looked for as "
            f"'{origin_of(entry).path}': write paths as they are seen from the table's own folder, or whole ones."
        )
