"""Resampling patients: the percentile bootstrap behind every interval."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

REPLICATES = 1000
SEED = 0
LEVEL = 0.95
KEPT = 2**22
"""Draws of at most this many numbers (8 MB) are kept: the results of a board are measured on the same few test sets."""


def patient_weights(
    patient_id: np.ndarray, n_replicates: int = REPLICATES, seed: int = SEED, *, plain: bool = False
) -> np.ndarray:
    """How often each record counts in each replicate: (n_replicates, n) int16; with `plain` a row of ones before them, so
    that a plain value and its replicates are one computation.

    A replicate draws as many patients as there are, with replacement; all records of a drawn patient come
    along. The draws depend on the set of patients, not on the order of the records: two scores files of the
    same patients get the same resamples.
    """
    patients, row_patient = np.unique(patient_id, return_inverse=True)
    weights = np.ones((plain + n_replicates, len(row_patient)), dtype=np.int16)
    kept = n_replicates * len(patients) <= KEPT
    drawn = _kept_draws(n_replicates, len(patients), seed) if kept else _draws(n_replicates, len(patients), seed)
    for replicate, counts in zip(weights[int(plain) :], drawn, strict=True):
        replicate[:] = counts[row_patient]
    return weights


def _draws(n_replicates: int, n_patients: int, seed: int) -> Iterator[np.ndarray]:
    """How often each patient is drawn, (n_patients,) int16, replicate by replicate."""
    # Raw bits of PCG64, because NumPy promises that their stream stays as it is, and does not promise it for
    # Generator.integers. The modulo's bias is n_patients / 2**64.
    source = np.random.PCG64(seed)
    for _ in range(n_replicates):
        draws = (source.random_raw(n_patients) % np.uint64(max(n_patients, 1))).astype(np.intp)
        yield np.bincount(draws, minlength=n_patients).astype(np.int16)


@lru_cache(maxsize=16)
def _kept_draws(n_replicates: int, n_patients: int, seed: int) -> np.ndarray:
    """The same as one array."""
    return np.stack([*_draws(n_replicates, n_patients, seed)]) if n_replicates else np.zeros((0, n_patients), np.int16)


def interval(values: np.ndarray) -> np.ndarray:
    """The 95 % percentile interval over replicates: (replicates,) or (replicates, c) -> (2,) or (2, c).

    Replicates that are undefined (NaN) are left out; without any defined one the interval is NaN.
    """
    tail = 100 * (1 - LEVEL) / 2
    columns = values.reshape(len(values), -1)
    bounds = np.full((2, columns.shape[1]), np.nan)
    ordered = np.sort(columns, axis=0)  # the undefined last
    defined = (~np.isnan(columns)).sum(axis=0)
    for count in np.unique(defined[defined > 0]):  # together where as many are defined: a task has thousands of classes
        alike = defined == count
        bounds[:, alike] = np.percentile(ordered[:count, alike], [tail, 100 - tail], axis=0)
    return bounds.reshape(2, *values.shape[1:])
