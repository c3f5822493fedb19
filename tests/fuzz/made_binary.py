"""SCP-ECG, MFER, ISHNE and EDF files, by hand after their standards."""

from __future__ import annotations

import binascii
import struct

import numpy as np

from tests.fuzz.made_signal import BORN, FAMILY, GIVEN, IDENTIFIER, KANJI, MICROVOLTS, RATE, median_beat

Leads = dict[str, np.ndarray]
_SCP_CODE = {"I": 1, "II": 2, "III": 61, "aVR": 62, "aVL": 63, "aVF": 64} | {f"V{n}": n + 2 for n in range(1, 7)}
_ISHNE_CODE = {"I": 5, "II": 6, "III": 7, "aVR": 8, "aVL": 9, "aVF": 10} | {f"V{n}": n + 10 for n in range(1, 7)}
_MFER_CODE = _SCP_CODE


def scp(leads: Leads, *, packed: bool = True) -> bytes:
    """SCP-ECG (EN 1064), with or without Huffman coding of first differences; the reference beat in section 5."""
    names, first = list(leads), next(iter(leads.values()))
    tags = [
        (0, FAMILY.encode() + b"\0"), (1, GIVEN.encode() + b"\0"), (2, IDENTIFIER.encode() + b"\0"), (3, KANJI.encode()),
        (4, struct.pack("<HB", 67, 1)), (5, struct.pack("<HBB", *BORN)), (8, b"\x02"),
        (14, bytes(14) + b"\x14\xc0\x37" + bytes(20) + b"\0" * 5), (25, struct.pack("<HBB", 2020, 1, 2)),
    ]  # fmt: skip
    demographics = b"".join(struct.pack("<BH", tag, len(value)) + value for tag, value in tags) + b"\xff\0\0"
    definition = bytes([len(names), 4 | len(names) << 3])
    definition += b"".join(struct.pack("<IIB", 1, len(first), _SCP_CODE[name]) for name in names)
    beats = median_beat(leads)
    bodies = {1: demographics, 3: definition, 4: struct.pack("<HHH", 500, 200, 0)}
    if packed:
        bodies[2] = struct.pack("<H", 19999)
    bodies |= {5: _scp_samples(beats, packed), 6: _scp_samples(leads, packed)}
    return scp_of_sections(bodies)


def scp_of_sections(bodies: dict[int, bytes]) -> bytes:
    """A record of these sections with its pointers and checksums."""
    sections, pointers, at = b"", b"", 6 + 16 + 12 * 10
    for number in range(1, 12):
        body = bodies.get(number)
        if body is None:
            pointers += struct.pack("<HII", number, 0, 0)
            continue
        body += b"\0" * (len(body) % 2)
        section = _scp_section(number, body)
        pointers += struct.pack("<HII", number, len(section), at + len(sections) + 1)
        sections += section
    head = _scp_section(0, struct.pack("<HII", 0, 16 + 12 * 10, 7) + pointers)
    record = struct.pack("<I", 6 + len(head) + len(sections)) + head + sections
    return struct.pack("<H", binascii.crc_hqx(record, 0xFFFF)) + record


def _scp_section(number: int, body: bytes) -> bytes:
    reserved = b"SCPECG" if number == 0 else bytes(6)
    rest = struct.pack("<HIBB", number, 16 + len(body), 20, 20) + reserved + body
    return struct.pack("<H", binascii.crc_hqx(rest, 0xFFFF)) + rest


