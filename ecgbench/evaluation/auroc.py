"""The area under the ROC curve, for many weightings of the same records at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

BLOCK = 2**19
"""Numbers held at a time (2 MB): near the size of a processor's cache, however many replicates there are."""


def blocks(n_replicates: int, n_records: int) -> Iterator[slice]:
    """Slices of the replicates, so that a block of (replicates, records) stays near `BLOCK` numbers."""
    step = max(1, BLOCK // max(1, n_records))
    for start in range(0, n_replicates, step):
        yield slice(start, min(start + step, n_replicates))


def weighted_auroc(scores: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """One-vs-rest AUROC of every class under every weighting: (replicates, c) float64.

    `scores` (n, c); `labels` (n, c), positive above 0; `weights` (replicates, n) integers, how often each
    record counts. A positive and a negative with the same score count one half. NaN where a weighting leaves
    a class without a positive or without a negative. All sums are of integers: only the division rounds.
    """
    n_replicates, n_classes = len(weights), scores.shape[1]
    values = np.full((n_replicates, n_classes), np.nan)
    positive = labels > 0
    for column in range(n_classes):
        if positive[:, column].any() and not positive[:, column].all():
            values[:, column] = _one_class(scores[:, column], np.flatnonzero(positive[:, column]), weights)
    return values


def _one_class(scores: np.ndarray, positives: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """AUROC (replicates,) of one class, from the rank sum of its positives (Mann and Whitney)."""
    order = np.argsort(scores)
    ascending = scores[order]
    below = np.searchsorted(ascending, scores[positives], side="left")
    up_to = np.searchsorted(ascending, scores[positives], side="right")
    values = np.full(len(weights), np.nan)
    for block in blocks(*weights.shape):
        each = weights[block]
        cumulative = np.zeros((len(each), len(scores) + 1), dtype=np.int32)
        np.cumsum(each[:, order], axis=1, dtype=np.int32, out=cumulative[:, 1:])
        # The weight below a positive plus the weight up to it is twice its mid-rank: ties count one half.
        twice_rank = cumulative[:, below] + cumulative[:, up_to]
        own = each[:, positives].astype(np.int64)
        n_positive = own.sum(axis=1)
        n_negative = cumulative[:, -1] - n_positive
        # Positives against each other make up n_positive² of the doubled rank sum, whatever their order.
        twice_wins = (twice_rank * own).sum(axis=1) - n_positive**2
        pairs = n_positive * n_negative
        np.divide(twice_wins, 2 * pairs, out=values[block], where=pairs > 0)
    return values
