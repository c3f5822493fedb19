"""What a library says of a damaged file, made fit to be published."""

from __future__ import annotations

import re
from pathlib import Path

from ecgbench.ecg.formats.leads import standard_lead

_QUOTED = re.compile(r"(?<!\w)b?'[^']*'?|\"[^\"]*\"?")
_INSERTED = re.compile(r"\b([Ll]ead|of type) (.+?)(?= has no | of the file| are unsupported| \(|:)")
"""Where the library sets names from the file into its sentences without quotes."""
_LONGEST = 160


def published(message: str, path: Path) -> str:
    """The message in one short line of ASCII without the file's name and folder and without anything quoted: what a
    library quotes is the file's own text, which may be the patient's."""
    for form in sorted({str(path), str(path.absolute()), str(path.resolve()), path.name}, key=len, reverse=True):
        message = message.replace(form, "the file")
    unquoted = _INSERTED.sub(_known_lead_or_nothing, _QUOTED.sub("...", message))
    plain = unquoted.encode("ascii", "ignore").decode()
    return " ".join(plain.split())[:_LONGEST]


def _known_lead_or_nothing(inserted: re.Match[str]) -> str:
    name = inserted[2]
    return inserted[0] if name.isdigit() or standard_lead(name) else f"{inserted[1]} ..."
