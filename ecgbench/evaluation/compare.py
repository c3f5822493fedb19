"""Is one run better than another, on the same patients?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ecgbench.errors import EcgbenchError
from ecgbench.evaluation.bootstrap import REPLICATES, SEED, interval, patient_weights, with_plain
from ecgbench.evaluation.metrics import metric_named
from ecgbench.evaluation.scores import Scores


@dataclass(frozen=True)
class Difference:
    """Metric of the first minus metric of the second, with the 95 % interval over paired patient resamples.

    NaN where the metric is undefined on these records. Positive with `low` above 0: the first is better.
    """

    value: float
    low: float
    high: float
    n_patients: int


def paired_difference(
    a: Scores, b: Scores, metric: str, *, replicates: int = REPLICATES, seed: int = SEED
) -> Difference:
    """Compare two scores files on their test records: both see the same resamples of the same patients.

    Records and classes may stand in another order, but must be the same, with the same labels and patients.
    Whether a class counts in a macro mean follows from its labels alone, so it is in for both or for neither.
    """
    measure = metric_named(metric)
    first, second = aligned(a, b)
    weights = with_plain(patient_weights(first.patient_id, replicates, seed))
    differences = (
        measure.values(first.scores, first.labels, weights)[0]
        - measure.values(second.scores, second.labels, weights)[0]
    )
    low, high = interval(differences[1:])
    return Difference(float(differences[0]), float(low), float(high), len(np.unique(first.patient_id)))


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
