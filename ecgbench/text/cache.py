"""Every distinct prompt is embedded once, ever: the vectors on disk, found by the hash of what decides them.

One folder a tower (its card's identity and its weights), one file a batch of vectors. A file is written whole under its
final name, the hash of its keys, and never changed, so that several processes may write at once. A file that does not
fit its own name or checksum is noticed when read, removed, and its prompts are embedded again. Files may vanish while
they are read (`cache_care` joins small ones and removes old ones): what replaced them is looked for.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from ecgbench.cards import TextCard
from ecgbench.errors import EcgbenchError
from ecgbench.files import cache_folder, hash_of
from ecgbench.text.prompts import Prompt
from ecgbench.text.vectorfile import VectorFileError, read_about, read_vectors, write_vectors

log = logging.getLogger("ecgbench.text")

SHARDS = "*.safetensors"
LOCK = ".embedding.lock"
SHARD_VECTORS = 4096
"""Most vectors of a file: one that is asked for costs the checksum over all of its file."""
LOOK_AGAIN_SECONDS = 2.0
"""How long one process waits for another that runs the same tower before it looks what is there by now."""
TOUCH_SECONDS = 3600.0
"""A file's time of change is when its vectors were last asked for, to the hour."""


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
        looked_at: set[str] = set()
        vanished = True
        while wanted and vanished:
            vanished = False
            for path in sorted(self.folder.glob(SHARDS)):
                if not wanted or path.name in looked_at:
                    continue
                try:
                    got = self._read(path, wanted)
                except FileNotFoundError:  # joined with others, or removed: the folder is listed again
                    vanished = True
                    continue
                looked_at.add(path.name)
                found |= got
                wanted.difference_update(got)
        return found

    def add(self, vectors: dict[str, np.ndarray]) -> None:
        """Keep vectors (each (dim,) float32) under their keys."""
        keys = sorted(vectors)
        for start in range(0, len(keys), SHARD_VECTORS):
            with self._written():
                write_shard(
                    self.folder, self.identity, {key: vectors[key] for key in keys[start : start + SHARD_VECTORS]}
                )

    def holds_any(self) -> bool:
        """Whether there is a file of vectors."""
        return next(self.folder.glob(SHARDS), None) is not None

    @contextmanager
    def turn(self, keys: Collection[str]) -> Iterator[dict[str, np.ndarray]]:
        """One process at a time runs a tower: the others wait for it and are given what it has embedded, so that nothing is
        embedded twice and a large model is in memory once. What of the keys is there when it is this process's turn; all
        of them as soon as others have embedded them all. A killed process's turn ends with it."""
        wanted = set(keys)
        found: dict[str, np.ndarray] = {}
        lock = FileLock(self.folder / LOCK)
        mine = self._acquired(lock, LOOK_AGAIN_SECONDS)
        if not mine:
            log.warning("another process embeds with this text tower: waiting for what it embeds (%s)", self.folder)
        try:
            while True:
                found |= self.find(wanted - found.keys())
                if mine or wanted <= found.keys():
                    break
                mine = self._acquired(lock, LOOK_AGAIN_SECONDS)
            yield found
        finally:
            lock.release()

    def _acquired(self, lock: FileLock, seconds: float) -> bool:
        with self._written():
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(timeout=seconds)
            except Timeout:
                return False
        return True

    @contextmanager
    def _written(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise EcgbenchError(
                f"the cache {self.folder} cannot be written ({error.strerror or error}): "
                "set ECGBENCH_CACHE to a folder that can."
            ) from None

    def _read(self, path: Path, wanted: set[str]) -> dict[str, np.ndarray]:
        before = path.stat()
        try:
            if wanted.isdisjoint(keys_of(path, read_about(path), self.identity)):
                return {}
            about, vectors = read_vectors(path)
            keys = keys_of(path, about, self.identity)
            if len(keys) != len(vectors):
                raise VectorFileError("it lacks vectors")
        except VectorFileError as error:
            log.warning("damaged cache file %s (%s): removed, its prompts are embedded again", path, error)
            remove_if_unchanged(path, before)
            return {}
        _mark_as_used(path, before.st_mtime)
        return {key: vector for key, vector in zip(keys, vectors, strict=True) if key in wanted}


def write_shard(folder: Path, identity: dict[str, Any], vectors: dict[str, np.ndarray]) -> Path:
    """Write a file of vectors (each (dim,) float32) under their keys; OSError where that cannot be."""
    keys = sorted(vectors)
    path = folder / f"{hash_of(keys)}.safetensors"
    write_vectors(path, np.stack([vectors[key] for key in keys]), {"identity": identity, "keys": keys})
    return path


def keys_of(path: Path, about: dict[str, Any], identity: dict[str, Any]) -> list[str]:
    """The keys that a cache file's description names. VectorFileError where they do not fit the file's name (so that a
    description is checked before the vectors are read), or the tower."""
    keys = about.get("keys")
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise VectorFileError("it names no keys")
    if about.get("identity") != identity:
        raise VectorFileError("it belongs to another tower")
    if hash_of(keys) != path.stem:
        raise VectorFileError("its keys do not fit its name")
    return keys


def remove_if_unchanged(path: Path, before: os.stat_result) -> None:
    """Remove a file unless another process has put a new one in its place since `before`."""
    with suppress(FileNotFoundError):
        now = path.stat()
        if (now.st_ino, now.st_mtime_ns, now.st_size) == (before.st_ino, before.st_mtime_ns, before.st_size):
            path.unlink()


def _mark_as_used(path: Path, last: float) -> None:
    if time.time() - last > TOUCH_SECONDS:
        with suppress(OSError):  # a cache that may only be read is used all the same
            os.utime(path)
