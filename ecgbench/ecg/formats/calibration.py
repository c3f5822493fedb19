"""Calibration pulses: what a recorder writes before or after the patient's ECG so that a reader can check the scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ecgbench.ecg.recording import DamagedRecordError

HEIGHT = 1.0
"""mV, the pulse of every electrocardiograph (IEC 60601-2-25)."""
HEIGHT_TOLERANCE = 0.05
FLAT = 0.02
"""mV by which a sample may stray from the level it belongs to."""
SHORTEST, LONGEST = 0.04, 1.0
"""Seconds of a pulse; pacing spikes last 2 ms, QRS complexes are not flat on top."""
LONGEST_REST = 1.5
"""Seconds of the level between pulses, before the first and after the last one."""
LONGEST_SETTLING = 2.0
"""Seconds after pulses for which a recorder may lead over to the electrodes."""
_FROM_PULSES = {"III": 0.0, "aVR": -1.0, "aVL": 0.5, "aVF": 0.5}
"""What follows from equal pulses in I and II."""


@dataclass(frozen=True)
class Cut:
    """`leads` without calibration; `start` and `end`: seconds that were cut off there."""

    leads: Mapping[str, np.ndarray]
    start: float = 0.0
    end: float = 0.0

    def remarks(self) -> list[str]:
        return [
            f"{seconds:.3g} s of calibration pulses at the {where} are left out"
            for seconds, where in ((self.start, "start"), (self.end, "end"))
            if seconds
        ]


def without_calibration(leads: Mapping[str, np.ndarray], rate: float) -> Cut:
    """The leads without rectangular pulses of 1 mV at the start or the end that stand in every lead at once.

    At least two leads that are not constant are needed, else nothing is cut: in one lead alone nothing tells a pulse
    from an artefact. A limb lead that is computed from others may instead show what follows from their pulses.
    DamagedRecordError where nothing but calibration is left.
    """
    flat, values = max(2, round(SHORTEST * rate) // 2), list(leads.values())
    ends = [np.stack([samples[cut] for samples in values]) for cut in (slice(flat), slice(-1, -flat - 1, -1))]
    if not any(_near(end, end[:, :1]).all() for end in ends):  # nearly every ECG ends here
        return Cut(leads)
    stacked = np.stack(values)
    alive = np.ptp(stacked, axis=1) > 0
    if alive.sum() < 2:
        return Cut(leads)
    names = [lead for lead, lives in zip(leads, alive, strict=True) if lives]
    stacked = stacked[alive]
    start = _pulses(stacked, names, rate)
    if start:
        start += _settling(stacked[:, start:], rate)
    end = _pulses(stacked[:, start:][:, ::-1], names, rate)
    stop = stacked.shape[1] - end
    if start >= stop:
        raise DamagedRecordError("it holds nothing but calibration pulses")
    if not start and not end:
        return Cut(leads)
    return Cut({lead: samples[start:stop] for lead, samples in leads.items()}, start / rate, end / rate)


def _pulses(stacked: np.ndarray, names: list[str], rate: float) -> int:
    """How many samples from the start belong to pulses; 0 where there are none."""
    if not stacked.shape[1]:
        return 0
    offset = stacked - stacked[:, :1]
    computed = np.array([_FROM_PULSES.get(name, 1.0) for name in names])
    return _train(offset, np.ones((len(names), 1)), rate) or _train(offset, computed[:, None], rate)


def _train(offset: np.ndarray, shape: np.ndarray, rate: float) -> int:
    """The samples up to the end of the rest after the last of the pulses that begin `offset`, which is relative to the
    level between pulses; `shape`: what a pulse of 1 does to each lead. 0 where no pulse is complete."""
    low = _near(offset, 0.0)
    tall = np.abs(offset - HEIGHT * shape) <= np.maximum(FLAT, HEIGHT_TOLERANCE * np.abs(shape))
    neither = np.flatnonzero(~(low | tall.all(axis=0)))
    within = neither[0] if neither.size else len(low)
    edges = [0, *(np.flatnonzero(np.diff(low[:within].astype(np.int8))) + 1).tolist(), within]
    end, last_rest = 0, slice(0, 0)
    for before, first, last, after in zip(edges[::2], edges[1::2], edges[2::2], edges[3::2], strict=False):
        flat_top = (np.ptp(offset[:, first:last], axis=1) <= 2 * FLAT).all()
        if not (
            flat_top and SHORTEST * rate <= last - first <= LONGEST * rate and first - before <= LONGEST_REST * rate
        ):
            break
        end, last_rest = last, slice(before, first)
        until = min(after, last + round(LONGEST_REST * rate))
    if not end:
        return 0
    # The rest that borders on the ECG ends where it is less still than the rest before the pulse was: within the wider
    # tolerance lie the first samples of many an ECG too.
    stillness = 1.5 * np.abs(offset[:, last_rest]).max() + 1e-9
    livelier = np.flatnonzero((np.abs(offset[:, end:until]) > stillness).any(axis=0))
    return end + int(livelier[0]) if livelier.size else until


def _near(samples: np.ndarray, level: np.ndarray | float) -> np.ndarray:
    return np.asarray((np.abs(samples - level) <= FLAT).all(axis=0))


def _settling(stacked: np.ndarray, rate: float) -> int:
    """Samples after the pulses in which no lead moves by more than one step of its resolution: the input is not yet
    switched back. 0 where that is no longer than a pulse."""
    window = stacked[:, : round(LONGEST_SETTLING * rate)]
    if window.shape[1] < 2:
        return 0
    steps = np.abs(np.diff(window, axis=1))
    everywhere = np.abs(np.diff(stacked, axis=1))
    step = np.array([row[row > 1e-9].min(initial=np.inf) for row in everywhere])[:, None]
    moving = np.flatnonzero((steps > 1.5 * step).any(axis=0))
    still = int(moving[0]) + 1 if moving.size else window.shape[1]
    return still if still > SHORTEST * rate else 0
