"""Does a result file say what its scores say?"""

from __future__ import annotations

import math

from ecgbench.cards import TaskCard
from ecgbench.evaluation.metrics import InstanceMetric, metric_named
from ecgbench.leaderboard.replay import Replay
from ecgbench.results import TaskScore

TOLERANCE = 2e-3
"""A metric may differ this much from what the scores give, on top of what rounding to float16 explains."""

CONSISTENCY = 1e-6
"""Per-class numbers and their mean are from one computation."""


def mismatches(score: TaskScore, card: TaskCard, replay: Replay | None) -> list[str]:
    """What does not fit between a task's part of a result and itself, and its scores; one clause each."""
    found = [f"{name} is not among its metrics" for name in card.metrics if name not in score.metrics]
    if found:
        return found
    found = _against_itself(score, card)
    return found if replay is None else found + _against_scores(score, card, replay)


def _against_itself(score: TaskScore, card: TaskCard) -> list[str]:
    """The overall number of a metric must be the mean of its classes, as the metric takes it."""
    found = []
    for name in card.metrics:
        metric = metric_named(name)
        if metric.per_class is None:
            continue
        by_instance = isinstance(metric, InstanceMetric)
        each = [(getattr(c, metric.per_class), c.n if by_instance else 1) for c in score.per_class.values()]
        known = [(value, weight) for value, weight in each if value is not None and weight]
        total = sum(weight for _, weight in known)
        mean = sum(value * weight for value, weight in known) / total if known else None
        given = score.metrics[name].value
        if (mean is None) != (given is None) or (mean is not None and abs(mean - (given or 0.0)) > CONSISTENCY):
            found.append(f"{name} is {_shown(given)} and its classes together give {_shown(mean)}")
    return found


def _against_scores(score: TaskScore, card: TaskCard, replay: Replay) -> list[str]:
    """Counts must be equal, metrics near."""
    found = [
        f"{name} is {given} and the scores give {measured}"
        for name, given, measured in (
            ("n_records", score.n_records, replay.n_records),
            ("n_patients", score.n_patients, replay.n_patients),
            ("n_instances", score.n_instances, replay.n_instances),
            ("n_present", score.n_present, sum(n > 0 for n in replay.positives.values())),
        )
        if given != measured
    ]
    counts = {name: (each.n, each.positives) for name, each in score.per_class.items()}
    if counts != {name: (replay.instances[name], replay.positives[name]) for name in replay.positives}:
        found.append("the counts of its classes are not those of the scores")
    for name in card.metrics:
        given, measured = score.metrics[name].value, replay.values[name]
        if not _near(given, measured, *replay.bands[name]):
            found.append(f"{name} is {_shown(given)} and the scores give {_shown(measured)}")
    return found


def _near(given: float | None, measured: float, low: float, high: float) -> bool:
    """Within the band of rounding and the tolerance; undefined here means undefined there."""
    if given is None or math.isnan(measured):
        return given is None and math.isnan(measured)
    return low - TOLERANCE <= given <= high + TOLERANCE


def _shown(value: float | None) -> str:
    return "undefined" if value is None or math.isnan(value) else f"{value:.4f}"
