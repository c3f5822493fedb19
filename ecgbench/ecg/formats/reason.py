"""What a library says of a damaged file, made fit to be published."""

from __future__ import annotations

import re
from pathlib import Path

_QUOTED = re.compile(r"(?<!\w)b?'[^']*'?|\"[^\"]*\"?")
_LONGEST = 160


def published(message: str, path: Path) -> str:
    """The message in one short line of ASCII without the file's name and folder and without anything quoted: what a
    library quotes is the file's own text, which may be the patient's."""
    for form in sorted({str(path), str(path.absolute()), str(path.resolve()), path.name}, key=len, reverse=True):
        message = message.replace(form, "the file")
    unquoted = _QUOTED.sub("...", message)
    plain = unquoted.encode("ascii", "ignore").decode()
    return " ".join(plain.split())[:_LONGEST]
