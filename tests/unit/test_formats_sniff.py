"""What a file is: told from its content, whatever it is called."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from ecgbench.ecg.formats.read import read_file
from ecgbench.ecg.formats.sniff import HEAD, Kind, sniff
from ecgbench.ecg.recording import DamagedRecordError
from tests.fuzz.made import KINDS, LAYOUT, made_files
from tests.fuzz.made_signal import counts
from tests.fuzz.made_tables import wfdb_header, wfdb_samples

BY_CONTENT = [kind for kind in KINDS if kind != "WFDB"]
"""A WFDB record is two files that find each other by name."""


def sniffed(path: Path) -> Kind | None:
    with path.open("rb") as handle:
        return sniff(handle.read(HEAD), path)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_told(kind: Kind, tmp_path: Path) -> None:
    for number, made in enumerate(made_files(kind)):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert sniffed(made.write(folder)) == kind


@pytest.mark.parametrize("name", ["a.jpg", "a", "a.hea", "a.csv", "心電図.xml", "a.dcm"])
@pytest.mark.parametrize("kind", BY_CONTENT)
def test_a_wrong_ending_makes_no_difference(kind: Kind, name: str, tmp_path: Path) -> None:
    made = made_files(kind)[0]
    (tmp_path / made.name).write_bytes(made.files[made.name])
    right = read_file(tmp_path / made.name, LAYOUT)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / name).write_bytes(made.files[made.name])
    wrong = read_file(tmp_path / "other" / name, LAYOUT)
    assert (wrong.format, wrong.rate, wrong.age, wrong.sex) == (right.format, right.rate, right.age, right.sex)
    assert all(np.array_equal(wrong.leads[lead], right.leads[lead]) for lead in right.leads)


@pytest.mark.parametrize("ending", [".dat", ".mat"])
def test_a_signal_file_is_known_by_the_header_beside_it(ending: str, tmp_path: Path) -> None:
    (tmp_path / "r.hea").write_bytes(wfdb_header(counts(), f"r{ending}"))
    signals = tmp_path / f"r{ending}"
    signals.write_bytes(wfdb_samples(counts()))
    assert sniffed(signals) == "WFDB" and read_file(signals).format == "WFDB"


def test_a_header_that_names_another_file_claims_nothing(tmp_path: Path) -> None:
    (tmp_path / "r.hea").write_bytes(wfdb_header(counts(), "other.dat"))
    (tmp_path / "r.csv").write_bytes(made_files("text table")[0].files["a.csv"])
    assert sniffed(tmp_path / "r.csv") == "text table"


@pytest.mark.parametrize(
    "content",
    [
        b"\0", b"\xff" * 300, b"<html><body>ECG</body></html>", b"<?xml version='1.0'?>", b"<", b"{}", b"hello, world\n",
        "心電図レポート\n".encode("cp932"), b"\x89PNG\r\n\x1a\n" + bytes(100), b"MZ" + bytes(200), bytes(4096),
        b"0      " + b"x" * 300, b"DICM" + bytes(200), b"<svg><RestingECG/></svg>",
    ],
)  # fmt: skip
def test_what_is_nothing_is_nothing(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.xml"
    path.write_bytes(content)
    assert sniffed(path) is None
    with pytest.raises(DamagedRecordError, match="of no format that is known here"):
        read_file(path, LAYOUT)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xffBIOSEMI" + bytes(300), "BDF.*export it as EDF"),
        (b"%PDF-1.7", "PDF.*export the samples"),
        (b"MATLAB 5.0 MAT-file, Platform" + bytes(200), "MATLAB 5.*CSV or NPY"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5.*CSV or NPY"),
        (b"ANN  1.0" + bytes(600), "annotations of an ISHNE record"),
        (b"\x1f\x8b\x08" + bytes(100), "gzip; unpack it"),
    ],
)
def test_what_is_not_read_is_named_with_what_to_do(content: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "x.edf"
    path.write_bytes(content)
    with pytest.raises(DamagedRecordError, match=says):
        read_file(path)


@pytest.mark.parametrize(
    "prolog", ["<!-- <RestingECG> -->", "<?xml version='1.0'?>\n\n", "<!DOCTYPE a [<!ELEMENT b ANY>]>"]
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_an_xml_document_is_known_by_its_root(prolog: str, encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(f"{prolog}<h:AnnotatedECG xmlns:h='urn:hl7-org:v3'>".encode(encoding))
    assert sniffed(path) == "HL7 aECG"


@pytest.mark.parametrize(
    ("path", "says"), [("gone", "there is no such file"), (".", "a folder or a device"), ("empty", "the file is empty")]
)
def test_no_file_no_folder_no_content(path: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(DamagedRecordError, match=says):
        read_file(tmp_path / path)


def test_a_device_is_not_waited_for() -> None:
    with pytest.raises(DamagedRecordError, match="a folder or a device"):
        read_file(Path("/dev/zero"))


@pytest.mark.parametrize(
    "text",
    [
        "a 1 " + "1" * 60_000 + " x", "a 1 500\n" + "a" * 60_000, "1" * 60_000 + "x,1",
        "<!DOCTYPE a[" * 5000, "<!--" * 15_000, "<?" * 30_000, "<a" + " " * 60_000, "]" * 100 + "<!DOCTYPE[" + "] " * 30_000,
    ],
)  # fmt: skip
def test_no_text_keeps_the_sniffer_busy(text: str) -> None:
    """A pattern that can match in many ways takes the square of a line's length."""
    started = time.process_time()
    assert sniff(text.encode(), Path("x")) in (None, "text table")
    assert time.process_time() - started < 0.5
