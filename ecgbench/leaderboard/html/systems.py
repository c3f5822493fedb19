"""The lines of a table as systems: their names without markdown, and the marks beside them."""

from __future__ import annotations

from dataclasses import dataclass

from ecgbench.leaderboard.html.words import unmarked
from ecgbench.leaderboard.rows import CONTROL, SUBMITTED, UNVERIFIED, Row
from ecgbench.leaderboard.tables import MISSING


@dataclass(frozen=True)
class Link:
    """A result file by what it is called here."""

    text: str
    href: str


@dataclass(frozen=True)
class System:
    """What a line is about. `marks` say what is special about it, in the words of the markdown page."""

    encoder: str
    text: str
    recipe: str
    control: bool
    marks: tuple[str, ...] = ()
    verified: bool = True
    submitted: bool = False
    reference: bool = False

    @property
    def name(self) -> str:
        """One line, for places that hold no markup."""
        return " × ".join([*([] if self.encoder == MISSING else [self.encoder]), *self.setting])

    @property
    def setting(self) -> tuple[str, ...]:
        """What stands below the encoder's name: text tower and recipe, where there are such."""
        return tuple(part for part in (self.text, self.recipe) if part != MISSING)

    @property
    def found_by(self) -> str:
        """What the filter looks in."""
        return " ".join([self.encoder, *self.setting, *self.marks]).lower()

    @property
    def all_marks(self) -> tuple[str, ...]:
        """With those that have a word of their own on a page."""
        told = {"submitted": self.submitted, "control": self.control}
        return (*(name for name, holds in told.items() if holds), *self.marks)

    @property
    def kind(self) -> str:
        """By what it is drawn apart."""
        return "control" if self.control else "submitted" if self.submitted else "system"


def system_of(row: Row) -> System:
    """A row's system; its recipe carries the marks that the markdown page shows beside it."""
    recipe, *marks = row.recipe.split(" · ")
    return System(
        encoder=unmarked(row.encoder.removesuffix(f" {UNVERIFIED}")),
        text=unmarked(row.text),
        recipe=unmarked(recipe),
        control=row.control,
        marks=tuple(unmarked(mark) for mark in marks if mark not in (CONTROL, SUBMITTED)),
        verified=row.verified,
        submitted=row.submitted,
        reference=row.reference is not None,
    )
