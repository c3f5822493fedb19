"""Augmentation: what could have been recorded instead, drawn anew for each record in each epoch.

It acts on signals in the card's unit before they are normalised, so that its sizes are the recipe's physical units. What is
drawn follows from seed, epoch and record alone: neither the batch a record falls in nor a restart changes it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ecgbench.cards import InputContract
from ecgbench.ecg.inputs import normalised
from ecgbench.recipe import Augmentation

WANDER_HZ = (0.05, 0.5)
"""Breathing and slow electrode drift."""


@dataclass(frozen=True)
class Augmenter:
    """`inputs` (records, leads, samples) float32 at `rate` Hz in the card's unit, not normalised; `real_leads` bool (records,
    leads); `ends` (records,) samples, the rest being padding."""

    inputs: np.ndarray
    real_leads: np.ndarray
    ends: np.ndarray
    contract: InputContract
    rate: int
    settings: Augmentation
    seed: int

    def batch(self, rows: np.ndarray, epoch: int) -> np.ndarray:
        """(n, leads, samples) float32 as the card asks, of the given rows in that epoch."""
        unit = 1.0 if self.contract.unit == "uV" else 1e-3
        signals = self.inputs[rows].astype(np.float64)
        valid = np.arange(signals.shape[-1]) < self.ends[rows, None, None]
        valid = valid & self.real_leads[rows][:, :, None]
        for place, row in enumerate(rows):
            source = np.random.default_rng([self.seed, epoch, int(row)])
            signals[place], valid[place] = augmented(
                signals[place], valid[place], self.settings, self.rate, unit, source
            )
        return normalised(signals, valid, self.contract)


def augmented(
    signal: np.ndarray, valid: np.ndarray, asked: Augmentation, rate: int, unit: float, source: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """One record (leads, samples), and which of its samples count. `unit`: of 1 µV. Sizes are drawn uniformly up to what is
    asked; everything is drawn whether it is used or not, so that one option does not change what another draws."""
    leads, samples = signal.shape
    time = np.arange(samples) / rate
    gain, shift, width, start = source.uniform(-1, 1), source.uniform(-1, 1), source.uniform(), source.uniform()
    missing = source.uniform(size=leads)
    sizes = source.uniform(size=3)
    phases = source.uniform(0, 2 * np.pi, (leads, 2))
    slow = source.uniform(*WANDER_HZ)
    if asked.shift_ms:
        signal, valid = _shifted(signal, valid, round(shift * asked.shift_ms * rate / 1000))
    if asked.gain_percent:
        signal = signal * (1 + gain * asked.gain_percent / 100)
    if asked.wander_uv:
        signal = signal + sizes[0] * asked.wander_uv * unit * np.sin(2 * np.pi * slow * time + phases[:, :1])
    if asked.mains_uv:
        signal = signal + sizes[1] * asked.mains_uv * unit * np.sin(2 * np.pi * asked.mains_hz * time + phases[:, 1:])
    if asked.noise_uv:
        signal = signal + sizes[2] * asked.noise_uv * unit * source.standard_normal(signal.shape)
    if asked.mask_ms:
        length = round(width * min(asked.mask_ms * rate / 1000, samples / 2))
        first = round(start * (samples - length))
        valid = valid & ~((np.arange(samples) >= first) & (np.arange(samples) < first + length))
    if asked.lead_dropout:
        kept = missing >= asked.lead_dropout
        kept[missing.argmax()] = True  # one lead at least
        valid = valid & kept[:, None]
    return signal, valid


def _shifted(signal: np.ndarray, valid: np.ndarray, by: int) -> tuple[np.ndarray, np.ndarray]:
    """Moved by that many samples; what comes in from outside the recording does not count."""
    moved, counts = np.zeros_like(signal), np.zeros_like(valid)
    samples = signal.shape[1]
    to, frm = slice(max(by, 0), samples + min(by, 0)), slice(max(-by, 0), samples + min(-by, 0))
    moved[:, to], counts[:, to] = signal[:, frm], valid[:, frm]
    return moved, counts
