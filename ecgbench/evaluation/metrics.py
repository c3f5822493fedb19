"""The metrics, by the definitions of the benchmark.

A label instance is a (record, finding) pair; `labels` (n, c) counts them. An instance metric gives each
instance a credit between 0 and 1 and is the mean credit. Ties are broken by expectation: what a random order
of the tied classes would earn on average.

Every metric is computed for many weightings of the records at once: `weights` (replicates, n) says how often
each record counts, ones for the plain value, a resample of the patients for an interval.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np

from ecgbench.errors import EcgbenchError
from ecgbench.evaluation.auroc import blocks, weighted_auroc

Credit = Callable[[np.ndarray, np.ndarray], np.ndarray]
Level = Callable[[np.ndarray], float]


class Metric(Protocol):
    """A number over all classes, the same number for each class, and where the ends of its scale lie.

    `per_class` is the name of the number of one class, None where only the overall number is reported.
    """

    @property
    def name(self) -> str: ...

    @property
    def per_class(self) -> str | None: ...

    def values(self, scores: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Overall (replicates,) and per class (replicates, c) float64, NaN where undefined.

        `scores` (n, c) float, `labels` (n, c) integer counts, `weights` (replicates, n) integers.
        """
        ...

    def chance(self, labels: np.ndarray) -> float:
        """What constant scores get, in closed form."""
        ...

    def ceiling(self, labels: np.ndarray) -> float:
        """The best that any scores can get."""
        ...


@dataclass(frozen=True)
class InstanceMetric:
    """Mean credit over label instances. `credit(scores, labels)` (n, c) is what an instance of that class in
    that record earns; where labels are 0 it is 0."""

    name: str
    per_class: str | None
    credit: Credit
    chance: Level
    ceiling: Level

    def values(self, scores: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        earned = weighted_sums(weights, self.credit(scores, labels) * labels)
        instances = weighted_sums(weights, labels)
        return ratio(earned.sum(axis=1), instances.sum(axis=1)), ratio(earned, instances)


@dataclass(frozen=True)
class MacroMetric:
    """Mean over the classes of `by_class(scores, labels, weights)` (replicates, c). A class where it is
    undefined (NaN) is left out of the mean, in a replicate as in the plain value."""

    name: str
    per_class: str | None
    by_class: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
    chance: Level
    ceiling: Level

    def values(self, scores: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        per_class = self.by_class(scores, labels, weights)
        defined = ~np.isnan(per_class)
        return ratio(np.where(defined, per_class, 0.0).sum(axis=1), defined.sum(axis=1)), per_class


def weighted_sums(weights: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """`weights` (replicates, n) @ `columns` (n, c) in float64, a block of replicates at a time."""
    columns = columns.astype(np.float64)
    sums = np.empty((len(weights), columns.shape[1]))
    for block in blocks(*weights.shape):
        sums[block] = weights[block].astype(np.float64) @ columns
    return sums


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Elementwise quotient, NaN where the denominator is 0."""
    quotient = np.full(np.shape(numerator), np.nan)
    return np.divide(numerator, denominator, out=quotient, where=np.asarray(denominator) > 0)


def rivals(scores: np.ndarray, labels: np.ndarray, *, filtered: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """For each (record, class) with a label: how many classes score higher, and how many score the same, the
    class itself among them. Two arrays (i,) in the order of `np.nonzero(labels)`.

    `filtered` leaves the record's other true classes out of the comparison.
    """
    row, column = np.nonzero(labels)
    own = scores[row, column][:, None]
    higher, same = scores[row] > own, scores[row] == own
    if filtered:
        others = labels[row] == 0
        return (higher & others).sum(axis=1), (same & others).sum(axis=1) + 1
    return higher.sum(axis=1), same.sum(axis=1)


def topk_credit(scores: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """(n, c): the chance that the instance's class is among the k best. With g classes higher and t tied
    (itself included) it is (k - g) / t, within 0 and 1. With k = 1 it is the hit of zero-shot accuracy."""
    higher, same = rivals(scores, labels)
    return _in_place(labels, np.clip((k - higher) / same, 0.0, 1.0))


def reciprocal_rank_credit(scores: np.ndarray, labels: np.ndarray, *, filtered: bool = False) -> np.ndarray:
    """(n, c): the expected 1/rank of the instance's class. With g classes higher and t tied it is the mean of
    1/(g+1) … 1/(g+t), from harmonic numbers. `filtered`: the record's other true labels are ignored."""
    higher, same = rivals(scores, labels, filtered=filtered)
    h = harmonic(scores.shape[1])
    return _in_place(labels, (h[higher + same] - h[higher]) / same)


def harmonic(n: int) -> np.ndarray:
    """The harmonic numbers H(0) … H(n)."""
    return np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, n + 1))])


