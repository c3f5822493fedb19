"""Ways in which a file comes to harm, or is made to do harm. The same seed gives the same file."""

from __future__ import annotations

import io
import random
import re
import zipfile
from collections.abc import Callable
from functools import cache

from ecgbench.ecg.formats.sniff import Kind
from tests.fuzz.made_binary import scp_of_sections

Mutation = Callable[[bytes, random.Random], bytes]
XML = ("HL7 aECG", "GE MUSE XML", "Philips Sierra XML")
_GIANT = (0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x80000000, 0x7FFFFFFFFFFFFFFF, 2**64 - 1, 0, 1)
_NUMBERS = (
    b"0", b"-1", b"1", b"65536", b"2147483647", b"4294967296", b"99999999999999999999", b"1e308", b"-1e308", b"1e-308",
    b"nan", b"inf", b"", b"0.0", b"1" * 5000, b"\xff\xfe", b"1_000", "１２".encode(), b"0x10", b"500", b"1000000000",
)  # fmt: skip


def mutate(kind: Kind, data: bytes, other: bytes, rng: random.Random) -> bytes:
    """`data` with one to four harms done; `other`: another file, parts of which may be grafted in."""
    ways: list[Mutation] = [truncated, flipped, overwritten, inserted, removed, repeated, giant_count, giant_count]
    ways += [lambda each, rng: grafted(each, other, rng)]
    if kind in (*XML, "WFDB", "text table", "EDF", "NPY"):
        ways += [number_replaced] * 4
    ways += {"NPY": [npy_header] * 4, "NPZ": [npz_rebuilt] * 6, "SCP-ECG": [scp_resealed] * 8}.get(kind, [])
    if kind in XML:
        ways += [entities, nested, elements_repeated, text_replaced, text_replaced]
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        data = rng.choice(ways)(data, rng)
    return data or b"\0"


def _place(data: bytes, rng: random.Random) -> int:
    """A place in the file: the headers, at the start or the end, more often than their size would have it."""
    reach = rng.choice((16, 128, 1024, 4096, len(data), len(data)))
    at = rng.randrange(min(reach, len(data)) or 1)
    return at if rng.random() < 0.75 else max(0, len(data) - 1 - at)


def truncated(data: bytes, rng: random.Random) -> bytes:
    return data[: _place(data, rng)]


def flipped(data: bytes, rng: random.Random) -> bytes:
    harmed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8, 64)) if harmed else 0):
        harmed[_place(data, rng)] ^= 1 << rng.randrange(8)
    return bytes(harmed)


def overwritten(data: bytes, rng: random.Random) -> bytes:
    at, length = _place(data, rng), rng.choice((1, 2, 4, 16, 256, 4096))
    filler = rng.choice((bytes(length), b"\xff" * length, rng.randbytes(length), b" " * length, b"<" * length))
    return data[:at] + filler[: len(data) - at] + data[at + length :]


def inserted(data: bytes, rng: random.Random) -> bytes:
    at, length = _place(data, rng), rng.choice((1, 2, 3, 16, 256, 65536))
    return data[:at] + rng.choice((bytes(length), b"\xff" * length, rng.randbytes(length), b"9" * length)) + data[at:]


def removed(data: bytes, rng: random.Random) -> bytes:
    at = _place(data, rng)
    return data[:at] + data[at + rng.choice((1, 2, 3, 16, 256, 4096)) :]


def repeated(data: bytes, rng: random.Random) -> bytes:
    at, length = _place(data, rng), rng.choice((4, 32, 512, 8192))
    return data[:at] + data[at : at + length] * rng.choice((2, 3, 50)) + data[at + length :]


def grafted(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """The start of one file and the end of another."""
    return data[: _place(data, rng)] + other[_place(other, rng) :]


def giant_count(data: bytes, rng: random.Random) -> bytes:
    """An integer of 1 to 8 bytes of either order, most often in the header, set to an extreme."""
    at, width = _place(data, rng), rng.choice((1, 2, 2, 4, 4, 8))
    value = rng.choice(_GIANT) & ((1 << 8 * width) - 1)
    return data[:at] + value.to_bytes(width, rng.choice(("little", "big"))) + data[at + width :]


def number_replaced(data: bytes, rng: random.Random) -> bytes:
    """A number that is written as text, in a stretch from any place, by an impossible one; its width is kept half of the
    time, as fixed columns need it."""
    at = _place(data, rng)
    number = re.compile(rb"[-+]?\d+(\.\d+)?").search(data, at)
    if number is None:
        return data[:at] + rng.choice(_NUMBERS) + data[at:]
    new, width = rng.choice(_NUMBERS), number.end() - number.start()
    if rng.random() < 0.5:
        new = new[:width].ljust(width)
    return data[: number.start()] + new + data[number.end() :]


def text_replaced(data: bytes, rng: random.Random) -> bytes:
    """The text of an element by something else."""
    text = re.compile(rb">([^<>]+)<").search(data, _place(data, rng))
    if text is None:
        return data
    new = rng.choice((*_NUMBERS, b"A" * 100_000, b"1 " * 50_000, b"!!!!", b" " * 50_000, "漢字".encode("cp932")))
    return data[: text.start(1)] + new + data[text.end(1) :]


def entities(data: bytes, rng: random.Random) -> bytes:
    """Billion laughs, in a document type of its own and used in the text."""
    depth = rng.choice((3, 9, 30))
    lines = [f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, depth)]
    root = re.search(rb"<([A-Za-z]\w*)", data)
    name = root[1].decode() if root else "a"
    bomb = f'<!DOCTYPE {name} [<!ENTITY l0 "lol">{"".join(lines)}]>'.encode()
    start = root.start() if root else 0
    body = data[start:].replace(b"</", f"&l{depth - 1};</".encode(), 1)
    return b'<?xml version="1.0"?>' + bomb + body


