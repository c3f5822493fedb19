"""The recorders' own formats, decoded by `ecgdatakit`: HL7 aECG, SCP-ECG, MFER, GE MUSE, Philips Sierra, ISHNE, EDF."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from ecgbench.ecg.formats.guard import allowance, limits
from ecgbench.ecg.formats.leads import Channel, choose_leads
from ecgbench.ecg.formats.reason import published
from ecgbench.ecg.formats.stated_age import stated_age
from ecgbench.ecg.formats.xml_text import in_known_encoding
from ecgbench.ecg.recording import DamagedRecordError, RawEcg

PARSER = {
    "HL7 aECG": ("hl7_aecg", "HL7aECGParser"),
    "SCP-ECG": ("scp_ecg", "SCPECGParser"),
    "MFER": ("mfer", "MFERParser"),
    "GE MUSE XML": ("ge_muse_xml", "GEMuseXMLParser"),
    "Philips Sierra XML": ("sierra_xml", "SierraXMLParser"),
    "ISHNE": ("ishne_holter", "ISHNEHolterParser"),
    "EDF": ("edf", "EDFParser"),
}
"""Format -> module and class in ecgdatakit.parsing.parsers; called by name, so that no loose sniffer claims a file."""
XML = ("HL7 aECG", "GE MUSE XML", "Philips Sierra XML")
MV_PER_UNIT = {"nV": 1e-6, "uV": 1e-3, "mV": 1.0, "V": 1e3}
SEX = {"M": "male", "F": "female"}

_DAMAGE = (
    ("CRC32 mismatch", "the checksum of a lead does not fit its samples"),
    ("EDF file truncated", "the file is cut short"),
    ("MFER: waveform data shorter", "the file is cut short"),
    ("ISHNE: odd number of data bytes", "the file is cut short"),
    ("ISHNE: incomplete final frame", "the file is cut short"),
)
_REMARK = (
    ("SCP-ECG CRC mismatch", "a checksum does not fit the file; those of the leads do"),
    ("ISHNE checksum mismatch", "the checksum of the header does not fit it"),
    ("EDF number of data records is -1", "the recorder did not close the file; every whole data record is read"),
    ("MFER: no sampling interval", "it states no sampling rate; MFER's default of 1000 Hz is taken"),
    ("GE MUSE: FirstSampleBaseline", "a baseline of undocumented meaning is not applied"),
    ("GE MUSE: LeadOffsetFirstSample", "an offset of undocumented meaning is not applied"),
)
"""What begins a warning of the library -> what is said of it. Its own words may hold the file's text."""


def parser(kind: str) -> Any:
    """The library's parser for a format, ready to be called."""
    module, name = PARSER[kind]
    return getattr(importlib.import_module(f"ecgdatakit.parsing.parsers.{module}"), name)()


def read_clinical(path: Path, kind: str, size: int) -> RawEcg:
    """The rhythm of a file of the format `kind` (a key of `PARSER`), never a median beat. DamagedRecordError."""
    reader = parser(kind)  # imported before the limits: what an import costs is not the file's fault
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with np.errstate(all="ignore"), limits(*allowance(size)), _known_to_the_library(path, kind) as file:
            record = reader.parse(file)
            remarks = _heed([str(warning.message) for warning in caught])
            leads, rate, left_out = choose_leads(_channels(record, kind))
            age, sex = stated_age(kind, path), SEX.get(record.patient.sex)
    return RawEcg(leads, rate, age=age, sex=sex, format=kind, remarks=(*remarks, *left_out))


@contextmanager
def _known_to_the_library(path: Path, kind: str) -> Iterator[Path]:
    """The file for the library; DamagedRecordError in place of whatever a damaged one leads it to."""
    from ecgdatakit.exceptions import ECGDataKitError

    file = path
    try:
        with in_known_encoding(path) if kind in XML else nullcontext(path) as file:
            yield file
    except (DamagedRecordError, MemoryError):
        raise
    except ECGDataKitError as error:  # composed by the library, of lead names and counts
        raise DamagedRecordError(f"{kind}: {published(str(error), file)}") from None
    except OSError as error:
        raise DamagedRecordError(f"{kind}: {error.strerror or type(error).__name__}") from None
    except Exception as error:  # its words may be the file's
        raise DamagedRecordError(f"{kind}: it cannot be decoded ({type(error).__name__})") from None


def _heed(messages: list[str]) -> list[str]:
    """The library's warnings: DamagedRecordError for those that say so, our own remark for others of weight."""
    remarks: dict[str, None] = {}
    for message in messages:
        for begin, sentence in _DAMAGE:
            if message.startswith(begin):
                raise DamagedRecordError(sentence)
        sections = message.partition("CRC mismatch in: ")[2].split(", ")
        if {"Section 2", "Section 3", "Section 5", "Section 6"} & set(sections):
            raise DamagedRecordError("the checksum of the leads does not fit them")
        remarks |= dict.fromkeys(sentence for begin, sentence in _REMARK if message.startswith(begin))
    return list(remarks)


def _channels(record: Any, kind: str) -> list[Channel]:
    channels = []
    until = _first_gap(record) if kind == "EDF" else None
    for index, lead in enumerate(record.leads):
        rate = _exact_rate(record.raw_metadata, lead, index, kind)
        samples = _millivolts(lead)
        channels.append(Channel(lead.label, samples if until is None else samples[: round(until * rate)], rate))
    if kind == "SCP-ECG" and len({lead.annotations.get("start_sample") for lead in record.leads}) > 1:
        raise DamagedRecordError("its leads begin at different times")
    return channels


def _millivolts(lead: Any) -> np.ndarray:
    """Samples in mV; all NaN where the file states no voltage, so that the lead counts as without samples."""
    from ecgdatakit.models import _normalize_unit

    samples = np.asarray(lead.samples, np.float64)
    unit = _normalize_unit((lead.resolution_unit if lead.is_raw else lead.units) or "")
    if unit is None or (lead.is_raw and not lead.resolution):
        return np.full(len(samples), np.nan)
    if lead.is_raw:
        samples = samples * lead.resolution + lead.offset
    return samples * MV_PER_UNIT[unit]


def _exact_rate(stated: dict[str, Any], lead: Any, index: int, kind: str) -> float:
    """Hz. The library rounds a lead's rate to whole ones; the exact one stands among its other findings."""
    if kind == "EDF":
        return float(stated.get("exact_sampling_rates", {}).get(lead.label, lead.sampling_rate))
    if kind == "HL7 aECG":
        return float(stated.get("rhythm_time", {}).get("sampling_rate_exact", lead.sampling_rate))
    if kind == "SCP-ECG":
        return 1e6 / float(stated["rhythm_sample_interval_us"])
    if kind == "MFER":
        return float(stated.get("sampling_rates", [])[index])
    return float(lead.sampling_rate)


def _first_gap(record: Any) -> float | None:
    """Seconds from the start to the first gap between data records of a discontinuous EDF+ file, or None."""
    onsets = record.raw_metadata.get("record_onsets") or []
    step = record.raw_metadata["record_duration"]
    for index, onset in enumerate(onsets):
        if abs(onset - onsets[0] - index * step) > 1e-6:
            return float(index * step)
    return None
