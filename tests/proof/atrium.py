"""P waves: those that openecg sees, those that only the averaged beat shows, their shapes and PR intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tests.proof.beats import P_WAVE, RATE, smoothed, spans, windows
from tests.proof.shapes import best_lags

MS = 1000 / RATE
NAN = float("nan")
P_EDGES = (0.08, 0.11)
"""Shares of the averaged P wave's height at which it begins and ends: one for its feet, one that noise does not reach."""

BEFORE_P = 60
LEAST_P_MV = 0.018
"""Samples shown before an averaged P wave's centre, and the least size (rms over leads) of one: the smallest of 40 real
normals is 0.030, flat baselines average to 0.006 to 0.015."""

FAR_PR_MS, FAR_P_MS = (-60.0, 35.0), (-50.0, 50.0)
"""An averaged P wave further than this from openecg's has been measured on the T wave before it, or in part: left out."""

HALF, REACH = 36, 12
"""Samples on either side of a P wave's centre that show it, and by which it may be shifted."""


@dataclass(frozen=True)
class PWaves:
    """P waves of the record: `spans` (m, 2) onset and end in samples; of each beat its P (index) or -1."""

    spans: np.ndarray
    of_beat: np.ndarray


def p_waves(labels: dict[int, np.ndarray], whole: set[int], onsets: np.ndarray) -> PWaves:
    """P waves that at least two of openecg's leads (one near the record's ends) show at the same time.

    `whole` are the leads whose labels reach to the ends; `onsets` the QRS onsets. A P wave begins with the earliest of
    its leads and ends with the latest, outliers left out.
    """
    every = [(*span, lead) for lead, label in labels.items() for span in spans(label, P_WAVE).tolist()]
    every.sort(key=lambda item: item[0] + item[1])
    groups: list[list[tuple[int, int, int]]] = []
    for start, stop, lead in every:
        if groups and (start + stop) / 2 - np.mean([(a + b) / 2 for a, b, _ in groups[-1]]) < 35:
            groups[-1].append((start, stop, lead))
        else:
            groups.append([(start, stop, lead)])
    found = []
    n = len(next(iter(labels.values())))
    for group in groups:
        centre = float(np.mean([(a + b) / 2 for a, b, _ in group]))
        seen = len(labels) if 700 < centre < n - 800 else len(whole)
        if len({lead for *_, lead in group}) >= max(1, round(0.4 * seen)):
            begin = np.array([a for a, _, _ in group])
            stop_ = np.array([b for _, b, _ in group])
            found.append(
                (
                    begin[begin > np.median(begin) - 15].min(),
                    stop_[stop_ < np.median(stop_) + 15].max(),
                )
            )
    table = np.array(found, dtype=float).reshape(-1, 2)
    return PWaves(table, of_beats(table, onsets))


def with_averaged(p: PWaves, mean: np.ndarray | None, onsets: np.ndarray, likeness: np.ndarray) -> PWaves:
    """The P waves with those of the averaged beat added where a beat has none and looks like the average."""
    if mean is None:
        return p
    missing = np.flatnonzero((p.of_beat < 0) & (likeness > 0.5) & (onsets + mean[0] > 0))
    table = np.vstack([p.spans, onsets[missing, None] + mean])
    table = table[np.argsort(table[:, 0], kind="stable")]
    return PWaves(table, of_beats(table, onsets))


def of_beats(table: np.ndarray, onsets: np.ndarray) -> np.ndarray:
    """The last P wave that begins 60 to 420 ms before each onset and after the previous QRS."""
    chosen = np.full(len(onsets), -1)
    for beat, onset in enumerate(onsets):
        lead_in = (onset - table[:, 0]) * MS
        fits = (lead_in > 60) & (lead_in < 420) & (table[:, 1] < onset + 8)
        if beat:
            fits &= table[:, 0] > onsets[beat - 1] + 40
        if fits.any():
            chosen[beat] = int(np.flatnonzero(fits)[-1])
    return chosen


def p_numbers(p: PWaves, beats: str, onsets: np.ndarray) -> dict[str, float]:
    """P per beat, PR and its spread, its growth over pauses, P waves per QRS, P duration."""
    normal = np.array([letter == "N" for letter in beats])
    counted = normal & (onsets > 210)
    pr = np.full(len(beats), NAN)
    with_p = p.of_beat >= 0
    pr[with_p] = (onsets[with_p] - p.spans[p.of_beat[with_p], 0]) * MS
    numbers = dict.fromkeys(("p_per_beat", "pr_ms", "pr_spread_ms", "pr_growth_ms", "p_per_qrs", "p_ms"), NAN)
    if counted.any():
        numbers["p_per_beat"] = float(with_p[counted].mean())
    usable = pr[normal & with_p]
    if len(usable):
        numbers["pr_ms"] = float(np.median(usable))
        numbers["p_ms"] = float(np.median(np.diff(p.spans[p.of_beat[normal & with_p]], axis=1)) * MS)
    if len(usable) >= 3:
        low, high = np.percentile(usable, [10, 90])
        numbers["pr_spread_ms"] = float(high - low)
    numbers["pr_growth_ms"] = _growth(pr, beats, onsets)
    if len(onsets) > 1:
        inside = (p.spans[:, 0] > onsets[0]) & (p.spans[:, 1] < onsets[-1] + 8)
        numbers["p_per_qrs"] = float(inside.sum() / (len(onsets) - 1))
    return numbers


