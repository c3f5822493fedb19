"""Real files of every format, each held against another reader or against its bytes read by hand."""

from __future__ import annotations

import base64
import re
import struct
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from functools import cache

import numpy as np
import pydicom
import pytest
import scipy.io
import wfdb
from pydicom.waveforms import multiplex_array

from ecgbench.ecg.formats.read import read_file
from ecgbench.ecg.recording import LEADS, RawEcg
from ecgbench.ecg.standardise import derive_limb_leads, to_store
from tests.conftest import REAL_ECGS

FORMATS = REAL_ECGS / "formats"
pytestmark = pytest.mark.skipif(not FORMATS.is_dir(), reason=f"real recordings are absent: {FORMATS} is not there")
STORED = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
SAME = "scp_aecg_dicom_same_ecg/Example"
MUSE = "ge_muse/guangxi_teaching_sinus_rhythm.xml"
SIERRA = ("129DYPRG.XML", "2020-5-18_15-48-11.xml", "3191723_ZZDEMOPTONLY_1-04_orig.xml")


@dataclass(frozen=True)
class Facts:
    """What stands in a file, looked up by hand."""

    format: str
    rate: float
    samples: int
    leads: tuple[str, ...] = LEADS
    age: float | None = None
    sex: str | None = None
    remarks: tuple[str, ...] = ()


FACTS = {
    f"{SAME}.dcm": Facts("DICOM", 500, 5000, sex="male"),
    f"{SAME}.scp": Facts("SCP-ECG", 500, 5000, sex="male"),
    f"{SAME}.xml": Facts("HL7 aECG", 500, 5000, sex="male"),
    "dicom/example-DICOM2.dcm": Facts("DICOM", 500, 5000),
    "dicom/waveform_ecg.dcm": Facts("DICOM", 1000, 10000, age=42, sex="female"),
    "edf/A0001.edf": Facts("EDF", 500, 7500),
    MUSE: Facts("GE MUSE XML", 500, 5000, STORED, age=11, sex="male"),
    "ishne/ECG_P28.01.ecg": Facts("ISHNE", 1000, 95573),
    "mfer/sample.mwf": Facts(
        "MFER", 125, 210625, ("I", "II"), remarks=("115 s of calibration pulses at the start are left out",)
    ),
    "philips_sierra/129DYPRG.XML": Facts(
        "Philips Sierra XML", 500, 5264, age=50, sex="male",
        remarks=("0.472 s of calibration pulses at the end are left out",),
    ),
    "philips_sierra/2020-5-18_15-48-11.xml": Facts(
        "Philips Sierra XML", 500, 5300, remarks=("0.4 s of calibration pulses at the end are left out",)
    ),
    "philips_sierra/3191723_ZZDEMOPTONLY_1-04_orig.xml": Facts(
        "Philips Sierra XML", 500, 5300, sex="male", remarks=("0.4 s of calibration pulses at the end are left out",)
    ),
}  # fmt: skip


@cache
def read(name: str) -> RawEcg:
    return read_file(FORMATS / name)


def bytes_of(name: str) -> bytes:
    return (FORMATS / name).read_bytes()


def assert_is(name: str, wanted: dict[str, np.ndarray], tolerance: float = 1e-12) -> None:
    """Every lead, to the rounding of floating point."""
    for lead, samples in wanted.items():
        np.testing.assert_allclose(read(name).leads[lead], samples, rtol=0, atol=tolerance, err_msg=lead)


