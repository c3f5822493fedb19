"""How far rounding to float16 can have moved each number of a task."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ecgbench.evaluation.bootstrap import interval
from ecgbench.evaluation.confusion import confusion
from ecgbench.evaluation.metrics import AreaMetric, Credit, InstanceMetric, Metric
from ecgbench.evaluation.scores import Scores

Pair = tuple[float, float]

KEPT_WHOLE = 2048
"""float16 holds every whole number up to here."""


@dataclass(frozen=True)
class Band:
    """The least and the most that a number, and each end of its interval, can have been before rounding."""

    value: Pair
    low: Pair
    high: Pair


def class_number(kind: str, class_id: str) -> str:
    """What a number of one class is called: `auroc of hypertrophy`."""
    return f"{kind} of {class_id}"


def bands(metrics: list[Metric], test: Scores, weights: np.ndarray) -> dict[str, Band]:
    """Number -> its band: a metric's overall number by the metric's name, those of its classes by `class_number`.

    Rounding moves a score by half a spacing at most, so the most is reached with a true class that much higher
    and its rivals that much lower, the least the other way round. That holds in every replicate, and so for the
    ends of the interval. On few records one tie that rounding made is worth more than any fixed tolerance.
    A metric that rounds for itself (F1, calibration) has no room: its band is its value. `metrics` are fitted,
    `weights` (1 + replicates, n), the first row ones.
    """
    half = half_spacing(test.scores)
    found: dict[str, Band] = {}
    for metric in metrics:
        moves = (np.zeros(half.shape),) * 2 if metric.rounded else (-half, half)
        least, most = (_moved(metric, test, move, weights) for move in moves)
        found[metric.name] = _bands(least[0][:, None], most[0][:, None])[0]
        if metric.per_class:
            names = [class_number(metric.per_class, class_id) for class_id in test.class_id.tolist()]
            found |= zip(names, _bands(least[1], most[1]), strict=True)
    return found


def half_spacing(scores: np.ndarray) -> np.ndarray:
    """The most that rounding to float16 can have moved each score: (n, c) float64.

    Zeros where nothing was rounded: the scores are no float16 numbers, or they are ranks, whole numbers beyond
    1, which float16 keeps. Cosines that round to whole numbers do not go beyond 1.
    """
    with np.errstate(over="ignore"):  # what float16 cannot hold becomes infinite, so it is no float16 number
        coarse = scores.astype(np.float16)
    rounded = np.array_equal(coarse.astype(np.float32), scores)
    largest = np.abs(scores).max(initial=0)
    ranks = 1 < largest <= KEPT_WHOLE and np.array_equal(scores, np.round(scores))
    if not rounded or ranks:
        return np.zeros(scores.shape)
    return np.spacing(np.abs(coarse)).astype(np.float64) / 2


def confusion_band(test: Scores) -> tuple[np.ndarray, np.ndarray] | None:
    """The least and the most that each cell of the confusion matrix (c, c) can have been, None where there is none:
    a class is taken for the best most often with its own score moved up and all others down."""
    if confusion(test.scores, test.labels) is None:
        return None
    half = half_spacing(test.scores)
    least, most = (
        np.stack([_taken_for(test, move, column) for column in range(len(test.class_id))], axis=1)
        for move in (-half, half)
    )
    return least, most


def _taken_for(test: Scores, move: np.ndarray, column: int) -> np.ndarray:
    """One column of the confusion matrix with its class `move` (n, c) higher and all others as much lower."""
    moved = test.scores - move
    moved[:, column] += 2 * move[:, column]
    matrix = confusion(moved, test.labels)
    assert matrix is not None
    return matrix[:, column]


def _moved(metric: Metric, test: Scores, move: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The metric with each true class `move` (n, c) higher and its rivals as much lower."""
    if isinstance(metric, InstanceMetric):
        metric = replace(metric, credit=partial(_moved_credit, metric.credit, move))
        return metric.values(test.scores, test.labels, weights)
    if isinstance(metric, AreaMetric) and metric.least and (move < 0).any():
        metric = replace(metric, area=metric.least)
    return metric.values(test.scores + np.where(test.labels > 0, move, -move), test.labels, weights)


def _moved_credit(credit: Credit, move: np.ndarray, scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The credit (n, c) of each (record, true class) with its own score moved up and every other one down: the
    record's other true classes are its rivals too, so each is moved in a copy of the record."""
    record, column = np.nonzero(labels)
    each = np.arange(len(record))
    moved = scores[record] - move[record]
    moved[each, column] += 2 * move[record, column]
    found = np.zeros(labels.shape)
    found[record, column] = credit(moved, labels[record])[each, column]
    return found


def _bands(least: np.ndarray, most: np.ndarray) -> list[Band]:
    """The band of each column; `least`, `most` (1 + replicates, columns): the plain value and its replicates."""
    ends = np.stack([each for side in (least, most) for each in (side[0], *interval(side[1:]))], axis=1).tolist()
    return [
        Band(value=(value, value_most), low=(low, low_most), high=(high, high_most))
        for value, low, high, value_most, low_most, high_most in ends
    ]
