"""The areas under the ROC and the precision-recall curve, for many weightings of the same records at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ecgbench.evaluation.credits import harmonic
from ecgbench.evaluation.weighting import blocks, ratio

if TYPE_CHECKING:
    from scipy.sparse import csr_array

PAIRS = 2**21
"""(record, class) pairs ranked at a time where classes stand apart, some 40 bytes each."""

LEAST = 4
"""Replicates counted at a time, however many records: a record that is looked up for one serves them all."""


def weighted_auroc(scores: np.ndarray, labels: np.ndarray, weights: np.ndarray, *, pooled: bool = False) -> np.ndarray:
    """AUROC of every class against the rest under every weighting: (replicates, c) float64, with `pooled` of all
    (record, class) pairs in one list: (replicates, 1).

    `scores` (n, c); `labels` (n, c), positive above 0; `weights` (replicates, n) integers, how often each record
    counts. A positive and a negative with the same score count one half. NaN where a weighting leaves no positive or
    no negative. All sums are of integers: only the division rounds.
    """
    return _areas(_auroc, scores, labels, weights, pooled)


def weighted_auprc(
    scores: np.ndarray, labels: np.ndarray, weights: np.ndarray, *, pooled: bool = False, apart: bool = False
) -> np.ndarray:
    """Average precision, with the arguments and the shape of `weighted_auroc`.

    The mean over the positives of the precision at their score, tied scores being one threshold: constant scores get
    the prevalence. NaN as for AUROC, so that both speak of the same classes. `apart`: the least that it can be once
    the tied scores are told apart, the negatives first and then each positive at a threshold of its own.
    """
    return _areas(_auprc_apart if apart else _auprc, scores, labels, weights, pooled)


@dataclass(frozen=True, eq=False)
class Tallies:
    """Weights counted at every threshold, (thresholds, replicates) int64, each within its group, highest first.

    `own` are the positives at the threshold, `true` those at or above it, `up_to` all pairs at or above it, `above`
    all above it. `positives` and `pairs` are the totals (groups, replicates), `starts` where the thresholds of each
    group begin.
    """

    own: np.ndarray
    true: np.ndarray
    above: np.ndarray
    up_to: np.ndarray
    positives: np.ndarray
    pairs: np.ndarray
    starts: np.ndarray

    def total(self, by_threshold: np.ndarray) -> np.ndarray:
        """The sum over each group's thresholds."""
        return np.add.reduceat(by_threshold, self.starts, axis=0)


