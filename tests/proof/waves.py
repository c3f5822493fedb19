"""Waves of the median beat: QRS onset and end over all leads, Q R S R' by lead, ST, T and its end, P."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tests.proof.beats import QRS, RATE, T_WAVE, middle, smoothed, spans, velocity, windows
from tests.proof.shapes import Families

BEFORE, AFTER = 250, 400
"""Samples of the median beat before and after its fiducial point: 0.5 s and 0.8 s."""
MS = 1000 / RATE
LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")


@dataclass(frozen=True)
class Beat:
    """The median beat `wave` (12, BEFORE + AFTER), mV, zero just before QRS; samples of its onset, end and T end."""

    wave: np.ndarray
    onset: int
    end: int
    t_end: float


def median_beat(leads: np.ndarray, found: Families, chosen: np.ndarray, labels: dict[int, np.ndarray]) -> Beat:
    """The median over the `chosen` beats, delineated; `labels` are openecg's by lead index."""
    samples = found.samples[chosen]
    wave = middle(windows(leads, samples, BEFORE, AFTER))
    wave = np.nan_to_num(wave)
    onset, end = qrs_bounds(wave)
    onset, end = _with_openecg(onset, end, samples, labels)
    wave = wave - np.median(wave[:, max(onset - 10, 0) : max(onset - 1, 1)], axis=1, keepdims=True)
    spacing = np.diff(found.samples)
    rr = float(np.median(spacing)) if len(spacing) else RATE
    return Beat(wave, onset, end, t_end(wave, onset, end, rr, samples, labels))


def qrs_bounds(wave: np.ndarray) -> tuple[int, int]:
    """Onset and end (samples) by the spatial velocity of all leads, as in the CSE working party's global method.

    The velocity must stay under 4 % of its peak, or near its level in the PR and ST segment, for 16 ms.
    """
    speed = velocity(smoothed(wave, 70))
    speed = np.convolve(speed, np.ones(3) / 3, mode="same")
    area = slice(BEFORE - 50, BEFORE + 60)
    peak = BEFORE - 50 + int(speed[area].argmax())
    top = speed[peak]
    rest = np.percentile(speed[peak - 90 : peak - 25], 30)
    onset = peak
    level = max(0.038 * top, 1.9 * rest)
    while onset > peak - 80 and (speed[onset - 8 : onset] > level).any():
        onset -= 1
    late = np.percentile(speed[peak + 50 : peak + 110], 30)
    end = peak
    level = max(0.042 * top, 1.8 * late)
    while end < peak + 110 and (speed[end + 1 : end + 9] > level).any():
        end += 1
    return onset, end


def _with_openecg(onset: int, end: int, samples: np.ndarray, labels: dict[int, np.ndarray]) -> tuple[int, int]:
    """Bounds no more than 16 ms outside the earliest and the latest that openecg saw in one of its leads.

    Its own bounds are too wide where no P wave precedes, so they do not widen anything.
    """
    starts, stops = [], []
    for label in labels.values():
        found = spans(label, QRS)
        if not len(found):
            continue
        offset = found[:, None, :] - samples[None, :, None]
        near = np.abs(offset.mean(axis=2)).argmin(axis=0)
        picked = offset[near, np.arange(len(samples))]
        picked = picked[np.abs(picked.mean(axis=1)) < 50]
        if len(picked) >= max(1, 0.3 * len(samples)):
            starts.append(float(np.median(picked[:, 0])) + BEFORE)
            stops.append(float(np.median(picked[:, 1])) + BEFORE)
    if len(starts) < 2:
        return onset, end
    early, late = sorted(starts)[0], sorted(stops)[-1]
    return max(onset, round(early) - 8), min(end, round(late) + 8)


def t_end(
    wave: np.ndarray, onset: int, end: int, rr: float, samples: np.ndarray, labels: dict[int, np.ndarray]
) -> float:
    """End of T in samples of the median beat: median over the leads with a clear T; nan where none has one.

    The tangent at the steepest place after the peak meets the isoelectric line (Lepeschkin and Surawicz 1952);
    openecg's T ends vote as further leads.
    """
    flat = smoothed(wave, 20)
    last = int(onset + min(0.50 * (rr / RATE) ** (1 / 3) * RATE, 0.70 * rr))
    start = end + 20
    last = min(last, wave.shape[1] - 60)
    ends: list[float] = []
    if last - start > 20:
        for lead in flat:
            ends += _tangent(lead, start, last, round(onset + 0.92 * rr))
    for label in labels.values():
        ends += _openecg_t_end(label, samples, end)
    return float(np.percentile(ends, 65)) if len(ends) >= 2 else float("nan")


