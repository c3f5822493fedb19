"""Which class a record of a class is taken for."""

from __future__ import annotations

import numpy as np

from ecgbench.evaluation.credits import best_shares

MOST_CLASSES = 30
"""A matrix of more classes than this is not written: nobody reads it, and it would be most of a result file."""


def confusion(scores: np.ndarray, labels: np.ndarray) -> np.ndarray | None:
    """(c, c): the label instances of each true class (row) by the class that scores best (column), a tie as equal
    shares. A row sums to the class's instances, the diagonal to the hits of `accuracy`. None for more than
    `MOST_CLASSES` classes."""
    if labels.shape[1] > MOST_CLASSES:
        return None
    return labels.T.astype(np.float64) @ best_shares(scores)
