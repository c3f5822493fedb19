"""Any 12-lead signal -> the store's form: int16, 1 count = 1 µV, 500 Hz, 10 s."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np

from ecgbench.ecg.formats.digital import DigitalLeads
from ecgbench.ecg.recording import LEADS, STORE_RATE, STORE_SAMPLES, STORE_SECONDS, DamagedRecordError

COUNTS_PER_MV = 1000
MIN_SECONDS = 5
MARGIN_SECONDS = 1
"""Read on either side of a window of a longer recording, so that the resampling filter meets no edge."""
CLIP = 32767
LARGEST_RATIO = 10_000

Window = Literal["first", "middle", "all"]
"""Which 10 s of a longer recording."""


@dataclass(frozen=True)
class StoredSignal:
    """`counts`: int16 (12, 5000). `lead_mask`: which leads are real. `valid_samples`: the rest is padding."""

    counts: np.ndarray
    lead_mask: tuple[bool, ...]
    valid_samples: int
    clipped: bool
    resampled: bool


def derive_limb_leads(leads: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The given leads and those that follow from I and II: III (Einthoven 1913), aVR, aVL, aVF (Goldberger 1942)."""
    full = dict(leads)
    if "I" in full and "II" in full:
        one, two = full["I"], full["II"]
        with np.errstate(invalid="ignore"):  # infinite samples are refused later, by name
            for name, derived in (
                ("III", two - one),
                ("aVR", -(one + two) / 2),
                ("aVL", one - two / 2),
                ("aVF", two - one / 2),
            ):
                full.setdefault(name, derived)
    return full


def resample(signal: np.ndarray, rate: float, target: int) -> np.ndarray:
    """Band-limited resampling along the last axis by a polyphase filter (no slicing or linear interpolation: they
    alias). The ratio of the rates is exact where it is one of whole numbers up to `LARGEST_RATIO`; else it is the nearest
    such: 10 s are then right to a thousandth of a second, and no odd rate asks for an endless filter."""
    if rate == target:
        return signal
    from scipy.signal import resample_poly

    ratio = (Fraction(target) / Fraction(rate).limit_denominator(1000)).limit_denominator(LARGEST_RATIO)
    return np.asarray(resample_poly(signal, ratio.numerator, ratio.denominator, axis=-1, padtype="line"))


def window_starts(samples: int, rate: float, window: Window) -> tuple[float, ...]:
    """Where the 10-s windows of a recording begin, in seconds: its `first`, its `middle`, or `all`, one after another,
    the last one only where it has the 5 s that a record needs."""
    seconds = samples / rate
    if window == "first" or seconds <= STORE_SECONDS:
        return (0.0,)
    if window == "middle":
        return (round((samples - STORE_SECONDS * rate) / 2) / rate,)
    return tuple(float(start) for start in range(0, int(seconds), STORE_SECONDS) if seconds - start >= MIN_SECONDS)


def to_store(leads: Mapping[str, np.ndarray], rate: float, start: float = 0.0) -> StoredSignal:
    """Convert leads in mV at `rate` Hz: 10 s from `start` (seconds), padding with 0 at the end of shorter ones.
    Missing leads are 0 and not real. DamagedRecordError under 5 s, without any lead, with leads of several lengths, or
    with NaN."""
    if isinstance(leads, DigitalLeads) and rate == STORE_RATE and leads.are_counts_of(COUNTS_PER_MV):
        stored = _of_counts(leads, round(start * rate))
        if stored is not None:
            return stored
    full = _with_limb_leads({name: leads[name] for name in LEADS if name in leads}, rate, start)
    present = [lead for lead in LEADS if lead in full]
    stacked = np.stack([full[lead] for lead in present])
    if not np.isfinite(stacked).all():
        raise DamagedRecordError("it holds NaN or infinite samples")
    at_store_rate = _resampled_window(stacked, rate, start)
    with np.errstate(over="ignore"):  # what is beyond all voltages is clipped, and said
        scaled = np.rint(at_store_rate * COUNTS_PER_MV)
    counts = np.zeros((len(LEADS), STORE_SAMPLES), np.int16)
    rows = [LEADS.index(lead) for lead in present]
    counts[rows, : scaled.shape[1]] = np.clip(scaled, -CLIP, CLIP).astype(np.int16)
    return StoredSignal(
        counts=counts,
        lead_mask=tuple(lead in full for lead in LEADS),
        valid_samples=scaled.shape[1],
        clipped=bool((np.abs(scaled) > CLIP).any()),
        resampled=rate != STORE_RATE,
    )


def _of_counts(leads: DigitalLeads, first: int) -> StoredSignal | None:
    """Counts that are a store's already, copied; None where anything but copying is to be done."""
    window = leads.counts[:, first : first + STORE_SAMPLES]
    if leads.names != LEADS or window.shape[1] != STORE_SAMPLES or (window == -CLIP - 1).any():
        return None
    return StoredSignal(np.ascontiguousarray(window), (True,) * len(LEADS), STORE_SAMPLES, False, False)


def _with_limb_leads(leads: dict[str, np.ndarray], rate: float, start: float) -> dict[str, np.ndarray]:
    """The part of the leads that the window at `start` needs, with the limb leads that follow from others."""
    if not leads:
        raise DamagedRecordError("none of the 12 standard leads is in it")
    lengths = {len(samples) for samples in leads.values()}
    if len(lengths) > 1:
        raise DamagedRecordError(f"its leads have {min(lengths)} to {max(lengths)} samples")
    left = lengths.pop() / rate - start
    if left < MIN_SECONDS:
        raise DamagedRecordError(f"it is {left:.1f} s long, under the {MIN_SECONDS} s that are needed")
    first, last = _bounds(rate, start)
    return derive_limb_leads({name: samples[first:last] for name, samples in leads.items()})


def _bounds(rate: float, start: float) -> tuple[int, int]:
    """First and last sample of a window with `MARGIN_SECONDS` on either side, for the resampling filter."""
    first = max(0, round((start - MARGIN_SECONDS) * rate))
    return first, round((start + STORE_SECONDS + MARGIN_SECONDS) * rate)


def _resampled_window(part: np.ndarray, rate: float, start: float) -> np.ndarray:
    """The 10 s from `start` at the store's rate, of the part that `_bounds` cuts out."""
    before = start - _bounds(rate, start)[0] / rate
    skip = round(before * STORE_RATE)
    return resample(part, rate, STORE_RATE)[:, skip : skip + STORE_SAMPLES]
