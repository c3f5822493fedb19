"""What may be done to a frozen tower's vectors before the text head sees them.

Vectors of short clinical sentences share one large mean direction, so that a linear head learns slowly. The transformation
is fitted on the distinct training prompts alone and applied to all, in a later evaluation too.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from ecgbench.errors import EcgbenchError
from ecgbench.files import atomic_path

Geometry = Literal["none", "center", "standardize"]


@dataclass(frozen=True, eq=False)
class FittedGeometry:
    """`mean` (dim,) is taken away and what is left multiplied by `factor` (dim,), float64; both None for none."""

    mean: np.ndarray | None = None
    factor: np.ndarray | None = None

    def apply(self, vectors: np.ndarray) -> np.ndarray:
        """(n, dim) float32 -> the same shape."""
        if self.mean is None or self.factor is None:
            return vectors
        return np.asarray(((vectors.astype(np.float64) - self.mean) * self.factor).astype(np.float32))

    def save(self, path: Path) -> None:
        """Write an npz beside the weights; nothing where nothing was fitted."""
        if self.mean is None or self.factor is None:
            return
        with atomic_path(path) as temporary, temporary.open("wb") as handle:
            np.savez(handle, mean=self.mean, factor=self.factor)

    @classmethod
    def load(cls, path: Path, how: Geometry) -> FittedGeometry:
        """What `save` wrote for a run of that geometry."""
        if how == "none":
            return cls()
        try:
            with path.open("rb") as handle, np.load(handle, allow_pickle=False) as members:
                return cls(members["mean"], members["factor"])
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise EcgbenchError(
                f"'{path}', which a run with text_geometry {how} leaves, cannot be read ({type(error).__name__}): run it again."
            ) from None


def fit(training: np.ndarray, how: Geometry) -> FittedGeometry:
    """Fit on `training` (n, dim), the vectors of the training prompts, each once.

    `none`: vectors stay as they are. `center`: the mean of the training prompts is taken away, and all are divided by one
    number so that the training prompts' mean squared norm is 1. `standardize`: each dimension is also divided by its own
    standard deviation over the training prompts first; a dimension that does not vary becomes 0.
    """
    if how == "none" or not len(training):
        return FittedGeometry()
    x = training.astype(np.float64)
    mean = x.mean(0)
    x -= mean
    factor = np.ones(x.shape[1])
    if how == "standardize":
        spread = x.std(0)
        factor = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 1e-12 * max(spread.max(), 1e-300))
        x *= factor
    scale = np.sqrt((x**2).sum(1).mean())
    return FittedGeometry(mean, factor / scale if scale > 0 else factor)