def _scp_samples(leads: Leads, packed: bool) -> bytes:
    data = [_huffman(samples) if packed else samples.astype("<i2").tobytes() for samples in leads.values()]
    head = struct.pack("<HHBB", MICROVOLTS * 1000, 1_000_000 // RATE, int(packed), 0)
    return head + struct.pack(f"<{len(data)}H", *map(len, data)) + b"".join(data)


def _huffman(samples: np.ndarray) -> bytes:
    """First differences in the standard's default code (EN 1064, table C.1)."""
    bits = []
    for value in [int(samples[0]), *np.diff(samples.astype(int)).tolist()]:
        if value == 0:
            bits.append("0")
        elif abs(value) <= 8:
            bits.append("1" * abs(value) + "0" + ("1" if value < 0 else "0"))
        elif -128 <= value < 128:
            bits.append("1111111110" + f"{value & 0xFF:08b}")
        else:
            bits.append("1111111111" + f"{value & 0xFFFF:016b}")
    text = "".join(bits)
    text += "0" * (-len(text) % 16)
    return int(text, 2).to_bytes(len(text) // 8, "big")


def mfer(leads: Leads, *, character_set: str = "RFC 1468") -> bytes:
    """MFER (ISO/TS 22077-1), little-endian, a dominant beat before the rhythm, the name in kanji."""
    encoding = {"RFC 1468": "iso2022_jp", "Shift_JIS": "shift_jis"}[character_set]
    definitions = [
        (0x40, b"MFR " + b"made".ljust(28)), (0x01, b"\x01"), (0x03, character_set.encode()),
        (0x81, f"{FAMILY}^ヤマダ^{GIVEN}^タロウ^{KANJI}^".encode(encoding)), (0x82, IDENTIFIER.encode()),
        (0x83, struct.pack("<BHHBB", 67, 3, *BORN)), (0x84, b"\x02"),
        (0x0B, struct.pack("<BbI", 0, 0, RATE)), (0x0C, struct.pack("<BbH", 0, -6, MICROVOLTS)),
        (0x05, struct.pack("<I", len(leads))), (0x04, struct.pack("<I", 1)),
    ]  # fmt: skip
    data = b"".join(_tlv(tag, value) for tag, value in definitions)
    data += b"".join(_mfer_channel(number, name) for number, name in enumerate(leads))
    for kind, each in ((9, median_beat(leads)), (1, leads)):
        frame = np.stack(list(each.values()), axis=1).astype("<i2")
        data += _tlv(0x08, struct.pack("<H", kind)) + _tlv(0x06, struct.pack("<I", len(frame)))
        data += _tlv(0x1E, frame.tobytes())
    return data + _tlv(0x80, b"")


def _mfer_channel(number: int, name: str) -> bytes:
    value = _tlv(0x09, struct.pack("<H", _MFER_CODE[name]))
    return bytes([0x3F, number, len(value)]) + value


def _tlv(tag: int, value: bytes) -> bytes:
    length = bytes([len(value)]) if len(value) < 128 else b"\x84" + struct.pack(">I", len(value))
    return bytes([tag]) + length + value


def ishne(leads: Leads) -> bytes:
    """ISHNE Holter, its name and birth date in the header."""
    frames = np.stack(list(leads.values()), axis=1).astype("<i2")
    count, blank = len(leads), [-9] * (12 - len(leads))
    codes = [_ISHNE_CODE[name] for name in leads]
    head = struct.pack("<iiii", 0, len(frames), 522, 522) + struct.pack("<h", 1)
    head += GIVEN.encode().ljust(40, b"\0") + FAMILY.encode().ljust(40, b"\0") + IDENTIFIER.encode().ljust(20, b"\0")
    head += (
        struct.pack("<hh", 2, 0) + struct.pack("<3h", BORN[2], BORN[1], BORN[0]) + struct.pack("<6h", *(1, 1, 2020) * 2)
    )
    head += struct.pack("<3h", 10, 0, 0) + struct.pack("<h", count) + struct.pack("<12h", *codes, *blank)
    head += struct.pack("<12h", *[1] * 12) + struct.pack("<12h", *[MICROVOLTS * 1000] * count, *blank)
    head += struct.pack("<h", 0) + b"digital".ljust(40, b"\0") + struct.pack("<h", RATE)
    head = head.ljust(512, b"\0")
    return b"ISHNE1.0" + struct.pack("<H", binascii.crc_hqx(head, 0xFFFF)) + head + frames.tobytes()


def edf(leads: Leads, *, unit: str = "uV", gap: bool = False) -> bytes:
    """EDF+ in records of one second with their times as annotations; `gap`: the second half comes a minute later."""
    per_record = RATE
    seconds = len(next(iter(leads.values()))) // per_record
    per_unit = {"uV": 1.0, "mV": 1e-3, "degC": 1.0}[unit]
    largest = 32767 * MICROVOLTS * per_unit
    signals = len(leads) + 1
    person = f"{IDENTIFIER} F 08-MAY-{BORN[0]} {FAMILY}_{GIVEN}"
    head = [
        "0".ljust(8), person.ljust(80), "Startdate 02-JAN-2020 X X X".ljust(80), "02.01.20", "10.35.17",
        str(256 * (signals + 1)).ljust(8), ("EDF+D" if gap else "EDF+C").ljust(44), str(seconds).ljust(8), "1".ljust(8),
        str(signals).ljust(4),
    ]  # fmt: skip
    fields = [
        ([f"ECG {name}" for name in leads], "EDF Annotations", 16), ([""] * len(leads), "", 80),
        ([unit] * len(leads), "", 8), ([f"{-largest:.8g}"[:8]] * len(leads), "-1", 8),
        ([f"{largest:.8g}"[:8]] * len(leads), "1", 8), (["-32767"] * len(leads), "-32768", 8),
        (["32767"] * len(leads), "32767", 8), ([""] * len(leads), "", 80), ([str(per_record)] * len(leads), "16", 8),
        ([""] * len(leads), "", 32),
    ]  # fmt: skip
    for values, last, width in fields:
        head += [value.ljust(width) for value in (*values, last)]
    data = "".join(head).encode("ascii")
    for second in range(seconds):
        for samples in leads.values():
            data += samples[second * per_record : (second + 1) * per_record].astype("<i2").tobytes()
        onset = second + 60 if gap and second >= seconds // 2 else second
        data += f"+{onset}\x14\x14\0".encode().ljust(32, b"\0")
    return data