def _tangent(lead: np.ndarray, start: int, last: int, limit: int) -> list[float]:
    part = lead[start:last]
    peak = start + int(np.abs(part).argmax())
    height = lead[peak]
    if abs(height) < 0.1 or peak in (start, last - 1):
        return []
    tail = lead[peak : min(peak + 70, limit, len(lead))] * np.sign(height)
    if len(tail) < 15:
        return []
    slope = np.gradient(tail)
    steepest = int(slope.argmin())
    if slope[steepest] > -0.0008:
        return []
    return [peak + steepest - tail[steepest] / slope[steepest]]


def _openecg_t_end(label: np.ndarray, samples: np.ndarray, end: int) -> list[float]:
    found = spans(label, T_WAVE)
    if not len(found):
        return []
    ends = []
    for sample in samples:
        after = found[found[:, 0] > sample + (end - BEFORE)]
        if len(after) and after[0, 0] - sample < 250:
            ends.append(after[0, 1] - sample + BEFORE)
    return [float(np.median(ends))] if len(ends) >= max(2, 0.4 * len(samples)) else []


def lead_values(beat: Beat) -> dict[str, dict[str, float]]:
    """Lead -> amplitudes (mV) and durations (ms) of the waves of QRS, ST and T."""
    return {lead: _one_lead(beat.wave[index], beat) for index, lead in enumerate(LEADS)}


def _one_lead(wave: np.ndarray, beat: Beat) -> dict[str, float]:
    light = smoothed(wave, 100)
    qrs = light[beat.onset : beat.end + 1]
    values = qrs_waves(qrs)
    values["qrs_pp_mv"] = float(np.ptp(qrs))
    values["net_mv"] = float(qrs.max() + qrs.min())
    after = beat.end + round(40 / MS)
    values["st_mv"] = float(np.mean(light[after - 2 : after + 3]))
    stop = beat.t_end + 10 if np.isfinite(beat.t_end) else beat.end + 160
    part = smoothed(wave, 30)[after : max(int(stop), after + 20)]
    values["t_mv"] = float(part[np.abs(part).argmax()])
    return values


def qrs_waves(qrs: np.ndarray, least: float = 0.03) -> dict[str, float]:
    """Q, R, S and R' of one lead's QRS (zero is its isoelectric level); waves under `least` mV or 6 ms do not count."""
    names = ("q", "r", "s", "r2")
    values = {f"{name}_{unit}": 0.0 for name in names for unit in ("mv", "ms")}
    waves = _deflections(qrs, least)
    if not any(height > 0 for height, _ in waves):
        if waves:
            values["q_mv"] = -min(height for height, _ in waves)
            values["q_ms"] = len(qrs) * MS
        return values
    place = 0
    for height, length in waves:
        if height < 0 and place == 0:
            name = "q"
        elif height > 0:
            name = "r" if place == 0 else "r2"
            place = 1 if place == 0 else 3
        elif place == 1:
            name = "s"
            place = 2
        else:
            name = "s"
        if abs(height) > values[f"{name}_mv"]:
            values[f"{name}_mv"], values[f"{name}_ms"] = abs(height), length * MS
    return values


def _deflections(qrs: np.ndarray, least: float) -> list[tuple[float, int]]:
    """(signed height, samples) of the runs of one sign, neighbours of one sign joined where a small run is dropped."""
    sign = np.sign(qrs)
    edges = np.flatnonzero(np.diff(sign)) + 1
    runs: list[tuple[float, int]] = []
    for part in np.split(qrs, edges):
        height = float(part[np.abs(part).argmax()])
        if abs(height) < least or len(part) < 3:
            continue
        if runs and runs[-1][0] * height > 0:
            runs[-1] = (max(runs[-1][0], height, key=abs), runs[-1][1] + len(part))
        else:
            runs.append((height, len(part)))
    return runs
