"""Two systems on the same patients: differences with p, over all classes and class by class."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ecgbench.cards import TaskCard
from ecgbench.evaluation.bootstrap import REPLICATES, SEED
from ecgbench.evaluation.compare import Difference, Paired
from ecgbench.evaluation.metrics import metric_named
from ecgbench.evaluation.scores import Scores
from ecgbench.evaluation.scoring import DECIMALS, task_rows


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
    paired = Paired.of(task_rows(a, card), task_rows(b, card), replicates=replicates, seed=seed)
    test = paired.tests[0]
    ids = test.class_id.tolist()
    overall: dict[str, Pair] = {}
    per_class: dict[str, dict[str, Pair]] = {}
    for metric in map(metric_named, card.metrics):
        (totals_a, classes_a), (totals_b, classes_b) = paired.values(metric)
        overall[metric.name] = _pair(totals_a, totals_b, paired.n_patients)
        if metric.per_class:
            columns = zip(classes_a.T, classes_b.T, strict=True)
            pairs = _corrected([_pair(*column, paired.n_patients) for column in columns])
            per_class[metric.name] = dict(zip(ids, pairs, strict=True))
    instances = dict(zip(ids, test.labels.sum(axis=0, dtype=np.int64).tolist(), strict=True))
    n_records = len(test.record_id)
    return TaskComparison(test.task, card.version, n_records, paired.n_patients, instances, overall, per_class)


def _pair(a: np.ndarray, b: np.ndarray, n_patients: int) -> Pair:
    """`a` and `b` (1 + replicates,), the plain value first."""
    difference = Difference.of(a - b, n_patients)
    p = float("nan") if np.isnan(difference.value) else bootstrap_p((a - b)[1:])
    return Pair(float(a[0]), float(b[0]), difference, p)


def _corrected(pairs: list[Pair]) -> list[Pair]:
    """The pairs of one metric's classes with Holm's p."""
    adjusted = holm(np.array([each.p for each in pairs])).tolist()
    return [replace(each, p_holm=p) for each, p in zip(pairs, adjusted, strict=True)]


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
