"""One process works on a run at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ecgbench.errors import EcgbenchError
from ecgbench.pipeline.reporting import Reporter

LOCKS = ".running"
"""The folder beside the runs that holds their locks. The system lets go of a lock when its process has ended, however it ended."""


@contextmanager
def alone_on(folder: Path, reporter: Reporter) -> Iterator[None]:
    """This process alone works on the run in `folder`; EcgbenchError where another one does already. What a file system
    cannot lock is said."""
    path = folder.parent / LOCKS / f"{folder.name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise EcgbenchError(
            f"the run {folder} is being carried out by another process: wait for it, or give another --out."
        ) from None
    except NotImplementedError:
        reporter.say(f"The file system of {folder.parent} does not lock files: start this run once at a time.")
    try:
        yield
    finally:
        lock.release()
