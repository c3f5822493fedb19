"""Ranks and differences with intervals, all from the same resamples of the same patients."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ecgbench.evaluation.bootstrap import LEVEL
from ecgbench.evaluation.compare import Difference
from ecgbench.leaderboard.replay import Replay


def rank_intervals(replicates: Sequence[np.ndarray | None]) -> list[tuple[int, int] | None]:
    """The 95 % interval of each row's rank, 1 the best; None for a row without replicates.

    Each array (1 + replicates,) holds a metric, the plain value first; position r is the same resample of
    patients in every row. Tied rows share the mean of their ranks, and an end between two ranks is rounded
    outward.
    """
    present = [i for i, each in enumerate(replicates) if each is not None]
    ranks: list[tuple[int, int] | None] = [None] * len(replicates)
    if not present:
        return ranks
    values = np.stack([each[1:] for each in replicates if each is not None])
    values = values[:, ~np.isnan(values).any(axis=0)]
    if not values.shape[1]:
        return ranks
    tail = 100 * (1 - LEVEL) / 2
    bounds = np.percentile(_ranks(values), [tail, 100 - tail], axis=1)
    for row, (low, high) in zip(present, bounds.T, strict=True):
        ranks[row] = (math.floor(low), math.ceil(high))
    return ranks


def _ranks(values: np.ndarray) -> np.ndarray:
    """(rows, replicates) -> the rank of each row in each replicate, the highest value first."""
    from scipy.stats import rankdata

    return np.asarray(rankdata(-values, method="average", axis=0))


def difference(a: Replay | None, b: Replay | None, metric: str) -> Difference | None:
    """`evaluation.compare.paired_difference` from replicates at hand; None where one has no scores, or bootstrap values of
    other resamples."""
    if a is None or b is None:
        return None
    values = a.values or b.values
    if values and a.resamples(values.data_hash) != b.resamples(values.data_hash):
        return None
    return Difference.of(a.replicates[metric] - b.replicates[metric], a.n_patients)
