"""P waves that no QRS follows, on the T wave or in a pause: found by their likeness to the other P waves."""

from __future__ import annotations

import numpy as np
from scipy import signal

from tests.proof.atrium import PWaves, of_beats
from tests.proof.beats import middle, smoothed, windows

HALF = 30
"""Samples on either side of a P wave's centre that are compared (60 ms)."""
SHORT = 42
LONGEST = 900
"""Samples after a QRS onset that are searched."""
INDEPENDENT = [0, 1, 6, 7, 8, 9, 10, 11]


def with_hidden(leads: np.ndarray, p: PWaves, onsets: np.ndarray, beats: str, qrs: int, qt: int) -> PWaves:
    """`p` with the P waves added that lie between QRS end and the next P and look like the known ones.

    The average QRST of the beats that no pause follows is taken away first, so that a P on T shows. `qrs` and
    `qt` are in samples. Nothing is sought where P waves are the exception.
    """
    if len(p.spans) < max(3, 0.45 * len(onsets)) or len(onsets) < 4:
        return p
    light = smoothed(leads[INDEPENDENT], 25)
    centres = p.spans.mean(axis=1).astype(int)
    pattern = middle(windows(light, centres, HALF, HALF))
    if not np.isfinite(pattern).all():
        return p
    length = np.median(np.diff(p.spans, axis=1)) / 2
    stops = _searched_until(p, onsets)
    segments = windows(light, onsets, 0, LONGEST)
    for beat, stop in enumerate(stops):
        segments[beat, :, max(stop, 0) :] = np.nan
    rest = segments - _template(segments, onsets, beats, qt)
    found: list[float] = []
    for beat in range(len(onsets) - 1):
        if beats[beat] == "V" or stops[beat] - qrs - 20 < 2 * HALF:
            continue
        part = rest[beat][:, qrs + 20 : stops[beat]]
        # Where the average ends within a P wave, its first two thirds must do.
        places = _matches(part, pattern, 0.72) or _matches(part, pattern[:, :SHORT], 0.82)
        for place in places:
            centre = onsets[beat] + qrs + 20 + place
            if np.abs(p.spans.mean(axis=1) - centre).min() > 70:
                found.append(centre)
    timely = _in_time(np.array(sorted(found)), centres)
    if not len(timely):
        return p
    added = timely[:, None] + np.array([-length, length])
    table = np.vstack([p.spans, added])
    table = table[np.argsort(table[:, 0], kind="stable")]
    return PWaves(table, of_beats(table, onsets))