def test_every_file_of_the_folder_is_looked_at() -> None:
    assert set(FACTS) == {str(path.relative_to(FORMATS)) for path in FORMATS.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", FACTS)
def test_format_rate_length_leads_age_and_sex(name: str) -> None:
    raw, facts = read(name), FACTS[name]
    assert {len(samples) for samples in raw.leads.values()} == {facts.samples}
    told = Facts(
        raw.format, raw.rate, facts.samples, tuple(sorted(raw.leads, key=LEADS.index)), raw.age, raw.sex, raw.remarks
    )
    assert told == facts
    assert all(np.isfinite(samples).all() for samples in raw.leads.values())


@pytest.mark.parametrize("name", FACTS)
def test_every_file_enters_a_store(name: str) -> None:
    raw = read(name)
    stored = to_store(raw.leads, raw.rate)
    assert stored.valid_samples == 5000 and not stored.clipped
    assert stored.lead_mask == tuple(lead in derive_limb_leads(raw.leads) for lead in LEADS)


@pytest.mark.parametrize("name", [name for name in FACTS if FACTS[name].leads == LEADS])
def test_the_limb_leads_obey_einthoven(name: str) -> None:
    """To two steps of the coarsest resolution, for recorders round."""
    leads = read(name).leads
    assert np.abs(leads["I"] + leads["III"] - leads["II"]).max() <= 0.011


@pytest.mark.parametrize("name", [name for name in FACTS if name.endswith(".dcm")])
def test_dicom_as_pydicom_decodes_it(name: str) -> None:
    dataset = pydicom.dcmread(FORMATS / name)
    labels = [str(group.MultiplexGroupLabel) for group in dataset.WaveformSequence]
    assert labels == ["RHYTHM", "MEDIAN BEAT"]
    definitions = dataset.WaveformSequence[0].ChannelDefinitionSequence
    names = [str(each.ChannelSourceSequence[0].CodeMeaning).split()[1] for each in definitions]
    microvolts = multiplex_array(
        dataset, 0, as_raw=False
    )  # sensitivity, correction and baseline applied, padding not heeded
    assert {str(each.ChannelSensitivityUnitsSequence[0].CodeValue) for each in definitions} == {"uV"}
    assert_is(name, {lead: microvolts[:, place] / 1000 for place, lead in enumerate(names)})


def test_the_dicom_of_the_same_ecg_would_have_holes_at_every_zero() -> None:
    """Its Waveform Padding Value is 0, an ordinary count: that is where some readers put NaN."""
    group = pydicom.dcmread(FORMATS / f"{SAME}.dcm").WaveformSequence[0]
    assert group.WaveformPaddingValue == b"\0\0"
    counts = np.frombuffer(group.WaveformData, "<i2").reshape(5000, 12)
    assert (counts[:, 0] == 0).sum() == 131 and (read(f"{SAME}.dcm").leads["I"] == 0).sum() == 131


def aecg_series(name: str) -> dict[str, np.ndarray]:
    """The rhythm of an aECG document, by the standard library's parser."""
    v3 = "{urn:hl7-org:v3}"
    series = ET.fromstring(bytes_of(name)).find(f"{v3}component/{v3}series")
    assert series is not None and series.find(f"{v3}code").get("code") == "RHYTHM"
    leads = {}
    for sequence in series.iterfind(f"{v3}component/{v3}sequenceSet/{v3}component/{v3}sequence"):
        code, value = sequence.find(f"{v3}code").get("code"), sequence.find(f"{v3}value")
        if code.startswith("MDC_ECG_LEAD_"):
            scale = value.find(f"{v3}scale")
            assert scale.get("unit") == "uV" and float(value.find(f"{v3}origin").get("value")) == 0
            digits = np.array(value.find(f"{v3}digits").text.split(), float)
            lead = code.removeprefix("MDC_ECG_LEAD_").replace("AV", "aV")
            leads[lead] = digits * float(scale.get("value")) / 1000
    return leads


def test_aecg_as_a_plain_xml_parser_reads_it() -> None:
    wanted = aecg_series(f"{SAME}.xml")
    assert set(wanted) == set(LEADS) and len(wanted["I"]) == 5000
    assert_is(f"{SAME}.xml", wanted)


@pytest.mark.parametrize(("one", "other"), [("dcm", "scp"), ("dcm", "xml"), ("scp", "xml")])
def test_scp_aecg_and_dicom_give_the_same_ecg(one: str, other: str) -> None:
    """The same counts of 2.5 µV: to 1e-12 mV, no sample left out."""
    first, second = read(f"{SAME}.{one}"), read(f"{SAME}.{other}")
    assert first.rate == second.rate and set(first.leads) == set(second.leads) == set(LEADS)
    for lead in LEADS:
        np.testing.assert_allclose(first.leads[lead], second.leads[lead], rtol=0, atol=1e-12)


def test_they_are_one_record_to_a_store() -> None:
    stored = [to_store(read(f"{SAME}.{ending}").leads, 500).counts.tobytes() for ending in ("dcm", "scp", "xml")]
    assert len(set(stored)) == 1


def test_edf_by_its_header() -> None:
    data = bytes_of("edf/A0001.edf")
    signals, records = int(data[252:256]), int(data[236:244])

    def field(start: int, width: int) -> list[str]:
        at = 256 + start * signals
        return [data[at + width * n : at + width * (n + 1)].decode().strip() for n in range(signals)]

    names, units, per_record = field(0, 16), field(96, 8), [int(each) for each in field(216, 8)]
    low, high, digital_low, digital_high = ([float(v) for v in field(at, 8)] for at in (104, 112, 120, 128))
    rows = np.frombuffer(data[256 * (signals + 1) :], "<i2").reshape(records, sum(per_record))
    wanted, at = {}, 0
    for n, name in enumerate(names):
        counts = rows[:, at : at + per_record[n]].ravel()
        at += per_record[n]
        if "Annotations" not in name:
            step = (high[n] - low[n]) / (digital_high[n] - digital_low[n])
            millivolts = ((counts - digital_low[n]) * step + low[n]) * {"uV": 1e-3, "mV": 1.0}[units[n]]
            wanted[name.split()[-1].replace("AV", "aV")] = millivolts
    assert len(wanted) == 12
    assert_is("edf/A0001.edf", wanted)


def test_edf_is_the_record_of_the_challenge() -> None:
    record = REAL_ECGS / "cinc2021" / "A0001.hea"
    if not record.is_file():
        pytest.skip("A0001 is not among the challenge's records that are at hand")
    other = read_file(record)
    for lead in LEADS:
        np.testing.assert_allclose(read("edf/A0001.edf").leads[lead], other.leads[lead], rtol=0, atol=0.001)


def test_ge_muse_by_base64() -> None:
    root = ET.fromstring(bytes_of(MUSE))
    rhythm = next(each for each in root.iterfind("Waveform") if each.findtext("WaveformType") == "Rhythm")
    wanted = {}
    for lead in rhythm.iterfind("LeadData"):
        counts = np.frombuffer(base64.b64decode(lead.findtext("WaveFormData")), "<i2")
        assert lead.findtext("LeadAmplitudeUnits") == "MICROVOLTS"
        wanted[lead.findtext("LeadID")] = counts * float(lead.findtext("LeadAmplitudeUnitsPerBit")) / 1000
    assert tuple(wanted) == STORED
    assert_is(MUSE, wanted)


def test_ge_muse_s_eight_stored_leads_become_twelve() -> None:
    raw = read(MUSE)
    assert set(raw.leads) == set(STORED)
    stored = to_store(raw.leads, raw.rate)
    assert all(stored.lead_mask)
    one, two = stored.counts[0].astype(int), stored.counts[1].astype(int)
    for row, wanted in ((2, two - one), (3, -(one + two) / 2), (4, one - two / 2), (5, two - one / 2)):
        assert np.abs(stored.counts[row] - wanted).max() <= 1


def test_ishne_by_its_header() -> None:
    data = bytes_of("ishne/ECG_P28.01.ecg")
    assert data[:8] == b"ISHNE1.0"
    (comment,), (leads,), (rate,) = (
        struct.unpack_from("<i", data, 10),
        struct.unpack_from("<h", data, 156),
        struct.unpack_from("<h", data, 272),
    )
    codes, nanovolts = struct.unpack_from("<12h", data, 158), struct.unpack_from("<12h", data, 206)
    assert (leads, rate, codes) == (12, 1000, (5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16))
    counts = np.frombuffer(data[522 + comment :], "<i2").reshape(-1, 12)
    assert_is("ishne/ECG_P28.01.ecg", {lead: counts[:, n] * (nanovolts[n] / 1e6) for n, lead in enumerate(LEADS)})


def test_mfer_by_its_bytes_and_without_its_calibration() -> None:
    """450,000 little-endian counts of 20 µV end the file, two leads in turn; 114 pulses of 50 counts, a second apart,
    begin it, and in the second after them the recorder leads over to the electrodes in single counts."""
    data = bytes_of("mfer/sample.mwf")
    assert b"\x0b\x04\x01\xfd\x08\x00" in data and b"\x0c\x04\x00\xfa\x14\x00" in data  # 8 * 10^-3 s, 20 * 10^-6 V
    counts = np.frombuffer(data[-900_000:], "<i2").reshape(-1, 2)
    calibration, lead_over = counts[: 114 * 125 - 2], counts[114 * 125 : 115 * 125]
    assert set(np.unique(calibration)) == {-6, 44}
    assert (np.diff((calibration[:, 0] == 44).astype(int)) == 1).sum() == 114
    assert np.abs(np.diff(lead_over, axis=0)).max() <= 1
    assert np.abs(counts[115 * 125] - counts[115 * 125 - 1]).max() > 20  # the patient
    kept = counts[115 * 125 :] * 0.02
    assert_is("mfer/sample.mwf", {"I": kept[:, 0], "II": kept[:, 1]})


def lzw(data: bytes) -> bytes:
    """10-bit codes, as the book has them."""
    bits = int.from_bytes(data, "big")
    codes = [(bits >> (8 * len(data) - 10 * (n + 1))) & 1023 for n in range(8 * len(data) // 10)]
    words, out, before = [bytes([n]) for n in range(256)], b"", b""
    for code in codes:
        if code == 1023:
            break
        word = words[code] if code < len(words) else before + before[:1]
        if before and len(words) < 1023:
            words.append(before + word[:1])
        out, before = out + word, word
    return out


def sierra_counts(name: str) -> dict[str, np.ndarray]:
    """The leads of a Philips document that are stored as they are: limb leads but I and II are residuals."""
    text = re.search(rb"<parsedwaveforms[^>]*>([^<]*)<", bytes_of(f"philips_sierra/{name}"))
    if text is None:
        text = re.search(
            rb"<parsedwaveforms[^>]*>([^<]*)<", bytes_of(f"philips_sierra/{name}").decode("utf-16").encode()
        )
    data, leads = base64.b64decode(text[1]), []
    while data:
        size, _, last = struct.unpack_from("<iHh", data)
        raw = lzw(data[8 : 8 + size])
        raw += b"\0" * (len(raw) % 2)
        words = np.frombuffer(raw[: len(raw) // 2], np.uint8).astype(np.uint16) << 8
        deltas = (words | np.frombuffer(raw[len(raw) // 2 :], np.uint8)).view(np.int16).tolist()
        samples = deltas[:2]
        for delta in deltas[2:]:
            samples.append(2 * samples[-1] - samples[-2] - last)
            last = delta - 64
        leads.append(np.array(samples[:5500]))
        data = data[8 + size :]
    return {lead: leads[LEADS.index(lead)] for lead in STORED}


@pytest.mark.parametrize("name", SIERRA)
def test_sierra_unpacked_by_hand_and_without_its_calibration(name: str) -> None:
    """Counts of 5 µV; what is cut off at the end is one pulse of 1 mV in every lead, before it the level that it rises
    from."""
    counts, facts = sierra_counts(name), FACTS[f"philips_sierra/{name}"]
    assert_is(f"philips_sierra/{name}", {lead: samples[: facts.samples] * 0.005 for lead, samples in counts.items()})
    for samples in counts.values():
        rest = samples[facts.samples :]
        high = rest >= rest.min() + 100
        assert rest[high].mean() - rest[~high].mean() == pytest.approx(200, abs=10)
        assert np.ptp(rest[high]) <= 8 and np.ptp(rest[~high]) <= 8


CINC = sorted(REAL_ECGS.glob("cinc2021*/**/*.hea"))


def test_every_record_of_the_challenge_as_scipy_reads_it() -> None:
    """The .mat file by scipy and gain and baseline of the header's lines by hand; asked for by header and by .mat."""
    assert len(CINC) == 77 + 32
    for header in CINC:
        counts = scipy.io.loadmat(header.with_suffix(".mat"))["val"]
        first, *lines = [line for line in header.read_text("utf-8").splitlines() if not line.startswith("#")]
        by_mat, by_header = read_file(header.with_suffix(".mat")), read_file(header)
        assert by_header.rate == float(first.split()[2]) and by_header.format == "WFDB"
        assert by_header.source_sha256 == by_mat.source_sha256
        for row, line in enumerate(lines):
            gain, zero, lead = float(line.split()[2].lower().removesuffix("/mv")), int(line.split()[4]), line.split()[8]
            for raw in (by_header, by_mat):
                np.testing.assert_allclose(raw.leads[lead], (counts[row] - zero) / gain, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("name", "leads"), [("cinc2021/E00271", 12), ("cinc2021_reduced/three_leads/E07502", 3)])
def test_headers_that_wfdb_refuses(name: str, leads: int) -> None:
    """`E00271.mat 12 500 5000 05-May-2020 14:50:55`"""
    record = REAL_ECGS / name
    assert re.match(r"E\d+\.mat \d+ 500 5000 05-May-2020", record.with_suffix(".hea").read_text("utf-8"))
    with pytest.raises(wfdb.io.header.HeaderSyntaxError):
        wfdb.rdrecord(str(record))
    assert len(read_file(record.with_suffix(".hea")).leads) == leads


def test_headers_with_the_month_as_a_word() -> None:
    dated = [header for header in CINC if "12-May-2020" in header.read_text("utf-8")]
    assert len(dated) >= 4 and all(read_file(header).leads for header in dated)


@pytest.mark.parametrize(("name", "leads"), [("100", {"V5"}), ("101", {"V1"}), ("105", {"V1"})])
def test_mit_bih_as_wfdb_reads_it(name: str, leads: set[str]) -> None:
    """The modified lead MLII is none of the twelve."""
    record = REAL_ECGS / "mitbih" / name
    physical, told = wfdb.rdsamp(str(record))
    raw = read_file(record.with_suffix(".hea"))
    assert set(raw.leads) == leads and raw.rate == told["fs"] == 360
    for lead in leads:
        np.testing.assert_allclose(raw.leads[lead], physical[:, told["sig_name"].index(lead)], rtol=0, atol=1e-12)


def test_names_and_birth_dates_of_the_real_files_are_not_in_the_ecgs() -> None:
    known = {
        "Clark": f"{SAME}.scp",
        "SBJ-123": f"{SAME}.xml",
        "1953": f"{SAME}.dcm",
        "Anonymous": MUSE,
        "66954": "dicom/example-DICOM2.dcm",
    }
    for secret, name in known.items():
        assert secret.encode() in bytes_of(name) or secret == "1953"
    for name in FACTS:
        raw = read(name)
        shown = f"{raw.format} {raw.age} {raw.sex} {raw.remarks} {list(raw.leads)}"
        assert not [secret for secret in known if secret in shown]
