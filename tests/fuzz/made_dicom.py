"""DICOM waveform objects, written with pydicom."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from tests.fuzz.made_signal import BORN, FAMILY, GIVEN, IDENTIFIER, KANA, KANJI, MICROVOLTS, RATE, median_beat

CODE = {"I": 1, "II": 2, "III": 61, "aVR": 62, "aVL": 63, "aVF": 64} | {f"V{n}": n + 2 for n in range(1, 7)}
CHARACTER_SETS = {
    "ISO 2022 IR 87": (["", "ISO 2022 IR 87"], f"{FAMILY}^{GIVEN}={KANJI}=ヤマダ^タロウ"),
    "Shift_JIS": (["ISO_IR 13", "ISO 2022 IR 87"], f"{KANA}={KANJI}=ヤマダ^タロウ"),
    "UTF-8": (["ISO_IR 192"], f"{FAMILY}^{GIVEN}={KANJI}=ヤマダ^タロウ"),
}


@dataclass
class Group:
    """One multiplex group. `counts`: (samples, channels) of the type that `interpretation` says."""

    counts: np.ndarray
    names: tuple[str, ...]
    label: str = "RHYTHM"
    originality: str = "ORIGINAL"
    rate: float = RATE
    interpretation: str = "SS"
    sensitivity: float = MICROVOLTS
    unit: str = "uV"
    padding: bytes | None = None
    channel: dict[str, Any] = field(default_factory=dict)
    """Further elements of every channel, such as ChannelBaseline."""
    by_label: bool = False
    """Leads named by ChannelLabel alone, without a code."""


def dicom(leads: dict[str, np.ndarray], character_set: str = "ISO 2022 IR 87") -> bytes:
    """A 12-lead object with a median beat and a person."""
    rhythm = Group(np.stack(list(leads.values()), axis=1), tuple(leads))
    beat = Group(np.stack(list(median_beat(leads).values()), axis=1), tuple(leads), "MEDIAN BEAT", "DERIVED")
    return dicom_of([beat, rhythm], character_set)


def dicom_of(
    groups: list[Group], character_set: str = "UTF-8", age: str = "067Y", syntax: str = ExplicitVRLittleEndian
) -> bytes:
    """An object of these groups."""
    dataset = Dataset()
    dataset.SpecificCharacterSet, dataset.PatientName = CHARACTER_SETS[character_set]
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.9.1.1", generate_uid(entropy_srcs=["made"])
    dataset.Modality = "ECG"
    dataset.PatientID, dataset.PatientBirthDate = IDENTIFIER, "{:04d}{:02d}{:02d}".format(*BORN)
    dataset.PatientSex, dataset.PatientAge = "F", age
    dataset.WaveformSequence = Sequence(map(_group, groups))
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    written = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.save_as(written, enforce_file_format=True)
    return written.getvalue()


def _group(group: Group) -> Dataset:
    made = Dataset()
    made.MultiplexGroupLabel, made.WaveformOriginality = group.label, group.originality
    made.NumberOfWaveformSamples, made.NumberOfWaveformChannels = group.counts.shape
    made.SamplingFrequency = str(group.rate)
    made.WaveformBitsAllocated = group.counts.itemsize * 8
    made.WaveformSampleInterpretation = group.interpretation
    if group.padding is not None:
        made.add_new("WaveformPaddingValue", "OW", group.padding)
    made.ChannelDefinitionSequence = Sequence(_channel(group, name) for name in group.names)
    data = np.ascontiguousarray(group.counts).tobytes()
    made.add_new("WaveformData", "OW", data + b"\0" * (len(data) % 2))
    return made


def _channel(group: Group, name: str) -> Dataset:
    channel = Dataset()
    channel.ChannelSensitivity = str(group.sensitivity)
    channel.ChannelSensitivityUnitsSequence = Sequence([_code(group.unit, "UCUM", group.unit)])
    if group.by_label:
        channel.ChannelLabel = name
    else:
        channel.ChannelSourceSequence = Sequence([_code(f"5.6.3-9-{CODE[name]}", "SCPECG", f"Lead {name}")])
    for keyword, value in group.channel.items():
        setattr(channel, keyword, value)
    return channel


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code
