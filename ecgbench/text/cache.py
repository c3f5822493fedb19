"""Every distinct prompt is embedded once, ever: the vectors on disk, found by the hash of what decides them.

One folder a tower (its card's identity and its weights), one file a batch of vectors. Files are only ever
added, each whole under its final name, so that several processes may write at once: the worst is the same
vector twice. A file that does not fit its own checksum is noticed when read, removed, and its prompts are
embedded again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ecgbench.cards import TextCard
from ecgbench.errors import EcgbenchError
from ecgbench.files import cache_folder, hash_of
from ecgbench.text.prompts import Prompt
from ecgbench.text.vectorfile import VectorFileError, read_about, read_vectors, write_vectors

log = logging.getLogger("ecgbench.text")


def tower_identity(card: TextCard, weights: str | None) -> dict[str, Any]:
    """What decides a vector besides the prompt: the card's identity (kind, hub id, revision, pooling, layer,
    dtype, prefix, …) and the identity of the weights (`weights.weights_identity`)."""
    return {**card.identity(), "weights": weights}


def prompt_key(card: TextCard, prompt: Prompt) -> str:
    """sha256 (hex) of what the tower sees of a prompt: its parts for `random`, its text for every other."""
    return hash_of({"parts": prompt.parts} if card.kind == "random" else {"text": prompt.text})


class VectorCache:
    """The vectors of one tower with one set of weights, under `$ECGBENCH_CACHE/text/<tower>-<hash>/`."""

    def __init__(self, card: TextCard, weights: str | None) -> None:
        self.identity = tower_identity(card, weights)
        self.folder = cache_folder("text", f"{card.name}-{hash_of(self.identity)[:32]}")

    def find(self, keys: Iterable[str]) -> dict[str, np.ndarray]:
        """key -> (dim,) float32, for those of the keys that are there and sound."""
        wanted = set(keys)
        found: dict[str, np.ndarray] = {}
        for path in sorted(self.folder.glob("*.safetensors")):
            if wanted <= found.keys():
                break
            found.update(self._read(path, wanted - found.keys()))
        return found

    def add(self, vectors: dict[str, np.ndarray]) -> None:
        """Keep vectors (each (dim,) float32) under their keys."""
        if not vectors:
            return
        keys = sorted(vectors)
        path = self.folder / f"{hash_of(keys)}.safetensors"
        try:
            write_vectors(path, np.stack([vectors[key] for key in keys]), {"identity": self.identity, "keys": keys})
        except OSError as error:
            raise EcgbenchError(
                f"the cache {self.folder} cannot be written ({error.strerror or error}): "
                "set ECGBENCH_CACHE to a folder that can."
            ) from None

    def _read(self, path: Path, wanted: set[str]) -> dict[str, np.ndarray]:
        try:
            if wanted.isdisjoint(_keys(read_about(path))):
                return {}
            about, vectors = read_vectors(path)
            keys = _keys(about)
            if about.get("identity") != self.identity or len(keys) != len(vectors):
                raise VectorFileError("it belongs to another tower, or lacks vectors")
        except FileNotFoundError:  # another process found it damaged first
            return {}
        except VectorFileError as error:
            log.warning("damaged cache file %s (%s): removed, its prompts are embedded again", path, error)
            path.unlink(missing_ok=True)
            return {}
        return {key: vector for key, vector in zip(keys, vectors, strict=True) if key in wanted}


def _keys(about: dict[str, Any]) -> list[str]:
    keys = about.get("keys")
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise VectorFileError("it names no keys")
    return keys
