"""The direct reading of plain WFDB records: the library's values, and the library wherever it is not plain."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import wfdb

from ecgbench.ecg.formats.wfdb_file import read_wfdb
from ecgbench.ecg.formats.wfdb_plain import _sums, read_plain, read_wfdb_fast
from ecgbench.ecg.recording import LEADS, DamagedRecordError
from ecgbench.ecg.standardise import to_store
from tests.conftest import REAL_ECGS


def written(folder: Path, name: str = "one", *, samples: int = 5000, gain: float = 1000.0, baseline: int = 0) -> Path:
    """A record of 12 leads written by the library."""
    digital = np.random.default_rng(len(name)).integers(-3000, 3000, (samples, 12)).astype(np.int16)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library under the newest pandas
        wfdb.wrsamp(
            name, fs=500, units=["mV"] * 12, sig_name=list(LEADS), d_signal=digital, fmt=["16"] * 12,
            adc_gain=[gain] * 12, baseline=[baseline] * 12, write_dir=str(folder),
        )  # fmt: skip
    return folder / name


def assert_same(record: Path) -> None:
    plain, library = read_plain(str(record)), read_wfdb(record)
    assert plain is not None and plain.rate == library.rate and list(plain.leads) == list(library.leads)
    for lead, samples in library.leads.items():
        np.testing.assert_array_equal(plain.leads[lead], samples)
    fast, slow = to_store(plain.leads, plain.rate), to_store(dict(library.leads), library.rate)
    np.testing.assert_array_equal(fast.counts, slow.counts)
    assert fast.lead_mask == slow.lead_mask and fast.valid_samples == slow.valid_samples
    assert (fast.clipped, fast.resampled) == (slow.clipped, slow.resampled)


@pytest.mark.parametrize(
    ("samples", "gain", "baseline"),
    [(5000, 1000.0, 0), (5000, 204.8, -17), (4321, 1000.0, 0), (7001, 1000.0, 5), (49, 200.0, 0), (2500, 1000.0, 0)],
)
def test_the_librarys_values(tmp_path: Path, samples: int, gain: float, baseline: int) -> None:
    record = written(tmp_path, samples=samples, gain=gain, baseline=baseline)
    if samples >= 2500:
        assert_same(record)
    plain = read_plain(str(record))
    assert plain is not None
    np.testing.assert_array_equal(plain.leads["V6"], read_wfdb(record).leads["V6"])


def test_the_checksum_is_the_sum_modulo_65536() -> None:
    samples = np.random.default_rng(0).integers(-32768, 32768, (1234, 5)).astype(np.int16)
    wanted = [sum(int(value) for value in samples[:, lead]) % 65536 for lead in range(5)]
    assert _sums(samples).tolist() == wanted


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("500 5000", "500/250 5000"),  # a counter frequency
        (".dat 16 ", ".dat 16x2 "),  # several samples a frame
        (".dat 16 ", ".dat 16:3 "),  # a skew
        (".dat 16 ", ".dat 212 "),
        (" I\n", " I lead\n"),
        (" II\n", " I\n"),  # a lead twice
        ("one 12", "two 12"),
        ("one 12", "one/3 12"),  # segments
        ("/mV", "/mmHg"),
    ],
)
def test_what_is_not_plain_goes_to_the_library(tmp_path: Path, old: str, new: str) -> None:
    record = written(tmp_path)
    header = record.with_suffix(".hea")
    text = header.read_text(encoding="utf-8")
    assert old in text
    header.write_text(text.replace(old, new), encoding="utf-8")
    assert read_plain(str(record)) is None


@pytest.mark.parametrize("harm", ["cut", "flip", "invalid", "longer", "gone"])
def test_a_record_that_does_not_check_out_is_not_taken(tmp_path: Path, harm: str) -> None:
    record = written(tmp_path)
    file = record.with_suffix(".dat")
    data = bytearray(file.read_bytes())
    if harm == "cut":
        data = data[:-24]
    elif harm == "flip":
        data[1000] ^= 1
    elif harm == "invalid":
        data[:2] = b"\x00\x80"
    elif harm == "longer":
        data += bytes(24)
    file.write_bytes(data)
    if harm == "gone":
        file.unlink()
    assert read_plain(str(record)) is None
    if harm != "longer":
        with pytest.raises(DamagedRecordError):
            read_wfdb_fast(record)


def test_every_real_record_is_plain_or_the_librarys() -> None:
    if not REAL_ECGS.is_dir():
        pytest.skip(f"real recordings are absent: {REAL_ECGS} is not there")
    headers = sorted(REAL_ECGS.glob("ptbxl/records500/*/*.hea"))[::10]
    headers += sorted(REAL_ECGS.glob("cinc2021*/**/*.hea"))
    taken = 0
    for header in headers:
        record = header.with_suffix("")
        if read_plain(str(record)) is not None:
            taken += 1
            read_wfdb_of_a_copy_without_date(record)
    assert taken == len(headers) > 100


def read_wfdb_of_a_copy_without_date(record: Path) -> None:
    """The comparison, where the library reads the header's date."""
    try:
        read_wfdb(record)
    except DamagedRecordError as error:
        assert "syntax in record line" in str(error) or "time data" in str(error), error
        return
    assert_same(record)
