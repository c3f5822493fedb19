"""WFDB records as 12 leads in mV, checked against their own header."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from ecgbench.ecg.formats.layout import MV_PER_UNIT
from ecgbench.ecg.formats.wfdb_header import plainer_copy
from ecgbench.ecg.recording import LEADS, DamagedRecordError, RawEcg

LEAD_OF = {lead.upper(): lead for lead in LEADS}
MV_PER = {unit.lower(): mv for unit, mv in MV_PER_UNIT.items()}
"""Some public headers write mv."""


def read_wfdb(record: Path) -> RawEcg:
    """One WFDB record through the library.

    `record` is the path without extension. Names and dates in the header that the library refuses are no hindrance.
    DamagedRecordError where a file is missing or cut short, a sample is marked invalid, or the samples do not sum to the
    header's checksum.
    """
    import wfdb

    try:
        read = wfdb.rdrecord(str(record), physical=False)
    except Exception as error:  # the library raises many types on a damaged file
        read = _read_plainer(record, error)
    digital = read.d_signal
    if digital is None or digital.shape[0] == 0:
        raise DamagedRecordError("the file holds no samples")
    leads: dict[str, np.ndarray] = {}
    for column, name in enumerate(read.sig_name):
        lead = LEAD_OF.get(name.upper())
        if lead is None:
            continue
        if lead in leads:
            raise DamagedRecordError(f"lead {lead} stands in it twice")
        samples = digital[:, column].astype(np.int64)
        _check_samples(samples, lead, read.fmt[column], read.checksum[column])
        unit = read.units[column]
        if unit.lower() not in MV_PER:
            raise DamagedRecordError(f"lead {lead} is in '{unit}', not in mV, uV or V")
        if not read.adc_gain[column]:
            raise DamagedRecordError(f"lead {lead} has gain 0")
        leads[lead] = (samples - read.baseline[column]) / read.adc_gain[column] * MV_PER[unit.lower()]
    return RawEcg(leads, float(read.fs), format="WFDB")


def _read_plainer(record: Path, first: Exception) -> Any:
    """The record through a header without what does not bear on the signal; DamagedRecordError where that fails too."""
    import wfdb

    fault, folder = first, record.parent
    try:
        with plainer_copy(record) as copy:
            if copy is not None:
                folder = copy.parent
                return wfdb.rdrecord(str(copy), physical=False)
    except Exception as error:
        fault = error
    said = " ".join(_without_folder(_without_folder(str(fault), folder), record.parent).split())
    raise DamagedRecordError(f"{type(fault).__name__}: {said[:160]}")


def _without_folder(message: str, folder: Path) -> str:
    """The message with the files of `folder` named alone: reasons are published, a user's folders are not."""
    forms = {os.fspath(folder), os.path.normpath(folder.absolute()), os.path.realpath(folder)}
    forms |= {repr(form)[1:-1] for form in forms}  # the system's own messages quote the path
    for form in sorted(forms, key=len, reverse=True):
        message = message.replace(form.rstrip(os.sep) + os.sep, "")
        if Path(form).is_absolute():
            message = message.replace(form, "its folder")
    return message


def _check_samples(samples: np.ndarray, lead: str, file_format: str, checksum: int | None) -> None:
    if file_format == "16" and (samples == -32768).any():
        raise DamagedRecordError(f"lead {lead} has samples marked invalid")
    if checksum is not None and (int(samples.sum()) - checksum) % 65536 != 0:
        raise DamagedRecordError(f"the samples of lead {lead} do not sum to the header's checksum")
