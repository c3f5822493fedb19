"""The label bank: every finding a data set and a task can name, by exact id."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ecgbench.catalogue import table_path
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
            {k: v for k, v in f.columns.items() if k not in prose and not k.endswith("_printed")} for f in self.findings
        ]
        return hash_of(kept)


def read_label_table(path: Path) -> LabelBank:
    """Read a label table: UTF-8 CSV with at least `id`, `label_en`, `label_ja`."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            rows = list(csv.DictReader(handle, strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise EcgbenchError(f"label table {path} is not readable as CSV in UTF-8: {error}.") from None
    missing = [c for c in ("id", "label_en", "label_ja") if not rows or c not in rows[0]]
    if missing:
        raise EcgbenchError(f"label table {path} lacks the column {' and '.join(missing)}.")
    findings: list[Finding] = []
    seen: set[str] = set()
    for line, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise EcgbenchError(f"label table {path}, line {line}: not as many cells as the header has.")
        if not row["id"] or row["id"] in seen:
            raise EcgbenchError(f"label table {path}, line {line}: id '{row['id']}' is empty or stands there twice.")
        seen.add(row["id"])
        findings.append(Finding(row["id"], {"en": row["label_en"], "ja": row["label_ja"]}, dict(row)))
    return LabelBank(path.name, tuple(findings))


@lru_cache
def label_bank(table: str = "labels98.csv") -> LabelBank:
    """The label bank of that name, from the shipped tables or an overlay."""
    return read_label_table(table_path(table))