@dataclass(frozen=True, eq=False)
class Ranking:
    """(record, class) pairs sorted by score, in groups: a group a class, or all pairs in one.

    Only scores that a positive has are thresholds: between two of them nothing changes. `segments` (2 x thresholds,
    n) counts each record's pairs between a threshold and the one before, and at it; `positives` (thresholds, n) its
    positives at it. Their products with the weights of the records count a resample. `groups` are those with a
    positive, `starts` where the thresholds of each begin.
    """

    segments: csr_array
    positives: csr_array
    groups: np.ndarray
    starts: np.ndarray
    pairs_of_record: int

    @classmethod
    def of(cls, scores: np.ndarray, labels: np.ndarray, *, pooled: bool) -> Ranking:
        n, c = scores.shape
        shape = (1, n * c) if pooled else (c, n)
        ranked, positive = (np.reshape(each if pooled else each.T, shape) for each in (scores, labels > 0))
        place = np.int32 if n * c < 2**31 else np.int64
        order = np.argsort(-ranked, axis=1)
        ranked, positive = (np.take_along_axis(each, order, axis=1) for each in (ranked, positive))
        record, positive = (order // c if pooled else order).astype(place).ravel(), positive.ravel()
        del order  # of (record, class) pairs there are many: nothing is held longer than it is needed
        new = np.ones(shape, dtype=bool)
        new[:, 1:] = ranked[:, 1:] != ranked[:, :-1]
        del ranked
        # Of each pair, its place among the distinct scores of all groups.
        level: np.ndarray = np.cumsum(new, dtype=place)
        level -= 1
        group = np.repeat(np.arange(shape[0], dtype=place), new.sum(axis=1))
        is_threshold = np.zeros(len(group), dtype=bool)
        is_threshold[level[positive]] = True
        # Of each level, the first threshold that is not above it.
        threshold = np.cumsum(is_threshold, dtype=place) - is_threshold.astype(place)
        group_of_threshold = group[is_threshold]
        # Below a group's last threshold a pair counts in the total alone.
        kept = (np.append(group_of_threshold, -1)[threshold] == group)[level]
        groups, starts = np.unique(group_of_threshold, return_index=True)
        return cls(
            segments=_counts((2 * threshold + is_threshold)[level[kept]], record[kept], 2 * len(group_of_threshold), n),
            positives=_counts(threshold[level[positive]], record[positive], len(group_of_threshold), n),
            groups=groups,
            starts=starts,
            pairs_of_record=c if pooled else 1,
        )

    def tallies(self, weights: np.ndarray) -> Tallies:
        """The counts under a block of weightings (replicates, n)."""
        each = np.ascontiguousarray(weights.T, dtype=np.int32)
        own, pairs = (self.positives @ each).astype(np.int64), _running(self.segments @ each)
        true = _running(own)
        sizes = np.diff(np.append(self.starts, len(own)))
        true_before, pairs_before = (np.repeat(x, sizes, axis=0) for x in (true[self.starts], pairs[2 * self.starts]))
        return Tallies(
            own=own,
            true=true[1:] - true_before,
            above=pairs[1::2] - pairs_before,
            up_to=pairs[2::2] - pairs_before,
            positives=np.add.reduceat(own, self.starts, axis=0),
            pairs=np.tile(each.sum(axis=0, dtype=np.int64) * self.pairs_of_record, (len(self.groups), 1)),
            starts=self.starts,
        )


Share = Callable[[Tallies], tuple[np.ndarray, np.ndarray]]


def _areas(share: Share, scores: np.ndarray, labels: np.ndarray, weights: np.ndarray, pooled: bool) -> np.ndarray:
    """(replicates, groups): the quotient of `share`, NaN for groups without a positive or without a negative."""
    values = np.full((len(weights), 1 if pooled else scores.shape[1]), np.nan)
    present = np.flatnonzero((labels > 0).any(axis=0))
    if pooled and present.size:
        _fill(values, share, Ranking.of(scores, labels, pooled=True), weights)
    elif not pooled:
        step = max(1, PAIRS // max(1, len(scores)))
        for start in range(0, len(present), step):
            part = present[start : start + step]
            found = values[:, part]
            _fill(found, share, Ranking.of(scores[:, part], labels[:, part], pooled=False), weights)
            values[:, part] = found
    return values


def _fill(values: np.ndarray, share: Share, ranking: Ranking, weights: np.ndarray) -> None:
    """Write the values of a ranking's groups."""
    for block in blocks(len(weights), max(ranking.segments.shape), LEAST):
        found = ranking.tallies(weights[block])
        numerator, denominator = share(found)
        mixed = (found.positives > 0) & (found.positives < found.pairs)
        values[block, ranking.groups] = ratio(numerator, np.where(mixed, denominator, 0)).T


def _auroc(found: Tallies) -> tuple[np.ndarray, np.ndarray]:
    """Twice the wins of positives over negatives, and twice their pairs (Mann and Whitney)."""
    # The weight below a positive plus the weight up to it is twice its mid-rank: ties count one half.
    pairs = np.repeat(found.pairs, np.diff(np.append(found.starts, len(found.own))), axis=0)
    twice_ranks = found.total(found.own * (2 * pairs - found.above - found.up_to))
    # Positives against each other make up positives² of the doubled rank sum, whatever their order.
    return twice_ranks - found.positives**2, 2 * found.positives * (found.pairs - found.positives)


def _auprc(found: Tallies) -> tuple[np.ndarray, np.ndarray]:
    """The sum of the precisions at the positives, and their number."""
    precision = found.true / np.maximum(found.up_to, 1)
    return found.total(found.own * precision), found.positives


def _auprc_apart(found: Tallies) -> tuple[np.ndarray, np.ndarray]:
    """The same with p tied positives at p thresholds below the negatives that tie with them: with a true ones among b
    pairs before, Σ (a+k) / (b+k) over k = 1 … p, which is p - (b - a) (H(b+p) - H(b))."""
    before = found.up_to - found.own
    h = harmonic(int(found.up_to.max(initial=0)))
    lost = (before - (found.true - found.own)) * (h[found.up_to] - h[before])
    return found.total(found.own - lost), found.positives


def _running(counts: np.ndarray) -> np.ndarray:
    """(rows + 1, replicates) int64: the sum of the rows before each."""
    sums = np.zeros((counts.shape[0] + 1, counts.shape[1]), dtype=np.int64)
    sums[1:] = counts  # summed in place: numpy takes five times as long where it converts on the way
    np.cumsum(sums[1:], axis=0, out=sums[1:])
    return sums


def _counts(row: np.ndarray, record: np.ndarray, n_rows: int, n_records: int) -> csr_array:
    """(n_rows, n_records): how often each record stands in each row; `row` ascends."""
    from scipy.sparse import csr_array  # a sixth of a second, which a listing of metrics need not wait for

    ends = np.searchsorted(row, np.arange(n_rows + 1)).astype(record.dtype)
    return csr_array((np.ones(len(row), dtype=np.int32), record, ends), shape=(n_rows, n_records))
