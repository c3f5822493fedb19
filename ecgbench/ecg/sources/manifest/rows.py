"""One row of a hospital's table -> one entry."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ecgbench.csv_table import Row, Table
from ecgbench.ecg.formats.layout import PlainLayout
from ecgbench.ecg.recording import Entry
from ecgbench.ecg.sources.manifest import cells

T = TypeVar("T")

PLAIN = (".csv", ".tsv", ".txt", ".npy", ".npz", ".parquet")
"""Extensions of files that do not say rate, unit and lead order themselves."""


@dataclass(frozen=True)
class Origin:
    """Where an entry's signal is, and how a plain file of it is to be understood."""

    path: Path
    layout: PlainLayout | None


@dataclass(frozen=True)
class Rows:
    """Reads the rows of `table`, whose `columns` are meaning -> place. `layout`: of plain files whose row says nothing."""

    table: Table
    columns: dict[str, int]
    layout: PlainLayout | None

    def text(self, row: Row, meaning: str) -> str:
        """A cell without the white-space around it; '' where the table has no such column."""
        return row.cells[self.columns[meaning]].strip() if meaning in self.columns else ""

    def entry(self, row: Row, findings: tuple[str, ...], codes: tuple[str, ...]) -> Entry:
        """EcgbenchError, with row and column, for a cell that cannot be understood."""
        written = self.written_path(row)
        return Entry(
            record=self._read(row, "record", cells.an_id) if "record" in self.columns else written,
            patient=self._read(row, "patient", cells.an_id),
            split=self._read(row, "split", cells.a_split),
            findings=findings,
            age=self._read(row, "age", cells.an_age),
            sex=self._read(row, "sex", cells.a_sex),
            site=self._read(row, "site", cells.a_site),
            codes=codes,
            origin=Origin(self.file(row), self._layout(row)),
        )

    def written_path(self, row: Row) -> str:
        """The path as it stands there, with `/`; a backslash can be a ¥ where the table was written in Japan."""
        written = self.text(row, "path").replace("\\", "/").replace("¥", "/")
        if not written:
            raise self.table.fault(row, self.columns["path"], "it is empty; every row needs the file of its recording")
        return written

    def file(self, row: Row) -> Path:
        """The file of a row, beside the table where the path is relative; a WFDB record's header where the path has no
        extension. Where there is none, the path as it would be."""
        folder, written = self.table.path.parent, self.written_path(row)
        forms = dict.fromkeys((written, *(unicodedata.normalize(form, written) for form in ("NFC", "NFD"))))
        for form in forms:  # a file that came from a Mac can have its name in the other normal form
            for path in (folder / form, folder / f"{form}.hea"):
                if is_file(path):
                    return path
        return folder / written

    def _read(self, row: Row, meaning: str, read: Callable[[str], T]) -> T:
        try:
            return read(self.text(row, meaning))
        except ValueError as error:
            raise self.table.fault(row, self.columns[meaning], str(error)) from None

    def _layout(self, row: Row) -> PlainLayout | None:
        rate = self._read(row, "rate", cells.a_rate)
        unit = self._read(row, "unit", cells.a_unit)
        leads = self._read(row, "leads", cells.a_lead_order)
        try:
            return cells.a_layout(rate, unit, leads, self.layout)
        except ValueError as error:
            if self.file(row).suffix.lower() not in PLAIN:
                return self.layout  # the file has its own, and takes no notice of this one
            said = next(meaning for meaning in ("rate", "unit", "leads") if self.text(row, meaning))
            raise self.table.fault(row, self.columns[said], str(error)) from None


def is_file(path: Path) -> bool:
    """Whether a file is there; False for a path that no system would take, where `Path.is_file` raises."""
    return os.path.isfile(path)  # noqa: PTH113
