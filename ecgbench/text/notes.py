"""Small facts that the text towers' room keeps between runs, each a JSON file of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ecgbench.files import canonical_json, write_text


def write_note(path: Path, facts: dict[str, Any]) -> None:
    """Write an object, atomically."""
    write_text(path, canonical_json(facts))


def read_note(path: Path, key: str) -> str | None:
    """One string of a note; None where it is absent or not readable as one."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))[key]
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return None
    return value if isinstance(value, str) else None
