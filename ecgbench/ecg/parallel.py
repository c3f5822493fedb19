"""Records loaded and brought to the store's form, in this process or in several, always in the same order.

Worker processes are started afresh (`spawn`), open the source by its text, and send their records back in small
chunks; a few chunks are under way at a time, so memory does not grow with the data set. Linear algebra keeps to one
thread everywhere: the workers share the cores, and the same bits come out whatever their number.
"""

from __future__ import annotations

import hashlib
import multiprocessing
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace

from ecgbench.ecg.formats.digital import DigitalLeads
from ecgbench.ecg.recording import DamagedRecordError, Entry, RawEcg
from ecgbench.ecg.sources import Source, open_source
from ecgbench.ecg.sources.options import SourceOptions
from ecgbench.ecg.standardise import StoredSignal, Window, to_store, window_starts
from ecgbench.errors import EcgbenchError, RunFailedError
from ecgbench.workers import begin_worker, usable_cores, workers_start

CHUNK = 16
"""Records that a worker is given at a time."""

CHUNKS_UNDER_WAY = 3
"""Chunks for each worker that are asked for before the first of them is taken up."""

TOO_FEW = 200
"""Below this many records starting workers costs more time than it saves."""


@dataclass(frozen=True)
class LoadedWindow:
    """10 s of a record: its signal with the sha256 of its samples, or why it is damaged. `start`: in seconds."""

    signal: StoredSignal | None
    sha256: bytes = b""
    damage: str = ""
    start: float = 0.0


@dataclass(frozen=True)
class Loaded:
    """One entry read: its windows, and what is known of its file. `direct`: not through a library."""

    windows: Iterable[LoadedWindow]
    source_sha256: str = ""
    format: str = ""
    remarks: tuple[str, ...] = ()
    direct: bool = False


Loading = Generator[Loaded, None, None]
"""Records in the order of their entries; to be closed when no more are wanted."""


def workers_for(records: int, workers: int | None) -> int:
    """How many processes load `records`: as many as asked for, else one a core; one where that is faster or where this
    process may not start others. EcgbenchError for less than one."""
    if workers is not None and workers < 1:
        raise EcgbenchError(f"{workers} workers were asked for: write 1 (this process alone) or more.")
    if records < TOO_FEW or multiprocessing.current_process().daemon:
        return 1
    return workers or usable_cores()


def load_one(source: Source, entry: Entry, window: Window = "first") -> Loaded:
    """Read an entry and bring it to the store's form, window by window as they are asked for; what is damaged is told,
    not raised."""
    try:
        raw = source.load(entry)
        starts = window_starts(_samples(raw), raw.rate, window)
    except DamagedRecordError as error:
        return Loaded((LoadedWindow(None, damage=str(error)),))
    return Loaded(
        (_window(raw, start) for start in starts),
        source_sha256=entry.source_sha256 or raw.source_sha256,
        format=raw.format,
        remarks=raw.remarks,
        direct=isinstance(raw.leads, DigitalLeads),
    )


def _samples(raw: RawEcg) -> int:
    if isinstance(raw.leads, DigitalLeads):
        return int(raw.leads.counts.shape[1])
    return len(next(iter(raw.leads.values()), ()))


def _window(raw: RawEcg, start: float) -> LoadedWindow:
    try:
        signal = to_store(raw.leads, raw.rate, start)
    except DamagedRecordError as error:
        return LoadedWindow(None, damage=str(error), start=start)
    return LoadedWindow(signal, hashlib.sha256(signal.counts.data).digest(), start=start)


def loaded_here(source: Source, entries: Sequence[Entry], window: Window = "first") -> Loading:
    """Each entry loaded in this process, in order."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1, user_api="blas"):
        for entry in entries:
            yield load_one(source, entry, window)


def loaded_by_workers(spec: str, options: SourceOptions, entries: Sequence[Entry], workers: int) -> Loading:
    """Each entry loaded by one of the worker processes, in order. `spec`, `options`: what they open. RunFailedError
    where a worker dies; what a worker raises is raised here."""
    chunks = [entries[first : first + CHUNK] for first in range(0, len(entries), CHUNK)]
    pool = ProcessPoolExecutor(
        max_workers=min(workers, len(chunks)),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin,
        initargs=(spec, options),
    )
    under_way: deque[Future[list[Loaded]]] = deque()
    done = 0
    try:
        for number in range(len(chunks) + CHUNKS_UNDER_WAY * workers):
            if number < len(chunks):
                with workers_start():
                    under_way.append(pool.submit(_load_chunk, chunks[number]))
            if number >= CHUNKS_UNDER_WAY * workers - 1 and under_way:
                for loaded in under_way.popleft().result():
                    yield loaded
                    done += 1
    except BrokenProcessPool:
        raise RunFailedError(
            f"a worker process ended before its time after {done} of {len(entries)} records (killed, or out of memory), "
            "the same command with fewer --workers goes on from there"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_source: Source | None = None
_window_choice: Window = "first"
"""In a worker: the source that it loads from, and which part of its recordings."""


def _begin(spec: str, options: SourceOptions) -> None:
    """In a worker: open the source."""
    global _source, _window_choice
    begin_worker()
    _source, _window_choice = open_source(spec, options)[1], options.window


def _load_chunk(entries: Sequence[Entry]) -> list[Loaded]:
    assert _source is not None
    loaded = [load_one(_source, entry, _window_choice) for entry in entries]
    return [replace(each, windows=tuple(each.windows)) for each in loaded]
