"""P waves, fibrillatory and flutter waves, and pacing spikes."""

from __future__ import annotations

import numpy as np

from ecgbench.ecg.sources.synth98.leads import DOWER
from ecgbench.ecg.sources.synth98.plan import Plan
from ecgbench.ecg.sources.synth98.rhythm import Events
from ecgbench.ecg.sources.synth98.wave import Wave, bells, mixed
from ecgbench.ecg.sources.synth98.waves import waves

WIDE_P_MS, TALL_P_MV = 118.0, 0.24
"""From here on the two atria stand apart (notch), or the right one rises above the left (pointed P)."""


def p_wave(plan: Plan, kind: str, patient: np.random.Generator) -> Wave:
    """The P wave of a kind; a sinus P has the plan's length, height in II and terminal depth in V1."""
    duration = plan["p_ms"] / 1000
    loop = waves().p_loop(kind)
    loop[:, 2:] *= patient.normal(1.0, 0.1, size=loop[:, 2:].shape)
    centre, width = loop[:, 0] * duration, loop[:, 1] * duration
    if plan["p_ms"] > WIDE_P_MS:
        centre = np.array([0.32, 0.68]) * duration
    if plan["p_ii_mv"] > TALL_P_MV:
        centre = np.array([0.44, 0.60]) * duration
        loop[0, 2:] *= 1.5
    size = loop[:, 2:] @ DOWER.T
    size[:, 2:] *= waves().p_chest_gain
    time = np.arange(0.0, duration, 0.002)
    height = np.abs(bells(centre, width, size).at(time)[1]).max()
    size = size * min(plan["p_ii_mv"] / height, 6.0)
    if kind == "sinus":
        size[0, 2] = 0.45 * plan["p_ii_mv"]
        size[1, 2] = -plan["p_v1_terminal_mv"]
        size[1, 3] = -0.4 * plan["p_v1_terminal_mv"]
    return bells(centre, width, size)


def atrial_activity(events: Events, samples: int, rate: float, rng: np.random.Generator) -> np.ndarray:
    """float32 (8, samples), mV, of fibrillatory or flutter waves; zeros without either."""
    time = np.arange(samples) / rate
    if events.flutter_hz:
        return _saw_tooth(2 * np.pi * events.flutter_hz * (time - events.flutter_zero), rng)
    if events.fibrillation:
        return _fibrillatory(time, rng)
    return np.zeros((8, samples), np.float32)


def _saw_tooth(phase: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Slow fall and quick rise in II, III and aVF, small upright waves in V1 (typical flutter)."""
    wave = np.sin(phase) + 0.42 * np.sin(2 * phase + 0.2) + 0.18 * np.sin(3 * phase + 0.4)
    bump = np.cos(phase + 0.8) + 0.3 * np.cos(2 * phase)
    strength = rng.uniform(0.09, 0.15)
    foot = np.array([0.05, 1.0, 0.0, 0.1, 0.0, 0.1, 0.2, 0.2])
    front = np.array([0.05, 0.0, 0.6, 0.3, 0.1, 0.0, 0.0, 0.0])
    return mixed(strength * np.stack([foot, front], axis=1), np.stack([wave, bump]))


def _fibrillatory(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Three waves of wandering frequency between 5 and 9 Hz, each with its own direction, largest in V1."""
    directions, waxing_waves = [], []
    strength = rng.lognormal(np.log(0.028), 0.35)
    for _ in range(3):
        frequency, drift = rng.uniform(5.0, 9.0), rng.uniform(0.2, 0.6)
        wander = rng.uniform(1.0, 2.5) * np.sin(2 * np.pi * drift * time + rng.uniform(0, 2 * np.pi))
        phase = 2 * np.pi * frequency * time + wander + rng.uniform(0, 2 * np.pi)
        waxing = 1 + 0.4 * np.sin(2 * np.pi * rng.uniform(0.2, 0.7) * time + rng.uniform(0, 2 * np.pi))
        direction = np.array([0.3, 0.7, 1.3, 0.7, 0.4, 0.3, 0.3, 0.25]) * rng.normal(1.0, 0.35, size=8)
        directions.append(strength * direction)
        waxing_waves.append(waxing * np.sin(phase))
    return mixed(np.stack(directions, axis=1), np.stack(waxing_waves))


def spikes(signal: np.ndarray, events: Events, rate: float, rng: np.random.Generator) -> np.ndarray:
    """Add pacing spikes of 2 ms with a short tail, unipolar (large) or bipolar (small)."""
    if not events.spikes:
        return signal
    height = rng.uniform(0.8, 1.8) if rng.random() < 0.4 else rng.uniform(0.25, 0.6)
    towards = {"ventricle": np.array([0.4, -0.9, -0.5]), "atrium": np.array([0.5, 0.6, -0.3])}
    for time, chamber in events.spikes:
        sample = round(time * rate)
        if 0 <= sample < signal.shape[1] - 1:
            spike = height * DOWER @ towards[chamber]
            signal[:, sample] += spike
            signal[:, sample + 1] -= 0.35 * spike
    return signal