def refined(numbers: dict[str, float], leads: np.ndarray, p: PWaves, beats: str, onsets: np.ndarray) -> None:
    """Sets pr_ms and p_ms to the median of what openecg and the averaged P wave say."""
    averaged = averaged_bounds(leads, p, beats, onsets)
    for name, place, far in (("pr_ms", 0, FAR_PR_MS), ("p_ms", 1, FAR_P_MS)):
        near = [found[place] for found in averaged if far[0] <= found[place] - numbers[name] <= far[1]]
        numbers[name] = float(np.median([numbers[name], *near]))


def averaged_bounds(leads: np.ndarray, p: PWaves, beats: str, onsets: np.ndarray) -> list[tuple[float, float]]:
    """P onset before QRS onset and P duration (ms) of the averaged P wave, for each of `P_EDGES` at which it begins and
    ends within what is averaged; none where there are too few P waves.

    openecg's P waves are all about as long as the usual one. Here the P waves of the N beats are averaged, aligned on
    QRS (on the P wave itself where PR varies), and the wave lasts while its size over all leads exceeds a share of its highest
    point, seen from the straight line through what lies before and after it.
    """
    averaged = _averaged_size(leads, p, beats, onsets)
    if averaged is None:
        return []
    size, peak, middle = averaged
    found = []
    for edge in P_EDGES:
        low = size < edge * size[peak]
        left, right = np.flatnonzero(low[:peak]), np.flatnonzero(low[peak:])
        if len(left) and len(right):
            begin, end = left[-1] + 1, peak + right[0]
            found.append((float((middle + BEFORE_P - begin) * MS), float((end - begin) * MS)))
    return found


def without_guesses(leads: np.ndarray, p: PWaves, beats: str, onsets: np.ndarray) -> PWaves:
    """The P waves, or none at all where their average is no wave: openecg expects one before every QRS, and reports it
    now and then where the baseline is flat."""
    ways = [_averaged_size(leads, p, beats, onsets, steady=steady) for steady in (True, False)]
    if any(way is None or way[0][way[1]] >= LEAST_P_MV for way in ways):
        return p
    return PWaves(np.zeros((0, 2)), np.full(len(onsets), -1))


def _averaged_size(
    leads: np.ndarray, p: PWaves, beats: str, onsets: np.ndarray, steady: bool | None = None
) -> tuple[np.ndarray, int, float] | None:
    """Size over all leads (rms, mV) of the averaged P wave, `BEFORE_P` samples before its centre to after it; where its
    peak is; samples from its centre to QRS onset. `steady`: aligned on QRS, not on each P; None: where PR is steady."""
    use = np.flatnonzero((p.of_beat >= 0) & np.array([letter == "N" for letter in beats]))
    if len(use) < 3:
        return None
    centres = p.spans[p.of_beat[use]].mean(axis=1)
    lead_in = onsets[use] - centres
    middle = float(np.median(lead_in))
    if steady is None:
        steady = bool(np.subtract(*np.percentile(lead_in, [90, 10])) * MS <= 40)
    at = np.round(onsets[use] - middle if steady else centres).astype(int)
    after = int(min(BEFORE_P, middle - 2))
    if after < 15:
        return None
    cut = windows(smoothed(leads, 40), at, BEFORE_P, after)
    cut = cut[np.isfinite(cut).all(axis=(1, 2))]
    if len(cut) < 3:
        return None
    mean = np.median(cut, axis=0)
    first, last = mean[:, :8].mean(axis=1), mean[:, -5:].mean(axis=1)
    share = np.clip((np.arange(mean.shape[1]) - 3.5) / (mean.shape[1] - 6.5), 0, 1)
    size = np.sqrt(((mean - first[:, None] * (1 - share) - last[:, None] * share) ** 2).mean(axis=0))
    peak = BEFORE_P - 20 + int(size[BEFORE_P - 20 : BEFORE_P + min(20, after)].argmax())
    return size, peak, middle


def _growth(pr: np.ndarray, beats: str, onsets: np.ndarray) -> float:
    """Median over pauses of the last PR before minus the first PR after."""
    if len(onsets) < 4:
        return NAN
    rr = np.diff(onsets)
    usual = np.median(rr)
    plain = [beats[i] == "N" and beats[i + 1] == "N" for i in range(len(rr))]
    pauses = [i for i in range(len(rr)) if plain[i] and rr[i] > 1.3 * usual]
    steps = [pr[i] - pr[i + 1] for i in pauses if np.isfinite(pr[i] + pr[i + 1])]
    return float(np.median(steps)) if steps else NAN


