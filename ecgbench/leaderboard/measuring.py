"""Scores files measured by several processes, a few files ahead of whoever asks for them."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import TracebackType

from ecgbench.cards import TaskCard
from ecgbench.errors import RunFailedError
from ecgbench.leaderboard.replay import Key, Measured, measure_file
from ecgbench.workers import begin_worker, usable_cores, workers_start

TOO_FEW = 16
"""Below this many files starting workers costs more time than it saves."""

UNDER_WAY = 4
"""Files for each worker that are begun before the first of them is asked for."""

Asked = tuple[Path, TaskCard, bool]
"""What `measure_file` is given."""


class Ahead:
    """Files measured in an order in which they are asked for, or left out. Used as a context: its processes end with it."""

    def __init__(self, files: dict[Key, Asked]) -> None:
        self._waiting = deque(files.items())
        self._expected = set(files)
        self._under_way: deque[tuple[Key, Future[Measured]]] = deque()
        self._workers = usable_cores()
        alone = len(files) < TOO_FEW or self._workers == 1 or multiprocessing.current_process().daemon
        self._pool = None if alone else _pool(self._workers)

    def __enter__(self) -> Ahead:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
        self._pool = None  # who asks later measures for itself

    def take(self, key: Key) -> Measured | None:
        """What a file gives, waited for; None where it is not under way. Those that were to be asked for before it are given
        up. EcgbenchError as of `measure_file`."""
        if self._pool is None or key not in self._expected:
            return None
        try:
            while True:
                self._begin(self._pool)
                own, future = self._under_way.popleft()
                self._expected.discard(own)
                if own == key:
                    return future.result()
                future.cancel()
        except BrokenProcessPool:
            raise RunFailedError(
                "a worker process that measured a scores file ended before its time (killed, or out of memory): "
                "type the same command again"
            ) from None

    def _begin(self, pool: ProcessPoolExecutor) -> None:
        while self._waiting and len(self._under_way) < UNDER_WAY * self._workers:
            key, asked = self._waiting.popleft()
            with workers_start():
                self._under_way.append((key, pool.submit(measure_file, *asked)))


def _pool(workers: int) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=begin_worker)


def in_order(files: Iterable[tuple[Key, Asked]]) -> dict[Key, Asked]:
    """Each file once, where it is asked for first."""
    found: dict[Key, Asked] = {}
    for key, asked in files:
        found.setdefault(key, asked)
    return found
