"""Two systems on the same patients: differences with p, over all classes and class by class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ecgbench.cards import TaskCard
from ecgbench.evaluation.bootstrap import REPLICATES, SEED, interval, patient_weights, with_plain
from ecgbench.evaluation.compare import Difference, aligned
from ecgbench.evaluation.metrics import metric_named
from ecgbench.evaluation.scores import Scores
from ecgbench.evaluation.scoring import DECIMALS, tested_rows


@dataclass(frozen=True)
class Pair:
    """A number of the first system, of the second, and their paired difference (first minus second).

    `p` is two-sided, see `bootstrap_p`; `p_holm` the same after Holm's correction over the classes, None for
    an overall number. NaN where a number is undefined on these records.
    """

    a: float
    b: float
    difference: Difference
    p: float
    p_holm: float | None = None


@dataclass(frozen=True)
class TaskComparison:
    """Every metric of a task. `per_class` is metric -> class -> pair, for the metrics that have a number of one
    class; `instances` is the class's label instances. Each metric is a family of its own in Holm's correction;
    nothing is corrected over metrics or tasks."""

    task: str
    version: int
    n_records: int
    n_patients: int
    instances: dict[str, int]
    overall: dict[str, Pair]
    per_class: dict[str, dict[str, Pair]]


def compare_task(
    a: Scores, b: Scores, card: TaskCard, *, replicates: int = REPLICATES, seed: int = SEED
) -> TaskComparison:
    """Compare two scores files on their test records; both see the same resamples of the same patients.

    EcgbenchError where they are of another task, version, record, patient or label.
    """
    first, second = aligned(tested_rows(a, card), tested_rows(b, card))
    weights = with_plain(patient_weights(first.patient_id, replicates, seed))
    n_patients = len(np.unique(first.patient_id))
    ids = first.class_id.tolist()
    overall: dict[str, Pair] = {}
    per_class: dict[str, dict[str, Pair]] = {}
    for metric in map(metric_named, card.metrics):
        totals_a, classes_a = metric.values(first.scores, first.labels, weights)
        totals_b, classes_b = metric.values(second.scores, second.labels, weights)
        (overall[metric.name],) = _pairs(totals_a[:, None], totals_b[:, None], n_patients, corrected=False)
        if metric.per_class:
            pairs = _pairs(classes_a, classes_b, n_patients, corrected=True)
            per_class[metric.name] = dict(zip(ids, pairs, strict=True))
    instances = dict(zip(ids, first.labels.sum(axis=0, dtype=np.int64).tolist(), strict=True))
    return TaskComparison(first.task, card.version, len(first.record_id), n_patients, instances, overall, per_class)


def _pairs(a: np.ndarray, b: np.ndarray, n_patients: int, *, corrected: bool) -> list[Pair]:
    """One pair a column of `a` and `b` (1 + replicates, columns), the plain value first."""
    differences = a - b
    low, high = interval(differences[1:])
    p = np.array([bootstrap_p(column[1:]) if not np.isnan(column[0]) else np.nan for column in differences.T])
    adjusted = holm(p).tolist() if corrected else [None] * len(p)
    return [
        Pair(
            a=float(a[0, i]),
            b=float(b[0, i]),
            difference=Difference(float(differences[0, i]), float(low[i]), float(high[i]), n_patients),
            p=float(p[i]),
            p_holm=adjusted[i],
        )
        for i in range(len(p))
    ]


def bootstrap_p(differences: np.ndarray) -> float:
    """The two-sided achieved significance level of a difference from its replicates (replicates,).

    Twice the smaller of P(d <= 0) and P(d >= 0), at most 1 (Efron and Tibshirani, An Introduction to the
    Bootstrap, chapter 15). Each share is (count + 1) / (replicates + 1): no finite number of resamples proves
    p = 0 (Davison and Hinkley, Bootstrap Methods, section 4.2). Undefined replicates (NaN) are left out; NaN
    where all are.
    """
    # Rounded, so that two systems with the same value stay equal whatever order their sums were taken in.
    defined = np.round(differences[~np.isnan(differences)], DECIMALS)
    if not defined.size:
        return float("nan")
    fewer = min(int((defined <= 0).sum()), int((defined >= 0).sum()))
    return min(1.0, 2 * (fewer + 1) / (defined.size + 1))


def least_p(replicates: int, n_tests: int = 1) -> float:
    """The smallest p that `bootstrap_p` can give, after Holm's correction over `n_tests`."""
    return min(1.0, n_tests * 2 / (replicates + 1))


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's step-down adjusted p-values (Holm 1979): (tests,) -> (tests,).

    The i-th smallest of m is multiplied by m - i + 1, made no smaller than the one before, at most 1. A NaN is
    no test: it stays NaN and does not count in m.
    """
    adjusted = np.full(p.shape, np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    ascending = tested[np.argsort(p[tested], kind="stable")]
    factors = np.arange(len(ascending), 0, -1)
    adjusted[ascending] = np.minimum(1.0, np.maximum.accumulate(factors * p[ascending]))
    return adjusted
