"""Scores that know nothing of the ECG, to stand beside those that do."""

from __future__ import annotations

import numpy as np


def majority_scores(train_labels: np.ndarray, n: int) -> np.ndarray:
    """The `majority` reference: (n, c) float32, the same for every record.

    Each class is scored by its rank, from 0, among the numbers of label instances in `train_labels` (n_train, c),
    counts. Classes that are equally frequent in training share a rank. A rank, and not the number itself, because
    float16, in which scores are committed, keeps whole numbers only up to 2048.
    """
    instances = train_labels.sum(axis=0, dtype=np.int64)
    rank = np.unique(instances, return_inverse=True)[1].astype(np.float32)
    return np.tile(rank, (n, 1))
