"""WFDB records as 12 leads in mV, checked against their own header."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ecgbench.ecg.formats.layout import MV_PER_UNIT
from ecgbench.ecg.formats.reason import published
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
    try:
        return RawEcg(_leads(read), float(read.fs), format="WFDB")
    except DamagedRecordError:
        raise
    except Exception as error:  # what the header leaves out
        raise DamagedRecordError(f"its header does not fit its samples ({type(error).__name__})") from None


def _leads(read: Any) -> dict[str, np.ndarray]:
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
        mv = MV_PER.get(read.units[column].lower())
        if mv is None:
            raise DamagedRecordError(f"lead {lead} is in another unit than mV, uV or V")
        if not 0 < abs(read.adc_gain[column]) < np.inf:
            raise DamagedRecordError(f"lead {lead} has gain {read.adc_gain[column]}")
        leads[lead] = (samples - read.baseline[column]) / read.adc_gain[column] * mv
    return leads


def _read_plainer(record: Path, first: Exception) -> Any:
    """The record through a header without what does not bear on the signal; DamagedRecordError where that fails too."""
    import wfdb

    fault, at = first, record
    try:
        with plainer_copy(record) as copy:
            if copy is not None:
                at = copy
                return wfdb.rdrecord(str(copy), physical=False)
    except Exception as error:
        fault = error
    if isinstance(fault, FileNotFoundError):
        raise DamagedRecordError("a file that belongs to the record is missing")
    raise DamagedRecordError(f"{type(fault).__name__}: {published(str(fault), at)}")


def _check_samples(samples: np.ndarray, lead: str, file_format: str, checksum: int | None) -> None:
    if file_format == "16" and (samples == -32768).any():
        raise DamagedRecordError(f"lead {lead} has samples marked invalid")
    if checksum is not None and (int(samples.sum()) - checksum) % 65536 != 0:
        raise DamagedRecordError(f"the samples of lead {lead} do not sum to the header's checksum")
