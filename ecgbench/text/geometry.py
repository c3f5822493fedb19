"""What may be done to a frozen tower's vectors before the text head sees them.

Vectors of short clinical sentences share one large mean direction, which hides what tells them apart (Mu & Viswanath 2018,
All-but-the-Top, ICLR). The transformation is fitted on the distinct training prompts alone and applied to all, in a later
evaluation too.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from ecgbench.errors import EcgbenchError
from ecgbench.files import atomic_path

Geometry = Literal["none", "center", "standardize", "whiten"]
GEOMETRIES: tuple[Geometry, ...] = ("none", "center", "standardize", "whiten")


@dataclass(frozen=True, eq=False)
class FittedGeometry:
    """`mean` (dim,) is taken away; what is left is multiplied by `factor`, all float64.

    Without `basis`, `factor` (dim,) has a number for each dimension. With `basis` (rank, dim), orthonormal rows, `factor`
    (rank,) has one for each row: what lies along a row is multiplied by its factor, and what lies along none becomes 0.
    All are None where nothing was fitted.
    """

    mean: np.ndarray | None = None
    factor: np.ndarray | None = None
    basis: np.ndarray | None = None

    def apply(self, vectors: np.ndarray) -> np.ndarray:
        """(n, dim) float32 -> the same shape."""
        if self.mean is None or self.factor is None:
            return vectors
        x = vectors.astype(np.float64) - self.mean
        x = x * self.factor if self.basis is None else (x @ self.basis.T * self.factor) @ self.basis
        return np.asarray(x.astype(np.float32))

    def save(self, path: Path) -> None:
        """Write an npz beside the weights; nothing where nothing was fitted."""
        if self.mean is None or self.factor is None:
            return
        basis = {} if self.basis is None else {"basis": self.basis}
        with atomic_path(path) as temporary, temporary.open("wb") as handle:
            np.savez(handle, allow_pickle=False, mean=self.mean, factor=self.factor, **basis)

    @classmethod
    def load(cls, path: Path, how: Geometry) -> FittedGeometry:
        """What `save` wrote for a run of that geometry."""
        if how == "none":
            return cls()
        try:
            with path.open("rb") as handle, np.load(handle, allow_pickle=False) as members:
                return cls(members["mean"], members["factor"], members["basis"] if how == "whiten" else None)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise EcgbenchError(
                f"'{path}', which a run with text_geometry {how} leaves, cannot be read ({type(error).__name__}): run it again."
            ) from None


def fit(training: np.ndarray, how: Geometry) -> FittedGeometry:
    """Fit on `training` (n, dim), the vectors of the training prompts, each once.

    `none`: vectors stay as they are. `center`: the mean of the training prompts is taken away, and all are divided by one
    number so that the training prompts' mean squared norm is 1. `standardize`: each dimension is also divided by its own
    standard deviation over the training prompts first; a dimension that does not vary becomes 0. `whiten`: each principal
    direction of the training prompts is divided by its own standard deviation in place of each dimension (`_whitening`).
    """
    if how == "none" or not len(training):
        return FittedGeometry()
    x = training.astype(np.float64)
    mean = x.mean(0)
    x -= mean
    basis = None
    factor = np.ones(x.shape[1])
    if how == "standardize":
        spread = x.std(0)
        factor = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 1e-12 * max(spread.max(), 1e-300))
    elif how == "whiten":
        basis, factor = _whitening(x)
        x = x @ basis.T
    x = x * factor
    scale = np.sqrt((x**2).sum(1).mean())
    return FittedGeometry(mean, factor / scale if scale > 0 else factor, basis)


def _whitening(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Principal directions (rank, dim) and their factors (rank,) of centred vectors (n, dim).

    With S = X'X / n, its eigenvectors v_i and eigenvalues l_i > 0, and T = (1 - r) S + r (trace S / dim) I, a vector x becomes
    sum_i v_i (v_i'x) / sqrt(v_i'Tv_i): whitening (Su et al. 2021, arXiv:2103.15316) turned back into the tower's own axes
    (ZCA), with Ledoit and Wolf's (2004) shrinkage r in [0, 1]. 98 prompts of a language model thousands wide have many
    directions that hardly vary; without shrinkage these, which are mostly chance, would count as much as the first.
    A direction counts as spanned where its singular value is above the rounding of float32 vectors: the largest times
    max(n, dim) times 2^-23.

    Directions in which no training prompt varies become 0. A head that is trained on vectors of the span leaves its weights
    for all other directions as they were drawn, so that what lies there comes out as noise; T^-1/2 on the whole space would
    multiply it by 1 / sqrt(r trace S / dim), more than any direction that was learned. Names of zero-shot classes lie partly
    there.
    """
    from sklearn.covariance import ledoit_wolf_shrinkage

    n, dim = x.shape
    # The triangle of a QR decomposition has the same singular values and directions, and fewer rows.
    _, singular, directions = np.linalg.svd(np.linalg.qr(x, mode="r") if n > dim else x, full_matrices=False)
    spanned = singular > np.finfo(np.float32).eps * max(n, dim) * max(singular[0], 1e-300)
    if not spanned.any():
        return np.empty((0, dim)), np.empty(0)
    variances = singular[spanned] ** 2 / n
    shrinkage = ledoit_wolf_shrinkage(x, assume_centered=True)
    shrunk = (1 - shrinkage) * variances + shrinkage * (singular**2).sum() / n / dim
    return directions[spanned], 1 / np.sqrt(shrunk)
