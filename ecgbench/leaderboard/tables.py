"""Markdown tables and the numbers in them."""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from tabulate import tabulate

from ecgbench.results import Metric

MISSING = "—"
FEW_MARK = "†"


@dataclass(frozen=True)
class Sentence:
    """Markdown with `{fields}` and their values apart, so that a page in two languages can say the same."""

    text: str
    values: dict[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.text.format(**self.values)


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], text_columns: int = 1) -> str:
    """A pipe table; the first `text_columns` columns lean left, the others right.

    Japanese characters count as two columns (tabulate measures with wcwidth), so the source is aligned too.
    """
    sides = ["left" if i < text_columns else "right" for i in range(len(headers))]
    return tabulate(rows, headers=headers, tablefmt="pipe", disable_numparse=True, colalign=sides)


def plain(text: str) -> str:
    """Text from a result file or a card as one line that means nothing to markdown or HTML."""
    line = " ".join(text.split())
    return re.sub(r"([\\`*\[\]|]|(?<!\w)_|_(?!\w))", r"\\\1", line).replace("<", "&lt;")


def code(text: str) -> str:
    """The same in code type, where only a backtick and a bar have a meaning."""
    return "`" + " ".join(text.split()).replace("`", "'").replace("|", "\\|") + "`"


def number(value: float | None) -> str:
    """Three decimals, `—` for what is unknown."""
    return MISSING if value is None else f"{round(value, 3) + 0.0:.3f}"


def with_interval(value: float | None, interval: tuple[float, float] | None) -> str:
    """`0.712 [0.690, 0.733]`, without the brackets where there is no interval."""
    if value is None or interval is None:
        return number(value)
    return f"{number(value)} [{number(interval[0])}, {number(interval[1])}]"


def metric_cell(metric: Metric | None) -> str:
    return MISSING if metric is None else with_interval(metric.value, metric.ci)


def signed(value: float, low: float, high: float) -> str:
    """A difference with its interval, `+0.123 [+0.100, +0.146]`."""
    shown = [f"{round(each, 3) + 0.0:+.3f}" for each in (value, low, high)]
    return f"{shown[0]} [{shown[1]}, {shown[2]}]"


def spread(values: Sequence[float]) -> str:
    """Mean and sample standard deviation over seeds; `—` for fewer than two."""
    if len(values) < 2:
        return MISSING
    return f"seeds: {number(statistics.fmean(values))} ± {number(statistics.stdev(values))}"


def millions(count: int) -> str:
    """A number of parameters in millions, three digits."""
    return f"{count / 1e6:.3g}" if count < 999.5e6 else f"{count / 1e6:.0f}"
