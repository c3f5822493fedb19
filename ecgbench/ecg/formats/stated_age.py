"""The age that a file states in a field of its own. The library also makes one of the birth date; that is not read."""

from __future__ import annotations

import re
from pathlib import Path

_GE_UNITS = {"YEARS": 1.0, "MONTHS": 1 / 12, "WEEKS": 7 / 365.25, "DAYS": 1 / 365.25, "HOURS": 1 / 8766}
_SCP_UNITS = {1: 1.0, 2: 1 / 12, 3: 7 / 365.25, 4: 1 / 365.25, 5: 1 / 8766}
_OLDEST = 150


def stated_age(kind: str, path: Path) -> float | None:
    """Whole years, or None where the format has no such field (HL7 aECG, ISHNE, EDF) or the file leaves it empty."""
    reader = {"GE MUSE XML": _ge_muse, "Philips Sierra XML": _sierra, "SCP-ECG": _scp, "MFER": _mfer}.get(kind)
    if reader is None:
        return None
    age = reader(path.read_bytes())
    return float(int(age)) if age is not None and 0 <= age < _OLDEST else None


def _text(data: bytes) -> str:
    return data.decode("utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "latin-1", "replace")


def _ge_muse(data: bytes) -> float | None:
    text = _text(data)
    age = re.search(r"<PatientAge>\s*(\d{1,5})\s*</PatientAge>", text)
    unit = re.search(r"<AgeUnits>\s*([A-Za-z]+)\s*</AgeUnits>", text)
    return int(age[1]) * _GE_UNITS[unit[1].upper()] if age and unit and unit[1].upper() in _GE_UNITS else None


def _sierra(data: bytes) -> float | None:
    age = re.search(r"<age\b[^>]{0,200}>(.{0,400}?)</age>", _text(data), re.DOTALL)
    years = re.search(r"<years>\s*(\d{1,3})\s*</years>", age[1]) if age else None
    return int(years[1]) if years else None


def _scp(data: bytes) -> float | None:
    """Tag 4 of section 1 (EN 1064, 5.4.3): age and its unit, 0 for not stated."""
    for at in range(22, min(6 + int.from_bytes(data[10:14], "little"), len(data)), 10):
        number, length, index = (
            int.from_bytes(data[a:b], "little") for a, b in ((at, at + 2), (at + 2, at + 6), (at + 6, at + 10))
        )
        if number == 1:
            body = data[index + 15 : index - 1 + length]
            break
    else:
        return None
    at = 0
    while at + 3 <= len(body) and body[at] != 255:
        size = int.from_bytes(body[at + 1 : at + 3], "little")
        value = body[at + 3 : at + 3 + size]
        if body[at] == 4 and len(value) == 3:
            age, unit = int.from_bytes(value[:2], "little"), value[2]
            return age * _SCP_UNITS[unit] if age and unit in _SCP_UNITS else None
        at += 3 + size
    return None


def _mfer(data: bytes) -> float | None:
    """MWF_AGE: years, then days; both 0 for not stated."""
    from ecgdatakit.parsing.parsers.mfer import MWF_AGE, _iter_tlv

    for tag, _, start, stop in _iter_tlv(data, 0, len(data)):
        if tag == MWF_AGE and stop > start:
            value = data[start:stop]
            return value[0] if any(value[:3]) else None
    return None
