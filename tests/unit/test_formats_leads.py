"""Names of leads, ages that files state, and what is published of a damaged file."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecgbench.ecg.formats.leads import Channel, choose_leads, standard_lead
from ecgbench.ecg.formats.reason import published
from ecgbench.ecg.formats.stated_age import stated_age
from ecgbench.ecg.recording import LEADS, DamagedRecordError
from tests.fuzz import made_binary, made_xml
from tests.fuzz.made_signal import counts

SAMPLES = np.arange(50.0)


@pytest.mark.parametrize(
    ("name", "lead"),
    [
        ("I", "I"), ("i", "I"), ("AVR", "aVR"), ("avf", "aVF"), ("v6", "V6"), ("Lead II", "II"), ("LEAD  III", "III"),
        ("MDC_ECG_LEAD_aVL", "aVL"), ("mdc_ecg_lead_v1", "V1"), ("ECG V2", "V2"), ("ＩＩ", "II"), ("Ｖ１", "V1"),
        ("ａＶＲ", "aVR"), ("　V3 ", "V3"), ("Ⅰ", "I"), ("Ⅲ誘導", "III"), ("第Ⅱ誘導", "II"), ("V5誘導", "V5"),
        ("Lead I (Einthoven)", "I"),
    ],
)  # fmt: skip
def test_the_spellings_of_a_lead(name: str, lead: str) -> None:
    assert standard_lead(name) == lead


@pytest.mark.parametrize(
    "name",
    ["", "MLII", "MLI", "V7", "V3R", "X", "-aVR", "I-cal", "IV", "II V1", "V", "V10", "V12", "VI", "SpO2", "III (derived)",
     "1", "aVR-", "modified II", "lead", "誘導"],
)  # fmt: skip
def test_what_is_no_standard_lead(name: str) -> None:
    assert standard_lead(name) is None


@given(st.text(max_size=8))
def test_only_the_twelve_ever_come_out(name: str) -> None:
    assert standard_lead(name) in (None, *LEADS)


def test_other_channels_are_passed_over() -> None:
    leads, rate, remarks = choose_leads([Channel("SpO2", SAMPLES[:3], 1.0), Channel("V1", SAMPLES, 500.0)])
    assert list(leads) == ["V1"] and rate == 500 and remarks == []


def test_the_first_of_two_equal_names_is_taken_and_said() -> None:
    leads, _, remarks = choose_leads([Channel("II", SAMPLES, 500.0), Channel("II_2", -SAMPLES, 500.0)])
    np.testing.assert_array_equal(leads["II"], SAMPLES)
    assert remarks == ["lead II stands in the file more than once; the first is taken"]


def test_leads_of_the_commonest_rate_are_taken() -> None:
    channels = [Channel("I", SAMPLES, 250.0), Channel("II", SAMPLES, 250.0), Channel("V1", SAMPLES, 1000.0)]
    leads, rate, remarks = choose_leads(channels)
    assert list(leads) == ["I", "II"] and rate == 250 and remarks == ["left out, as not sampled at 250 Hz: V1"]


def test_of_equally_common_rates_the_higher_is_taken() -> None:
    leads, rate, _ = choose_leads([Channel("I", SAMPLES, 250.0), Channel("II", SAMPLES, 1000.0)])
    assert list(leads) == ["II"] and rate == 1000


def test_samples_absent_in_every_lead_are_cut_at_the_ends() -> None:
    gone = SAMPLES.copy()
    gone[:7], gone[-5:] = np.nan, np.nan
    leads, _, remarks = choose_leads([Channel("I", gone, 500.0), Channel("II", gone + 1, 500.0)])
    np.testing.assert_array_equal(leads["I"], SAMPLES[7:-5])
    assert remarks == ["12 samples that are absent in every lead are cut off"]


def test_a_lead_without_samples_is_left_out() -> None:
    leads, _, remarks = choose_leads([Channel("I", SAMPLES, 500.0), Channel("V1", SAMPLES * np.nan, 500.0)])
    assert list(leads) == ["I"] and remarks == ["lead V1 holds no samples and is left out"]


def test_a_gap_inside_a_lead_is_damage() -> None:
    gap = SAMPLES.copy()
    gap[20:23] = np.nan
    with pytest.raises(DamagedRecordError, match="lead V1 has 3 of 50 samples marked as absent"):
        choose_leads([Channel("I", SAMPLES, 500.0), Channel("V1", gap, 500.0)])


@pytest.mark.parametrize(
    ("channels", "says"),
    [
        ([], "none of its 0 channels"),
        ([Channel("MLII", SAMPLES, 360.0)], "none of its 1 channels is one of the 12"),
        ([Channel("I", SAMPLES, 0.0)], "no sampling rate"),
        ([Channel("I", SAMPLES, float("nan"))], "no sampling rate"),
        ([Channel("I", SAMPLES, 500.0), Channel("II", SAMPLES[1:], 500.0)], "differ in length: 49 to 50"),
        ([Channel("I", SAMPLES[:0], 500.0)], "holds no samples"),
        ([Channel("I", SAMPLES * np.nan, 500.0)], "holds no samples"),
    ],
)  # fmt: skip
def test_what_gives_no_leads(channels: list[Channel], says: str) -> None:
    with pytest.raises(DamagedRecordError, match=says):
        choose_leads(channels)


@pytest.mark.parametrize(
    ("value", "unit", "years"),
    [("67", "YEARS", 67), ("30", "MONTHS", 2), ("53", "WEEKS", 1), ("200", "DAYS", 0), ("67", "", None), ("", "YEARS", None),
     ("67", "MOONS", None), ("999", "YEARS", None), ("-3", "YEARS", None)],
)  # fmt: skip
def test_the_age_in_a_ge_muse_file(value: str, unit: str, years: int | None, tmp_path: Path) -> None:
    path = tmp_path / "x"
    text = made_xml.muse(counts()).decode().replace(">67<", f">{value}<").replace(">YEARS<", f">{unit}<")
    path.write_text(text, "utf-8")
    assert stated_age("GE MUSE XML", path) == years


@pytest.mark.parametrize(("age", "unit", "years"), [(67, 1, 67), (30, 2, 2), (9, 3, 0), (0, 1, None), (67, 0, None)])
def test_the_age_in_an_scp_file(age: int, unit: int, years: int | None, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(
        made_binary.scp(counts()).replace(struct.pack("<BHHB", 4, 3, 67, 1), struct.pack("<BHHB", 4, 3, age, unit))
    )
    assert stated_age("SCP-ECG", path) == years


@pytest.mark.parametrize("kind", ["HL7 aECG", "ISHNE", "EDF"])
def test_no_age_is_made_of_a_birth_date(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes({"HL7 aECG": made_xml.aecg, "ISHNE": made_binary.ishne, "EDF": made_binary.edf}[kind](counts()))
    assert stated_age(kind, path) is None


PATH = Path("/home/hospital/患者 山田太郎/PID-0815.scp")


@pytest.mark.parametrize(
    "message",
    [
        f"Malformed XML in {PATH}: no element found", f"Lead V1 has no digits in {PATH}",
        "EDF header: invalid physical minimum 'YAMADA'", 'syntax error in "PID-0815"', "bad value b'YAMADA' here",
        "unterminated 'YAMADA TARO", f"cannot open {PATH.name}", "Files of type YAMADA 1.04 are unsupported",
        "Lead YAMADA (rhythm) has no WaveFormData in the file", "lead PID-0815: 5 samples, 7 expected", "山田太郎: bad",
    ],
)  # fmt: skip
def test_a_published_reason_holds_no_path_and_no_text_of_the_file(message: str) -> None:
    said = published(message, PATH)
    assert not any(part in said for part in ("YAMADA", "0815", "山田", "hospital", "/"))
    assert said.isascii() and "\n" not in said and 0 < len(said) <= 160


def test_a_published_reason_keeps_what_helps() -> None:
    assert published("Lead V1 has no digits in /a/b.xml", Path("/a/b.xml")) == "Lead V1 has no digits in the file"
    assert (
        published("SCP-ECG: lead 3 has invalid\nsample range 5-2", PATH)
        == "SCP-ECG: lead 3 has invalid sample range 5-2"
    )