def _in_place(labels: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(n, c) with `values` where there are labels, 0 elsewhere."""
    credit = np.zeros(labels.shape)
    credit[np.nonzero(labels)] = values
    return credit


def topk_chance(labels: np.ndarray, k: int) -> float:
    """k of the c classes are among the k best: k / c, at most 1."""
    return min(k, labels.shape[1]) / labels.shape[1]


def topk_ceiling(labels: np.ndarray, k: int) -> float:
    """A record can have its k most frequent classes among the k best: Σ of the k largest counts / Σ counts.

    With one finding a class that is Σ min(k, m) / Σ m; for k = 1 it is Σ max count / Σ count.
    """
    best = -np.sort(-labels.astype(np.int64), axis=1)[:, :k]
    return _mean(best.sum(), labels)


def mrr_chance(labels: np.ndarray) -> float:
    """Every rank from 1 to c is equally likely: H(c) / c."""
    n_classes = labels.shape[1]
    return float(harmonic(n_classes)[-1] / n_classes)


def mrr_ceiling(labels: np.ndarray) -> float:
    """A record's true classes can take the first ranks, the most frequent one first."""
    best = -np.sort(-labels.astype(np.int64), axis=1)
    return _mean((best / np.arange(1, labels.shape[1] + 1)).sum(), labels)


def mrr_filtered_chance(labels: np.ndarray) -> float:
    """As `mrr_chance`, each instance with its own candidates: all but the record's other true classes."""
    candidates = labels.shape[1] - (labels > 0).sum(axis=1) + 1
    candidates = np.minimum(candidates, labels.shape[1])  # a record without a label has no instance to count
    expected = harmonic(labels.shape[1])[candidates] / candidates
    return _mean((expected * labels.sum(axis=1, dtype=np.int64)).sum(), labels)


def _mean(total: float, labels: np.ndarray) -> float:
    """`total` per label instance, NaN where there is none."""
    instances = int(labels.sum(dtype=np.int64))
    return float(total) / instances if instances else float("nan")


def _always(level: float) -> Level:
    return lambda labels: level


def _top(name: str, k: int) -> Metric:
    return InstanceMetric(name, name, partial(topk_credit, k=k), partial(topk_chance, k=k), partial(topk_ceiling, k=k))


_MRR = InstanceMetric("mrr", None, reciprocal_rank_credit, mrr_chance, mrr_ceiling)
_MRR_FILTERED = InstanceMetric(
    "mrr_filtered", None, partial(reciprocal_rank_credit, filtered=True), mrr_filtered_chance, _always(1.0)
)
_MACRO_AUROC = MacroMetric("macro_auroc", "auroc", weighted_auroc, _always(0.5), _always(1.0))

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (_top("top1", 1), _top("top5", 5), _top("accuracy", 1), _MRR, _MRR_FILTERED, _MACRO_AUROC)
}
"""Every metric that a task card can name."""


def metric_named(name: str) -> Metric:
    """The metric of that name; an unknown name lists those there are."""
    if name not in METRICS:
        raise EcgbenchError(f"there is no metric '{name}': choose from {', '.join(METRICS)}.")
    return METRICS[name]
