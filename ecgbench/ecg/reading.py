"""One file of any known format as a `Recording`, at the file's own rate and length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path

import numpy as np

from ecgbench.ecg.formats.layout import PlainLayout, Unit
from ecgbench.ecg.recording import LEADS, STORE_RATE, DamagedRecordError, RawEcg, Recording
from ecgbench.ecg.standardise import COUNTS_PER_MV, Window, derive_limb_leads, to_store, window_starts
from ecgbench.errors import EcgbenchError


def read(
    file: str | PathLike[str], *, rate: float | None = None, unit: Unit | None = None, leads: Sequence[str] = ()
) -> Recording:
    """The ECG of a file: 12 leads in mV, in the order of `LEADS`, those that are neither there nor follow from others 0.

    The format is told from the content (docs/formats.md). `rate` (Hz), `unit` (mV, uV, V) and `leads` (their order) are
    for tables of samples, which do not say them: CSV, NPY, NPZ, Parquet. Nothing that names the patient is read: `patient`
    is '', `record` the file's name. EcgbenchError where the file cannot be read.
    """
    return as_recording(read_raw(Path(file), layout_of(rate, unit, leads)), Path(file).stem)


def read_raw(file: Path, layout: PlainLayout | None) -> RawEcg:
    """As `read_file`, a damaged file being a wrong request: EcgbenchError."""
    from ecgbench.ecg.formats.read import read_file

    try:
        return read_file(file, layout)
    except DamagedRecordError as error:
        raise EcgbenchError(f"'{file}' cannot be read as an ECG: {error}.") from None


def layout_of(rate: float | None, unit: str | None, leads: Sequence[str]) -> PlainLayout | None:
    """What was said of a table of samples, None where nothing was. EcgbenchError for half of it."""
    from ecgbench.ecg.formats.plain import check_layout

    if rate is None and unit is None and not leads:
        return None
    if rate is None or unit is None:
        lacking = "rate" if rate is None else "unit"
        raise EcgbenchError(
            f"rate, unit and leads go together and there is no {lacking}: add --{lacking} (as 500 and mV)."
        )
    layout = PlainLayout(rate, unit, tuple(leads))  # type: ignore[arg-type]
    return PlainLayout(rate, layout.unit, check_layout(layout))


def read_window(
    file: Path, layout: PlainLayout | None, window: Window = "first"
) -> tuple[Recording, int, tuple[str, ...]]:
    """Ten seconds of a file in the store's form (500 Hz, padded with 0 at the end), how many of the samples are no padding,
    and what was done to the signal. `window`: the first or the middle 10 s of a longer recording."""
    raw = read_raw(file, layout)
    samples = len(next(iter(raw.leads.values())))
    try:
        stored = to_store(raw.leads, raw.rate, window_starts(samples, raw.rate, window)[0])
    except DamagedRecordError as error:
        raise EcgbenchError(f"'{file}' cannot be used as an ECG: {error}.") from None
    recording = as_recording(raw, file.stem)
    signal = stored.counts.astype(np.float32) / np.float32(COUNTS_PER_MV)
    return replace(recording, signal=signal, rate=float(STORE_RATE)), stored.valid_samples, raw.remarks


def as_recording(raw: RawEcg, record: str) -> Recording:
    """All 12 leads of what a reader gave, limb leads that follow from others computed."""
    full = derive_limb_leads(raw.leads)
    signal = np.zeros((len(LEADS), len(next(iter(full.values())))), np.float32)
    for row, lead in enumerate(LEADS):
        if lead in full:
            signal[row] = full[lead]
    return Recording(
        signal=signal,
        rate=raw.rate,
        record=record,
        patient="",
        real_leads=tuple(lead in full for lead in LEADS),
        age=raw.age,
        sex=raw.sex,
        source=raw.format,
        source_sha256=raw.source_sha256,
    )