def p_images(leads: np.ndarray, p: PWaves) -> tuple[np.ndarray, np.ndarray]:
    """Picture of each beat's P over all leads (beats, k, w + 2 reach), and which beats have one; `REACH` around."""
    has = p.of_beat >= 0
    centres = np.zeros(len(has), dtype=int)
    centres[has] = p.spans[p.of_beat[has]].mean(axis=1).astype(int)
    images = windows(smoothed(leads, 25), centres, HALF + REACH, HALF + REACH)[:, :, ::2]
    has &= np.isfinite(images).all(axis=(1, 2))
    return np.nan_to_num(images), has


def _flat(images: np.ndarray) -> np.ndarray:
    """Images less the straight line through their ends."""
    share = np.linspace(0, 1, images.shape[-1])
    return images - images[..., :1] * (1 - share) - images[..., -1:] * share


def p_likeness(leads: np.ndarray, p: PWaves, reference: np.ndarray) -> np.ndarray:
    """Correlation of each beat's P with the average P of the `reference` beats (mask); nan without one."""
    images, has = p_images(leads, p)
    likeness = np.full(len(has), NAN)
    use = reference & has
    if use.sum() < 2:
        return likeness
    inner = slice(REACH // 2, -(REACH // 2))
    template = _flat(np.median(images[use], axis=0))[:, inner]
    match, _ = best_lags(images, template, REACH // 2)
    likeness[has] = match[has]
    return likeness


def p_shapes(leads: np.ndarray, p: PWaves, beats: str) -> float:
    """Number of clearly different P morphologies among the N beats; nan where fewer than three have a P wave."""
    images, has = p_images(leads, p)
    free = has & np.array([letter == "N" for letter in beats])
    if free.sum() < 3:
        return NAN
    inner = slice(REACH // 2, -(REACH // 2))
    count = 0
    total = free.sum()
    while free.any():
        members = np.flatnonzero(free)
        best: np.ndarray | None = None
        for seed in members:
            match, _ = best_lags(images[members], _flat(images[seed])[:, inner], REACH // 2)
            like = members[match > 0.6]
            if best is None or len(like) > len(best):
                best = like
        assert best is not None
        if len(best) < max(2, 0.12 * total):
            break
        count += 1
        template = _flat(np.median(images[best], axis=0))[:, inner]
        match, _ = best_lags(images[members], template, REACH // 2)
        free[best] = False
        free[members[match > 0.55]] = False
    return float(max(count, 1))


def averaged_p(leads: np.ndarray, onsets: np.ndarray, beats: str, t_end: float) -> np.ndarray | None:
    """Onset and end (samples before the QRS onset, negative) of a P wave that the average of the N beats shows, or None.

    For beats whose P waves openecg misses: on the T wave before, or small. `t_end` is QT in samples. The average over
    the beats must have a bump 60 to 300 ms before QRS that is not the T wave itself and that exceeds what is left of
    chance: fibrillatory waves average out, those of single beats differ.
    """
    chosen = np.array([index for index, letter in enumerate(beats) if letter == "N" and index > 0])
    if len(chosen) < 4 or not np.isfinite(t_end):
        return None
    length = 160
    cut = windows(smoothed(leads, 25), onsets[chosen], length, 0)
    cut = cut[np.isfinite(cut).all(axis=(1, 2))]
    if len(cut) < 4:
        return None
    cycle = float(np.median(np.diff(onsets)))
    if cycle < 200:  # over 150 a minute P and T cannot be told apart this way
        return None
    # Only what follows T counts; where P lies close, what follows the last part of its downslope.
    first = max(int(length - (cycle - t_end)), 0) if cycle - t_end > 60 else max(int(length - (cycle - t_end)) - 20, 0)
    mean = np.median(cut, axis=0)
    spread = np.median(np.abs(cut - mean), axis=0) * 1.48 * 1.25 / np.sqrt(len(cut))
    votes: list[int] = []
    for row, doubt in zip(mean, spread, strict=True):
        votes += _bumps(row, doubt, first)
    if len(votes) < 4:
        return None
    centre = float(np.median(votes))
    near = [vote for vote in votes if abs(vote - centre) <= 15]
    if len(near) < max(4, 0.6 * len(votes)):
        return None
    middle = float(np.median(near)) - length
    return np.array([middle - 27, middle + 27])


def _bumps(row: np.ndarray, doubt: np.ndarray, first: int) -> list[int]:
    """Peak, in one averaged lead, of a wave of P's width; at most one."""
    best: tuple[float, int] | None = None
    for centre in range(max(first + 18, 32), len(row) - 26):
        left, right = row[max(centre - 32, first)], row[min(centre + 32, len(row) - 4)]
        height = row[centre] - (left + right) / 2
        local = row[centre - 12 : centre + 13]
        extreme = row[centre] in (local.max(), local.min())
        strong = abs(height) > max(0.02, 5 * doubt[centre])
        same = (row[centre] - left) * (row[centre] - right) > 0
        if extreme and strong and same and (best is None or abs(height) > best[0]):
            best = (abs(height), centre)
    return [best[1]] if best else []
