"""Sums over records under many weightings at once: what every metric is made of."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

BLOCK = 2**19
"""Numbers held at a time (2 MB): near the size of a processor's cache, however many replicates there are."""


def blocks(n_replicates: int, n_rows: int, least: int = 1) -> Iterator[slice]:
    """Slices of the replicates, so that a block of (replicates, rows) stays near `BLOCK` numbers; `least` replicates each."""
    step = max(least, BLOCK // max(1, n_rows))
    for start in range(0, n_replicates, step):
        yield slice(start, min(start + step, n_replicates))


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


def mean_of_defined(columns: np.ndarray) -> np.ndarray:
    """The mean of each row (rows, c) over what is defined there (not NaN), NaN where nothing is."""
    defined = ~np.isnan(columns)
    return ratio(np.where(defined, columns, 0.0).sum(axis=1), defined.sum(axis=1))
