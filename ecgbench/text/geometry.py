"""What may be done to a frozen tower's vectors before the text head sees them.

Vectors of short clinical sentences share one large mean direction, so that a linear head learns slowly. The transformation
is fitted on the distinct training prompts alone and applied to all.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

Geometry = Literal["none", "center", "standardize"]


def reshape(vectors: np.ndarray, training: np.ndarray, how: Geometry) -> np.ndarray:
    """`vectors` (n, dim) float32 -> the same shape. `training`: the rows that are training prompts, each once.

    `none`: as they are. `center`: the mean of the training prompts is taken away, and all are divided by one number so
    that the training prompts' mean squared norm is 1. `standardize`: each dimension is also divided by its own standard
    deviation over the training prompts first; a dimension that does not vary becomes 0.
    """
    if how == "none" or not len(training):
        return vectors
    x = vectors.astype(np.float64)
    x -= x[training].mean(0)
    if how == "standardize":
        spread = x[training].std(0)
        x = np.divide(x, spread, out=np.zeros_like(x), where=spread > 1e-12 * max(spread.max(), 1e-300))
    scale = np.sqrt((x[training] ** 2).sum(1).mean())
    return (x / scale if scale > 0 else x).astype(np.float32)
