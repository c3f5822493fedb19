"""Where the dots and intervals of a plot lie: percentages of its width, so that a plot stretches without distortion."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Strip:
    """A number in a plot: `dot`, `low` and `high` in percent of the width; None where there is no such number."""

    dot: str | None = None
    low: str | None = None
    high: str | None = None


def share_strip(cell: str) -> Strip:
    """A number between 0 and 1 with its interval, as a table shows it (`0.712 [0.690, 0.733]`, `—`)."""
    numbers = [float(each) for each in _NUMBER.findall(cell)]
    ends = [percent(each) for each in numbers[1:3]] if len(numbers) == 3 else [None, None]
    return Strip(percent(numbers[0]) if numbers else None, *ends)


@dataclass(frozen=True)
class Bar:
    """A part of an axis, in percent of the width."""

    start: str
    width: str


def rank_bar(rank: tuple[int, int] | None, last: int) -> Bar | None:
    """The interval of a rank on an axis from 1 to `last`, on which each rank has an equal part; None without a rank."""
    return rank and Bar(percent((rank[0] - 1) / last), percent((rank[1] - rank[0] + 1) / last))


def percent(share: float) -> str:
    """`45.5%`; a share outside 0 to 1 lies at the end of the axis."""
    return f"{min(max(100 * share, 0), 100):.4g}%"


def rank_ticks(last: int) -> list[tuple[str, str]]:
    """Ranks that are written below an axis, with their places: all up to ten, else 1 and every fifth."""
    shown = range(1, last + 1) if last <= 10 else [1, *range(5, last + 1, 5)]
    return [(str(rank), percent((rank - 0.5) / last)) for rank in shown]


SHARE_TICKS = [("0", "0%"), ("0.25", "25%"), ("0.5", "50%"), ("0.75", "75%"), ("1", "100%")]
