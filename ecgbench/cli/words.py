"""Options that hold several words: `a,b`."""

from __future__ import annotations


def words(text: str) -> tuple[str, ...]:
    """The words between commas, without the white-space around them and without empty ones."""
    return tuple(filter(None, map(str.strip, text.split(","))))
