"""Real recordings of every clinical format through a hospital's list: what stands in them of people is in no store.

The identifiers are found here by reading the files without this package.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_manifest_privacy import KEY, found_in

from ecgbench.ecg.build import build_store
from ecgbench.ecg.sources import open_source
from ecgbench.ecg.sources.options import SourceOptions
from ecgbench.ecg.store import Store

REAL = Path(__file__).resolve().parents[3] / "shared" / "ecg" / "formats"
SUFFIXES = {".dcm", ".xml", ".scp", ".mwf", ".ecg", ".edf"}
_ELEMENTS = re.compile(
    r"<(?:\w+:)?(?:patientid|firstname|lastname|middlename|dateofbirth|uniquepatientid|patientlastname|patientfirstname|"
    r"name|family|given|institutionname|documentname)\b[^>]*>([^<]+)<", re.IGNORECASE
)  # fmt: skip
_ATTRIBUTES = re.compile(r'<(?:\w+:)?(?:id\b[^>]*extension|birthTime\b[^>]*value)="([^"]+)"')


@pytest.fixture(scope="module")
def files() -> list[Path]:
    if not REAL.is_dir():
        pytest.skip(f"real recordings are absent: {REAL} is not there")
    return sorted(path for path in REAL.rglob("*") if path.suffix.lower() in SUFFIXES)


def identifiers_in(path: Path) -> Iterator[str]:
    data = path.read_bytes()
    if path.suffix == ".dcm":
        import pydicom

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            whole = pydicom.dcmread(path)
        for name in ("PatientName", "PatientID", "PatientBirthDate", "AccessionNumber", "InstitutionName"):
            yield str(whole.get(name) or "")
    elif path.suffix.lower() == ".xml":
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8", "replace")
        yield from _ELEMENTS.findall(text)
        yield from _ATTRIBUTES.findall(text)
    elif path.suffix == ".scp":
        yield from patient_of_scp(data)
    elif path.suffix == ".ecg":  # ISHNE: names and number of the subject, 40, 40 and 20 bytes from byte 46
        yield from (
            data[at : at + size].decode("ascii", "ignore").strip("\0 ") for at, size in ((46, 40), (86, 40), (126, 20))
        )
    elif path.suffix == ".edf":
        yield data[8:88].decode("ascii").strip()


def patient_of_scp(data: bytes) -> Iterator[str]:
    """Last name, first name and id: tags 0 to 2 of section 1, which the second pointer of section 0 points to."""
    at = int.from_bytes(data[22 + 10 + 6 : 22 + 10 + 10], "little") - 1 + 16
    while data[at] != 255:
        size = int.from_bytes(data[at + 1 : at + 3], "little")
        if data[at] <= 2:
            yield data[at + 3 : at + 3 + size].rstrip(b"\0").decode("ascii")
        at += 3 + size


def telling(texts: Iterator[str]) -> set[str]:
    """Those long enough to stand nowhere by chance, without the words that say nothing of anybody."""
    words = {word for text in texts for word in (text.strip(), *text.split("^"))}
    nobody = {"xxxxxx", "Anonymous", "Doctor", "Hospital Name", "X X X X"}
    return {word for word in words if len(word) > 4 and word not in nobody}


def test_the_files_hold_what_is_searched_for(files: list[Path]) -> None:
    assert len(files) == 12
    found = set().union(*(telling(identifiers_in(path)) for path in files))
    known = {
        "Clark",
        "SBJ-123",
        "19530508",
        "642341",
        "19710123",
        "66954",
        "1112010721168bdc",
        "1951-01-01",
        "ECG_P28.01",
    }
    assert known <= found


@pytest.mark.parametrize("keep_ids", (False, True))
def test_no_identifier_of_a_real_file_stands_in_the_store(files: list[Path], tmp_path: Path, keep_ids: bool) -> None:
    """Ids of the table are kept where that is asked for; what stands in the files stays there."""
    table = tmp_path / "一覧.csv"
    rows = [f"{path},{number},R{number},心房細動" for number, path in enumerate(files)]
    table.write_text("\n".join(("ファイル,患者ID,記録ID,所見", *rows)), encoding="cp932")
    options = SourceOptions(keep_ids=keep_ids)
    card, source = open_source(f"manifest:{table}", options)
    assert build_store(card, source, tmp_path / "store", options=options, key=KEY) == []
    about = Store(tmp_path / "store").manifest
    assert sum(about.remarks["formats"].values()) == len(files) and len(about.remarks["formats"]) == 8
    for path in files:
        identifiers = {*telling(identifiers_in(path)), path.name, *([path.stem] if len(path.stem) > 6 else [])}
        assert found_in(tmp_path / "store", sorted(identifiers)) == set()