def _in_time(found: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Of the places found those at one atrial cycle from another P wave, or half way in most intervals (2:1 block)."""
    if not len(found):
        return found
    steps = np.diff(known)
    halves = [(known[:-1] < place) & (known[1:] > place) for place in found]
    share = [((place - known[:-1]) / steps)[inside] for place, inside in zip(found, halves, strict=True)]
    midway = np.array([bool(len(part)) and 0.38 < part[0] < 0.62 for part in share])
    if midway.sum() >= 0.6 * len(steps):
        return found[midway]
    cycle = float(np.percentile(steps, 25))
    every = np.sort(np.concatenate([known, found]))
    place = np.searchsorted(every, found)
    before = found - every[np.maximum(place - 1, 0)]
    after = every[np.minimum(place + 1, len(every) - 1)] - found
    timely = (np.abs(before / cycle - 1) < 0.14) | (np.abs(after / cycle - 1) < 0.14)
    crowded = ((before > 0) & (before < 0.7 * cycle)) | ((after > 0) & (after < 0.7 * cycle))
    return found[timely & ~crowded]


def free_p(leads: np.ndarray, onsets: np.ndarray, qt: int) -> np.ndarray:
    """Spans (m, 2) of like waves, 0.3 s apart at least, in the long pauses between T and QRS of a slow rhythm.

    For complete block: openecg finds few of the P waves that belong to no QRS. Fibrillation and flutter have several
    waves in 0.3 s and give none.
    """
    nothing = np.zeros((0, 2))
    if len(onsets) < 4 or np.median(np.diff(onsets)) < 450:
        return nothing
    light = smoothed(leads[INDEPENDENT], 20)
    size = np.linalg.norm(light - smoothed(light, 1.5), axis=0)
    places: list[int] = []
    for start, stop in zip(onsets[:-1] + qt + 30, onsets[1:] - 20, strict=True):
        if stop - start > 2 * HALF:
            part = size[start:stop]
            tall = max(0.05, 1.8 * float(np.median(part)))
            places += (start + signal.find_peaks(part, height=tall, distance=40, prominence=0.4 * tall)[0]).tolist()
    inside = [a for a in places if HALF <= a < leads.shape[1] - HALF]
    if len(inside) < 4 or np.percentile(np.diff(inside), 10) < 150:
        return nothing
    views = _levelled(windows(light, np.array(inside), HALF, HALF)).reshape(len(inside), -1)
    views /= np.linalg.norm(views, axis=1, keepdims=True) + 1e-9
    like = views @ views[(views @ views.T > 0.8).sum(axis=1).argmax()] > 0.8
    if like.sum() < max(4, 0.6 * len(inside)):
        return nothing
    return np.array(inside)[like, None] + np.array([-25.0, 25.0])


def _searched_until(p: PWaves, onsets: np.ndarray) -> np.ndarray:
    """Samples after each QRS onset at which the next beat's P, or else its QRS, begins."""
    after = np.append(np.diff(onsets), LONGEST)
    stops = after - 10
    for beat in range(len(onsets) - 1):
        index = p.of_beat[beat + 1]
        if index >= 0:
            stops[beat] = int(p.spans[index, 0]) - onsets[beat] - 5
    return np.clip(stops, 0, LONGEST).astype(int)


def _template(segments: np.ndarray, onsets: np.ndarray, beats: str, qt: int) -> np.ndarray:
    """Median QRST (k, LONGEST) of the N beats that no pause follows; nan where it is not known, zero well after T."""
    after = np.append(np.diff(onsets), np.inf)
    normal = np.array([letter == "N" for letter in beats])
    short = np.percentile(after[:-1], 25)
    plain = normal & (after < 1.2 * short)
    if plain.sum() < 2:
        plain = normal
    chosen = segments[plain]
    enough = np.isfinite(chosen).all(axis=1).sum(axis=0) >= 2
    last = int(np.flatnonzero(enough)[-1]) if enough.any() else 0
    out = np.full(segments.shape[1:], np.nan)
    out[:, enough] = middle(chosen[:, :, enough])
    if last >= qt - 30:
        # From where the next P begins, what is left of T runs out over 160 ms.
        fade = np.clip(1 - np.arange(LONGEST - last) / 80, 0, 1)
        out[:, last:] = out[:, [last]] * fade
    else:
        out[:, qt + 40 :] = 0.0
    return out


def _matches(part: np.ndarray, pattern: np.ndarray, least: float) -> list[int]:
    """Centres in `part` (k, n) where it looks like the pattern (k, w) in shape and size, best first."""
    if part.shape[1] < pattern.shape[1]:
        return []
    views = np.lib.stride_tricks.sliding_window_view(part, pattern.shape[1], axis=1).transpose(1, 0, 2)
    usable = np.isfinite(views).all(axis=(1, 2))
    shapes = _levelled(np.nan_to_num(views)).reshape(len(views), -1)
    wanted = _levelled(pattern).ravel()
    size = np.linalg.norm(wanted) + 1e-9
    project = shapes @ wanted / size
    match = np.where(usable, project / (np.linalg.norm(shapes, axis=1) + 1e-9), 0.0)
    match[(project < 0.45 * size) | (project > 2.0 * size)] = 0.0
    places: list[int] = []
    while match.size and match.max() > least:
        best = int(match.argmax())
        places.append(best + HALF)
        match[max(best - 100, 0) : best + 101] = 0.0
    return places


def _levelled(waves: np.ndarray) -> np.ndarray:
    """Waves less the straight line through their ends."""
    share = np.linspace(0, 1, waves.shape[-1])
    first, last = waves[..., :4].mean(axis=-1), waves[..., -4:].mean(axis=-1)
    return waves - first[..., None] * (1 - share) - last[..., None] * share
