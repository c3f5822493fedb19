"""What training logged as small charts: loss, score on the validation rows, temperature, learning rate."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WIDTH, HEIGHT = 320.0, 170.0
LEFT, RIGHT, TOP, BOTTOM = 44.0, 10.0, 10.0, 24.0
MOST_POINTS = 400
"""Of a longer log every so many lines are drawn, the last one always."""

LOG, SELECTION = "log.jsonl", "selection.jsonl"
"""What training leaves: its log, and how each epoch did on the validation rows where a recipe chooses by it."""

CHARTS = ("loss", "validation", "temperature", "learning_rate")


@dataclass(frozen=True)
class Line:
    """A series: its name in the log, its path, its last value."""

    name: str
    path: str
    last: str


@dataclass(frozen=True)
class Chart:
    """Lines over training steps; ticks are (place, text)."""

    name: str
    lines: tuple[Line, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]


def charts(folder: Path) -> list[Chart]:
    """The charts of a run's folder; none without a log, or before anything was logged twice."""
    judged = [{"step": line["step"], "validation": line["value"]} for line in _lines(folder / SELECTION)]
    log = [*_lines(folder / LOG), *judged]
    return [chart for name in CHARTS for chart in [_chart(name, log)] if chart]


def _lines(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _chart(name: str, log: Sequence[dict[str, Any]]) -> Chart | None:
    keys = list(dict.fromkeys(key for line in log for key in line if _belongs(key, name)))
    series = {key: [(line["step"], line[key]) for line in log if _finite(line.get(key))] for key in keys}
    series = {key: _thinned(points) for key, points in series.items() if len(points) > 1}
    if not series:
        return None
    steps = [step for points in series.values() for step, _ in points]
    values = [value for points in series.values() for _, value in points]
    x_ticks, y_ticks = ticks(min(steps), max(steps)), ticks(min(values), max(values))
    low, high = min(y_ticks[0], *values), max(y_ticks[-1], *values)

    def x(step: float) -> float:
        return LEFT + (step - min(steps)) / max(max(steps) - min(steps), 1) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (value - low) / ((high - low) or 1) * (HEIGHT - TOP - BOTTOM)

    drawn = tuple(
        Line(key, "M" + " ".join(f"{x(step):.1f},{y(value):.1f}" for step, value in points), f"{points[-1][1]:.4g}")
        for key, points in series.items()
    )
    return Chart(
        name,
        drawn,
        tuple((round(x(tick), 1), f"{tick:g}") for tick in x_ticks if min(steps) <= tick <= max(steps)),
        tuple((round(y(tick), 1), f"{tick:g}") for tick in y_ticks),
    )


def _belongs(key: str, chart: str) -> bool:
    """`validation_loss` beside `loss`; the mean that the trainer tells at the end is no point of the curve."""
    return key.endswith(chart) and not key.startswith("train_")


def _finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    step = -(-len(points) // MOST_POINTS)
    return [*points[:-1:step], points[-1]]


def ticks(low: float, high: float, wanted: int = 4) -> list[float]:
    """Round numbers that reach from at most `low` to at least `high`, about `wanted` steps of 1, 2 or 5 times a power
    of ten."""
    span = (high - low) or abs(high) or 1.0
    power = 10.0 ** math.floor(math.log10(span / wanted))
    step = next(power * each for each in (1, 2, 5, 10) if span / (power * each) <= wanted)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{number * step:.10g}") for number in range(first, max(last, first + 1) + 1)]
