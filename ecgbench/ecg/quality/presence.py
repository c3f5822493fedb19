"""What a record lacks: leads, seconds."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from ecgbench.ecg.quality.batch import Batch, Remark
from ecgbench.ecg.recording import LEADS, STORE_RATE, STORE_SAMPLES, STORE_SECONDS


def missing_leads(batch: Batch) -> list[Remark]:
    """Leads that were neither recorded nor follow from recorded ones."""
    return [
        Remark(int(batch.rows[place]), *_missing(tuple(batch.real[place].tolist())))
        for place in np.flatnonzero(~batch.real.all(-1))
    ]


@cache
def _missing(real: tuple[bool, ...]) -> tuple[str, dict[str, Any]]:
    """Text and measurement of a mask, kept once: in a set of two-lead records every record has them."""
    names = [lead for lead, there in zip(LEADS, real, strict=True) if not there]
    return ", ".join(names), {"leads": names}


def too_short(batch: Batch) -> list[Remark]:
    """Records that end before a store's 10 s; the rest is padding."""
    if batch.samples >= STORE_SAMPLES:
        return []
    seconds = batch.samples / STORE_RATE
    text, measured = f"{seconds:g} of {STORE_SECONDS} s", {"seconds": seconds}
    return [Remark(int(row), text, measured) for row in batch.rows]
