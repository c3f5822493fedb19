"""Atrial activity without P waves: its rate and how regular it is, flutter locked to the ventricles, f waves of V1."""

from __future__ import annotations

import numpy as np
from scipy import signal

from tests.proof.beats import RATE, drawn_straight, middle, smoothed, windows
from tests.proof.shapes import Families

NAN = float("nan")
FLUTTER_BPM = (200, 365)


def residue(leads: np.ndarray, found: Families, onset: int, end: int) -> np.ndarray:
    """Leads (k, n) from which each beat's family average of QRS and T is subtracted; P stays out of the average.

    `onset` and `end` are the QRS bounds relative to the fiducial sample.
    """
    out = leads.copy()
    spacing = np.diff(found.samples)
    typical = float(np.median(spacing)) if len(spacing) else RATE
    before = -onset + 8
    after = int(min(end + 190, max(0.72 * typical, end + 60)))
    for group in np.unique(found.family):
        members = found.samples[found.family == group]
        cut = windows(leads, members, before, after)
        template = np.nan_to_num(middle(cut))
        taper = signal.windows.tukey(template.shape[1], 0.1)
        template = (template - np.median(template, axis=1, keepdims=True)) * taper
        for sample in members:
            low, high = max(sample - before, 0), min(sample + after, leads.shape[1])
            part = template[:, low - sample + before : high - sample + before]
            out[:, low:high] -= part
    return out


def atrial_numbers(leads: np.ndarray, found: Families, onset: int, end: int) -> dict[str, float]:
    """Atrial rate, its spectral concentration and the size of f waves, of II, aVF, V1 (rows of leads)."""
    rest = residue(leads, found, onset, end)
    band = signal.sosfiltfilt(signal.butter(2, [3, 14], "bandpass", fs=RATE, output="sos"), rest, axis=1)
    # What is left of QRS after the subtraction is larger than any atrial wave; it is held down to their size.
    limit = 2.5 * np.percentile(np.abs(band), 60, axis=1, keepdims=True)
    best = max((_peak(lead) for lead in np.clip(band, -limit, limit)), key=lambda item: item[1])
    locked = locked_flutter(leads, found, onset, end)
    if locked[1] > 0:
        best = locked
    quiet = smoothed(rest[-1], 30)
    quiet = quiet - smoothed(quiet, 1.5)
    mask = _tq(found, onset, leads.shape[1])
    strength = float(np.std(quiet[mask])) if mask.sum() > 100 else NAN
    return {"atrial_rate_bpm": best[0], "atrial_regularity": best[1], "f_wave_mv": strength}


def locked_flutter(leads: np.ndarray, found: Families, onset: int, end: int) -> tuple[float, float]:
    """(rate, concentration) of flutter conducted N:1 to regular beats, (nan, 0) where there is none.

    A subtraction of the average beat would take such flutter away. The average cycle without its QRS has its N-th
    harmonic stand alone above its neighbours in flutter; P and T waves give harmonics that fall off smoothly.
    """
    rr = np.diff(found.samples)
    usual = float(np.median(rr)) if len(rr) else 1.0
    pairs = zip(found.samples[:-1], found.samples[1:], strict=True)
    cycles = [pair for pair in pairs if abs(pair[1] - pair[0] - usual) < 0.05 * usual]
    if len(cycles) < max(3, 0.6 * len(rr)):
        return NAN, 0.0
    drawn = drawn_straight(smoothed(leads, 30), found.samples, onset - 6, end + 8)  # without QRS
    mean = np.mean([drawn[:, np.linspace(a, b - 1, 256).astype(int)] for a, b in cycles], axis=0)
    size = np.abs(np.fft.rfft(mean, axis=1))[:, :14] / 128
    best = (NAN, 0.0)
    for times in (2, 3, 4, 5):
        rate = times * 60 * RATE / usual
        if not FLUTTER_BPM[0] <= rate <= FLUTTER_BPM[1]:
            continue
        for row in size:
            alone = row[times] / max(row[times - 1], row[times + 1])
            if alone > 1.8 and row[times] > 0.03 and row[times] >= 0.95 * row[1:].max():
                power = row[2:] ** 2
                share = float((row[times] ** 2 + row[2 * times] ** 2) / power.sum())
                if share > 0.6:
                    best = max(best, (rate, share), key=lambda item: item[1])
    return best


def _peak(lead: np.ndarray) -> tuple[float, float]:
    """(rate, concentration) of the strongest frequency from 3 to 10 Hz, or of its half where that is strong too."""
    frequency, power = signal.welch(lead, fs=RATE, nperseg=min(len(lead), 2500), noverlap=1800, nfft=8192)
    search = (frequency >= 3) & (frequency <= 10)
    peak = float(frequency[search][power[search].argmax()])
    half = (np.abs(frequency - peak / 2) <= 0.3) & (frequency >= 3.5)
    if half.any() and power[half].max() > 0.3 * power[search].max():
        peak = float(frequency[half][power[half].argmax()])
    total = power[(frequency >= 3) & (frequency <= 12)].sum()
    near = (np.abs(frequency - peak) <= 0.4) | (np.abs(frequency - 2 * peak) <= 0.4)
    near &= (frequency >= 3) & (frequency <= 12)
    return peak * 60, float(power[near].sum() / max(total, 1e-12))


def _tq(found: Families, onset: int, n: int) -> np.ndarray:
    """Samples between T and the next P."""
    mask = np.zeros(n, dtype=bool)
    for start, stop in zip(found.samples[:-1], found.samples[1:], strict=True):
        low, high = start + int(0.62 * min(stop - start, 500)), stop + onset - 5
        if stop - start > 330:
            high = stop + onset - 110
        if high > low:
            mask[low:high] = True
    return mask
