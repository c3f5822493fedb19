"""The label bank: every finding a data set and a task can name, by exact id."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ecgbench.catalogue import table_path
from ecgbench.csv_table import read_table
from ecgbench.errors import EcgbenchError
from ecgbench.files import hash_of


@dataclass(frozen=True)
class Finding:
    """One row of a label table. `columns` holds every cell by column name, empty cells as ''."""

    id: str
    names: dict[str, str]
    columns: dict[str, str]


@dataclass(frozen=True)
class LabelBank:
    """A label table in its own order (the paper's Table 9 for `labels98.csv`)."""

    table: str
    findings: tuple[Finding, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "_position", {finding.id: i for i, finding in enumerate(self.findings)})

    def __len__(self) -> int:
        return len(self.findings)

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(finding.id for finding in self.findings)

    def position(self, finding_id: str) -> int:
        """Row of a finding in the table; KeyError where it is not in it."""
        position: dict[str, int] = self._position  # type: ignore[attr-defined]
        return position[finding_id]

    def __contains__(self, finding_id: object) -> bool:
        return finding_id in self._position  # type: ignore[attr-defined]

    def __getitem__(self, finding_id: str) -> Finding:
        return self.findings[self.position(finding_id)]

    def in_order(self, finding_ids: set[str] | frozenset[str]) -> tuple[str, ...]:
        """The given ids in table order."""
        return tuple(sorted(finding_ids, key=self.position))

    def column(self, name: str) -> dict[str, str]:
        """finding id -> cell, for the rows whose cell is not empty."""
        if self.findings and name not in self.findings[0].columns:
            raise EcgbenchError(
                f"label table {self.table} has no column '{name}'; it has {', '.join(self.findings[0].columns)}."
            )
        return {f.id: f.columns[name] for f in self.findings if f.columns[name]}

    @property
    def hash(self) -> str:
        """sha256 over ids, names and mapping columns in order (counts and prose left out)."""
        prose = {"note", "ja_confidence", "n_test", "top1_hits", "top5_hits"}
        kept = [
            {k: v for k, v in f.columns.items() if k not in prose and not k.endswith(("_printed", "_why"))}
            for f in self.findings
        ]
        return hash_of(kept)


def read_label_table(path: Path) -> LabelBank:
    """Read a label table, a CSV as Excel saves it, with at least `id`, `label_en`, `label_ja`. EcgbenchError, with row and
    column, for a cell that cannot be understood and an id that stands twice."""
    table = read_table(path)
    twice = sorted({name for name in table.header if name and table.header.count(name) > 1})
    if twice:
        raise EcgbenchError(f"label table {path} has the column {twice[0]} twice: delete one.")
    missing = [name for name in ("id", "label_en", "label_ja") if name not in table.header]
    if missing:
        raise EcgbenchError(f"label table {path} lacks the column {' and '.join(missing)}.")
    findings: list[Finding] = []
    seen: set[str] = set()
    place = table.header.index("id")
    for row in table.rows:
        cells = dict(zip(table.header, row.cells, strict=True))
        fault = _fault_of_id(cells["id"], seen)
        if fault:
            raise table.fault(row, place, fault)
        seen.add(cells["id"])
        findings.append(Finding(cells["id"], {"en": cells["label_en"], "ja": cells["label_ja"]}, cells))
    return LabelBank(path.name, tuple(findings))


def _fault_of_id(finding_id: str, seen: set[str]) -> str:
    """What is wrong with an id, '' where nothing is. A store separates ids by `|`."""
    if not finding_id.strip():
        return "it is empty; every label needs an id"
    if finding_id in seen:
        return f"the id '{finding_id}' stands there twice"
    if not re.fullmatch(r"[^\s|,;](?:[^\n\r|,;]*[^\s|,;])?", finding_id):
        return f"'{finding_id}' is no id: one holds no comma, semicolon, | or line break, and no space at its ends"
    return ""


def label_bank(table: str = "labels98.csv") -> LabelBank:
    """The label bank of that name, from the shipped tables or an overlay."""
    return _bank_of(table_path(table))


@lru_cache
def _bank_of(path: Path) -> LabelBank:
    return read_label_table(path)
