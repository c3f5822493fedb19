"""The strict grammar of the `scp` column of a label table, and which findings a PTB-XL record has by it.

    cell        = "~" anything               near but not exact: never assigns a label
                | alternative ("|" alternative)*
    alternative = term ("+" term)*           all terms must hold
    term        = CODE ["@suspected" | "@possible"] ["#I" | "#II"] | "axis:" CODE

A code holds by PTB-XL's likelihood (0 means "not stated"): `@suspected` 50 to 99, `@possible` 1 to 49; a plain code that
has graded labels beside it in the table needs 100 or 0, any other plain code 50 or more, or 0. `#I` / `#II` ask for
"Stadium I" / "Stadium II" in one of the two infarction-stadium columns. The most specific finding wins: a composite
replaces its parts, a stage replaces the finding without one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from ecgbench.errors import EcgbenchError
from ecgbench.findings import LabelBank

Certainty = Literal["", "suspected", "possible"]
Stage = Literal["", "I", "II"]

_CODE = re.compile(r"(?P<code>[A-Z0-9_/()]+)(?:@(?P<certainty>suspected|possible))?(?:#(?P<stage>I{1,2}))?")
_AXIS = re.compile(r"axis:(?P<code>[A-Z]+)")
STADIUM = {"I": "Stadium I", "II": "Stadium II"}


@dataclass(frozen=True)
class Term:
    """One code with its grade; `axis` codes are looked up in the heart-axis column."""

    code: str
    certainty: Certainty = ""
    stage: Stage = ""
    axis: bool = False


Alternative = frozenset[Term]


@dataclass(frozen=True)
class Statements:
    """What a PTB-XL record says of itself: SCP codes with likelihood in percent, heart axis, infarction stadiums."""

    codes: dict[str, float]
    heart_axis: str = ""
    stadiums: tuple[str, ...] = ()


def parse_cell(cell: str) -> tuple[Alternative, ...]:
    """The alternatives of one cell; an empty cell and a `~` cell have none. ValueError for anything else."""
    if not cell or cell.startswith("~"):
        return ()
    return tuple(frozenset(_parse_term(term) for term in part.split("+")) for part in cell.split("|"))


def _parse_term(text: str) -> Term:
    if axis := _AXIS.fullmatch(text):
        return Term(axis["code"], axis=True)
    if code := _CODE.fullmatch(text):
        return Term(code["code"], code["certainty"] or "", code["stage"] or "")  # type: ignore[arg-type]
    raise ValueError(f"'{text}' is no term of the grammar")


class ScpLabeller:
    """Findings of a record from its SCP statements, by one column of a label table."""

    def __init__(self, bank: LabelBank, column: str = "scp") -> None:
        self.bank = bank
        self.rules: dict[str, tuple[Alternative, ...]] = {}
        for finding_id, cell in bank.column(column).items():
            try:
                alternatives = parse_cell(cell)
            except ValueError as error:
                raise EcgbenchError(f"label table {bank.table}, {finding_id}, column {column}: {error}.") from None
            if alternatives:
                self.rules[finding_id] = alternatives
        terms = {term for rule in self.rules.values() for alternative in rule for term in alternative}
        self.graded = {term.code for term in terms if term.certainty}

    def findings(self, statements: Statements) -> tuple[str, ...]:
        """Finding ids in table order."""
        held = {
            finding_id: [a for a in rule if all(self._holds(term, statements) for term in a)]
            for finding_id, rule in self.rules.items()
        }
        everything = [alternative for alternatives in held.values() for alternative in alternatives]
        kept = {
            finding_id
            for finding_id, alternatives in held.items()
            if any(not any(_more_specific(other, own) for other in everything) for own in alternatives)
        }
        return self.bank.in_order(kept)

    def _holds(self, term: Term, statements: Statements) -> bool:
        if term.axis:
            return statements.heart_axis == term.code
        likelihood = statements.codes.get(term.code)
        if likelihood is None:
            return False
        if term.stage and STADIUM[term.stage] not in statements.stadiums:
            return False
        if term.certainty == "suspected":
            return 50 <= likelihood < 100
        if term.certainty == "possible":
            return 0 < likelihood < 50
        floor = 100 if term.code in self.graded else 50
        return likelihood == 0 or likelihood >= floor


def _more_specific(a: Alternative, b: Alternative) -> bool:
    """Whether `a` says all that `b` says and more: every term of `b` stands in `a`, perhaps with a stage."""
    return a != b and all(term in a or any(_staged(term, other) for other in a) for term in b)


def _staged(plain: Term, other: Term) -> bool:
    return not plain.stage and bool(other.stage) and plain == Term(other.code, other.certainty, "", other.axis)
