"""Recordings made to see what reaches an encoder: in each lead a sine of its own frequency, amplitude and offset, so that
leads, order, rate, length, unit and normalisation can all be read off what arrives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ecgbench.cards import InputContract
from ecgbench.ecg.inputs import Batch, convert, input_samples
from ecgbench.ecg.recording import LEADS, STORE_RATE, STORE_SAMPLES

RAIL = 32.767
"""mV: the largest that a store can hold."""
TOLERANCE = 0.05
"""Of a lead's range: what the edges of a resampled signal may move."""


def fed(encoder: nn.Module, batch: Batch, contract: InputContract, rate: int) -> np.ndarray:
    """What an encoder's forward is called with for recordings of a store."""
    reached: list[np.ndarray] = []
    hook = encoder.register_forward_pre_hook(lambda _, given: reached.append(given[0].numpy().copy()))
    try:
        with torch.no_grad():
            encoder(torch.from_numpy(convert(batch, contract, rate)))
    finally:
        hook.remove()
    return reached[0]


@dataclass(frozen=True)
class MadeInput:
    """The made recordings of one input contract at one rate."""

    contract: InputContract
    rate: int

    def stored(self, size: int, missing: str | None = None) -> Batch:
        """The recording some times over, as a store gives it; of a missing lead something stands there all the same."""
        signal = np.stack([self._lead(lead, np.arange(STORE_SAMPLES) / STORE_RATE) for lead in LEADS])
        return _batch(np.stack([signal] * size), [lead != missing for lead in LEADS])

    def differences(self, reached: np.ndarray) -> Iterator[str]:
        """What of the recording is not as the card says, in words; edges are left out of what is compared."""
        wanted = self._wanted()
        if reached.dtype != np.float32:
            yield "number type"
        if reached.shape[1:] != wanted.shape:
            yield f"shape, {reached.shape[1:]},"
            return
        edge = wanted.shape[1] // 20
        for own, right in zip(reached[0][:, edge:-edge], wanted[:, edge:-edge], strict=True):
            if _strongest(own) != _strongest(right):
                yield "order of leads, or another rate,"
                return
        spread = wanted.max(axis=1, keepdims=True) - wanted.min(axis=1, keepdims=True)
        if np.any(np.abs(reached[0] - wanted)[:, edge:-edge] > TOLERANCE * spread):
            yield "unit or normalisation"

    def extremes(self) -> dict[str, np.ndarray]:
        """What reaches an encoder of a flat signal, and of one at the ends of what a store holds."""
        steps = np.where(np.arange(STORE_SAMPLES) // (STORE_RATE // 2) % 2, RAIL, -RAIL)
        signals = {
            "a flat signal": np.zeros(STORE_SAMPLES),
            "a saturated signal": steps,
            "a signal stuck at its highest": np.full(STORE_SAMPLES, RAIL),
        }
        return {
            what: convert(_batch(np.stack([[each] * len(LEADS)] * 2), [True] * len(LEADS)), self.contract, self.rate)
            for what, each in signals.items()
        }

    def _lead(self, lead: str, seconds: np.ndarray) -> np.ndarray:
        """In mV: at most a quarter of the rate, so that no resampling touches it."""
        place = LEADS.index(lead)
        frequency = (place + 1) * min(self.rate, STORE_RATE) / 50
        return 0.05 * (place - 5) + (0.3 + 0.1 * place) * np.sin(2 * np.pi * frequency * seconds)

    def _wanted(self) -> np.ndarray:
        """The same sines at the card's rate, put into its unit and normalised by its words."""
        seconds = np.arange(input_samples(self.contract, self.rate)) / self.rate
        factor = {"mV": 1.0, "uV": 1000.0}[self.contract.unit]
        leads = [self._lead(lead, seconds) * factor for lead in self.contract.leads]
        centered = [each - each.mean() for each in leads]
        how = self.contract.normalisation
        if how == "none":
            return np.array(leads)
        if how == "center":
            return np.array(centered)
        if how == "zscore-lead":
            return np.array([each / each.std() for each in centered])
        if how == "zscore-record":
            return np.array(centered) / np.concatenate(centered).std()
        return np.array([(each - each.min()) / (each.max() - each.min()) for each in leads])


def _batch(signals: np.ndarray, real: list[bool]) -> Batch:
    size = len(signals)
    names = [f"made {number}" for number in range(size)]
    return Batch(signals.astype(np.float32), np.array([real] * size), np.full(size, STORE_SAMPLES), names)


def _strongest(signal: np.ndarray) -> int:
    """The place of its strongest frequency, an offset not counted."""
    return int(np.abs(np.fft.rfft(signal - signal.mean())).argmax())
