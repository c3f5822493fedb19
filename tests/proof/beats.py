"""Heart beats of a record of any number of leads: cleaned signal, pacing spikes, openecg's labels, QRS times.

QRS complexes are peaks of the spatial velocity that two witnesses at least confirm: wfdb's xqrs on three leads and
openecg's delineation. Everything runs at 500 Hz.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import wfdb.processing
from openecg.deploy import OnnxCodec
from scipy import signal

RATE = 500
WINDOW = 5000
"""Samples that openecg's model sees at once; it labels the inner part only."""
NOTHING, P_WAVE, QRS, T_WAVE = 0, 1, 2, 3


@cache
def codec() -> OnnxCodec:
    """openecg's bundled model, opened once."""
    return OnnxCodec()


def at_working_rate(leads: np.ndarray, rate: float) -> np.ndarray:
    """(k, n) at 500 Hz."""
    leads = np.asarray(leads, dtype=float)
    if rate == RATE:
        return leads
    return signal.resample_poly(leads, RATE * 10, round(rate * 10), axis=1)


def find_spikes(leads: np.ndarray) -> np.ndarray:
    """Samples of pacing spikes: a jump within 6 ms out of quiet, several times sharper than the QRS near it.

    The sharpest R peak can bend as much as a small spike, but the leads already move during the 20 ms before it.
    """
    bend = np.pad(np.abs(np.diff(leads, 2, axis=1)), ((0, 0), (1, 1)))
    height = np.sort(bend, axis=0)[-3:].mean(axis=0)
    speed = velocity(leads)
    peaks, _ = signal.find_peaks(height, height=0.2, distance=10)
    found = []
    for peak in peaks:
        around = np.r_[height[max(peak - 30, 0) : max(peak - 4, 0)], height[peak + 5 : peak + 31]]
        before = speed[max(peak - 14, 0) : max(peak - 4, 0)]
        if len(around) < 20 or len(before) < 5:
            continue
        sharp = height[peak] > 3 * np.percentile(around, 90) + 0.05
        quiet = 0.12 if height[peak] < 0.6 else 0.25
        if sharp and np.percentile(before, 70) < quiet * speed[peak - 2 : peak + 3].max():
            found.append(peak)
    return np.array(found, dtype=int)


def without_spikes(leads: np.ndarray, spikes: np.ndarray) -> np.ndarray:
    """The leads with 8 ms before to 12 ms after each spike drawn straight."""
    return drawn_straight(leads, spikes, -4, 6)


def drawn_straight(leads: np.ndarray, samples: np.ndarray, before: int, after: int) -> np.ndarray:
    """The leads with a straight line from `before` (negative) to `after` samples around each of the samples."""
    out = leads.copy()
    for sample in samples:
        low, high = max(sample + before, 0), min(sample + after, leads.shape[1] - 1)
        share = np.linspace(0, 1, high - low + 1)
        out[:, low : high + 1] = out[:, [low]] * (1 - share) + out[:, [high]] * share
    return out


def cleaned(leads: np.ndarray) -> np.ndarray:
    """Without baseline wander (zero-phase high-pass, 0.4 Hz) and steady mains hum (a fitted sine); bandwidth kept."""
    n = leads.shape[1]
    sos = signal.butter(2, 0.4, "highpass", fs=RATE, output="sos")
    out = signal.sosfiltfilt(sos, leads, axis=1, padtype="odd", padlen=min(n - 1, 1500))
    time = np.arange(n) / RATE
    for mains in (50.0, 60.0):
        waves = np.exp(2j * np.pi * mains * time)
        weight = out @ waves.conj() * 2 / n
        out = out - np.real(weight[:, None] * waves)
    return out


def smoothed(leads: np.ndarray, cut: float) -> np.ndarray:
    """Zero-phase low-pass."""
    return signal.sosfiltfilt(signal.butter(2, cut, fs=RATE, output="sos"), leads, axis=-1)


