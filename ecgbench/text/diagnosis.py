"""What a frozen tower's vectors are like, measured on the vectors alone: no ECG, no training, nothing heavy.

All functions take vectors (n, dim), a row a prompt, and work in float64. Cosines to a vector of length 0 are 0.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

LAST_LETTERS = 2
"""What counts as the ending of a name that is not written in words: 頻脈, 梗塞, ック."""


@dataclass(frozen=True)
class Spread:
    """How much of the space some vectors use.

    `norm_left`: share of the summed squared norm that is left when their mean is taken away (small where they share one
    large direction, Mu & Viswanath 2018). `mean_cosine`: over all pairs of two (Ethayarajh 2019, arXiv:1909.00512).
    `effective_rank`: exp of the entropy of the shares of variance of their principal directions, from 1 to n - 1 (Roy &
    Vetterli 2007, with variances in place of singular values); 0 where they do not vary.
    """

    norm_left: float
    mean_cosine: float
    effective_rank: float


@dataclass(frozen=True)
class Share:
    """A share of the vectors, and what it would be if each one's nearest were any of the others."""

    value: float
    chance: float


def unit(vectors: np.ndarray) -> np.ndarray:
    """(…, dim) float64, rows of length 1; a row of zeros stays one."""
    x = np.asarray(vectors, np.float64)
    length = np.linalg.norm(x, axis=-1, keepdims=True)
    return np.divide(x, length, out=np.zeros_like(x), where=length > 0)


def spread(vectors: np.ndarray) -> Spread:
    """Of at least two vectors."""
    x = np.asarray(vectors, np.float64)
    n = len(x)
    directions = unit(x)
    pairs = (directions.sum(0) ** 2).sum() - (directions**2).sum()
    total = (x**2).sum()
    centred = x - x.mean(0)
    left = (centred**2).sum()
    if total == 0 or left <= 1e-14 * total:
        return Spread(0.0, float(pairs / (n * (n - 1))), 0.0)
    shares = np.linalg.svd(centred, compute_uv=False) ** 2 / left
    shares = shares[shares > 0]
    return Spread(float(left / total), float(pairs / (n * (n - 1))), float(np.exp(-(shares * np.log(shares)).sum())))


def nearest_others(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each of at least two vectors, the row of the other one with the highest cosine, the first of equal ones, and
    that cosine."""
    cosines = _among(vectors)
    nearest = cosines.argmax(1)
    return nearest, cosines[np.arange(len(cosines)), nearest]


def closest_pairs(vectors: np.ndarray, most: int) -> list[tuple[int, int, float]]:
    """The pairs of rows with the highest cosines, each once, the closest first."""
    cosines = _among(vectors)
    first, second = np.triu_indices(len(cosines), 1)
    found = cosines[first, second]
    order = np.argsort(-found, kind="stable")[:most]
    return [(int(first[i]), int(second[i]), float(found[i])) for i in order]


def _among(vectors: np.ndarray) -> np.ndarray:
    """(n, n) cosines, with -inf for a vector and itself."""
    directions = unit(vectors)
    cosines = directions @ directions.T
    np.fill_diagonal(cosines, -np.inf)
    return cosines


def ending(name: str) -> str:
    """The last word of a name that ends in Latin letters or digits, else its last two letters; case does not count."""
    return _end(name, r"[A-Za-z0-9]+$", slice(-LAST_LETTERS, None))


def beginning(name: str) -> str:
    """The first word of a name that begins with Latin letters or digits, else its first two letters."""
    return _end(name, r"^[A-Za-z0-9]+", slice(LAST_LETTERS))


def _end(name: str, word: str, letters: slice) -> str:
    said = re.sub(r"^\W+|\W+$", "", name).casefold()
    found = re.search(word, said)
    return found.group() if found else said[letters]


def shared_with_nearest(nearest: np.ndarray, kinds: Sequence[Hashable]) -> Share:
    """How many of n names are of one kind with their nearest. A tower that reads the last token alone puts names together
    that end alike: the share is then far above chance, which is what the sizes of the kinds give."""
    n = len(kinds)
    same = sum(kinds[row] == kinds[other] for row, other in enumerate(nearest))
    by_chance = sum(size * (size - 1) for size in Counter(kinds).values())
    return Share(same / n, by_chance / (n * (n - 1)))


def nearest_classes(classes: Sequence[np.ndarray], members: Sequence[np.ndarray]) -> list[tuple[int, int]]:
    """For each of at least two classes, how many of its members lie nearer to it than to any other, and how many it has.
    `classes`: the vectors of each class's sentences (k, dim), whose unit vectors are averaged; `members`: those of its
    findings."""
    directions = unit(np.stack([unit(vectors).mean(0) for vectors in classes]))
    counts = []
    for place, vectors in enumerate(members):
        cosines = unit(vectors) @ directions.T
        own = cosines[:, place]
        counts.append((int((own > np.delete(cosines, place, axis=1).max(1)).sum()), len(vectors)))
    return counts
