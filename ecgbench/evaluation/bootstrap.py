"""Resampling patients: the percentile bootstrap behind every interval."""

from __future__ import annotations

import numpy as np

REPLICATES = 1000
SEED = 0
LEVEL = 0.95


def patient_weights(patient_id: np.ndarray, n_replicates: int = REPLICATES, seed: int = SEED) -> np.ndarray:
    """How often each record counts in each replicate: (n_replicates, n) int16.

    A replicate draws as many patients as there are, with replacement; all records of a drawn patient come
    along. The draws depend on the set of patients, not on the order of the records: two scores files of the
    same patients get the same resamples.
    """
    patients, row_patient = np.unique(patient_id, return_inverse=True)
    n_patients = len(patients)
    if not n_patients:
        return np.zeros((n_replicates, 0), dtype=np.int16)
    # Raw bits of PCG64, because NumPy promises that their stream stays as it is, and does not promise it for
    # Generator.integers. The modulo's bias is n_patients / 2**64.
    source = np.random.PCG64(seed)
    drawn = np.zeros((n_replicates, n_patients), dtype=np.int16)
    for replicate in drawn:
        draws = (source.random_raw(n_patients) % np.uint64(n_patients)).astype(np.intp)
        replicate[:] = np.bincount(draws, minlength=n_patients)
    return drawn[:, row_patient]


def with_plain(weights: np.ndarray) -> np.ndarray:
    """`weights` with a row of ones before it: the plain value and its replicates in one computation."""
    return np.concatenate([np.ones((1, weights.shape[1]), dtype=weights.dtype), weights])


def interval(values: np.ndarray) -> np.ndarray:
    """The 95 % percentile interval over replicates: (replicates,) or (replicates, c) -> (2,) or (2, c).

    Replicates that are undefined (NaN) are left out; without any defined one the interval is NaN.
    """
    tail = 100 * (1 - LEVEL) / 2
    columns = values.reshape(len(values), -1)
    bounds = np.full((2, columns.shape[1]), np.nan)
    for column in range(columns.shape[1]):
        defined = columns[~np.isnan(columns[:, column]), column]
        if defined.size:
            bounds[:, column] = np.percentile(defined, [tail, 100 - tail])
    return bounds.reshape(2, *values.shape[1:])
