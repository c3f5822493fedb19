"""Any 12-lead signal -> the store's form: int16, 1 count = 1 µV, 500 Hz, 10 s."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import gcd

import numpy as np

from ecgbench.ecg.recording import LEADS, STORE_RATE, STORE_SAMPLES, DamagedRecordError

COUNTS_PER_MV = 1000
MIN_SECONDS = 5
CLIP = 32767


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
    alias). The rate may be fractional to a thousandth of a Hz."""
    if rate == target:
        return signal
    from scipy.signal import resample_poly

    up, down = target * 1000, round(rate * 1000)
    factor = gcd(up, down)
    return np.asarray(resample_poly(signal, up // factor, down // factor, axis=-1, padtype="line"))


def to_store(leads: Mapping[str, np.ndarray], rate: float) -> StoredSignal:
    """Convert leads in mV at `rate` Hz; the first 10 s of longer signals, padding with 0 at the end of shorter ones.
    Missing leads are 0 and not real. DamagedRecordError under 5 s, without any lead, or with NaN."""
    full = derive_limb_leads(leads)
    present = [lead for lead in LEADS if lead in full]
    if not present:
        raise DamagedRecordError("none of the 12 standard leads is in it")
    stacked = np.stack([full[lead] for lead in present])
    if not np.isfinite(stacked).all():
        raise DamagedRecordError("it holds NaN or infinite samples")
    if stacked.shape[1] < MIN_SECONDS * rate:
        raise DamagedRecordError(
            f"it is {stacked.shape[1] / rate:.1f} s long, under the {MIN_SECONDS} s that are needed"
        )
    at_store_rate = resample(stacked, rate, STORE_RATE)[:, :STORE_SAMPLES]
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
