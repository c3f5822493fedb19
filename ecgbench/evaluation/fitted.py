"""Metrics with a part that is chosen on the validation rows: F1 with its thresholds, calibration with its temperature.

Both see the scores as a committed scores file holds them, rounded to float16, so that a run's own file and its
committed copy give the same threshold, the same temperature and the same number. No test label is looked at.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from ecgbench.evaluation.credits import topk_credit
from ecgbench.evaluation.levels import always
from ecgbench.evaluation.weighting import mean_of_defined, ratio, weighted_sums

BINS = 15
"""Equal-width bins of confidence, as in Guo et al. 2017."""

TEMPERATURES = (1e-3, 1e3)
"""The fitted temperature is not sought outside; cosines need between 0.01 and 1."""


def as_committed(scores: np.ndarray) -> np.ndarray:
    """Scores rounded to float16, in float64; what is too large for it becomes its largest number."""
    largest = np.finfo(np.float16).max
    return np.clip(scores, -largest, largest).astype(np.float16).astype(np.float64)


@dataclass(frozen=True, eq=False)
class F1Metric:
    """Mean F1 of the classes, or with `pooled` the F1 of all their (record, class) pairs. A record is called positive
    where its score is at or above the class's threshold.

    `thresholds` (c,) is None before `fitted`, and NaN for a class without a positive validation record: it has no F1
    and enters neither mean nor pool. A class without a positive test record is not averaged.
    """

    name: str
    per_class: str | None
    pooled: bool
    thresholds: np.ndarray | None = None

    higher_is_better = True
    rounded = True

    def fitted(self, scores: np.ndarray, labels: np.ndarray) -> F1Metric:
        return replace(self, thresholds=best_thresholds(as_committed(scores), labels > 0))

    def values(self, scores: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        positive = labels > 0
        thresholds = self._thresholds(labels)
        called = as_committed(scores) >= thresholds
        known = ~np.isnan(thresholds)
        hits, claims, positives = (
            weighted_sums(weights, np.where(known, each, False)) for each in (called & positive, called, positive)
        )
        by_class = ratio(2 * hits, np.where(positives > 0, claims + positives, 0))
        if not self.pooled:
            return mean_of_defined(by_class), by_class
        hits, claims, positives = (each.sum(axis=1) for each in (hits, claims, positives))
        return ratio(2 * hits, np.where(positives > 0, claims + positives, 0)), by_class

    def chance(self, labels: np.ndarray) -> float:
        """Constant scores put every threshold at the constant and call every record positive: with p of n records
        positive F1 is 2 p / (n + p)."""
        known = ~np.isnan(self._thresholds(labels))
        positives = (labels > 0).sum(axis=0)[known]
        if not positives.any():
            return float("nan")
        if self.pooled:
            return float(2 * positives.sum() / (len(labels) * len(positives) + positives.sum()))
        present = positives[positives > 0]
        return float((2 * present / (len(labels) + present)).mean())

    def ceiling(self, labels: np.ndarray) -> float:
        return 1.0

    def _thresholds(self, labels: np.ndarray) -> np.ndarray:
        return np.full(labels.shape[1], np.nan) if self.thresholds is None else self.thresholds


def best_thresholds(scores: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """The threshold of each class (c,) with the largest F1 on these rows (n, c), NaN for a class without a positive.

    Candidates are the observed scores, so that a threshold is a number that float16 holds; of equally good ones the
    lowest, which misses fewest.
    """
    thresholds = np.full(scores.shape[1], np.nan)
    for column in np.flatnonzero(positive.any(axis=0)):
        order = np.argsort(-scores[:, column])
        ranked = scores[order, column]
        hits = np.cumsum(positive[order, column])
        last = np.append(ranked[1:] != ranked[:-1], True)  # of each distinct score, once all its records are called
        f1 = (2 * hits / (np.arange(1, len(ranked) + 1) + hits[-1]))[last]
        thresholds[column] = ranked[last][np.flatnonzero(f1 == f1.max())[-1]]
    return thresholds


@dataclass(frozen=True, eq=False)
class CalibrationMetric:
    """Expected calibration error over label instances: mean |hits - confidence| of `BINS` bins, weighted by their
    instances. The confidence is the largest of softmax(scores / temperature) over the task's classes, the hit the
    top-1 credit. `temperature` is None before `fitted` and without a validation row: there is no default."""

    name: str
    temperature: float | None = None

    per_class = None
    higher_is_better = False
    rounded = True
    chance = staticmethod(always(0.0))  # constant scores claim 1/c and hit 1/c: calibrated, and useless
    ceiling = staticmethod(always(0.0))

    def fitted(self, scores: np.ndarray, labels: np.ndarray) -> CalibrationMetric:
        return replace(self, temperature=best_temperature(as_committed(scores), labels))

    def values(self, scores: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        undefined = np.full((len(weights), labels.shape[1]), np.nan)
        if self.temperature is None or not len(labels):
            return undefined[:, 0], undefined
        scores = as_committed(scores)
        confidence = 1 / np.exp((scores - scores.max(axis=1, keepdims=True)) / self.temperature).sum(axis=1)
        instances = labels.sum(axis=1, dtype=np.int64)
        excess = (topk_credit(scores, labels, 1) * labels).sum(axis=1) - confidence * instances
        in_bin = bin_of(confidence)[:, None] == np.arange(BINS)
        gaps = weighted_sums(weights, np.where(in_bin, excess[:, None], 0.0))
        return ratio(np.abs(gaps).sum(axis=1), weighted_sums(weights, instances[:, None])[:, 0]), undefined


def bin_of(confidence: np.ndarray) -> np.ndarray:
    """The bin from 0: bin b holds b / BINS < confidence <= (b + 1) / BINS. Rounded first, so that a confidence on an
    edge, as 1/5 is, falls into one bin on every machine."""
    return np.clip(np.ceil(np.round(confidence * BINS, 9)).astype(np.int64) - 1, 0, BINS - 1)


def best_temperature(scores: np.ndarray, labels: np.ndarray) -> float | None:
    """The temperature with the least mean negative log-likelihood of the label instances, None without one.

    The likelihood is concave in 1 / temperature, so its slope has one zero: bisected over the logarithm, which finds
    it more exactly than comparing likelihoods would. The sum over records is exact whatever their order, and six
    significant digits are kept, so that a processor's last bit does not show. Where the slope has no zero within
    `TEMPERATURES` it is one of their ends, the upper one for constant scores.
    """
    if not labels.any():
        return None
    scores = scores - scores.max(axis=1, keepdims=True)
    instances, own = labels.sum(axis=1), (labels * scores).sum(axis=1)

    def too_sharp(log_temperature: float) -> bool:
        share = np.exp(scores / math.exp(log_temperature))
        expected = (share * scores).sum(axis=1) / share.sum(axis=1)
        return math.fsum(instances * expected - own) >= 0

    low, high = (math.log(end) for end in TEMPERATURES)
    if too_sharp(high):
        return TEMPERATURES[1]
    if not too_sharp(low):
        return TEMPERATURES[0]
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if too_sharp(middle) else (low, middle)
    return float(f"{math.exp(high):.6g}")
