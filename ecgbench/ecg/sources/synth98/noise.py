"""What the electrodes add, whatever the findings: baseline wander, mains, muscle and a shifting electrode.

Everything is a potential at one of the nine electrodes, so that the limb-lead identities survive it. Kinds of
noise: Sörnmo L, Laguna P, Bioelectrical Signal Processing in Cardiac and Neurological Applications (2005),
chapter 7; the sizes are fitted to normal records of PTB-XL.
"""

from __future__ import annotations

import numpy as np

from ecgbench.ecg.sources.synth98.leads import AT_ELECTRODES, ELECTRODES

WANDER_MV = 0.032
MAINS_MV = 0.0012
MUSCLE_MV = 0.0050
STEP_MV = 0.05
STEP_PROBABILITY = 0.06
"""Typical sizes at one electrode (mV), and how often a record has a shifting electrode."""


def electrode_noise(rng: np.random.Generator, samples: int, rate: float) -> np.ndarray:
    """float32 (8, samples), mV: the noise of all electrodes as the independent leads see it."""
    electrodes = len(ELECTRODES)
    level = rng.lognormal(0.0, 0.55, size=3)
    frequencies = np.array([*rng.uniform(0.08, 0.5, size=4), float(rng.choice([50.0, 60.0]))])
    sizes = np.array([*np.full(4, WANDER_MV * level[0] / 2), MAINS_MV * level[1]])
    time = np.arange(samples) / rate
    phase = (2 * np.pi * frequencies[:, None] * time).astype(np.float32)
    waves = np.concatenate([np.sin(phase), np.cos(phase)])
    mixing = rng.normal(size=(electrodes, 10)) * np.concatenate([sizes, sizes])
    muscle = rng.standard_normal((electrodes, samples + 2), dtype=np.float32)
    size = MUSCLE_MV / np.sqrt(6) * level[2] * rng.lognormal(0.0, 0.3, size=electrodes)
    muscle = (AT_ELECTRODES * size).astype(np.float32) @ muscle
    noise = (AT_ELECTRODES @ mixing).astype(np.float32) @ waves
    noise += muscle[:, :-2] + 2 * muscle[:, 1:-1] + muscle[:, 2:]
    if rng.random() < STEP_PROBABILITY:
        noise += _step(rng, time).astype(np.float32)
    return noise


def _step(rng: np.random.Generator, time: np.ndarray) -> np.ndarray:
    """One electrode that shifts and settles again within about a second."""
    start, fall = rng.uniform(0, time[-1]), rng.uniform(0.2, 0.6)
    after = np.clip(time - start, 0, None)
    shape = np.where(after > 0, (1 - np.exp(-after / 0.02)) * np.exp(-after / fall), 0.0)
    column = AT_ELECTRODES[:, int(rng.integers(len(ELECTRODES)))]
    return np.outer(column * rng.normal(0, 2 * STEP_MV), shape)
