"""PTB-XL's own label sets, derived from its scp_statements.csv by exact code.

The field's convention (Strodthoff et al. 2021, `compute_label_aggregations` in code/utils/utils.py of
https://github.com/helme/ecg_ptbxl_benchmarking) takes every code that stands in `scp_codes`, whatever its likelihood:
a superclass holds where any diagnostic statement of it is there.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from ecgbench.errors import EcgbenchError
from ecgbench.findings import LabelBank

STATEMENTS = "scp_statements.csv"
SETS = {
    "diagnostic_class": ("diagnostic", "diagnostic_class"),
    "diagnostic_subclass": ("diagnostic", "diagnostic_subclass"),
    "diagnostic": ("diagnostic", ""),
    "form": ("form", ""),
    "rhythm": ("rhythm", ""),
    "all": ("", ""),
}
"""Set -> (the column that is 1 for its statements, the column that names their class; '' for all, for the code)."""


def statement_classes(path: Path, chosen: str) -> dict[str, str]:
    """SCP code -> class in the set `chosen`, '' for a code outside it, in the file's order.

    EcgbenchError where the file is missing or not PTB-XL's.
    """
    if chosen not in SETS:
        raise EcgbenchError(f"the set of statements '{chosen}' is not known: write {', '.join(SETS)}.")
    member, name = SETS[chosen]
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            rows = list(csv.DictReader(handle, strict=True))
    except FileNotFoundError:
        raise EcgbenchError(f"'{path}' is missing; PTB-XL's official layout has it: fetch it again.") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise EcgbenchError(f"'{path}' cannot be read as CSV ({type(error).__name__}): fetch it again.") from None
    if not rows:
        raise EcgbenchError(f"'{path}' holds no statement: fetch it again.")
    code = next(iter(rows[0]))  # the first column, of the codes, has no name
    missing = [column for column in (member, name) if column and column not in rows[0]]
    if missing:
        raise EcgbenchError(f"'{path}' lacks the column {' and '.join(missing)}: fetch it again.")
    classes = {}
    for row in rows:
        inside = not member or (row[member] or "").strip() in ("1", "1.0")
        classes[row[code]] = ((row[name] or "").strip() if name else row[code]) if inside else ""
    return classes


class StatementLabeller:
    """Findings of a record from its SCP codes, by class; `column` of the label table names the classes."""

    def __init__(self, bank: LabelBank, column: str, path: Path, chosen: str) -> None:
        self.bank = bank
        self.classes = statement_classes(path, chosen)
        self.finding_of = {name: finding_id for finding_id, name in bank.column(column).items()}
        lacking = sorted(set(self.classes.values()) - {""} - set(self.finding_of))
        if lacking:
            raise EcgbenchError(
                f"label table {bank.table} has no {', '.join(lacking)} in its column {column}, which '{path}' has: "
                "give a table with all of them."
            )

    def findings(self, codes: Iterable[str]) -> tuple[str, ...]:
        """Finding ids in table order; ValueError for a code that scp_statements.csv lacks."""
        found: set[str] = set()
        for code in codes:
            if code not in self.classes:
                raise ValueError(f"scp_codes holds {code}, which {STATEMENTS} lacks")
            if self.classes[code]:
                found.add(self.finding_of[self.classes[code]])
        return self.bank.in_order(found)
