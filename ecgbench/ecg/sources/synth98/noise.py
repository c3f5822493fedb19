"""What the electrodes add, whatever the findings are: wander, mains, muscle, motion and changes of contact.

Everything is a potential at one of the nine electrodes and reaches the leads through `AT_ELECTRODES`, so that
Einthoven's and Goldberger's identities survive it. The noise of a record has its own random stream and knows
nothing of patient and findings.

Kinds of noise and their shapes: Friesen GM et al. (1990) A comparison of the noise sensitivity of nine QRS
detection algorithms, IEEE Trans Biomed Eng 37:85; Moody GB, Muldrow WE, Mark RG (1984) A noise stress test for
arrhythmia detectors, Comput Cardiol 11:381; Sörnmo L, Laguna P, Bioelectrical Signal Processing in Cardiac and
Neurological Applications (2005), chapter 7. Sizes: records 1 to 500 of PTB-XL (Wagner P et al. (2020) Sci Data
7:154), measured between T and QRS and in the level just before QRS; how often something happens: the notes on
signal quality of the same records. tests/unit/test_synth98_noise.py prints real and generated sizes side by side.
"""

from __future__ import annotations

from functools import lru_cache, reduce

import numpy as np

from ecgbench.ecg.sources.synth98.leads import AT_ELECTRODES, ELECTRODES
from ecgbench.ecg.sources.synth98.wave import mixed

DRIFT_MV = np.array([0.012, 0.016, 0.022, 0.022, 0.023, 0.026, 0.026, 0.028, 0.029])
"""Slow drift by electrode (RA, LA, LL, V1 to V6), typical: wrists are quieter than the leg, as I against II and III."""

DRIFT_FALL = 1.2
"""The size of a wave of the drift falls as its frequency to this power: half of PTB-XL's wander is below 0.15 Hz."""

BREATH_MV = np.array([0.009, 0.011, 0.018, 0.015, 0.016, 0.018, 0.019, 0.020, 0.021])
"""Amplitude of the respiratory wander by electrode, typical."""

OFFSET_MV = 0.010
"""Half-cell potential that is left of an electrode after the amplifier's coupling."""

MUSCLE_MV = np.array([0.0078, 0.0088, 0.0045, 0.0042, 0.0042, 0.0040, 0.0036, 0.0032, 0.0028])
"""Muscle noise (standard deviation) by electrode: the arms' muscles make most of it."""

MAINS_MV = 0.00022
"""Amplitude of mains hum at one electrode, typical; a record in ten has five times as much."""

RECORD_SPREAD = {"drift": 0.50, "breath": 0.45, "muscle": 0.40, "mains": 1.2}
ELECTRODE_SPREAD = {"drift": 0.65, "breath": 0.65, "muscle": 0.45, "mains": 0.5}
"""Spread (standard deviation of the logarithm) between records, and between the electrodes of a record."""

MAINS_HARMONICS = (1.0, 0.30, 0.25)
"""Mains hum at one, two and three times its frequency: PTB-XL's lines at 50, 100 and 150 Hz."""

MAINS_DRIFT_HZ = 0.04
"""Spread of the mains frequency as the device's clock counts it (49.95 +- 0.04 Hz in PTB-XL)."""

BREATHS_HZ = (0.15, 0.38)
"""Nine to 23 breaths a minute."""

BREATH_HARMONICS = (1.0, 0.20)
"""Breathing in is quicker than breathing out: a second wave at twice the frequency."""

MUSCLE_LAGS = ((1, 0.6), (1, 0.5), (2, 0.25), (4, 0.0625))
"""Delays (samples) and shares of a low pass for white noise: first order at 55 Hz, its tail cut at 8 samples (the
last three), and the recorder's own limit of about 150 Hz (the first). The size is PTB-XL's at 20 to 45 Hz.
PTB-XL's samples between the QRS complexes lie on straight pieces in steps of 5 µV: that storage leaves 1.6 µV at 55
to 95 Hz, and of our 3.4 µV it would leave 1.2 µV. Records of the PhysioNet/CinC Challenge 2021 that were stored as
they were have 2.4 µV (Georgia) and 4.1 µV (Chapman and Ningbo)."""

