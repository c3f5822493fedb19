"""The recorders' own formats, from files made by hand after their standards."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from ecgbench.ecg.formats.read import read_file
from ecgbench.ecg.formats.sniff import Kind
from ecgbench.ecg.recording import LEADS, DamagedRecordError, RawEcg
from ecgbench.ecg.standardise import derive_limb_leads, to_store
from tests.fuzz import made_binary, made_tables, made_xml
from tests.fuzz.made import KINDS, LAYOUT, made_files
from tests.fuzz.made_signal import IDENTIFIER, KANJI, RATE, SECRETS, STORED, counts, millivolts

CLINICAL: tuple[Kind, ...] = (
    "HL7 aECG", "SCP-ECG", "MFER", "GE MUSE XML", "Philips Sierra XML", "ISHNE", "EDF", "DICOM", "WFDB",
)  # fmt: skip


def read(content: bytes, folder: Path) -> RawEcg:
    (folder / "x").write_bytes(content)
    return read_file(folder / "x")


def assert_is(raw: RawEcg, wanted: dict[str, np.ndarray]) -> None:
    assert set(raw.leads) == set(wanted)
    for name, samples in wanted.items():
        np.testing.assert_allclose(raw.leads[name], samples, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", CLINICAL)
def test_names_birth_dates_and_numbers_are_not_in_the_ecg(kind: Kind, tmp_path: Path) -> None:
    for number, made in enumerate(made_files(kind)):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert any(IDENTIFIER.encode() in content for content in made.files.values())
        shown = repr(read_file(made.write(folder), LAYOUT))
        assert not [secret for secret in SECRETS if secret in shown]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("NPY", "NPZ", "Parquet", "text table")])
def test_names_birth_dates_and_numbers_are_not_in_an_error(kind: Kind, tmp_path: Path) -> None:
    """Cut anywhere; names stand before the samples in every format."""
    made = made_files(kind)[0]
    content = made.files[made.name]
    for number, end in enumerate(np.linspace(20, len(content) - 20, 25).astype(int).tolist()):
        folder = tmp_path / str(number)
        folder.mkdir()
        (path := made.write(folder)).write_bytes(content[:end])
        try:
            shown = repr(read_file(path, LAYOUT))
        except DamagedRecordError as error:
            shown = str(error)
        assert not [secret for secret in (*SECRETS, path.name, str(number) + "/") if secret in shown]


@pytest.mark.parametrize("encoding", ["shift_jis", "euc_jp", "iso2022_jp", "utf-8", "utf-16"])
@pytest.mark.parametrize("write", [made_xml.aecg, made_xml.muse, made_xml.sierra])
def test_documents_with_japanese_names_in_any_encoding(write, encoding: str, tmp_path: Path) -> None:
    text = write(counts()).decode().replace('encoding="UTF-8"', f'encoding="{encoding}"')
    assert KANJI in text
    raw = read(text.encode(encoding), tmp_path)
    assert_is(raw, millivolts(counts()))
    assert not [secret for secret in SECRETS if secret in repr(raw)]


@pytest.mark.parametrize("character_set", ["RFC 1468", "Shift_JIS"])
def test_mfer_with_japanese_names(character_set: str, tmp_path: Path) -> None:
    raw = read(made_binary.mfer(counts(), character_set=character_set), tmp_path)
    assert_is(raw, millivolts(counts()))
    assert (raw.age, raw.sex) == (67, "female") and not [secret for secret in SECRETS if secret in repr(raw)]


@pytest.mark.parametrize("kind", ["GE MUSE XML", "SCP-ECG", "Philips Sierra XML"])
def test_eight_stored_leads_become_twelve(kind: Kind, tmp_path: Path) -> None:
    raw = read_file(made_files(kind)[0].write(tmp_path))
    assert set(raw.leads) == set(STORED)
    full = derive_limb_leads(raw.leads)
    assert set(full) == set(LEADS)
    np.testing.assert_allclose(full["III"], raw.leads["II"] - raw.leads["I"])
    np.testing.assert_allclose(full["aVR"] + full["aVL"] + full["aVF"], 0, atol=1e-12)
    stored = to_store(raw.leads, raw.rate)
    assert all(stored.lead_mask) and stored.valid_samples == 6 * 500


def test_the_median_beat_of_a_file_with_nothing_else_is_not_taken(tmp_path: Path) -> None:
    muse = re.sub(rb"<Waveform><WaveformType>Rhythm.*</Waveform>", b"", made_xml.muse(counts()))
    aecg = made_xml.aecg(counts()).replace(b'"RHYTHM"', b'"REPRESENTATIVE_BEAT"')
    mfer = made_binary.mfer(counts()).replace(b"\x08\x02\x01\x00", b"\x08\x02\x09\x00")
    for content in (muse, aecg, mfer):
        with pytest.raises(DamagedRecordError):
            read(content, tmp_path)


def test_a_lead_whose_checksum_does_not_fit_is_damage(tmp_path: Path) -> None:
    muse = re.sub(rb"<LeadDataCRC32>\d+", b"<LeadDataCRC32>12345", made_xml.muse(counts()))
    with pytest.raises(DamagedRecordError, match="checksum of a lead does not fit its samples"):
        read(muse, tmp_path)
    scp = bytearray(made_binary.scp(counts(), packed=False))
    scp[-100] ^= 1
    with pytest.raises(DamagedRecordError, match="checksum of the leads does not fit them"):
        read(bytes(scp), tmp_path)


def test_a_checksum_of_the_patients_section_is_a_remark(tmp_path: Path) -> None:
    scp = made_binary.scp(counts()).replace(b"TAROU", b"TAROO")
    raw = read(scp, tmp_path)
    assert_is(raw, millivolts(counts()))
    assert raw.remarks == ("a checksum does not fit the file; those of the leads do",)


@pytest.mark.parametrize("write", [made_binary.edf, made_binary.mfer, made_binary.ishne])
def test_a_file_that_is_cut_short_is_damage_and_not_a_shorter_ecg(write, tmp_path: Path) -> None:
    with pytest.raises(DamagedRecordError):
        read(write(counts())[:-1001], tmp_path)


def test_an_edf_is_read_up_to_its_first_gap(tmp_path: Path) -> None:
    raw = read(made_binary.edf(counts(), gap=True), tmp_path)
    assert_is(raw, {name: samples[: 3 * RATE] for name, samples in millivolts(counts()).items()})


def test_channels_that_are_no_voltages_are_left_out(tmp_path: Path) -> None:
    with pytest.raises(DamagedRecordError, match="holds no samples"):
        read(made_binary.edf(counts(), unit="degC"), tmp_path)


def test_a_fractional_rate_is_kept_exactly(tmp_path: Path) -> None:
    text = made_xml.aecg(counts()).replace(b'value="0.004"', b'value="0.0033"')
    assert read(text, tmp_path).rate == pytest.approx(1 / 0.0033, rel=1e-12)
    mfer = made_binary.mfer(counts()).replace(b"\x0b\x06\x00\x00\xfa\x00\x00\x00", b"\x0b\x06\x00\xff\xc5\x09\x00\x00")
    assert read(mfer, tmp_path).rate == pytest.approx(250.1, rel=1e-12)


@pytest.mark.parametrize("step", ["10", "1", "1e-9"])
def test_a_rate_that_no_ecg_has(step: str, tmp_path: Path) -> None:
    with pytest.raises(
        DamagedRecordError, match=r"samples a second; 20 to 100000 are those of an ECG|No usable time increment"
    ):
        read(made_xml.aecg(counts()).replace(b'value="0.004"', f'value="{step}"'.encode()), tmp_path)


@pytest.mark.parametrize("date", ["12-May-2020 12:33:59", "12-May-2020", "05-May-2020 14:50:55", ""])
@pytest.mark.parametrize("signal_format", ["16", "212"])
def test_a_wfdb_header_with_the_dates_of_the_challenges(date: str, signal_format: str, tmp_path: Path) -> None:
    write = {"16": made_tables.wfdb_samples, "212": made_tables.wfdb_samples_212}[signal_format]
    header = tmp_path / "a.hea"
    header.write_bytes(made_tables.wfdb_header(counts(), "a.dat", date=date, signal_format=signal_format))
    (tmp_path / "a.dat").write_bytes(write(counts()))
    assert_is(read_file(header), millivolts(counts()))


@pytest.mark.parametrize(
    "name", ["../outside.dat", "/etc/hostname", "sub/a.dat", "..\\a.dat", "C:a.dat", "memory://a", ".."]
)
def test_a_wfdb_header_cannot_name_files_elsewhere(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "records"
    folder.mkdir()
    (tmp_path / "outside.dat").write_bytes(made_tables.wfdb_samples(counts()))
    header = made_tables.wfdb_header(counts(), "a.dat").decode().replace("\na.dat", f"\n{name}")
    (folder / "a.hea").write_text(header, "utf-8")
    with pytest.raises(DamagedRecordError):
        read_file(folder / "a.hea")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("200/mV", "200/kg", "lead I is in another unit than mV, uV or V"), (" II\n", " I\n", "lead I stands in it twice"),
        (" 1500 ", " 1700 ", "ValueError"), ("a.dat", "gone.dat", "a file that belongs to the record is missing"),
    ],
)  # fmt: skip
def test_a_wfdb_header_that_is_wrong(old: str, new: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "a.hea").write_text(made_tables.wfdb_header(counts(), "a.dat").decode().replace(old, new), "utf-8")
    (tmp_path / "a.dat").write_bytes(made_tables.wfdb_samples(counts()))
    with pytest.raises(DamagedRecordError, match=says) as caught:
        read_file(tmp_path / "a.hea")
    assert "gone" not in str(caught.value) and "kg" not in str(caught.value)


@pytest.mark.parametrize(("name", "says"), [("a.hea", "WFDB header"), ("a.EDF", "EDF file"), ("a.scp", "SCP-ECG file")])
def test_a_harmed_file_that_looks_like_a_table_is_damage(name: str, says: str, tmp_path: Path) -> None:
    """Found by fuzzing: of what was left of an EDF file the user was asked for the rate and the unit."""
    (tmp_path / name).write_bytes(b"8 250 1500\n16 200 16 0\n")
    with pytest.raises(DamagedRecordError, match=f"it is no {says} that can be understood"):
        read_file(tmp_path / name)


def test_a_wfdb_record_of_several_segments(tmp_path: Path) -> None:
    for name in ("s1", "s2"):
        (tmp_path / f"{name}.hea").write_bytes(made_tables.wfdb_header(counts(), f"{name}.dat", date=""))
        (tmp_path / f"{name}.dat").write_bytes(made_tables.wfdb_samples(counts()))
    (tmp_path / "m.hea").write_text(f"m/2 8 {RATE} 3000\ns1 1500\ns2 1500\n", "utf-8")
    assert_is(
        read_file(tmp_path / "m.hea"), {name: np.tile(samples, 2) for name, samples in millivolts(counts()).items()}
    )
