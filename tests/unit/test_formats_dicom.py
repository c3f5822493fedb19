"""DICOM objects written for the purpose: which group is taken, what a count is worth, and what is never read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from ecgbench.ecg.formats.read import read_file
from ecgbench.ecg.recording import DamagedRecordError, RawEcg
from tests.fuzz.made_dicom import CHARACTER_SETS, Group, dicom, dicom_of
from tests.fuzz.made_signal import MICROVOLTS, RATE, SECRETS, counts, median_beat, millivolts

NAMES = ("I", "II", "V1")
COUNTS = np.stack(list(counts(NAMES).values()), axis=1)
"""int16 (1500, 3)"""


def read(content: bytes, folder: Path) -> RawEcg:
    (folder / "x.dcm").write_bytes(content)
    return read_file(folder / "x.dcm")


def assert_is(raw: RawEcg, values: np.ndarray, names: tuple[str, ...] = NAMES) -> None:
    assert tuple(raw.leads) == names
    for column, name in enumerate(names):
        np.testing.assert_allclose(raw.leads[name], values[:, column], rtol=0, atol=1e-12)


@pytest.mark.parametrize("character_set", CHARACTER_SETS)
def test_names_birth_dates_and_numbers_are_never_read(character_set: str, tmp_path: Path) -> None:
    content = dicom(counts(), character_set)
    encoded = CHARACTER_SETS[character_set][1].rpartition("=")[0].rpartition("=")[2]
    codec = {"ISO 2022 IR 87": "iso2022_jp", "Shift_JIS": "iso2022_jp", "UTF-8": "utf-8"}[character_set]
    assert (
        encoded.encode(codec).removesuffix(b"\x1b(B") in content
        and b"19530508" in content
        and b"PID-0815-42" in content
    )
    raw = read(content, tmp_path)
    shown = f"{raw!r} {raw.remarks}"
    assert not [secret for secret in SECRETS if secret in shown]
    assert (raw.age, raw.sex) == (67.0, "female")


def test_the_name_is_not_even_decoded(tmp_path: Path) -> None:
    """A name in a character set that nobody knows, or damaged, is no hindrance."""
    content = dicom(counts(), "UTF-8").replace(b"ISO_IR 192", b"ISO_IR 999").replace("山田太郎".encode(), b"\xff" * 12)
    assert_is(read(content, tmp_path), np.stack(list(millivolts(counts()).values()), axis=1), tuple(counts()))


HARMS = {
    "no samples": lambda content: content.replace(b"\x00\x54\x10\x10", b"\x00\x54\x10\x11"),
    "half a file": lambda content: content[: len(content) // 2],
    "no voltage": lambda content: content.replace(b"uV", b"kV"),
    "odd bits": lambda content: content.replace(b"\x04\x10US\x02\x00\x10", b"\x04\x10US\x02\x00\x11"),
}


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("character_set", CHARACTER_SETS)
def test_an_error_tells_nothing_of_the_patient(harm: str, character_set: str, tmp_path: Path) -> None:
    whole = dicom(counts(), character_set)
    content = HARMS[harm](whole)
    assert content != whole
    with pytest.raises(DamagedRecordError) as caught:
        read(content, tmp_path)
    assert not [secret for secret in SECRETS if secret in str(caught.value)] and "x.dcm" not in str(caught.value)


def group(seconds: float, label: str = "RHYTHM", originality: str = "ORIGINAL", value: int = 0, names=NAMES) -> Group:
    made = np.stack(list(counts(names, seconds).values()), axis=1) + np.int16(value)
    return Group(made, names, label, originality)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_the_longest_rhythm_is_taken(order: tuple[int, ...], tmp_path: Path) -> None:
    groups = [group(5, value=1), group(8, value=2), group(6, value=3)]
    raw = read(dicom_of([groups[place] for place in order]), tmp_path)
    assert_is(raw, groups[1].counts * MICROVOLTS / 1000)


@pytest.mark.parametrize("label", ["MEDIAN BEAT", "Median Beat 12", "REPRESENTATIVE", "average beat"])
def test_a_median_beat_is_never_taken_be_it_the_longest_or_the_only_one(label: str, tmp_path: Path) -> None:
    rhythm, median = group(5), group(9, label, "DERIVED", value=7)
    assert_is(read(dicom_of([median, rhythm]), tmp_path), rhythm.counts * MICROVOLTS / 1000)
    with pytest.raises(DamagedRecordError, match="none of its 1 waveform groups is a rhythm"):
        read(dicom_of([median]), tmp_path)


def test_a_short_derived_group_is_a_beat_whatever_its_label(tmp_path: Path) -> None:
    beat = Group(np.stack(list(median_beat(counts(NAMES)).values()), axis=1), NAMES, "GROUP 2", "DERIVED")
    with pytest.raises(DamagedRecordError, match="none of its 1 waveform groups is a rhythm"):
        read(dicom_of([beat]), tmp_path)


def test_a_filtered_rhythm_is_derived_and_taken(tmp_path: Path) -> None:
    rhythm = group(6, originality="DERIVED")
    assert_is(read(dicom_of([rhythm]), tmp_path), rhythm.counts * MICROVOLTS / 1000)


def test_of_equal_groups_the_original_is_taken(tmp_path: Path) -> None:
    filtered, original = group(6, originality="DERIVED", value=5), group(6)
    assert_is(read(dicom_of([filtered, original]), tmp_path), original.counts * MICROVOLTS / 1000)


def test_a_long_strip_of_one_lead_does_not_displace_12_leads_of_10_s(tmp_path: Path) -> None:
    strip, twelve = group(60, names=("II",)), group(10)
    assert_is(read(dicom_of([strip, twelve]), tmp_path), twelve.counts * MICROVOLTS / 1000)


def test_sensitivity_correction_and_baseline(tmp_path: Path) -> None:
    """PS3.3 C.10.9.1.4.2: value = count * sensitivity * correction + baseline, in the unit of the sensitivity."""
    made = Group(
        COUNTS, NAMES, sensitivity=2.5, channel={"ChannelSensitivityCorrectionFactor": "1.25", "ChannelBaseline": "40"}
    )
    assert_is(read(dicom_of([made]), tmp_path), (COUNTS * 2.5 * 1.25 + 40) / 1000)


@pytest.mark.parametrize(("unit", "factor"), [("nV", 1e-6), ("uV", 1e-3), ("mV", 1.0), ("V", 1e3)])
def test_the_unit_of_the_sensitivity(unit: str, factor: float, tmp_path: Path) -> None:
    made = Group(COUNTS, NAMES, sensitivity=0.5, unit=unit, channel={"ChannelBaseline": "2"})
    wanted = (COUNTS * 0.5 + 2) * factor
    raw = read(dicom_of([made]), tmp_path)
    np.testing.assert_allclose(raw.leads["II"], wanted[:, 1], rtol=1e-12)


@pytest.mark.parametrize(
    ("interpretation", "kind"), [("SB", "i1"), ("UB", "u1"), ("SS", "i2"), ("US", "u2"), ("SL", "i4"), ("UL", "u4")]
)
def test_samples_of_8_16_and_32_bits(interpretation: str, kind: str, tmp_path: Path) -> None:
    """1,500 samples of 3 channels, an odd number of bytes where they are of one each among them."""
    values = (COUNTS // 2 + (100 if kind[0] == "u" else 0)).clip(0 if kind[0] == "u" else -128, 127)[:1499]
    made = Group(values.astype(kind), NAMES, interpretation=interpretation)
    assert_is(read(dicom_of([made]), tmp_path), values * MICROVOLTS / 1000)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_the_little_endian_syntaxes(syntax: str, tmp_path: Path) -> None:
    assert_is(read(dicom_of([group(6)], syntax=syntax), tmp_path), COUNTS * MICROVOLTS / 1000)


def test_big_endian_samples(tmp_path: Path) -> None:
    made = Group(COUNTS.astype(">i2"), NAMES)
    assert_is(read(dicom_of([made], syntax=ExplicitVRBigEndian), tmp_path), COUNTS * MICROVOLTS / 1000)


def padded(value: int, counts: np.ndarray = COUNTS, **options: Any) -> Group:
    return Group(counts, NAMES, padding=np.array([value], "<i2").tobytes(), **options)


def test_a_padding_value_that_is_an_ordinary_count_makes_no_holes(tmp_path: Path) -> None:
    """Every crossing of the zero line equals it: readers that take the value at its word return NaN there."""
    assert (COUNTS == 0).sum() > 20
    raw = read(dicom_of([padded(0)]), tmp_path)
    assert_is(raw, COUNTS * MICROVOLTS / 1000)
    assert raw.remarks == ()


@pytest.mark.parametrize("value", [-32768, 0])
def test_padding_in_every_channel_at_the_ends_is_cut_off(value: int, tmp_path: Path) -> None:
    values = COUNTS.copy()
    values[:100], values[-300:] = value, value
    raw = read(dicom_of([padded(value, values)]), tmp_path)
    assert_is(raw, COUNTS[100:-300] * MICROVOLTS / 1000)
    assert raw.remarks == ("400 samples of padding are cut off",)


def test_padding_beyond_all_counts_within_a_lead_is_damage(tmp_path: Path) -> None:
    values = COUNTS.copy()
    values[700:710, 1] = -32768
    with pytest.raises(DamagedRecordError, match="lead II has 10 of 1500 samples marked as absent"):
        read(dicom_of([padded(-32768, values)]), tmp_path)


def test_a_second_at_the_padding_value_is_absence_and_less_is_not(tmp_path: Path) -> None:
    values = COUNTS.copy()
    values[700 : 700 + RATE - 50, 1] = 0
    assert_is(read(dicom_of([padded(0, values)]), tmp_path), values * MICROVOLTS / 1000)
    values[700 : 700 + RATE, 1] = 0
    with pytest.raises(DamagedRecordError, match=r"lead II has .* samples marked as absent"):
        read(dicom_of([padded(0, values)]), tmp_path)


def test_a_channel_of_nothing_but_padding_is_left_out(tmp_path: Path) -> None:
    values = COUNTS.copy()
    values[:, 2] = -32768
    raw = read(dicom_of([padded(-32768, values)]), tmp_path)
    assert_is(raw, COUNTS[:, :2] * MICROVOLTS / 1000, NAMES[:2])
    assert raw.remarks == ("lead V1 holds no samples and is left out",)


def test_leads_named_by_their_label_alone(tmp_path: Path) -> None:
    raw = read(dicom_of([Group(COUNTS, ("Lead I", "ii", "SpO2"), by_label=True)]), tmp_path)
    assert_is(raw, COUNTS[:, :2] * MICROVOLTS / 1000, ("I", "II"))


@pytest.mark.parametrize(
    ("age", "years"),
    [("067Y", 67), ("018M", 1), ("060W", 1), ("300D", 0), ("", None), ("67", None), ("67 Y", None), ("ABCY", None)],
)
def test_the_age_is_the_stated_one(age: str, years: float | None, tmp_path: Path) -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        content = dicom_of([group(6)], age=age)
    assert read(content, tmp_path).age == years


def test_an_object_without_waveforms(tmp_path: Path) -> None:
    with pytest.raises(DamagedRecordError, match="none of its 0 waveform groups"):
        read(dicom_of([]), tmp_path)


def test_a_channel_too_few(tmp_path: Path) -> None:
    with pytest.raises(DamagedRecordError, match="3 channels and 2 definitions"):
        read(dicom_of([Group(COUNTS, NAMES[:2])]), tmp_path)
