"""The strict grammar of a label table's code columns, and which findings follow from the codes that a record has.

    cell        = "~" anything                 near but not exact: never assigns a label
                | alternative ("|" alternative)*
    alternative = term ("+" term)*             all terms must hold

    column `snomed`:  term = a SNOMED-CT code, digits alone
    column `mitbih`:  term = "beat:" SYMBOL (" beat:" SYMBOL)* | "rhythm:(" NAME

Codes match whole, never by a part. A composite replaces its parts: where `A+B` holds, a finding that has `A` for an
alternative is left out, for it is said already.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from ecgbench.ecg.sources.options import SourceOptions
from ecgbench.errors import EcgbenchError
from ecgbench.findings import LabelBank

T = TypeVar("T", bound=Hashable)
MOST_SHOWN = 20
"""Statements without a finding that a manifest or an error lists, at most."""

_SNOMED = re.compile(r"[1-9][0-9]{5,17}")
_BEAT = re.compile(r"beat:([NLRBAaJSVrFejnE/fQ?])")
_RHYTHM = re.compile(r"rhythm:(\([A-Z]+)")


@dataclass(frozen=True)
class Beats:
    """Exactly so many beats of these symbols in a row; one symbol for a beat that stands for itself."""

    symbols: tuple[str, ...]


@dataclass(frozen=True)
class Rhythm:
    """A rhythm by the name its annotation gives it, as `(AFIB`."""

    name: str


def snomed_term(text: str) -> str:
    """ValueError for what is no SNOMED-CT code."""
    if not _SNOMED.fullmatch(text):
        raise ValueError(f"'{text}' is no SNOMED-CT code")
    return text


def mitbih_term(text: str) -> Beats | Rhythm:
    """ValueError for what is neither beats nor a rhythm."""
    if rhythm := _RHYTHM.fullmatch(text):
        return Rhythm(rhythm[1])
    beats = [_BEAT.fullmatch(part) for part in text.split(" ")]
    symbols = tuple(beat[1] for beat in beats if beat)
    if not symbols or len(symbols) != len(beats):
        raise ValueError(f"'{text}' is neither beat:SYMBOL nor rhythm:(NAME")
    if len(set(symbols)) != 1:
        raise ValueError(f"'{text}' names beats of several kinds")
    return Beats(symbols)


def parse_cell(cell: str, parse_term: Callable[[str], T]) -> tuple[frozenset[T], ...]:
    """The alternatives of one cell; an empty cell and a `~` cell have none. ValueError for anything else."""
    if not cell or cell.startswith("~"):
        return ()
    return tuple(frozenset(parse_term(term) for term in part.split("+")) for part in cell.split("|"))


class Rules:
    """What one column of a label table says of each finding: `alternatives` by finding id, those without any left out.

    EcgbenchError where a cell is not of the grammar.
    """

    def __init__(self, bank: LabelBank, column: str, parse_term: Callable[[str], T]) -> None:
        self.bank = bank
        self.alternatives: dict[str, tuple[frozenset[Hashable], ...]] = {}
        for finding_id, cell in bank.column(column).items():
            try:
                parsed = parse_cell(cell, parse_term)
            except ValueError as error:
                raise EcgbenchError(f"label table {bank.table}, {finding_id}, column {column}: {error}.") from None
            if parsed:
                self.alternatives[finding_id] = tuple(frozenset(alternative) for alternative in parsed)

    @property
    def terms(self) -> set[Hashable]:
        return {term for rule in self.alternatives.values() for alternative in rule for term in alternative}

    def findings(self, holds: Callable[[Hashable], bool]) -> tuple[str, ...]:
        """Finding ids in table order; `holds` says whether a term holds for the record."""
        true = {term for term in self.terms if holds(term)}
        held = {
            finding_id: [alternative for alternative in rule if alternative <= true]
            for finding_id, rule in self.alternatives.items()
        }
        said = {alternative for alternatives in held.values() for alternative in alternatives if len(alternative) > 1}
        kept = {
            finding_id
            for finding_id, alternatives in held.items()
            if alternatives and not any(part < whole for part in self.alternatives[finding_id] for whole in said)
        }
        return self.bank.in_order(kept)


class CodeLabeller:
    """Findings of a record from its SNOMED-CT codes; records with the same codes share one tuple."""

    def __init__(self, bank: LabelBank, column: str = "snomed") -> None:
        self.rules = Rules(bank, column, snomed_term)
        self.known = frozenset(str(term) for term in self.rules.terms)
        self._seen: dict[frozenset[str], tuple[str, ...]] = {}

    def findings(self, codes: Iterable[str]) -> tuple[str, ...]:
        """Finding ids in table order."""
        known = self.known.intersection(codes)
        if known not in self._seen:
            self._seen[known] = self.rules.findings(known.__contains__)
        return self._seen[known]


def refuse_aliases(source: str, column: str, options: SourceOptions) -> None:
    """EcgbenchError where aliases are given to a source that has codes and no wordings."""
    if options.aliases is not None:
        raise EcgbenchError(
            f"--aliases {options.aliases} has no use for {source}, which carries codes and no wordings: leave it out, or "
            f"give a label table of your own whose column {column} names the codes."
        )


def refuse_unknown(source: str, options: SourceOptions) -> None:
    """EcgbenchError where it is said what becomes of unknown wordings, of a source whose codes are a closed list."""
    if options.unknown is not None:
        raise EcgbenchError(
            f"--unknown {options.unknown} has no use for {source}, whose codes are a closed list: leave it out."
        )
