"""Which controls stand in a table, and which do not."""

from __future__ import annotations

from collections.abc import Callable

from ecgbench.leaderboard.rows import Group, Row
from ecgbench.results import Result

CONTROLS: dict[str, Callable[[Result], bool]] = {
    "frozen-random encoder": lambda result: result.control == "frozen-random",
    "text tower `random`": lambda result: result.text.control and result.text.name == "random",
    "text tower `char-ngram`": lambda result: result.text.control and result.text.name == "char-ngram",
    "supervised": lambda result: result.control == "supervised",
}
REFERENCES = ("chance", "majority", "untrained")


def controls_of(group: Group) -> dict[str, list[Row]]:
    """Every control that a board should have -> the rows of it."""
    found = {name: [row for row in group.rows if row.reference == name] for name in REFERENCES}
    runs = [row for row in group.rows if row.entries and row.reference is None]
    return found | {
        name: [row for row in runs if holds(row.entries[0].submission.result)] for name, holds in CONTROLS.items()
    }


def controls_line(group: Group) -> str:
    """The controls that are there, and those that are not yet."""
    found = controls_of(group)
    there, lacking = ([name for name in found if bool(found[name]) == wanted] for wanted in (True, False))
    return f"Controls here: {', '.join(there) or 'none'}." + (
        f" Not run here: {', '.join(lacking)}." if lacking else ""
    )