WAXING = 0.22
"""Spread of the logarithm of the muscle noise as it waxes and wanes at up to 0.5 Hz."""

BURST_TIMES, BURST_SECONDS = (2.0, 6.0), (0.1, 0.6)
"""How much louder a burst of muscle noise is than the rest, and its standard deviation in time."""

BURST_PROBABILITY, BUMP_PROBABILITY, SWING_PROBABILITY, STEP_PROBABILITY = 0.03, 0.24, 0.10, 0.08
"""How often a record has a burst of muscle noise (13 of 500 records are marked so), a slow bump, an abrupt swing
or a change of contact of one electrode (77 are marked as drifting or jumping, 3 for an electrode; fitted to the
largest wander of a hundred leads, and half of the events are too small to be marked)."""

BUMP_MV, SWING_MV, STEP_MV = 0.55, 0.45, 0.45
"""Typical sizes of these at the electrode."""

SLOWEST_HZ, SLOW_WAVES = 0.05, 10
"""Drift is a sum of waves at multiples of 0.05 Hz (the lower limit of a diagnostic amplifier) up to 0.5 Hz."""

_RESPONSES = [np.array([1.0, *[0.0] * (lag - 1), share]) for lag, share in MUSCLE_LAGS]
WHITE_SD = float(np.sqrt(2**32 / 12) * np.linalg.norm(reduce(np.convolve, _RESPONSES)))
"""Standard deviation of whole numbers of 16 bits after `MUSCLE_LAGS`."""


def electrode_noise(rng: np.random.Generator, samples: int, rate: float) -> np.ndarray:
    """float32 (8, samples), mV: the noise of all electrodes as the independent leads see it."""
    slow, time = _slow_waves(samples, rate), np.arange(samples) / rate
    noise = _muscle(rng, slow, time)
    noise += mixed(AT_ELECTRODES @ _drift(rng), slow)
    others = (_breathing(rng, time), _mains(rng, time), *_events(rng, time))
    sizes = np.hstack([sizes for _, sizes in others])
    noise += mixed(AT_ELECTRODES @ sizes, np.concatenate([curve for curve, _ in others], dtype=np.float32))
    return noise


@lru_cache(maxsize=4)
def _slow_waves(samples: int, rate: float) -> np.ndarray:
    """float32 (2 * SLOW_WAVES + 1, samples): one, and sines and cosines at the multiples of `SLOWEST_HZ`.

    The same for every record, so computed once: they would cost five times as much as all other noise.
    """
    phase = 2 * np.pi * SLOWEST_HZ * np.arange(1, SLOW_WAVES + 1)[:, None] * np.arange(samples) / rate
    waves = np.concatenate([np.ones((1, samples)), np.sin(phase), np.cos(phase)]).astype(np.float32)
    waves.flags.writeable = False
    return waves


def _levels(rng: np.random.Generator, kind: str) -> np.ndarray:
    """(9, 1): how much larger than typical a kind of noise is at each electrode of this record."""
    record = rng.normal(0.0, RECORD_SPREAD[kind])
    return np.asarray(np.exp(record + rng.normal(0.0, ELECTRODE_SPREAD[kind], size=(len(ELECTRODES), 1))))


def _drift(rng: np.random.Generator) -> np.ndarray:
    """Sizes (9, slow waves) of each electrode's offset and drift; the slower, the larger."""
    falling = np.tile(np.arange(1, SLOW_WAVES + 1) ** -DRIFT_FALL, 2)
    drift = _levels(rng, "drift") * DRIFT_MV[:, None] * falling * rng.normal(size=(len(ELECTRODES), len(falling)))
    return np.hstack([rng.normal(0.0, OFFSET_MV, size=(len(ELECTRODES), 1)), drift])


