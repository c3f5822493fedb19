"""Bell-shaped components: how every P, QRS, ST and T is written down and laid over ten seconds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

REACH = 4.0
"""Standard deviations after which a component is over (0.03 % of its peak)."""


@dataclass(frozen=True)
class Wave:
    """Components of one wave.

    `centre`, `rise`, `fall` (standard deviations on either side) and `flat` (half the length of a flat top):
    seconds from the wave's onset, each (k,). `size`: mV in the independent leads, (k, 8).
    """

    centre: np.ndarray
    rise: np.ndarray
    fall: np.ndarray
    flat: np.ndarray
    size: np.ndarray

    def joined(self, other: Wave) -> Wave:
        """Both sets of components as one wave."""
        parts = ("centre", "rise", "fall", "flat", "size")
        return Wave(*(np.concatenate([getattr(self, part), getattr(other, part)]) for part in parts))

    def at(self, time: np.ndarray) -> np.ndarray:
        """(8, n) mV at times (n,) after the wave's onset."""
        away = time[None, :] - self.centre[:, None]
        beyond = np.maximum(np.abs(away) - self.flat[:, None], 0.0)
        width = np.where(away < 0, self.rise[:, None], self.fall[:, None])
        return self.size.T @ np.exp(-0.5 * (beyond / width) ** 2)


def bells(centre: np.ndarray, width: np.ndarray, size: np.ndarray) -> Wave:
    """Symmetric components without a flat top."""
    return Wave(centre, width, width, np.zeros_like(centre), size)


def lay_out(placed: list[tuple[float, float, Wave]], samples: int, rate: float) -> np.ndarray:
    """(8, samples): every wave at its onset (s), times its factor, summed; what is outside is cut off."""
    centre = np.concatenate([onset + wave.centre for onset, _, wave in placed])
    rise = np.concatenate([wave.rise for _, _, wave in placed])
    fall = np.concatenate([wave.fall for _, _, wave in placed])
    flat = np.concatenate([wave.flat for _, _, wave in placed])
    size = np.concatenate([factor * wave.size for _, factor, wave in placed])
    first = np.ceil((centre - flat - REACH * rise) * rate).astype(np.int64)
    last = np.floor((centre + flat + REACH * fall) * rate).astype(np.int64)
    first, last = np.clip(first, 0, samples), np.clip(last, -1, samples - 1)
    length = np.maximum(last - first + 1, 0)
    start = np.concatenate([[0], np.cumsum(length)])
    row = np.repeat(np.arange(len(centre)), length)
    sample = np.arange(start[-1]) - start[row] + first[row]
    away = sample / rate - centre[row]
    width = np.where(away < 0, rise[row], fall[row])
    beyond = np.maximum(np.abs(away) - flat[row], 0.0) / width
    shape = sparse.csr_matrix((np.exp(-0.5 * beyond * beyond), sample, start), shape=(len(centre), samples))
    return np.asarray((shape.T @ size).T)