def delineated(lead: np.ndarray, whole: bool = True) -> np.ndarray:
    """openecg's wave class of each sample (n,), from overlapping windows whose inner half is trusted.

    `whole` also labels the record's first and last seconds, from a window in which its end meets its beginning.
    """
    n = len(lead)
    labels = np.zeros(n, dtype=np.uint8)
    starts = [0] if n <= WINDOW and not whole else list(range(-WINDOW // 2, n - WINDOW // 4, WINDOW // 2))
    if n == WINDOW and whole:
        starts = [0, WINDOW // 2]
    for start in starts:
        index = np.arange(start, start + WINDOW) % n
        found = codec().encode(lead[index], fs=RATE).channels[0]
        inner = slice(0, WINDOW) if not whole else slice(WINDOW // 4, 3 * WINDOW // 4)
        labels[index[inner]] = np.where(found[inner] == 4, QRS, found[inner])
    return labels


def spans(labels: np.ndarray, wave: int) -> np.ndarray:
    """(m, 2) start and end (exclusive) of the runs of one class, those under 16 ms left out."""
    edges = np.flatnonzero(np.diff((labels == wave).astype(np.int8), prepend=0, append=0)).reshape(-1, 2)
    return edges[edges[:, 1] - edges[:, 0] >= 8]


def small_as_p(labels: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Labels in which what openecg took for QRS, and is none, counts as P: in complete block it mistakes the two."""
    out = labels.copy()
    for start, stop in spans(labels, QRS):
        if np.abs(samples - (start + stop) / 2).min() > 60 and stop - start < 75:
            out[start:stop] = P_WAVE
    return out


def velocity(leads: np.ndarray) -> np.ndarray:
    """Length of the change per sample over all leads, mV a sample."""
    return np.sqrt((np.gradient(leads, axis=-1) ** 2).sum(axis=-2))


def qrs_samples(leads: np.ndarray, witnesses: list[np.ndarray]) -> np.ndarray:
    """Samples of the QRS complexes of cleaned leads (k, n); `witnesses` are openecg's labels of some of them."""
    band = signal.sosfiltfilt(signal.butter(2, [5, 30], "bandpass", fs=RATE, output="sos"), leads, axis=1)
    power = np.gradient(band, axis=1) ** 2
    # Without the lead that moves most, one loose chest electrode makes no beat (PTB-XL 292, 421).
    agreed = power.sum(axis=0) - (power.max(axis=0) if len(power) > 2 else 0.0)
    energy = signal.convolve(np.sqrt(np.maximum(agreed, 0.0)), np.hanning(41) / 20, mode="same")
    candidates, _ = signal.find_peaks(energy, distance=90)
    candidates = candidates[(candidates > 15) & (candidates < leads.shape[1] - 15)]
    if not candidates.size:
        return candidates
    votes = _votes(candidates, leads, witnesses)
    light = smoothed(leads, 20)
    size = np.array([_size(light[:, max(c - 30, 0) : c + 31]) for c in candidates])
    accepted = _accepted(energy[candidates], size, votes, 2 if len(leads) > 2 else 1)
    kept = _not_doubled(candidates[accepted], energy, votes[accepted])
    return _centred(kept, velocity(band) ** 2)


def _size(part: np.ndarray) -> float:
    """Length of the peak-to-peak amplitudes of all leads but the largest, which one loose electrode may have made."""
    heights = np.sort(np.ptp(part, axis=1))
    return float(np.linalg.norm(heights[:-1] if len(heights) > 2 else heights))


def _votes(candidates: np.ndarray, leads: np.ndarray, witnesses: list[np.ndarray]) -> np.ndarray:
    """Number of leads in which xqrs, and in which openecg, sees a QRS at each candidate."""
    votes = np.zeros(len(candidates))
    for lead in sorted({min(index, len(leads) - 1) for index in (1, 7, 10)}):
        found = np.asarray(wfdb.processing.xqrs_detect(leads[lead, ::2], fs=RATE / 2, verbose=False), dtype=int) * 2
        if found.size:
            votes += _nearest(candidates, found) <= 50
    for labels in witnesses:
        middle = spans(labels, QRS).mean(axis=1)
        if middle.size:
            votes += _nearest(candidates, middle) <= 40
    return votes


def _accepted(energy: np.ndarray, size: np.ndarray, votes: np.ndarray, needed: int) -> np.ndarray:
    """Candidates with enough witnesses that are no P or T; and those so large that one witness will do.

    Witnesses miss beats while they learn, and slow ventricular ones; they take P waves for QRS in complete block.
    """
    seen = votes >= needed
    if not seen.any():
        return seen
    usual, usual_size = np.percentile(energy[seen], 80), np.percentile(size[seen], 80)
    seen &= (energy > 0.35 * usual) | (size > 0.4 * usual_size)
    small = energy[(votes < needed) & (energy < 0.13 * usual)]
    floor = 2 * np.percentile(small, 95) if small.size else 0.0
    large = (energy > max(0.13 * usual, floor)) & (size > 0.5 * usual_size)
    return seen | ((votes > 0) & (large | (energy > 0.6 * usual)))


def _centred(samples: np.ndarray, power: np.ndarray, reach: int = 40) -> np.ndarray:
    """Each sample moved to the centre of its complex's power, so that a wide QRS is not met on either flank."""
    out = samples.copy()
    for index, sample in enumerate(samples):
        centre = int(sample)
        for _ in range(4):
            low, high = max(centre - reach, 0), min(centre + reach + 1, len(power))
            part = power[low:high]
            centre = round(float((np.arange(low, high) * part).sum() / (part.sum() + 1e-12)))
        out[index] = centre
    return out


def _nearest(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Distance of each point to the nearest of the others."""
    return np.abs(points[:, None] - others[None, :]).min(axis=1)


def _not_doubled(samples: np.ndarray, energy: np.ndarray, votes: np.ndarray) -> np.ndarray:
    """Of two peaks within 240 ms the one with more votes, then the larger."""
    kept: list[int] = []
    rank: list[tuple[float, float]] = []
    for sample, vote in zip(samples, votes, strict=True):
        mine = (float(vote), float(energy[sample]))
        if kept and sample - kept[-1] < 120:
            if mine > rank[-1]:
                kept[-1], rank[-1] = int(sample), mine
            continue
        kept.append(int(sample))
        rank.append(mine)
    return np.array(kept, dtype=int)


def windows(leads: np.ndarray, samples: np.ndarray, before: int, after: int) -> np.ndarray:
    """(beats, k, before + after); nan outside the record."""
    padded = np.pad(leads, ((0, 0), (before, after)), constant_values=np.nan)
    index = samples[:, None] + np.arange(before + after)
    return padded[:, index].transpose(1, 0, 2)


def middle(cuts: np.ndarray) -> np.ndarray:
    """Median over the first axis without the nan of it; nan where there is nothing else."""
    count = np.isfinite(cuts).sum(axis=0)
    ordered = np.sort(cuts, axis=0)  # nan sorts to the end
    low, high = np.maximum(count - 1, 0) // 2, count // 2
    high = np.minimum(high, len(cuts) - 1)
    picked = [np.take_along_axis(ordered, place[None], axis=0)[0] for place in (low, high)]
    return np.where(count > 0, (picked[0] + picked[1]) / 2, np.nan)