def nested(data: bytes, rng: random.Random) -> bytes:
    """Elements in one another, thousands deep."""
    depth = rng.choice((100, 5_000, 200_000))
    element = re.compile(rb"><").search(data, _place(data, rng))
    at = element.start() + 1 if element else len(data)
    inside = b"<a>" * depth + (b"</a>" * depth if rng.random() < 0.8 else b"")
    return data[:at] + inside + data[at:]


def elements_repeated(data: bytes, rng: random.Random) -> bytes:
    """One element many times over."""
    element = re.compile(rb"<(\w+)[^<>]*>[^<>]*</\1>").search(data, _place(data, rng))
    if element is None:
        return data
    many = min(rng.choice((2, 100, 20_000)), 1 + 1_000_000 // len(element[0]))
    return data[: element.start()] + element[0] * many + data[element.end() :]


def npy_header(data: bytes, rng: random.Random) -> bytes:
    """Another header over the same samples."""
    shapes = ("(1500, 8)", "(8, 1500)", "(4000000000, 12)", "(-1, 8)", "()", "(0,)", "(2,)*60", "(12000,)", "(1, 1500, 8)",
              f"({2**62}, 4)", "(True, 12)", "'x'", "(1500.0, 8)", "(" * 200 + ")" * 200, "(10, 0)")  # fmt: skip
    kinds = ("'<i2'", "'<f8'", "'>u4'", "'|O'", "'|S9999999'", "'<U100000000'", "[('a', '<i2')]", "'<f2'", "'<c16'",
             "'V1000000000'", "'<M8[ns]'", "'|b1'", "''", "12", "'<i2', 'x': 1")  # fmt: skip
    header = f"{{'descr': {rng.choice(kinds)}, 'fortran_order': {rng.choice(('True', 'False', '3'))}, "
    header += f"'shape': {rng.choice(shapes)}, }}"
    padded = header.encode().ljust(118) + b"\n"
    version, width = rng.choice(((1, 2), (1, 2), (2, 4), (3, 4), (9, 2)))
    length = rng.choice((len(padded), len(padded), len(padded), 65535))
    return b"\x93NUMPY" + bytes([version, 0]) + length.to_bytes(width, "little") + padded + data[128:]


def npz_rebuilt(data: bytes, rng: random.Random) -> bytes:
    """An archive with other members: bombs, nothing, far too many, doubled names, foreign ones."""
    what = rng.choice(("bomb", "bomb", "empty", "many", "twice", "foreign", "hurt"))
    if what == "bomb":
        return zeros_archive(rng.choice((1 << 20, 48 << 20)), rng.choice((1, 3)), rng.choice(("<i2", "<f8", "|i1")))
    written = io.BytesIO()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [(member.filename, archive.read(member)) for member in archive.infolist()]
    except Exception:  # the archive is already harmed
        return data
    with zipfile.ZipFile(written, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        if what == "many":
            for number in range(rng.choice((65, 3000))):
                archive.writestr(f"{number}.npy", members[0][1][:200] if members else b"")
        for name, content in [] if what in ("empty", "many") else members:
            renamed = rng.choice((name, "../x.npy", "a.txt", "V1.npy")) if what == "foreign" else name
            if renamed not in archive.namelist():
                archive.writestr(renamed, npy_header(content, rng) if what == "hurt" else content)
        if what == "twice" and members and "twice.npy" not in archive.namelist():
            archive.writestr("twice.npy", members[0][1])
    return written.getvalue()


@cache
def zeros_archive(bytes_each: int, members: int, kind: str) -> bytes:
    """An NPZ file whose members unpack to far more than it has."""
    written = io.BytesIO()
    size = {"<i2": 2, "<f8": 8, "|i1": 1}[kind]
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': ({bytes_each // size},), }}".encode()
    start = b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little") + header.ljust(117) + b"\n"
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number in range(members):
            with archive.open(f"{('I', 'II', 'V1')[number]}.npy", "w", force_zip64=True) as member:
                member.write(start)
                block = bytes(1 << 20)
                for _ in range(bytes_each >> 20):
                    member.write(block)
    return written.getvalue()


def scp_resealed(data: bytes, rng: random.Random) -> bytes:
    """One section harmed and every checksum set right again, so that the harm is found by reading alone."""
    bodies: dict[int, bytes] = {}
    for number in range(1, 12):
        at = 22 + 10 * (number - 1)
        length, index = (int.from_bytes(data[a : a + 4], "little") for a in (at + 2, at + 6))
        if length > 16 and 0 < index <= len(data):
            bodies[number] = data[index + 15 : index - 1 + length]
    if not bodies:
        return data
    number = rng.choice(list(bodies))
    way = rng.choice((truncated, flipped, overwritten, removed, giant_count, giant_count, giant_count))
    bodies[number] = way(bodies[number], rng)[: 1 << 20]
    if rng.random() < 0.1:
        del bodies[number]
    return scp_of_sections(bodies)
