"""Similarity -> the probability of a finding, learnt on a run's own validation records (Platt 1999).

A finding has a logistic curve of its own, P = 1 / (1 + exp(-(slope * similarity + intercept))): one curve for all would
give a finding of one in a thousand and one of every second record the same probability at the same similarity. A curve is
fitted where at least `LEAST` validation records have the finding and as many lack it, and kept only where it rises: else
the finding has no probability. No test label is looked at.

A probability is of records like the validation records, with their share of each finding. Where a finding is rarer or
more frequent, it is wrong by just that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ecgbench.evaluation.bootstrap import REPLICATES, SEED, interval, patient_weights
from ecgbench.evaluation.fitted import BINS, as_committed, bin_of
from ecgbench.evaluation.scores import Scores
from ecgbench.evaluation.weighting import ratio, weighted_sums

LEAST = 10
"""Validation records with a finding, and without it, that a curve needs."""


@dataclass(frozen=True, eq=False)
class Curves:
    """The logistic curves of c findings or classes: `slopes` (c,) per unit of similarity and `intercepts` (c,), NaN where
    there is none. `positives` (c,): the validation records with the finding, of `n_validation`."""

    class_id: tuple[str, ...]
    slopes: np.ndarray
    intercepts: np.ndarray
    positives: np.ndarray
    n_validation: int

    @property
    def known(self) -> np.ndarray:
        """bool (c,): which findings have a curve."""
        return ~np.isnan(self.slopes)

    def probabilities(self, similarity: np.ndarray) -> np.ndarray:
        """(n, c) similarities -> (n, c) probabilities, NaN for a finding without a curve."""
        with np.errstate(over="ignore"):
            return np.asarray(1 / (1 + np.exp(-(self.slopes * similarity.astype(np.float64) + self.intercepts))))


def fit_curves(scores: Scores) -> Curves:
    """The curves of a scores file's classes, from its validation rows alone; similarities rounded to float16, so that a
    committed copy of the file gives the same curves."""
    validation = scores.rows("validation")
    similarity, positive = as_committed(validation.scores), validation.labels > 0
    curves = [_curve(similarity[:, column], positive[:, column]) for column in range(len(scores.class_id))]
    pairs = np.array(curves, np.float64).reshape(-1, 2)
    return Curves(
        tuple(scores.class_id.tolist()), pairs[:, 0], pairs[:, 1], positive.sum(axis=0), len(validation.record_id)
    )


def _curve(similarity: np.ndarray, positive: np.ndarray) -> tuple[float, float]:
    """Slope and intercept, NaN where the records do not carry a curve.

    Platt's targets, (n + 1) / (n + 2) for the n records with the finding and 1 / (m + 2) for the m without it, keep a curve
    finite where the similarities are apart, and short of certainty where the records are few.
    """
    n, m = int(positive.sum()), int((~positive).sum())
    spread = float(similarity.std())
    if min(n, m) < LEAST or spread == 0:
        return np.nan, np.nan
    from sklearn.linear_model import LogisticRegression

    target = np.where(positive, (n + 1) / (n + 2), 1 / (m + 2))
    middle = float(similarity.mean())
    scaled = ((similarity - middle) / spread)[:, None]
    # A record of target t is t of one with the finding and 1 - t of one without it. C is so large that nothing is shrunk.
    fitted = LogisticRegression(C=1e12, solver="newton-cholesky", tol=1e-8, max_iter=100).fit(
        np.concatenate([scaled, scaled]),
        np.repeat([1, 0], len(target)),
        sample_weight=np.concatenate([target, 1 - target]),
    )
    slope = float(fitted.coef_[0, 0]) / spread
    return (slope, float(fitted.intercept_[0]) - slope * middle) if slope > 0 else (np.nan, np.nan)


@dataclass(frozen=True)
class Bin:
    """Pairs of a record and a finding whose probability falls into one bin: how many, their mean probability, and the share
    that has the finding."""

    pairs: int
    probability: float
    share: float


@dataclass(frozen=True)
class Reliability:
    """How the probabilities do on the test records, over every pair of a record and a finding with a curve.

    `error`: expected calibration error, the mean of |share - probability| over `BINS` equal bins, weighted by their pairs;
    `ci` its 95 % interval over patients. `brier`: the mean squared error; `brier_of_shares`: that of giving every record the
    finding's share of the validation records. A useful curve is below it.
    """

    n_pairs: int
    error: float
    ci: tuple[float, float]
    brier: float
    brier_of_shares: float
    bins: tuple[Bin, ...]


def reliability(curves: Curves, scores: Scores) -> Reliability | None:
    """The curves held to the test rows of a scores file, None where no finding has a curve or no record is there."""
    test = scores.rows("test").with_classes(curves.class_id)
    known = curves.known
    if not len(test.record_id) or not known.any():
        return None
    said = curves.probabilities(as_committed(test.scores))[:, known]
    true = (test.labels > 0)[:, known]
    shares = (curves.positives / curves.n_validation)[known]
    gaps, pairs = _by_bin(said, true)
    weights = patient_weights(test.patient_id, REPLICATES, SEED, plain=True)
    errors = ratio(
        np.abs(weighted_sums(weights, gaps)).sum(axis=1), weighted_sums(weights, pairs.sum(axis=1)[:, None])[:, 0]
    )
    low, high = interval(errors[1:])
    return Reliability(
        n_pairs=int(said.size),
        error=float(errors[0]),
        ci=(float(low), float(high)),
        brier=float(((said - true) ** 2).mean()),
        brier_of_shares=float(((shares - true) ** 2).mean()),
        bins=_bins(said, true),
    )


def _by_bin(said: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each record: the sum of (true - said) in each bin, and the pairs in it; both (n, BINS)."""
    where = bin_of(said)
    gaps, pairs = np.zeros((len(said), BINS)), np.zeros((len(said), BINS))
    for number in range(BINS):
        inside = where == number
        gaps[:, number] = np.where(inside, true - said, 0.0).sum(axis=1)
        pairs[:, number] = inside.sum(axis=1)
    return gaps, pairs


def _bins(said: np.ndarray, true: np.ndarray) -> tuple[Bin, ...]:
    """The bins that hold a pair, the lowest first."""
    where = bin_of(said)
    insides = [where == number for number in range(BINS)]
    return tuple(
        Bin(int(inside.sum()), float(said[inside].mean()), float(true[inside].mean()))
        for inside in insides
        if inside.any()
    )
