"""Beats by the shape of their QRS: alignment, groups of like beats, width of each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import signal

from tests.proof.beats import RATE, smoothed, velocity, windows


@dataclass(frozen=True)
class Families:
    """Beats by QRS shape: `family` (beats,), 0 the dominant one; `samples` aligned; `match` with the dominant QRS."""

    samples: np.ndarray
    family: np.ndarray
    match: np.ndarray
    width_ms: np.ndarray


def best_lags(segments: np.ndarray, template: np.ndarray, reach: int) -> tuple[np.ndarray, np.ndarray]:
    """Correlation (beats,) of segments (beats, k, w + 2 reach) with a template (k, w) at the best lag, and that lag."""
    width = template.shape[1]
    centred = template - template.mean(axis=1, keepdims=True)
    flat = centred.ravel() / (np.linalg.norm(centred) + 1e-9)
    scores = []
    for lag in range(2 * reach + 1):
        part = segments[:, :, lag : lag + width]
        part = part - part.mean(axis=2, keepdims=True)
        rows = part.reshape(len(part), -1)
        scores.append(rows @ flat / (np.linalg.norm(rows, axis=1) + 1e-9))
    table = np.array(scores)
    best = table.argmax(axis=0)
    return table[best, np.arange(len(segments))], best - reach


def families(leads: np.ndarray, samples: np.ndarray, alike: float = 0.86) -> Families:
    """Groups beats whose QRS correlates by more than `alike` over all leads; the dominant group comes first.

    The dominant group is the largest; a clearly narrower one with at least a quarter of the beats goes before it,
    because ectopic beats may outnumber the conducted ones.
    """
    reach, before, after = 20, 44, 64
    light = smoothed(leads, 40)
    independent = light[[0, 1, *range(6, len(light))]] if len(light) == 12 else light
    segments = np.nan_to_num(windows(independent, samples, before + reach, after + reach))[:, :, ::2]
    family = np.full(len(samples), -1)
    shifted = samples.copy()
    group = 0
    while (family < 0).any():
        free = np.flatnonzero(family < 0)
        members, lags = _densest(segments, free, reach // 2, alike)
        family[members], shifted[members] = group, samples[members] + 2 * lags
        group += 1
    widths = beat_widths(light, shifted)
    order = _order(family, widths)
    family = np.array([order.index(value) for value in family])
    dominant = np.median(np.nan_to_num(windows(independent, shifted[family == 0], before, after)), axis=0)
    near = np.nan_to_num(windows(independent, shifted, before + 6, after + 6))
    match, lag = best_lags(near, dominant, 6)
    return Families(np.where(match > alike, shifted + lag, shifted), family, match, widths)


def _densest(segments: np.ndarray, free: np.ndarray, reach: int, alike: float) -> tuple[np.ndarray, np.ndarray]:
    """Of the beats still free the one with most others like it: all of its group, and their lags."""
    inner = segments[free][:, :, reach:-reach]
    best: tuple[np.ndarray, np.ndarray] | None = None
    for index in range(0, len(free), max(1, len(free) // 8)):
        match, lag = best_lags(segments[free], inner[index], reach)
        like = match > alike
        like[index] = True
        if best is None or like.sum() > len(best[0]):
            best = (free[like], lag[like])
    assert best is not None
    return best


def beat_widths(light: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """QRS duration (ms) of each single beat: the time its spatial velocity stays above 12 % of its peak."""
    speed = signal.convolve(velocity(light), np.ones(9) / 9, mode="same")
    cut = np.nan_to_num(windows(speed[None], samples, 80, 100)[:, 0])
    widths = np.zeros(len(samples))
    for index, beat in enumerate(cut):
        centre = 40 + int(beat[40:140].argmax())
        low, high = centre, centre
        level = 0.13 * beat[centre]
        while low > 0 and (beat[max(low - 8, 0) : low] > level).any():
            low -= 1
        while high < len(beat) - 1 and (beat[high + 1 : high + 9] > level).any():
            high += 1
        widths[index] = (high - low) * 1000 / RATE
    return widths


def _order(family: np.ndarray, widths: np.ndarray) -> list[int]:
    """Families, the dominant first."""
    counts = np.bincount(family)
    width = [float(np.median(widths[family == group])) for group in range(len(counts))]
    order = sorted(range(len(counts)), key=lambda group: -counts[group])
    for group in order[1:]:
        enough = counts[group] >= max(2, 0.25 * len(family))
        if enough and width[group] < width[order[0]] - 25:
            order.remove(group)
            order.insert(0, group)
            break
    return order
