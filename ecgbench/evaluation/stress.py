"""What a recording can suffer on its way to a model: leads lost or swapped, noise at the electrodes, a low rate.

Every stress acts on a `Batch` in mV at 500 Hz, before the encoder's card is asked what it wants. Noise is a potential at
one of the nine electrodes and reaches the leads as a recorder would see it, so that Einthoven's law survives it; it
follows from the record's name alone, so that every encoder meets the same noise. Missing leads and padding stay 0.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ecgbench.ecg.inputs import Batch
from ecgbench.ecg.recording import LEADS, STORE_RATE
from ecgbench.ecg.sources.synth98.leads import AT_ELECTRODES, ELECTRODES, twelve_leads
from ecgbench.ecg.standardise import resample

MAINS_HZ = 50.0
MAINS_MV = (0.05, 0.1, 0.2)
"""Amplitude at each electrode: five to twenty times what an ECG to be read may have."""
WANDER_HZ = (0.15, 0.4)
"""Nine to 24 breaths a minute."""
WANDER_MV = (0.25, 0.5, 1.0)
MUSCLE_HZ = (20.0, 150.0)
MUSCLE_MV = (0.02, 0.05, 0.1)
"""Root mean square at each electrode; a resting ECG of PTB-XL has 0.005 to 0.02."""
LOW_RATE = 100
SWAPS = {
    "arm electrodes swapped": {"I": "-I", "II": "III", "III": "II", "aVR": "aVL", "aVL": "aVR"},
    "left arm and leg swapped": {"I": "II", "II": "I", "III": "-III", "aVL": "aVF", "aVF": "aVL"},
}
"""Lead -> the lead whose voltage stands in its place; `-`: upside down. Wilson's terminal, and so the chest, stays."""


@dataclass(frozen=True)
class Stress:
    """`name` as it is shown; `removes`: the lead that is then missing."""

    name: str
    apply: Callable[[Batch], Batch]
    removes: str | None = None


def stresses() -> tuple[Stress, ...]:
    """All of them, in the order they are shown."""
    return (
        *(Stress(f"without lead {lead}", partial(without_lead, lead=lead), lead) for lead in LEADS),
        *(Stress(name, partial(swapped, moved=moved)) for name, moved in SWAPS.items()),
        *(Stress(f"mains, {level:g} mV", partial(with_noise, make=mains, level=level)) for level in MAINS_MV),
        *(Stress(f"wander, {level:g} mV", partial(with_noise, make=wander, level=level)) for level in WANDER_MV),
        *(Stress(f"muscle, {level:g} mV", partial(with_noise, make=muscle, level=level)) for level in MUSCLE_MV),
        Stress(f"recorded at {LOW_RATE} Hz", at_low_rate),
    )


def without_lead(batch: Batch, lead: str) -> Batch:
    """The lead is not recorded."""
    signals, real = batch.signals.copy(), batch.real_leads.copy()
    signals[:, LEADS.index(lead)] = 0
    real[:, LEADS.index(lead)] = False
    return replace(batch, signals=signals, real_leads=real)


def swapped(batch: Batch, moved: dict[str, str]) -> Batch:
    """Leads in each other's place, as swapped cables put them."""
    signals, real = batch.signals.copy(), batch.real_leads.copy()
    for lead, other in moved.items():
        here, there = LEADS.index(lead), LEADS.index(other.removeprefix("-"))
        signals[:, here] = batch.signals[:, there] * (-1 if other.startswith("-") else 1)
        real[:, here] = batch.real_leads[:, there]
    return replace(batch, signals=signals, real_leads=real)


Noise = Callable[[np.random.Generator, int, float], np.ndarray]
"""Random source, samples at 500 Hz, level in mV -> potentials (9 electrodes, samples)."""


def with_noise(batch: Batch, make: Noise, level: float) -> Batch:
    """Noise of that level added to every real lead, up to where the recording ends."""
    signals = batch.signals.astype(np.float64)
    for place, name in enumerate(batch.names):
        end = int(batch.valid_samples[place])
        leads = twelve_leads(AT_ELECTRODES @ make(_source(name, make.__name__), end, level))
        signals[place, :, :end] += leads * batch.real_leads[place][:, None]
    return replace(batch, signals=signals.astype(np.float32))


def mains(source: np.random.Generator, samples: int, level: float) -> np.ndarray:
    """One sine, in another phase at each electrode."""
    return level * np.sin(2 * np.pi * MAINS_HZ * _time(samples) + _phases(source))


def wander(source: np.random.Generator, samples: int, level: float) -> np.ndarray:
    """A slow sine, of another rate and phase at each electrode."""
    rates = source.uniform(*WANDER_HZ, (len(ELECTRODES), 1))
    return level * np.sin(2 * np.pi * rates * _time(samples) + _phases(source))


def muscle(source: np.random.Generator, samples: int, level: float) -> np.ndarray:
    """White noise within `MUSCLE_HZ`, scaled to `level` as root mean square."""
    spectrum = np.fft.rfft(source.normal(size=(len(ELECTRODES), samples)))
    frequency = np.fft.rfftfreq(samples, 1 / STORE_RATE)
    spectrum[:, (frequency < MUSCLE_HZ[0]) | (frequency > MUSCLE_HZ[1])] = 0
    noise = np.fft.irfft(spectrum, samples)
    return np.asarray(level * noise / np.sqrt((noise**2).mean(axis=1, keepdims=True)))


def at_low_rate(batch: Batch) -> Batch:
    """As a recorder of `LOW_RATE` Hz would have given it."""
    low = resample(batch.signals.astype(np.float64), STORE_RATE, LOW_RATE)
    back = resample(low, LOW_RATE, STORE_RATE)[..., : batch.signals.shape[-1]]
    kept = np.arange(back.shape[-1]) < batch.valid_samples[:, None, None]
    return replace(batch, signals=(back * (kept & batch.real_leads[:, :, None])).astype(np.float32))


def _source(name: str, kind: str) -> np.random.Generator:
    digest = hashlib.sha256(f"{kind}\0{name}".encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))


def _phases(source: np.random.Generator) -> np.ndarray:
    return source.uniform(0, 2 * np.pi, (len(ELECTRODES), 1))


def _time(samples: int) -> np.ndarray:
    return np.arange(samples) / STORE_RATE
