"""The linear probe: how much of the findings lies in an encoder's features on a straight line.

One logistic regression a class on frozen features, all classes at once: full-batch L-BFGS over the mean binary
cross-entropy and an L2 penalty on the weights, the intercepts left free. The penalty is the one of `STRENGTHS` with the
highest macro AUROC on the validation records, the larger one of equals. Nothing of the test records is seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ecgbench.errors import EcgbenchError
from ecgbench.evaluation.areas import weighted_auroc

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""L2 penalties that are tried, for features of unit variance and a loss averaged over records."""
STEPS = 300


@dataclass(frozen=True, eq=False)
class Probe:
    """`weights` (dim, classes), `intercepts` (classes,) for features less `mean` over `spread` (dim,)."""

    weights: np.ndarray
    intercepts: np.ndarray
    mean: np.ndarray
    spread: np.ndarray
    strength: float

    def logits(self, features: np.ndarray) -> np.ndarray:
        """(n, dim) -> (n, classes) float32."""
        scaled = (features.astype(np.float64) - self.mean) / self.spread
        return (scaled @ self.weights + self.intercepts).astype(np.float32)


def fit_probe(
    features: np.ndarray, positive: np.ndarray, validation: np.ndarray, validation_positive: np.ndarray
) -> Probe:
    """The probe of the best penalty. `features` (n, dim), `positive` (n, classes) bool; the same of validation records.

    EcgbenchError without training records, and where no class has a positive and a negative validation record.
    """
    if not len(features):
        raise EcgbenchError("a linear probe was given no training record: give a larger share of them.")
    mean = features.mean(axis=0, dtype=np.float64)
    spread = features.std(axis=0, dtype=np.float64)
    spread[spread <= 1e-8 * max(float(spread.max(initial=0.0)), 1e-300)] = np.inf  # what does not vary says nothing
    reduced, back = _reduced((features - mean) / spread)
    best: Probe | None = None
    reached = -np.inf
    start = np.zeros((reduced.shape[1] + 1, positive.shape[1]))
    for strength in sorted(STRENGTHS, reverse=True):
        start = _minimised(reduced, positive.astype(np.float64), strength, start)
        probe = Probe(back @ start[:-1], start[-1], mean, spread, strength)
        found = _macro_auroc(probe.logits(validation), validation_positive)
        if found > reached:
            best, reached = probe, found
    if best is None:
        raise EcgbenchError(
            "a linear probe chooses its penalty on validation records, and no class has a positive and a negative one: "
            "leave the task out with --tasks."
        )
    return best


def _reduced(scaled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, r) of the same inner products, and the (dim, r) that turns weights for them into weights for `scaled`
    (n, dim). With fewer records than dimensions the penalised weights lie in the records' own space, which is small."""
    if len(scaled) >= scaled.shape[1]:
        return scaled, np.eye(scaled.shape[1])
    left, size, right = np.linalg.svd(scaled, full_matrices=False)
    kept = size > 1e-10 * size.max(initial=0.0)
    return left[:, kept] * size[kept], right[kept].T


def chosen_patients(patients: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Rows (ascending) of a share of the records, whole patients in a random order until the share is reached, at least
    one. A larger share of the same seed holds the smaller one."""
    if share >= 1:
        return np.arange(len(patients))
    names = np.unique(patients)
    order = {name: place for place, name in enumerate(np.random.default_rng(seed).permutation(names))}
    place = np.array([order[name] for name in patients])
    in_order = np.argsort(place, kind="stable")
    wanted = max(1, round(share * len(patients)))
    last = place[in_order[min(wanted, len(patients)) - 1]]
    return np.flatnonzero(place <= last)


def _minimised(features: np.ndarray, targets: np.ndarray, strength: float, start: np.ndarray) -> np.ndarray:
    """Weights and, as the last row, intercepts: (dim + 1, classes)."""
    from scipy.optimize import minimize

    records = len(features)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        table = flat.reshape(start.shape)
        logits = features @ table[:-1] + table[-1]
        value = (np.logaddexp(0, logits) - targets * logits).sum() / records + strength / 2 * (table[:-1] ** 2).sum()
        with np.errstate(over="ignore"):
            residual = (1 / (1 + np.exp(-logits)) - targets) / records
        return float(value), np.vstack([features.T @ residual + strength * table[:-1], residual.sum(axis=0)]).ravel()

    found = minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": STEPS, "maxfun": 2 * STEPS})
    return np.asarray(found.x.reshape(start.shape))


def _macro_auroc(scores: np.ndarray, positive: np.ndarray) -> float:
    """NaN compares as worse than all."""
    each = weighted_auroc(scores, positive.astype(np.int16), np.ones((1, len(scores)), np.int16))[0]
    return float(np.nanmean(each)) if np.isfinite(each).any() else float("nan")
