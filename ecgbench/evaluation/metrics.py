"""The metrics, by the definitions of the benchmark (docs/metrics.md).

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
from typing import Protocol, TypeVar

import numpy as np

from ecgbench.errors import EcgbenchError
from ecgbench.evaluation.areas import weighted_auprc, weighted_auroc
from ecgbench.evaluation.credits import hit_credit, reciprocal_rank_credit, topk_credit
from ecgbench.evaluation.fitted import CalibrationMetric, F1Metric
from ecgbench.evaluation.levels import (
    Level,
    always,
    balanced_ceiling,
    hit_chance,
    macro_prevalence,
    micro_prevalence,
    mrr_ceiling,
    mrr_chance,
    mrr_filtered_chance,
    topk_ceiling,
    topk_chance,
)
from ecgbench.evaluation.weighting import mean_of_defined, ratio, weighted_sums

Credit = Callable[[np.ndarray, np.ndarray], np.ndarray]
ByGroup = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
Self = TypeVar("Self")


class Metric(Protocol):
    """A number over all classes, the same number for each class, and where the ends of its scale lie."""

    @property
    def name(self) -> str: ...

    @property
    def per_class(self) -> str | None:
        """The name of the number of one class, None where only the overall number is reported."""

    @property
    def higher_is_better(self) -> bool: ...

    @property
    def rounded(self) -> bool:
        """It sees scores rounded to float16, and is therefore the same number before and after that rounding."""

    def fitted(self, scores: np.ndarray, labels: np.ndarray) -> Metric:
        """The metric with what it chooses on validation rows (n, c); itself where it chooses nothing. A metric that
        needs validation rows is undefined before, and where there are none."""
        ...

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


class _FromRanks:
    """What the metrics share that depend on the order of the scores alone: nothing to fit, nothing to round."""

    higher_is_better = True
    rounded = False

    def fitted(self: Self, scores: np.ndarray, labels: np.ndarray) -> Self:
        return self


@dataclass(frozen=True)
class InstanceMetric(_FromRanks):
    """Mean credit over label instances. `credit(scores, labels)` (n, c) is what an instance of that class in
    that record earns; where labels are 0 it is 0. `balanced`: the mean of the classes' means, over those present."""

    name: str
    per_class: str | None
    credit: Credit
    chance: Level
    ceiling: Level
    balanced: bool = False

    def values(self, scores: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        earned = weighted_sums(weights, self.credit(scores, labels) * labels)
        instances = weighted_sums(weights, labels)
        by_class = ratio(earned, instances)
        if self.balanced:
            return mean_of_defined(by_class), by_class
        return ratio(earned.sum(axis=1), instances.sum(axis=1)), by_class


@dataclass(frozen=True)
class RecordMetric(_FromRanks):
    """Mean credit over the records that have a label. `credit(scores, labels)` (n,) is what a record earns."""

    name: str
    credit: Credit
    chance: Level
    ceiling: Level
    per_class = None

    def values(self, scores: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        labelled = (labels > 0).any(axis=1)
        sums = weighted_sums(weights, np.stack([self.credit(scores, labels) * labelled, labelled], axis=1))
        return ratio(sums[:, 0], sums[:, 1]), np.full((len(weights), labels.shape[1]), np.nan)


@dataclass(frozen=True)
class AreaMetric(_FromRanks):
    """An area under a curve. `area(scores, labels, weights)` is (replicates, c), and the metric the mean over the
    classes: one where it is undefined (NaN) is left out, in a replicate as in the plain value. Or `area` is
    (replicates, 1), all pairs in one list, and that is the metric. `least` is `area` at the lower end of what it can
    be once tied scores are told apart, where this is not what moving the scores shows."""

    name: str
    per_class: str | None
    area: ByGroup
    chance: Level
    ceiling: Level
    least: ByGroup | None = None

    def values(self, scores: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        areas = self.area(scores, labels, weights)
        by_class = areas if self.per_class else np.full((len(weights), labels.shape[1]), np.nan)
        return mean_of_defined(areas), by_class


def _top(name: str, k: int) -> Metric:
    return InstanceMetric(name, name, partial(topk_credit, k=k), partial(topk_chance, k=k), partial(topk_ceiling, k=k))


def _hit(name: str, k: int) -> Metric:
    return RecordMetric(name, partial(hit_credit, k=k), partial(hit_chance, k=k), always(1.0))


def _precision(name: str, per_class: str | None, chance: Level, *, pooled: bool) -> Metric:
    area = partial(weighted_auprc, pooled=pooled)
    return AreaMetric(name, per_class, area, chance, always(1.0), partial(weighted_auprc, pooled=pooled, apart=True))


_top1 = partial(topk_credit, k=1)
_reciprocal_filtered = partial(reciprocal_rank_credit, filtered=True)

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        _top("top1", 1),
        _top("top5", 5),
        _hit("hit1", 1),
        _hit("hit5", 5),
        _top("accuracy", 1),
        InstanceMetric("balanced_accuracy", None, _top1, partial(topk_chance, k=1), balanced_ceiling, balanced=True),
        InstanceMetric("mrr", None, reciprocal_rank_credit, mrr_chance, mrr_ceiling),
        InstanceMetric("mrr_filtered", None, _reciprocal_filtered, mrr_filtered_chance, always(1.0)),
        AreaMetric("macro_auroc", "auroc", weighted_auroc, always(0.5), always(1.0)),
        AreaMetric("micro_auroc", None, partial(weighted_auroc, pooled=True), always(0.5), always(1.0)),
        _precision("macro_auprc", "auprc", macro_prevalence, pooled=False),
        _precision("micro_auprc", None, micro_prevalence, pooled=True),
        F1Metric("macro_f1", "f1", pooled=False),
        F1Metric("micro_f1", None, pooled=True),
        CalibrationMetric("ece"),
    )
}
"""Every metric that a task card can name."""


def metric_named(name: str) -> Metric:
    """The metric of that name; an unknown name lists those there are."""
    if name not in METRICS:
        raise EcgbenchError(f"there is no metric '{name}': choose from {', '.join(METRICS)}.")
    return METRICS[name]
