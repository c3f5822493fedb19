"""Small files made to become large ones, to run on and on, or to be run."""

from __future__ import annotations

import io
import pickle
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian

from tests.fuzz import made_binary, made_dicom, made_tables, made_xml
from tests.fuzz.made_signal import counts
from tests.fuzz.mutations import zeros_archive
from tests.fuzz.test_readers import cases

LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
BEGIN = {
    "aecg": '<AnnotatedECG xmlns="urn:hl7-org:v3">', "muse": "<RestingECG>",
    "sierra": '<restingecgdata xmlns="http://www3.medical.philips.com">',
}  # fmt: skip


def laughing(which: str) -> bytes:
    root = BEGIN[which].split()[0].strip("<>")
    head = f'<?xml version="1.0"?><!DOCTYPE {root} [<!ENTITY l0 "lol">{LAUGHS}]>'
    return f"{head}{BEGIN[which]}<a>&l11;</a></{root}>".encode()


def external(which: str) -> bytes:
    root = BEGIN[which].split()[0].strip("<>")
    head = f'<?xml version="1.0"?><!DOCTYPE {root} [<!ENTITY x SYSTEM "file:///etc/hostname">]>'
    return f"{head}{BEGIN[which]}<a>&x;</a></{root}>".encode()


def deep(which: str) -> bytes:
    root = BEGIN[which].split()[0].strip("<>")
    return (BEGIN[which] + "<a>" * 100_000 + "</a>" * 100_000 + f"</{root}>").encode()


def wide(which: str) -> bytes:
    root = BEGIN[which].split()[0].strip("<>")
    return (BEGIN[which] + "<a b='c'/>" * 100_000 + f"</{root}>").encode()


def npy(shape: str, kind: str = "'<i2'", data: bytes = bytes(64)) -> bytes:
    header = f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + (128).to_bytes(2, "little") + header.ljust(127) + b"\n" + data


def deflated_dicom() -> bytes:
    """A deflated object whose data set unpacks to 600 MB."""
    group = made_dicom.Group(np.zeros((10, 2), np.int16), ("I", "II"))
    small = made_dicom.dicom_of([group], syntax=DeflatedExplicitVRLittleEndian)
    start = 144 + int.from_bytes(small[140:144], "little")
    packer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    head = b"\x00\x54\x00\x01SQ\0\0\xff\xff\xff\xff"  # a waveform sequence without an end
    body = packer.compress(head) + b"".join(packer.compress(bytes(1 << 20)) for _ in range(600)) + packer.flush()
    return small[:start] + body


def parquet_of_zeros() -> bytes:
    """40 million rows in a few KB."""
    import pyarrow
    import pyarrow.parquet

    written = io.BytesIO()
    zeros = pyarrow.array(np.zeros(40_000_000, np.int8))
    pyarrow.parquet.write_table(pyarrow.table({"I": zeros, "II": zeros}), written, compression="zstd")
    return written.getvalue()


def scp_of_giant_leads() -> bytes:
    """Huffman-coded leads of four billion samples."""
    plain = made_binary.scp(counts())
    return plain.replace((len(counts()["I"])).to_bytes(4, "little"), b"\xff\xff\xff\xff")


