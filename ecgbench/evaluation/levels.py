"""The ends of each metric's scale, in closed form from the labels (n, c): what constant scores get, and the best that
any scores can get."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ecgbench.evaluation.credits import harmonic, none_drawn

Level = Callable[[np.ndarray], float]


def always(level: float) -> Level:
    return lambda labels: level


def topk_chance(labels: np.ndarray, k: int) -> float:
    """k of the c classes are among the k best: k / c, at most 1."""
    return min(k, labels.shape[1]) / labels.shape[1]


def topk_ceiling(labels: np.ndarray, k: int) -> float:
    """A record can have its k most frequent classes among the k best: Σ of the k largest counts / Σ counts.

    With one finding a class that is Σ min(k, m) / Σ m; for k = 1 it is Σ max count / Σ count.
    """
    best = -np.sort(-labels.astype(np.int64), axis=1)[:, :k]
    return _per_instance(best.sum(), labels)


def hit_chance(labels: np.ndarray, k: int) -> float:
    """Mean over records of 1 - C(c-m, k) / C(c, k), m the record's true classes of all c."""
    n_classes = labels.shape[1]
    true = (labels > 0).sum(axis=1)
    missed = none_drawn(np.full(len(labels), n_classes), true, np.full(len(labels), min(k, n_classes)))
    return float((1 - missed[true > 0]).mean()) if true.any() else float("nan")


def balanced_ceiling(labels: np.ndarray) -> float:
    """Each record's best class is the one whose findings there weigh most in the mean over present classes: the mean
    over the present classes of Σ max (count / instances of the class)."""
    instances = labels.sum(axis=0, dtype=np.int64)
    present = instances > 0
    if not present.any():
        return float("nan")
    return float((labels[:, present] / instances[present]).max(axis=1).sum() / present.sum())


def mrr_chance(labels: np.ndarray) -> float:
    """Every rank from 1 to c is equally likely: H(c) / c."""
    n_classes = labels.shape[1]
    return float(harmonic(n_classes)[-1] / n_classes)


def mrr_ceiling(labels: np.ndarray) -> float:
    """A record's true classes can take the first ranks, the most frequent one first."""
    best = -np.sort(-labels.astype(np.int64), axis=1)
    return _per_instance((best / np.arange(1, labels.shape[1] + 1)).sum(), labels)


def mrr_filtered_chance(labels: np.ndarray) -> float:
    """As `mrr_chance`, each instance with its own candidates: all but the record's other true classes."""
    candidates = labels.shape[1] - (labels > 0).sum(axis=1) + 1
    candidates = np.minimum(candidates, labels.shape[1])  # a record without a label has no instance to count
    expected = harmonic(labels.shape[1])[candidates] / candidates
    return _per_instance((expected * labels.sum(axis=1, dtype=np.int64)).sum(), labels)


def macro_prevalence(labels: np.ndarray) -> float:
    """The mean share of positive records over the classes with a positive and a negative one."""
    share = (labels > 0).mean(axis=0) if len(labels) else np.zeros(labels.shape[1])
    mixed = (share > 0) & (share < 1)
    return float(share[mixed].mean()) if mixed.any() else float("nan")


def micro_prevalence(labels: np.ndarray) -> float:
    """The share of positive pairs among all (record, class) pairs."""
    return float((labels > 0).mean()) if labels.size else float("nan")


def _per_instance(total: float, labels: np.ndarray) -> float:
    """`total` per label instance, NaN where there is none."""
    instances = int(labels.sum(dtype=np.int64))
    return float(total) / instances if instances else float("nan")
