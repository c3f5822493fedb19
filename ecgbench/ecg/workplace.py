"""Where a store grows: a folder beside its target that outlives a kill, and becomes the target in one rename.

Signals are appended to the shard; every `COMMIT_EVERY` journal items they are flushed to the disk and a line of the journal
says what they are. Whoever comes back reads the journal, cuts off what it does not vouch for, and goes on behind it.
Memory holds no signals.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from ecgbench.ecg.recording import LEADS, STORE_SAMPLES
from ecgbench.ecg.store import shard_name
from ecgbench.files import process_umask

SHARD_RECORDS = 2048
COMMIT_EVERY = 256
JOURNAL = "journal.jsonl"
LOCK = "lock"
RECORD_BYTES = 2 * len(LEADS) * STORE_SAMPLES


class Row(NamedTuple):
    """A record in the store: the entry it is of, the second it begins at, and what is known of its signal."""

    entry: int
    start: float
    lead_mask: str
    valid_samples: int
    clipped: bool
    resampled: bool
    signal_sha256: bytes
    source_sha256: str
    direct: bool


class Damage(NamedTuple):
    """A window that could not be read, and why."""

    entry: int
    start: float
    reason: str


@dataclass
class Progressed:
    """How far a build is: `done` entries are settled, in `rows` and `damaged`; `told` counts what was said, by kind."""

    done: int = 0
    rows: list[Row] = field(default_factory=list)
    damaged: list[Damage] = field(default_factory=list)
    told: dict[str, dict[str, int]] = field(default_factory=dict)


class Workplace:
    """The folder a store grows in. Only one process has it at a time; another one that wants the same target gets a
    folder of its own. To be ended by `become`, `discard` or `leave`."""

    def __init__(self, target: Path, identity: str) -> None:
        self.target = target
        target.parent.mkdir(parents=True, exist_ok=True)
        self.folder, self._lock = _take(target)
        self.state, vouched = _read_journal(self.folder / JOURNAL, identity)
        self._digest = hashlib.sha256()
        self._pending: list[Any] = []
        self._shard: IO[bytes] | None = None
        if self.state.done:
            os.truncate(self.folder / JOURNAL, vouched)
            self._cut_to_journal()
        else:
            self._begin(identity)
        self._journal = (self.folder / JOURNAL).open("a", encoding="utf-8")

    def add(self, row: Row, counts: np.ndarray) -> None:
        """Append one record's counts, int16 (12, 5000)."""
        place = len(self.state.rows)
        if place % SHARD_RECORDS == 0:
            self._end_shard()
            self._shard = (self.folder / shard_name(place // SHARD_RECORDS)).open("wb")
            self._shard.write(_header(SHARD_RECORDS))
        assert self._shard is not None
        data = np.ascontiguousarray(counts).data
        self._shard.write(data)
        self._digest.update(data)
        self.state.rows.append(row)
        self._pending.append(["row", *_as_json(row)])

    def add_damage(self, damage: Damage) -> None:
        self.state.damaged.append(damage)
        self._pending.append(["damage", *damage])

    def settle(self, done: int, told: Sequence[tuple[str, str]] = ()) -> None:
        """All that is to come of the first `done` entries has been added; `told`: kinds and things to count."""
        items: list[Any] = [["tell", kind, what] for kind, what in told]
        items.append(["done", done])
        _replay(self.state, items)
        self._pending += items
        if len(self._pending) >= COMMIT_EVERY:  # here alone: the journal knows whole entries only
            self._commit()

    def finish(self) -> tuple[list[int], str]:
        """Close the shards: how many records each holds, and the sha256 of all samples in order."""
        self._commit()
        self._end_shard()
        whole, rest = divmod(len(self.state.rows), SHARD_RECORDS)
        return [SHARD_RECORDS] * whole + [rest] * (rest > 0), self._digest.hexdigest()

    def become(self) -> None:
        """Be the target, at once. Where another process was first, with the same content, its store stays."""
        self._close()
        for name in (JOURNAL, LOCK):
            (self.folder / name).unlink(missing_ok=True)
        self.folder.chmod(0o777 & ~process_umask())
        try:
            self.folder.rename(self.target)
        except OSError:
            shutil.rmtree(self.folder, ignore_errors=True)
            if not (self.target / "manifest.json").is_file():
                raise
        self._unlock()

    def discard(self) -> None:
        """Leave nothing behind."""
        self._close()
        shutil.rmtree(self.folder, ignore_errors=True)
        self._unlock()

    def leave(self) -> None:
        """Keep what is done for another time."""
        with contextlib.suppress(OSError):
            self._commit()
        self._close()
        self._unlock()

    def _begin(self, identity: str) -> None:
        for path in self.folder.iterdir():
            if path.name != LOCK:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        (self.folder / JOURNAL).write_text(json.dumps(["identity", identity]) + "\n", encoding="utf-8")

    def _cut_to_journal(self) -> None:
        """Drop what no journal line vouches for, hash what stays, and open the last shard behind it."""
        rows = len(self.state.rows)
        for number in range(-(-rows // SHARD_RECORDS)):
            held = min(SHARD_RECORDS, rows - number * SHARD_RECORDS)
            handle = (self.folder / shard_name(number)).open("r+b")
            handle.truncate(len(_header(1)) + held * RECORD_BYTES)
            handle.seek(len(_header(1)))
            while data := handle.read(1 << 22):
                self._digest.update(data)
            if held < SHARD_RECORDS:
                self._shard = handle
            else:
                handle.close()

    def _commit(self) -> None:
        if not self._pending:
            return
        if self._shard is not None:
            self._shard.flush()
            os.fsync(self._shard.fileno())
        self._journal.write(json.dumps(self._pending, ensure_ascii=False) + "\n")
        self._journal.flush()
        os.fsync(self._journal.fileno())
        self._pending = []

    def _end_shard(self) -> None:
        """Write how many records the shard came to hold into its header."""
        if self._shard is None:
            return
        held = (self._shard.tell() - len(_header(1))) // RECORD_BYTES
        self._shard.seek(0)
        self._shard.write(_header(held))
        self._shard.close()
        self._shard = None

    def _close(self) -> None:
        self._journal.close()
        if self._shard is not None:
            self._shard.close()
            self._shard = None

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _take(target: Path) -> tuple[Path, int | None]:
    """The folder to grow in, and the lock on it (None for a folder of one's own)."""
    folder = target.parent / f".{target.name}.part"
    try:
        import fcntl
    except ImportError:  # no such locks on this system: nothing is taken up again
        return Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)), None
    while True:
        folder.mkdir(mode=0o700, exist_ok=True)
        try:
            descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:
            continue  # it became its target just now
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)), None
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), os.stat(folder / LOCK)):  # noqa: PTH116
                return folder, descriptor
        os.close(descriptor)


