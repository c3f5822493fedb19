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
        each = [(getattr(c, metric.per_class), c.n if isinstance(metric, InstanceMetric) else 1) for c in score.per_class.values()]
        known = [(value, weight) for value, weight in each if value is not None and weight]
        if not known:
            continue
        mean = sum(value * weight for value, weight in known) / sum(weight for _, weight in known)
        if abs(mean - score.metrics[name].value) > CONSISTENCY:
            found.append(f"{name} is {score.metrics[name].value:.4f} and its classes together give {mean:.4f}")
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
        given, (low, high) = score.metrics[name].value, replay.bands[name]
        if math.isnan(low) or not low - TOLERANCE <= given <= high + TOLERANCE:
            found.append(f"{name} is {given:.4f} and the scores give {replay.values[name]:.4f}")
    return found
