"""DICOM waveforms, decoded with `pydicom`: the longest rhythm of the file, never a median beat."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from ecgbench.ecg.formats.guard import allowance, check_declared, limits
from ecgbench.ecg.formats.leads import Channel, choose_leads, standard_lead
from ecgbench.ecg.recording import STORE_SECONDS, DamagedRecordError, RawEcg
from ecgbench.ecg.standardise import MIN_SECONDS

TAGS = ["WaveformSequence", "PatientAge", "PatientSex"]
"""All that is read: names, birth dates and numbers of patients never reach this program."""
SAMPLE_TYPE = {(8, "SB"): "i1", (8, "UB"): "u1", (16, "SS"): "i2", (16, "US"): "u2", (32, "SL"): "i4", (32, "UL"): "u4"}
UNITS = {"nV": 1e-6, "uV": 1e-3, "µV": 1e-3, "μV": 1e-3, "mV": 1.0, "V": 1e3}
LEAD_OF_CODE = {
    1: "I", 2: "II", 3: "V1", 4: "V2", 5: "V3", 6: "V4", 7: "V5", 8: "V6", 61: "III", 62: "aVR", 63: "aVL", 64: "aVF",
}  # fmt: skip
"""Lead numbers of SCP-ECG and ISO/IEEE 11073-10102, as DICOM PS3.16 CID 3001 has them in `2:1` and `5.6.3-9-1`."""
_CODE = re.compile(r"(?:2:|5\.6\.3-9-)(\d{1,3})")
_SEX = {"M": "male", "F": "female"}
_YEARS = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}
_NO_RHYTHM = ("MEDIAN", "REPRESENTATIVE", "AVERAGE")
LONG_RUN = 1.0
"""Seconds for which a channel stands at its padding value before that is taken for absence."""


def read_dicom(path: Path, size: int) -> RawEcg:
    """The rhythm group of the longest duration as leads in mV. DamagedRecordError where there is none or it is damaged."""
    import pydicom

    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"), limits(*allowance(size)):
            warnings.simplefilter("ignore")  # of UIDs and other elements that are none of our business
            dataset = pydicom.dcmread(path, specific_tags=TAGS)
            syntax = dataset.file_meta.get("TransferSyntaxUID") or pydicom.uid.ImplicitVRLittleEndian
            group = _rhythm(list(dataset.get("WaveformSequence") or []))
            channels, cut = _channels(group, "<" if syntax.is_little_endian else ">", size)
            leads, rate, remarks = choose_leads(channels)
            age, sex = _age(str(dataset.get("PatientAge") or "")), _SEX.get(str(dataset.get("PatientSex") or ""))
    except (DamagedRecordError, MemoryError):
        raise
    except Exception as error:  # elements are decoded as they are asked for; the library's words may be the file's
        raise DamagedRecordError(f"DICOM: it cannot be decoded ({type(error).__name__})") from None
    return RawEcg(leads, rate, age=age, sex=sex, format="DICOM", remarks=(*cut, *remarks))


def _age(text: str) -> float | None:
    """Whole years of an age string such as 042Y."""
    stated = re.fullmatch(r"(\d{3})([YMWD])", text.strip())
    return float(int(int(stated[1]) * _YEARS[stated[2]])) if stated else None


def _rhythm(groups: list[Any]) -> Any:
    """The group of the longest duration that is no median beat. Beyond the 10 s that a store keeps duration is nothing
    against leads: a 60-s strip of one lead does not displace the 12 leads beside it."""
    rhythms = []
    for group in groups:
        label = str(group.get("MultiplexGroupLabel") or "").upper()
        rate, samples = float(group.get("SamplingFrequency") or 0), int(group.get("NumberOfWaveformSamples") or 0)
        if rate <= 0 or samples <= 0 or any(word in label for word in _NO_RHYTHM):
            continue
        derived = str(group.get("WaveformOriginality") or "").upper() == "DERIVED"
        if derived and samples < MIN_SECONDS * rate:  # a beat whatever its label; a filtered rhythm is derived too
            continue
        known = sum(_lead(definition) is not None for definition in group.get("ChannelDefinitionSequence") or [])
        rhythms.append(((min(samples / rate, STORE_SECONDS), known, not derived, samples / rate), group))
    if not rhythms:
        raise DamagedRecordError(f"DICOM: none of its {len(groups)} waveform groups is a rhythm")
    return max(rhythms, key=lambda each: each[0])[1]


def _channels(group: Any, order: str, size: int) -> tuple[list[Channel], list[str]]:
    bits, kind = int(group.WaveformBitsAllocated), str(group.WaveformSampleInterpretation)
    if (bits, kind) not in SAMPLE_TYPE:
        raise DamagedRecordError("DICOM: its samples are of a type that ECG objects do not have")
    sample = np.dtype(order + SAMPLE_TYPE[bits, kind])
    channels, samples = int(group.NumberOfWaveformChannels), int(group.NumberOfWaveformSamples)
    check_declared(channels * samples, size)
    expected = channels * samples * sample.itemsize
    if channels <= 0 or len(group.WaveformData) < expected:
        raise DamagedRecordError(f"DICOM: {len(group.WaveformData)} bytes of samples, {expected} expected")
    codes = np.frombuffer(group.WaveformData[:expected], sample).reshape(samples, channels)
    definitions = list(group.ChannelDefinitionSequence)
    if len(definitions) != channels:
        raise DamagedRecordError(f"DICOM: {channels} channels and {len(definitions)} definitions of channels")
    rate = float(group.SamplingFrequency)
    absent, kept = _absent(codes, _padding(group, sample), rate)
    read = []
    for column, definition in enumerate(definitions):
        lead = _lead(definition)
        if lead is not None:
            values = codes[:, column] * _millivolts(definition) + _offset(definition)
            read.append(Channel(lead, np.where(absent[:, column], np.nan, values)[kept], rate))
    cut = samples - (kept.stop - kept.start)
    return read, [f"{cut} samples of padding are cut off"] if cut else []


def _lead(definition: Any) -> str | None:
    source = (definition.get("ChannelSourceSequence") or [None])[0]
    if source is None:
        return standard_lead(str(definition.get("ChannelLabel") or ""))
    code, meaning = str(source.get("CodeValue") or ""), str(source.get("CodeMeaning") or "")
    numbered = _CODE.fullmatch(code)
    if numbered:
        return LEAD_OF_CODE.get(int(numbered[1]))
    return standard_lead(code) or standard_lead(meaning) or standard_lead(str(definition.get("ChannelLabel") or ""))


def _millivolts(definition: Any) -> float:
    """mV per count: PS3.3 C.10.9.1.4.2, `value = count * sensitivity * correction + baseline`."""
    units = (definition.get("ChannelSensitivityUnitsSequence") or [None])[0]
    unit = UNITS.get(str(units.get("CodeValue"))) if units is not None else None
    sensitivity = definition.get("ChannelSensitivity")
    if unit is None or sensitivity is None:
        raise DamagedRecordError("DICOM: a lead states no voltage")
    correction = definition.get("ChannelSensitivityCorrectionFactor")
    return float(sensitivity) * (1.0 if correction is None else float(correction)) * unit


def _offset(definition: Any) -> float:
    units = definition.ChannelSensitivityUnitsSequence[0]
    return float(definition.get("ChannelBaseline") or 0.0) * UNITS[str(units.CodeValue)]


def _padding(group: Any, sample: np.dtype) -> int | None:
    raw = group.get("WaveformPaddingValue")
    if isinstance(raw, bytes) and len(raw) >= sample.itemsize:
        return int(np.frombuffer(raw[: sample.itemsize], sample)[0])
    return int(raw) if isinstance(raw, int) else None


def _absent(codes: np.ndarray, padding: int | None, rate: float) -> tuple[np.ndarray, slice]:
    """Which samples are absent, and the stretch of time that is not padding in every channel.

    Writers set Waveform Padding Value to an ordinary count: in a file that has it as 0, every crossing of the zero
    line equals it (131 of 5000 samples of lead I), and a reader that takes the value at its word gets holes there. So
    the value alone tells nothing when it lies between a channel's other counts. It then means absence only where
    every channel stands at it from the start or to the end, for 50 ms or more, or where one channel stands at it for a
    second or more. A value beyond a channel's other counts (-32768) means absence wherever it stands.
    """
    samples = len(codes)
    if padding is None:
        return np.zeros(codes.shape, bool), slice(0, samples)
    equal = codes == padding
    absent = equal.copy()
    ordinary = np.zeros(codes.shape[1], bool)
    for column in range(codes.shape[1]):
        others = codes[~equal[:, column], column]
        ordinary[column] = bool(others.size) and others.min() < padding < others.max()
        if ordinary[column]:
            absent[:, column] = _runs(equal[:, column], round(LONG_RUN * rate))
    at = np.flatnonzero(~equal.all(axis=1))
    if not at.size:
        return absent, slice(0, samples)
    first, last = int(at[0]), int(at[-1]) + 1
    least = round(0.05 * rate) if ordinary.any() else 1
    return absent, slice(first if first >= least else 0, last if samples - last >= least else samples)


def _runs(mask: np.ndarray, least: int) -> np.ndarray:
    """The mask with every run of True shorter than `least` taken out."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    kept = np.zeros(len(mask), bool)
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        kept[start:stop] = stop - start >= least
    return kept
