"""What one record earns for how it ranks its classes. Ties are broken by expectation: each credit is what a random
order of the tied classes would earn on average."""

from __future__ import annotations

import numpy as np


def rivals(scores: np.ndarray, labels: np.ndarray, *, filtered: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """For each (record, class) with a label: how many classes score higher, and how many score the same, the
    class itself among them. Two arrays (i,) in the order of `np.nonzero(labels)`.

    `filtered` leaves the record's other true classes out of the comparison.
    """
    row, column = np.nonzero(labels)
    own = scores[row, column][:, None]
    higher, same = scores[row] > own, scores[row] == own
    if filtered:
        others = labels[row] == 0
        return (higher & others).sum(axis=1), (same & others).sum(axis=1) + 1
    return higher.sum(axis=1), same.sum(axis=1)


def topk_credit(scores: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """(n, c): the chance that the instance's class is among the k best. With g classes higher and t tied
    (itself included) it is (k - g) / t, within 0 and 1. With k = 1 it is the hit of zero-shot accuracy."""
    higher, same = rivals(scores, labels)
    return _in_place(labels, np.clip((k - higher) / same, 0.0, 1.0))


def reciprocal_rank_credit(scores: np.ndarray, labels: np.ndarray, *, filtered: bool = False) -> np.ndarray:
    """(n, c): the expected 1/rank of the instance's class. With g classes higher and t tied it is the mean of
    1/(g+1) … 1/(g+t), from harmonic numbers. `filtered`: the record's other true labels are ignored."""
    higher, same = rivals(scores, labels, filtered=filtered)
    h = harmonic(scores.shape[1])
    return _in_place(labels, (h[higher + same] - h[higher]) / same)


def hit_credit(scores: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """(n,): the chance that at least one of the record's true classes is among the k best, 0 without a label.

    Of the t classes tied for the last of the k places, with r places left for them, m are true: all r go to others
    with the chance C(t-m, r) / C(t, r). A true class above that border is a hit for certain.
    """
    k = min(k, scores.shape[1])
    true = labels > 0
    border = -np.sort(-scores, axis=1)[:, k - 1 : k]
    above, tied = scores > border, scores == border
    missed = none_drawn(tied.sum(axis=1), (tied & true).sum(axis=1), k - above.sum(axis=1))
    return np.where((above & true).any(axis=1), 1.0, 1.0 - missed)


def none_drawn(among: np.ndarray, marked: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """C(among - marked, draws) / C(among, draws), elementwise: the chance to draw none of the marked ones."""
    share = np.ones(np.broadcast(among, marked, draws).shape)
    for drawn in range(int(np.max(draws, initial=0))):
        left = np.maximum(among - drawn, 1)
        share *= np.where(drawn < draws, np.maximum(among - marked - drawn, 0) / left, 1.0)
    return share


def best_shares(scores: np.ndarray) -> np.ndarray:
    """(n, c): each class's share in being the record's best, 1 / t for each of t tied ones."""
    best = scores == scores.max(axis=1, keepdims=True, initial=-np.inf)
    return best / np.maximum(best.sum(axis=1, keepdims=True), 1)


def harmonic(n: int) -> np.ndarray:
    """The harmonic numbers H(0) … H(n)."""
    return np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, n + 1))])


def _in_place(labels: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(n, c) with `values` where there are labels, 0 elsewhere."""
    credit = np.zeros(labels.shape)
    credit[np.nonzero(labels)] = values
    return credit
