"""What the cache holds, tower by tower, and what of it may go.

Everything here is safe while other processes embed and read: vectors are written before the files that held them are
removed, a file that was used since it was looked at stays, and whoever misses a file embeds its prompts again.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from ecgbench.files import cache_folder, hash_of
from ecgbench.text.cache import LOCK, SHARD_VECTORS, SHARDS, keys_of, remove_if_unchanged, write_shard
from ecgbench.text.vectorfile import VectorFileError, read_about, read_vectors

UNFINISHED_SECONDS = 3600.0
"""A file that nobody finished in an hour was left by a process that was killed."""
TOWER_FOLDER = re.compile(r"(?P<name>.+)-(?P<hash>[0-9a-f]{32})")

Progress = Callable[[int, int], None]
"""Called with (files looked at, files in all)."""


@dataclass(frozen=True)
class CacheFile:
    """A file of vectors, sound, and what it was when it was looked at."""

    path: Path
    state: os.stat_result
    keys: tuple[str, ...]
    dim: int


@dataclass
class CachedTower:
    """The vectors of one tower with one set of weights. `identity` is None where no file is sound."""

    folder: Path
    name: str
    identity: dict[str, Any] | None = None
    files: list[CacheFile] = field(default_factory=list)
    damaged: list[tuple[Path, os.stat_result]] = field(default_factory=list)

    @property
    def weights(self) -> str | None:
        return self.identity["weights"] if self.identity else None

    @property
    def dim(self) -> int | None:
        return self.files[0].dim if self.files else None

    @property
    def prompts(self) -> int:
        return len({key for each in self.files for key in each.keys})

    @property
    def size(self) -> int:
        """Bytes, damaged files counted."""
        return sum(state.st_size for state in (*(f.state for f in self.files), *(s for _, s in self.damaged)))

    @property
    def used(self) -> float | None:
        """When vectors were last made or asked for, seconds since 1970, to the hour."""
        return max((each.state.st_mtime for each in self.files), default=None)


def survey(progress: Progress | None = None) -> list[CachedTower]:
    """Every tower in the cache, by name, each of its files read whole and held against its checksum."""
    folders = tower_folders()
    total = sum(1 for folder in folders for _ in folder.glob(SHARDS))
    done = 0

    def looked_at() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, max(done, total))

    return [_surveyed(folder, looked_at) for folder in folders]


def tower_folders() -> list[Path]:
    root = cache_folder("text")
    named = [path for path in root.glob("*") if TOWER_FOLDER.fullmatch(path.name) and path.is_dir()]
    return sorted(named, key=lambda path: path.name)


def _surveyed(folder: Path, looked_at: Callable[[], None]) -> CachedTower:
    matched = TOWER_FOLDER.fullmatch(folder.name)
    assert matched is not None
    tower = CachedTower(folder, matched["name"])
    for path in sorted(folder.glob(SHARDS)):
        looked_at()
        with suppress(FileNotFoundError):  # joined or removed just now
            state = path.stat()
            try:
                identity, keys, vectors = _read(path)
            except VectorFileError:
                tower.damaged.append((path, state))
                continue
            tower.identity = identity
            tower.files.append(CacheFile(path, state, tuple(keys), vectors.shape[1]))
    return tower


def _read(path: Path) -> tuple[dict[str, Any], list[str], np.ndarray]:
    """Identity, keys and vectors of a file. VectorFileError where it is not sound or does not belong where it lies."""
    about, vectors = read_vectors(path)
    identity = about.get("identity")
    if not isinstance(identity, dict) or path.parent.name != f"{identity.get('name')}-{hash_of(identity)[:32]}":
        raise VectorFileError("it belongs to another tower")
    keys = keys_of(path, about, identity)
    if len(keys) != len(vectors):
        raise VectorFileError("it lacks vectors")
    return identity, keys, vectors


def unfinished_files() -> list[tuple[Path, os.stat_result]]:
    """Files that a killed process left half-written, not touched for an hour."""
    found = []
    for path in sorted(cache_folder("text").glob("*/.*.part")):
        with suppress(FileNotFoundError):
            state = path.stat()
            if time.time() - state.st_mtime > UNFINISHED_SECONDS:
                found.append((path, state))
    return found


def remove(files: Sequence[tuple[Path, os.stat_result]]) -> int:
    """Remove files that are still what they were; how many went. Folders that hold no vectors any more go with them."""
    gone = 0
    for path, state in files:
        remove_if_unchanged(path, state)
        gone += not path.exists()
    for folder in {path.parent for path, _ in files}:
        _remove_if_empty(folder)
    return gone


def join_small(folder: Path) -> tuple[int, int]:
    """Put vectors of small files together in few large ones, of files that were last used in the same month, so that age
    still tells what may go. How many files there were and are. Nothing is done while another process embeds with the tower."""
    with _alone(folder) as alone:
        by_month: dict[str, list[Path]] = {}
        for path in sorted(folder.glob(SHARDS)) if alone else []:
            with suppress(FileNotFoundError):
                if _is_small(path):
                    by_month.setdefault(time.strftime("%Y-%m", time.gmtime(path.stat().st_mtime)), []).append(path)
        several = [paths for paths in by_month.values() if len(paths) > 1]
        return sum(map(len, several)), sum(_join(folder, paths) for paths in several)


def _join(folder: Path, paths: list[Path]) -> int:
    """How many files the vectors of several became."""
    written = 0
    held: dict[str, np.ndarray] = {}
    identity: dict[str, Any] = {}
    waiting: list[tuple[Path, os.stat_result]] = []
    for path in paths:
        with suppress(FileNotFoundError, VectorFileError):  # a damaged one is not put together with others
            state = path.stat()
            identity, keys, vectors = _read(path)
            held = dict(zip(keys, vectors, strict=True)) | held  # of two vectors of a prompt, the first found stays
            waiting.append((path, state))
        if len(held) >= SHARD_VECTORS or (waiting and path == paths[-1]):
            _replace(folder, identity, held, waiting)
            held, waiting, written = {}, [], written + 1
    return written


def _replace(
    folder: Path, identity: dict[str, Any], held: dict[str, np.ndarray], old: list[tuple[Path, os.stat_result]]
) -> None:
    """One file in the place of several, as lately used as the last of them."""
    path = write_shard(folder, identity, held)
    last = max(state.st_mtime for _, state in old)
    os.utime(path, (last, last))
    for each, state in old:
        if each != path:
            remove_if_unchanged(each, state)


def _is_small(path: Path) -> bool:
    with suppress(FileNotFoundError, VectorFileError):
        keys = read_about(path).get("keys")
        return isinstance(keys, list) and len(keys) < SHARD_VECTORS // 2
    return False


@contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Whether no other process embeds with the tower for the length of the block."""
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except (Timeout, OSError):
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def _remove_if_empty(folder: Path) -> None:
    if not TOWER_FOLDER.fullmatch(folder.name) or any(path.name != LOCK for path in folder.glob("*")):
        return
    with _alone(folder) as alone:
        if alone:
            (folder / LOCK).unlink(missing_ok=True)
    with suppress(OSError):  # another process has put something there
        folder.rmdir()