class Payload:
    """Unpickled, it makes a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.target,))


def pickled_npy(target: Path) -> bytes:
    written = io.BytesIO()
    np.save(written, np.array([Payload(target)], dtype=object), allow_pickle=True)
    return written.getvalue()


def pickled_npz(target: Path) -> bytes:
    written = io.BytesIO()
    np.savez(written, I=np.array([Payload(target)], dtype=object))
    return written.getvalue()


BOMBS: dict[str, Callable[[], bytes]] = {
    **{f"laughs-{which}.xml": lambda which=which: laughing(which) for which in BEGIN},
    **{f"external-{which}.xml": lambda which=which: external(which) for which in BEGIN},
    **{f"deep-{which}.xml": lambda which=which: deep(which) for which in BEGIN},
    **{f"wide-{which}.xml": lambda which=which: wide(which) for which in BEGIN},
    "long-attribute.xml": lambda: f"<RestingECG a='{'x' * 1_000_000}'/>".encode(),
    "doctypes.xml": lambda: b"<!DOCTYPE a[" * 6000 + b"]" * 100,
    "comments.xml": lambda: b"<!--" * 20_000,
    "digits.xml": lambda: made_xml.aecg(counts()).replace(b"<digits>", b"<digits>" + b"9" * 1_000_000 + b" ", 1),
    "zeros.npz": lambda: zeros_archive(512 << 20, 1, "|i1"),
    "zeros-of-leads.npz": lambda: zeros_archive(100 << 20, 3, "<i2"),
    "shape-giant.npy": lambda: npy("(4000000000, 12)"),
    "shape-negative.npy": lambda: npy("(-5, 8)"),
    "shape-overflow.npy": lambda: npy(f"({2**62}, 4)"),
    "shape-deep.npy": lambda: npy("(" * 60 + ")" * 60),
    "zero-sized.npy": lambda: npy(f"(0, {2**62})"),
    "structured.npy": lambda: npy("(4,)", "[('a', '<i8', (1000000, 1000))]"),
    "rows.parquet": parquet_of_zeros,
    "deflated.dcm": deflated_dicom,
    "leads.scp": scp_of_giant_leads,
    "channels.mwf": lambda: made_binary.mfer(counts()).replace(b"\x05\x04\x08\0\0\0", b"\x05\x04\xff\xff\xff\xff"),
    "block.mwf": lambda: made_binary.mfer(counts()).replace(b"\x04\x04\x01\0\0\0", b"\x04\x04\xff\xff\xff\x7f"),
    "nested.mwf": lambda: made_binary.mfer(counts())[:50] + b"\x67\x80" * 300_000,
    "signals.edf": lambda: made_binary.edf(counts())[:252] + b"9999" + bytes(1 << 20),
    "header-one-line.hea": lambda: b"a 1 " + b"1" * 60_000 + b" \n" + b"a" * 60_000 + b" x\n",
    "header-digits.hea": lambda: b"a 1 " + b"1" * 60_000 + b" x\n" + b"a.dat 16\n",
    "digits.csv": lambda: b"1" * 65_000 + b"x,1\n" + b"1" * 65_000 + b"x,2\n",
    "one-row.csv": lambda: b"1," * 500_000,
    "one-column.csv": lambda: b"I\n" + b"1\n" * 700_000,
    "exponents.csv": lambda: made_tables.text(counts()) + b",".join([b"1e" + b"9" * 100_000] * 8),
    "samples.hea": lambda: made_tables.wfdb_header(counts(), "samples.dat").replace(b" 1500 ", b" 9999999999 "),
    "signals.hea": lambda: b"signals 900000 500 1\n" + b"a.dat 16\n" * 100_000,
    "outside.hea": lambda: made_tables.wfdb_header(counts(), "outside.dat").replace(b"\noutside.dat", b"\n/etc/hostname"),
}  # fmt: skip


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("bombs")
    for name, make in BOMBS.items():
        (folder / name).write_bytes(make())
    for name, pickled in (("pickled.npy", pickled_npy), ("pickled.npz", pickled_npz)):
        (folder / name).write_bytes(pickled(folder / f"ran-{name}"))
    (folder / "samples.dat").write_bytes(made_tables.wfdb_samples(counts()))
    answers = cases("files", *(str(folder / name) for name in (*BOMBS, "pickled.npy", "pickled.npz")))
    ran = {"ran": {path.name: True for path in folder.glob("ran-*")}}
    return {each["file"]: each for each in answers} | ran


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_a_damaged_record(name: str, told: dict[str, dict[str, Any]]) -> None:
    assert told[name]["what"] == "DamagedRecordError", told[name]
    assert told[name]["seconds"] <= 2 and told[name]["mebibytes"] <= 1024


@pytest.mark.parametrize("name", ["pickled.npy", "pickled.npz"])
def test_a_pickle_is_refused_and_not_run(name: str, told: dict[str, dict[str, Any]]) -> None:
    assert told[name]["what"] == "DamagedRecordError", told[name]
    assert told["ran"] == {}


def test_the_pickle_would_have_run(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Payload(tmp_path / "ran")))  # noqa: S301  our own
    assert (tmp_path / "ran").exists()