def _breathing(rng: np.random.Generator, time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Curves (4, samples) and sizes (9, 4): breaths at one frequency, each electrode with its own phase."""
    phase = 2 * np.pi * rng.uniform(*BREATHS_HZ) * time
    sizes = _levels(rng, "breath") * BREATH_MV[:, None] * rng.normal(size=(len(ELECTRODES), 4))
    return _harmonics(phase, 2), sizes * np.tile(BREATH_HARMONICS, 2)


def _mains(rng: np.random.Generator, time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Curves (6, samples) and sizes (9, 6): hum of 50 or 60 Hz with two harmonics."""
    phase = 2 * np.pi * (float(rng.choice([50.0, 60.0])) + rng.normal(0.0, MAINS_DRIFT_HZ)) * time
    sizes = _levels(rng, "mains") * MAINS_MV * rng.normal(size=(len(ELECTRODES), 6))
    return _harmonics(phase, 3), sizes * np.tile(MAINS_HARMONICS, 2)


def _harmonics(phase: np.ndarray, count: int) -> np.ndarray:
    """float32 (2 * count, samples): sines, then cosines, of the phase and its multiples; singles cost a tenth."""
    phases = (np.arange(1, count + 1)[:, None] * phase).astype(np.float32)
    return np.concatenate([np.sin(phases), np.cos(phases)])


def _muscle(rng: np.random.Generator, slow: np.ndarray, time: np.ndarray) -> np.ndarray:
    """float32 (8, samples): muscle noise that waxes and wanes at every electrode for itself."""
    electrodes, tail = len(ELECTRODES), sum(lag for lag, _ in MUSCLE_LAGS)
    # Whole numbers cost an eighth of normal ones, and the filter makes their sums bell-shaped.
    white = rng.integers(-(2**15), 2**15, size=(electrodes, len(time) + tail), dtype=np.int16).astype(np.float32)
    some = slow[2::3]  # sines and cosines in turn: enough to wax and wane
    loudness = np.exp(mixed(rng.normal(0.0, WAXING / np.sqrt(len(some) / 2), size=(electrodes, len(some))), some))
    if rng.random() < BURST_PROBABILITY:
        burst = rng.uniform(*BURST_TIMES) * _bell(time, rng.uniform(*BURST_SECONDS), rng)
        loudness[rng.integers(electrodes)] *= 1 + burst.astype(np.float32)
    white[:, tail:] *= loudness
    size = _levels(rng, "muscle") * MUSCLE_MV[:, None] / WHITE_SD
    noise = mixed(AT_ELECTRODES * size.T, white)
    for lag, share in MUSCLE_LAGS:
        noise = noise[:, lag:] + np.float32(share) * noise[:, :-lag]
    return noise


def _events(rng: np.random.Generator, time: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """A curve (1, samples) and its size at one electrode (9, 1) for each thing that happens; mostly nothing."""
    happened = []
    for probability, typical, shape in EVENTS:
        if rng.random() < probability:
            size = np.zeros((len(ELECTRODES), 1))
            size[rng.integers(len(ELECTRODES))] = rng.normal(0.0, typical)
            happened.append((shape(time, rng)[None], size))
    return happened


def _bell(time: np.ndarray, width: float, rng: np.random.Generator) -> np.ndarray:
    """A bell of height 1 and standard deviation `width` (s) at a random time."""
    return np.exp(-0.5 * ((time - rng.uniform(0, time[-1])) / width) ** 2)


def _bump(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The electrode is pressed or pulled and let go, within one to five seconds."""
    return _bell(time, rng.uniform(0.25, 1.2), rng)


def _swing(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A quick movement there and back: height 1 to either side within a fraction of a second."""
    away = (time - rng.uniform(0, time[-1])) / rng.uniform(0.05, 0.25)
    return away * np.exp(0.5 - 0.5 * away**2)


def _step(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A change of contact: a jump of height 1 that decays, at the slowest as an amplifier of 0.05 Hz lets it."""
    after = np.maximum(time - rng.uniform(0, time[-1]), 0.0)
    decay = rng.uniform(0.2, 3.2)
    return (1 - np.exp(-after / 0.01)) * np.exp(-after / decay)


EVENTS = ((BUMP_PROBABILITY, BUMP_MV, _bump), (SWING_PROBABILITY, SWING_MV, _swing), (STEP_PROBABILITY, STEP_MV, _step))
