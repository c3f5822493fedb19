"""Is one run better than another, on the same patients?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ecgbench.errors import EcgbenchError
from ecgbench.evaluation.bootstrap import REPLICATES, SEED, interval, patient_weights
from ecgbench.evaluation.metrics import Metric, metric_named
from ecgbench.evaluation.scores import Scores
from ecgbench.evaluation.scoring import fitted

Values = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Difference:
    """Metric of the first minus metric of the second, with the 95 % interval over paired patient resamples.

    NaN where the metric is undefined on these records. Where higher is better, positive with `low` above 0 says that
    the first is better; where lower is better (`ece`), negative with `high` below 0 says so.
    """

    value: float
    low: float
    high: float
    n_patients: int

    @classmethod
    def of(cls, differences: np.ndarray, n_patients: int) -> Difference:
        """From `differences` (1 + replicates,), the plain one first."""
        low, high = interval(differences[1:])
        return cls(float(differences[0]), float(low), float(high), n_patients)


@dataclass(frozen=True, eq=False)
class Paired:
    """Two scores files, their test records in one order, and the resamples of the patients that both see.

    `weights` (1 + replicates, n), the first row ones. `same_validation`: both hold the same validation records with
    the same labels.
    """

    files: tuple[Scores, Scores]
    tests: tuple[Scores, Scores]
    weights: np.ndarray
    n_patients: int
    same_validation: bool

    @classmethod
    def of(cls, a: Scores, b: Scores, *, replicates: int = REPLICATES, seed: int = SEED) -> Paired:
        """Records and classes may stand in another order, but must be the same, with the same labels and patients."""
        tests = aligned(a, b)
        b = b.with_classes(tuple(a.class_id.tolist()))
        patients = tests[0].patient_id
        weights = patient_weights(patients, replicates, seed, plain=True)
        return cls((a, b), tests, weights, len(np.unique(patients)), _same_validation(a, b))

    def values(self, metric: Metric) -> tuple[Values, Values]:
        """Of each file, the metric overall (1 + replicates,) and per class (1 + replicates, c).

        What is chosen on validation rows (thresholds, temperature) is chosen on each file's own, and undefined where
        these are not of the same records: the means would not be over the same classes. Otherwise it follows from the
        labels alone whether a class counts in a mean, so it is in for both or for neither.
        """
        first, second = (
            (fitted(metric, file) if self.same_validation else metric).values(test.scores, test.labels, self.weights)
            for file, test in zip(self.files, self.tests, strict=True)
        )
        return first, second


def paired_difference(
    a: Scores, b: Scores, metric: str, *, replicates: int = REPLICATES, seed: int = SEED
) -> Difference:
    """One metric of two scores files on their test records, over all classes."""
    measure = metric_named(metric)
    paired = Paired.of(a, b, replicates=replicates, seed=seed)
    (first, _), (second, _) = paired.values(measure)
    return Difference.of(first - second, paired.n_patients)


def aligned(a: Scores, b: Scores) -> tuple[Scores, Scores]:
    """The test rows of both, the second's records and classes in the order of the first's."""
    for scores in (a, b):
        scores.validate()
    if (a.task, a.task_version) != (b.task, b.task_version):
        raise EcgbenchError(
            f"{a.task} version {a.task_version} cannot be compared with {b.task} version {b.task_version}: "
            "give two scores files of one task and version."
        )
    first, second = a.rows("test"), b.rows("test").with_classes(tuple(a.class_id.tolist()))
    lone = np.setxor1d(first.record_id, second.record_id)
    if lone.size:
        holder = "first" if lone[0] in first.record_id else "second"
        raise EcgbenchError(
            f"test record '{lone[0]}' stands only in the {holder} scores file: compare runs on the same data."
        )
    order = np.argsort(second.record_id)
    second = second.select(order[np.searchsorted(second.record_id[order], first.record_id)])
    differs = (first.patient_id != second.patient_id) | (first.labels != second.labels).any(axis=1)
    if differs.any():
        raise EcgbenchError(
            f"test record '{first.record_id[differs][0]}' has other labels or another patient in the second "
            "scores file: compare runs on the same data."
        )
    return first, second


def _same_validation(a: Scores, b: Scores) -> bool:
    """Both have the same validation records with the same labels; `b` has the classes of `a` in its order."""
    first, second = (each.rows("validation") for each in (a, b))
    first, second = (each.select(np.argsort(each.record_id)) for each in (first, second))
    return np.array_equal(first.record_id, second.record_id) and np.array_equal(first.labels, second.labels)
