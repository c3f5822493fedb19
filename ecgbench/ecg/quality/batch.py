"""Some rows of a store as the checks take them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ecgbench.ecg.quality.limits import BLOCK, BLOCKS_A_SECOND
from ecgbench.ecg.recording import LEADS

if TYPE_CHECKING:
    from ecgbench.ecg.store import Store

CHUNK = 64
"""Records at a time: 8 MB, which the processor's cache can hold."""


@dataclass(frozen=True, slots=True)
class Remark:
    """What a check found in a row of a store: a phrase for a person, and the numbers in it."""

    row: int
    text: str
    measured: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Batch:
    """`counts`: int16 (n, 12, samples), 1 µV, 500 Hz, without the padding of short records: all are of one length.
    `real`: bool (n, 12), which leads are. `rows`: int (n,), where they stand in the store."""

    counts: np.ndarray
    real: np.ndarray
    rows: np.ndarray

    @property
    def samples(self) -> int:
        return int(self.counts.shape[-1])

    @cached_property
    def block_extremes(self) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest count of every whole quarter second: int32 (n, 12, blocks) each."""
        blocks = self.samples // BLOCK
        cut = self.counts[..., : blocks * BLOCK].reshape(len(self.counts), len(LEADS), blocks, BLOCK)
        return cut.min(-1).astype(np.int32), cut.max(-1).astype(np.int32)

    @cached_property
    def block_ranges(self) -> np.ndarray:
        """Highest less lowest count of every whole quarter second: int32 (n, 12, blocks)."""
        low, high = self.block_extremes
        return high - low

    @cached_property
    def amplitudes(self) -> np.ndarray:
        """float (n, 12), µV: highest less lowest of a second, in the median second."""
        low, high = (_by_second(extreme) for extreme in self.block_extremes)
        return np.asarray(np.median(high.max(-1) - low.min(-1), axis=-1))


def _by_second(blocks: np.ndarray) -> np.ndarray:
    seconds = blocks.shape[-1] // BLOCKS_A_SECOND
    return blocks[..., : seconds * BLOCKS_A_SECOND].reshape(*blocks.shape[:-1], seconds, BLOCKS_A_SECOND)


def batches(store: Store) -> Iterator[Batch]:
    """All rows, some at a time; records of different lengths come in different batches."""
    masks, valid = store.lead_masks(), store.records["valid_samples"].to_numpy()
    for start in range(0, len(store), CHUNK):
        rows = np.arange(start, min(start + CHUNK, len(store)))
        counts = store.counts(rows)
        for samples in np.unique(valid[rows]):
            same = valid[rows] == samples
            held = counts if same.all() else counts[same]
            yield Batch(held[..., :samples], masks[rows[same]], rows[same])


def lead_names(chosen: np.ndarray | Sequence[bool]) -> str:
    """The chosen ones of the 12 leads: "I, II, V1"."""
    return ", ".join(lead for lead, picked in zip(LEADS, chosen, strict=True) if picked)
