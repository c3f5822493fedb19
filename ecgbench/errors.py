"""The one error type that a user's wrong request ends in."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MOST_LISTED = 25
"""Names that an error lists in full, at most."""


class EcgbenchError(Exception):
    """A request that cannot be carried out. The message is for a person: what was given, what is valid,
    what to type instead. The command line prints it without a traceback and exits 2."""


class RunFailedError(Exception):
    """A run that was rightly asked for and failed on the way (diverged, out of memory). Exit 1."""


def near_names(name: str, known: Iterable[str]) -> list[str]:
    """Up to three of the known names that a person may have meant, the nearest first; letter case does not count."""
    by_fold = {candidate.casefold(): candidate for candidate in known}
    return [by_fold[hit] for hit in difflib.get_close_matches(name.casefold(), by_fold, n=3, cutoff=0.5)]


def unknown_name(kind: str, name: str, known: Iterable[str], listed_by: str = "ecgbench ls") -> EcgbenchError:
    """The error for a name that no card carries, with the nearest names there are."""
    names = sorted(known)
    near = near_names(name, names)
    known_ones = ", ".join(names) or "none"
    if len(names) > MOST_LISTED:
        known_ones = f"{', '.join(names[:3])} and {len(names) - 3} more"
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {known_ones}."
    return EcgbenchError(f"unknown {kind} '{name}': {hint} `{listed_by}` lists all.")
