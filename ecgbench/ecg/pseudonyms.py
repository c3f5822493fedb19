"""Ids of patients and records under a keyed hash, so that a store can be shown to others and nobody can ask it for a name.

The key lies in the store's `private/` folder and nowhere else. Whoever has it can find a record's pseudonym again; a
store without its `private/` folder cannot be traced back.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from pathlib import Path

from ecgbench.errors import EcgbenchError

PRIVATE = "private"
KEY_FILE = "key"
DIGITS = 16
_KEY = re.compile(r"[0-9a-f]{64}")


class Pseudonyms:
    """Pseudonyms under one key (64 hexadecimal digits)."""

    def __init__(self, key: str) -> None:
        self._key = bytes.fromhex(key)

    def of(self, kind: str, name: str) -> str:
        """The pseudonym of a `record` or `patient`: the first 64 bits of HMAC-SHA256, in hexadecimal, after a letter."""
        digest = hmac.new(self._key, f"{kind}\0{name}".encode(), hashlib.sha256).hexdigest()
        return f"{kind[0]}-{digest[:DIGITS]}"


def new_key() -> str:
    return secrets.token_hex(32)


def write_key(store: Path, key: str) -> None:
    """Put the key into a store's private folder, readable by its owner alone."""
    folder = store / PRIVATE
    folder.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(folder / KEY_FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as handle:
        handle.write(key + "\n")


def read_key(path: Path) -> str:
    """A key from a file (`STORE/private/key`)."""
    try:
        key = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise EcgbenchError(f"'{path}' cannot be read as a key: give the file private/key of a store.") from None
    if not _KEY.fullmatch(key):
        raise EcgbenchError(f"'{path}' holds no key of 64 hexadecimal digits: give the file private/key of a store.")
    return key
