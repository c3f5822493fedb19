"""Worker processes: how they are started and how they end. They are started afresh (`spawn`), so that no lock or thread of this
process is copied into them half-way."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import types
from collections.abc import Iterator
from contextlib import contextmanager

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def usable_cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def begin_worker() -> None:
    """In a worker: leave Ctrl-C to the parent process, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)  # nobody is left to read what this worker makes


@contextmanager
def workers_start() -> Iterator[None]:
    """While a worker may be started: one thread for its linear algebra; Ctrl-C held back, so that the worker, which
    inherits that, never hears it and this process does as soon as the worker is there; and no main script, since a
    worker would run the caller's script again, which need not be written for that, and uses nothing of it."""
    main = sys.modules["__main__"]
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    heard: list[int] = []
    in_main = threading.current_thread() is threading.main_thread()
    at_interrupt = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number)) if in_main else None
    blocked = None
    if hasattr(signal, "pthread_sigmask"):  # not on Windows
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    sys.modules["__main__"] = types.ModuleType("__main__")
    os.environ.update(ONE_THREAD)
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        if blocked is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        if in_main:
            signal.signal(signal.SIGINT, at_interrupt)
    if heard:
        raise KeyboardInterrupt
