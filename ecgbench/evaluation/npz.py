"""npz files of plain arrays: the same bytes from the same content, read without pickle and with their damage told."""

from __future__ import annotations

import io
import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np

from ecgbench.errors import EcgbenchError


def stored_form(value: object) -> np.ndarray:
    """Little endian, strings as narrow as they can be, so that equal content is equal bytes."""
    array = np.asarray(value)
    if array.dtype.kind == "U":
        array = np.array(array.tolist(), dtype=str)
    elif array.ndim == 0:
        array = array.astype("<i8")
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).reshape(array.shape)


def write_npz(path: Path, members: dict[str, np.ndarray]) -> None:
    """An npz without the time of writing and the machine's marks (np.savez sets both)."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in sorted(members.items()):
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            content = io.BytesIO()
            np.lib.format.write_array(content, array, version=(1, 0), allow_pickle=False)
            archive.writestr(entry, content.getvalue())


def read_npz(path: Path, what: str) -> dict[str, np.ndarray]:
    """Every member by name. Each is read whole before it is parsed, so that its checksum is tested first."""
    if not path.is_file():
        raise EcgbenchError(f"there is no {what} {path}: give the .npz that a run wrote.")
    damage = (
        OSError, EOFError, ValueError, MemoryError, NotImplementedError, RuntimeError, SyntaxError,
        zipfile.BadZipFile, zlib.error, tokenize.TokenError,
    )  # fmt: skip
    try:
        with zipfile.ZipFile(path) as archive:
            content = {name.removesuffix(".npy"): archive.read(name) for name in archive.namelist()}
        return {name: np.lib.format.read_array(io.BytesIO(data), allow_pickle=False) for name, data in content.items()}
    except damage as error:
        detail = " ".join(str(error).split()) or type(error).__name__
        if "allow_pickle" in detail:
            detail = "it holds Python objects, which are never unpickled: give plain arrays, np.array([…], dtype=str)"
        raise EcgbenchError(f"{path} is damaged or no {what} ({detail}): write or fetch it again.") from None


def member(path: Path, members: dict[str, np.ndarray], name: str, what: str) -> np.ndarray:
    if name not in members:
        raise EcgbenchError(f"{what} {path} lacks '{name}': write it with ecgbench, or add the array.")
    return members[name]
