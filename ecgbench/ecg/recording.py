"""What a recording is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
"""The 12 standard leads in the order of every array in this package."""

STORE_RATE = 500
"""Samples per second in a store."""

STORE_SECONDS = 10
"""Seconds per record in a store."""

STORE_SAMPLES = STORE_RATE * STORE_SECONDS

OVER_89 = 90.0
"""Years; what every age over 89 is kept as, "90 or more": few live so long, and an age alone names them."""


class DamagedRecordError(Exception):
    """One recording cannot be read; the build names it, counts it and goes on."""


@dataclass(frozen=True)
class RawEcg:
    """One ECG as its file gives it.

    `leads`: standard lead name -> float64 samples in mV, all of one length. `rate`: Hz. `source_sha256`: hash of the
    file's bytes, '' where the entry has it already. `age` in years and `sex` (male, female) only where the file states
    them so. `format`: what the file was read as. `remarks`: sentences on what was done to the signal.
    """

    leads: Mapping[str, np.ndarray]
    rate: float
    source_sha256: str = ""
    age: float | None = None
    sex: str | None = None
    format: str = ""
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One record as its source lists it, before its signal is read.

    `split` is '' where the source has none: the build deals it out. `findings` are ids of the label table, `codes` the
    source's own statements as they stand there. `source_sha256` is the hash of the source file's bytes (for a generated
    record: of what generates it), '' where `load` tells it. `origin` is whatever the source needs to load the signal;
    it is not stored.
    """

    record: str
    patient: str
    split: str
    findings: tuple[str, ...]
    source_sha256: str = ""
    age: float | None = None
    sex: str | None = None
    site: str | None = None
    report: str | None = None
    codes: tuple[str, ...] = ()
    origin: object = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Recording:
    """A 12-lead ECG.

    `signal`: float32, mV, shape (12, samples), leads in the order of `LEADS`. `rate`: Hz. `real_leads`: which
    leads were recorded or follow from recorded ones by Einthoven's and Goldberger's identities.
    """

    signal: np.ndarray
    rate: float
    record: str
    patient: str
    real_leads: tuple[bool, ...] = (True,) * len(LEADS)
    age: float | None = None
    sex: str | None = None
    findings: tuple[str, ...] = ()
    report: str | None = None
    source: str = ""
    source_sha256: str = ""
