"""Readers that a site adds by an entry point of the group `ecgbench.readers`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np

from ecgbench.ecg.formats.guard import allowance, limits
from ecgbench.ecg.recording import LEADS, DamagedRecordError, RawEcg
from ecgbench.errors import EcgbenchError

GROUP = "ecgbench.readers"
PATIENCE, PATIENCE_BYTES = 30.0, 2 << 30
"""Seconds and bytes beyond what a library here may take: a site's reader may start a vendor's program at first."""
Reader = Callable[[Path, bytes], RawEcg | None]
"""The file and its first bytes -> its ECG, or None for "not mine"."""


@cache
def site_readers() -> tuple[tuple[str, Reader], ...]:
    """The installed readers by name. EcgbenchError where one cannot be imported."""
    found = []
    for point in sorted(entry_points(group=GROUP), key=lambda each: each.name):
        try:
            found.append((point.name, point.load()))
        except Exception as error:
            raise EcgbenchError(
                f"the reader '{point.name}' ({point.value}) cannot be imported: {error}; mend or uninstall its package."
            ) from None
    return tuple(found)


def ask_site_readers(path: Path, head: bytes, size: int) -> RawEcg | None:
    """What the first reader that knows the file gives, or None. DamagedRecordError names a reader that fails."""
    seconds, extra_bytes = allowance(size)
    for name, reader in site_readers():
        try:
            with limits(seconds + PATIENCE, extra_bytes + PATIENCE_BYTES):
                raw = reader(path, head)
        except (DamagedRecordError, EcgbenchError):
            raise
        except Exception as error:
            raise DamagedRecordError(f"the reader '{name}' failed with {type(error).__name__}") from None
        if raw is not None:
            return _checked(raw, name)
    return None


def _checked(raw: RawEcg, name: str) -> RawEcg:
    """The reader's ECG if it keeps the contract of `RawEcg`."""
    if not isinstance(raw, RawEcg):
        raise DamagedRecordError(f"the reader '{name}' gave a {type(raw).__name__} in place of a RawEcg or None")
    try:
        leads = {lead: np.asarray(samples, np.float64) for lead, samples in raw.leads.items()}
        kept = bool(leads) and set(leads) <= set(LEADS) and all(samples.ndim == 1 for samples in leads.values())
        kept = kept and len({len(samples) for samples in leads.values()} - {0}) == 1 and 0 < float(raw.rate) < np.inf
    except (AttributeError, TypeError, ValueError):
        kept = False
    if not kept:
        raise DamagedRecordError(
            f"the reader '{name}' broke its contract: standard leads of one length and a rate in Hz are asked for"
        )
    return replace(raw, leads=leads, rate=float(raw.rate), format=raw.format or name)