def _read_journal(path: Path, identity: str) -> tuple[Progressed, int]:
    """What the journal vouches for, and up to which byte; nothing where there is none, or where it is of another build.
    A line that was cut off or harmed ends it."""
    state, vouched = Progressed(), 0
    if not path.is_file():
        return state, 0
    with path.open("rb") as lines:
        for number, line in enumerate(lines):
            try:
                items: list[Any] = json.loads(line) if line.endswith(b"\n") else []
            except ValueError:
                break
            if number == 0 and items != ["identity", identity]:
                break
            if number and not (items and items[-1][0] == "done"):
                break
            if number:
                _replay(state, items)
            vouched += len(line)
    return state, vouched


def _replay(state: Progressed, items: list[Any]) -> None:
    for kind, *what in items:
        if kind == "row":
            row = Row(*what)
            state.rows.append(row._replace(signal_sha256=bytes.fromhex(what[6])))
        elif kind == "damage":
            state.damaged.append(Damage(*what))
        elif kind == "tell":
            counted = state.told.setdefault(what[0], {})
            counted[what[1]] = counted.get(what[1], 0) + 1
        else:
            state.done = what[0]


def _as_json(row: Row) -> list[Any]:
    return [*row._replace(signal_sha256=row.signal_sha256.hex())]  # type: ignore[arg-type]


def _header(records: int) -> bytes:
    """The head of a shard's npy file, of one length whatever the number of records."""
    head = io.BytesIO()
    described = {"descr": "<i2", "fortran_order": False, "shape": (records, len(LEADS), STORE_SAMPLES)}
    np.lib.format.write_array_header_1_0(head, described)
    return head.getvalue()
