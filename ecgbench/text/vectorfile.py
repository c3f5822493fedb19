"""Vectors and what is known about them in one safetensors file: the form of a cache shard and of an embedding
pack.

The tensor `embeddings` is (n, dim) float32; the metadata entry `ecgbench` is a JSON object of `about` and
`sha256`, the latter over `about` and the tensor's bytes. Safetensors holds no code, and its reader checks the
header's size and every offset.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from ecgbench.files import atomic_path, canonical_json

UNREADABLE = "its description is not readable as JSON"


class VectorFileError(Exception):
    """The file is not whole or not of this form; the message says what is wrong, without the path."""


def write_vectors(path: Path, vectors: np.ndarray, about: dict[str, Any]) -> None:
    """Write (n, dim) float32 vectors and `about`, atomically."""
    from safetensors.numpy import save_file

    vectors = np.ascontiguousarray(vectors, dtype="<f4")
    checksum = _checksum(canonical_json(about), vectors)
    # One entry, because safetensors writes several in an order that changes from file to file.
    metadata = {"ecgbench": canonical_json({"about": about, "sha256": checksum})}
    with atomic_path(path) as temporary:
        save_file({"embeddings": vectors}, temporary, metadata)


def read_about(path: Path) -> dict[str, Any]:
    """The `about` object alone, before the vectors are read and the checksum is looked at.
    VectorFileError."""
    with _open(path) as handle:
        return _about(handle)[0]


def read_vectors(path: Path) -> tuple[dict[str, Any], np.ndarray]:
    """`about` and the (n, dim) float32 vectors, checked against their checksum. VectorFileError."""
    from safetensors import SafetensorError

    with _open(path) as handle:
        about, checksum = _about(handle)
        if list(handle.keys()) != ["embeddings"]:
            raise VectorFileError(f"it holds the tensors {sorted(handle.keys())}, not just 'embeddings'")
        try:
            vectors = handle.get_tensor("embeddings")
        except (SafetensorError, ValueError, TypeError) as error:
            raise VectorFileError(_one_line(error)) from None
    if vectors.ndim != 2 or vectors.dtype != np.float32:
        raise VectorFileError(f"'embeddings' is {vectors.dtype} {vectors.shape}, not float32 (n, dim)")
    if _checksum(_canonical(about), vectors) != checksum:
        raise VectorFileError("its checksum does not fit its content: it was damaged or changed")
    return about, vectors


def _open(path: Path) -> Any:
    from safetensors import SafetensorError, safe_open

    try:
        return safe_open(path, framework="np")
    except (SafetensorError, ValueError) as error:
        raise VectorFileError(_one_line(error)) from None


def _about(handle: Any) -> tuple[dict[str, Any], str]:
    """`about` and the checksum that the file states."""
    text = (handle.metadata() or {}).get("ecgbench")
    if text is None:
        raise VectorFileError("it is a safetensors file, but not one of vectors with their description")
    try:
        metadata = json.loads(text)
        about, checksum = metadata["about"], metadata["sha256"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise VectorFileError(UNREADABLE) from None
    if not isinstance(about, dict):
        raise VectorFileError("its description is not a JSON object")
    return about, checksum


def _canonical(about: dict[str, Any]) -> str:
    """The text of `about` that the checksum is over; a file may hold numbers that JSON has no text for."""
    try:
        return canonical_json(about)
    except (ValueError, RecursionError):
        raise VectorFileError(UNREADABLE) from None


def _checksum(text: str, vectors: np.ndarray) -> str:
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass"))
    digest.update(np.ascontiguousarray(vectors, dtype="<f4").data)
    return digest.hexdigest()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
