"""What a foreign file may cost: memory and processor time of the library that reads it are bounded."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from ecgbench.ecg.recording import DamagedRecordError

try:
    import resource
except ImportError:  # not a POSIX system: no memory limit there
    resource = None  # type: ignore[assignment]

MIB = 1 << 20
LARGEST_FILE = 4 << 30
_STATM = Path("/proc/self/statm")


class _OutOfTime(BaseException):
    """Not an Exception: a library that catches every Exception must not swallow it."""


def allowance(size: int) -> tuple[float, int]:
    """Seconds of processor time and bytes of memory for reading a file of `size` bytes."""
    return 1.5 + size / 5e6, 512 * MIB + 30 * size


@contextmanager
def limits(seconds: float, extra_bytes: int) -> Iterator[None]:
    """Bound the block's processor time (in the main thread) and its memory beyond what the process has now (Linux).

    DamagedRecordError where it takes more. Processor time and not the clock's, so that a busy machine refuses no file
    that an idle one reads.
    """
    try:
        with _memory(extra_bytes), _time(seconds):
            yield
    except MemoryError:
        raise DamagedRecordError(f"reading it takes more than {extra_bytes // MIB} MiB of memory") from None
    except _OutOfTime:
        raise DamagedRecordError(f"reading it takes more than {seconds:.2g} s of processor time") from None


@contextmanager
def _memory(extra_bytes: int) -> Iterator[None]:
    if resource is None or not _STATM.exists():
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    now = int(_STATM.read_text().split()[0]) * resource.getpagesize()
    bounds = [bound for bound in (soft, hard) if bound != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_AS, (min([now + extra_bytes, *bounds]), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@contextmanager
def _time(seconds: float) -> Iterator[None]:
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return
    armed = True

    def out_of_time(number: int, frame: FrameType | None) -> None:
        if armed:
            raise _OutOfTime

    before = signal.signal(signal.SIGPROF, out_of_time)
    # It fires again and again: an exception raised inside a destructor is lost.
    outer, interval = signal.setitimer(signal.ITIMER_PROF, seconds, 0.1)
    started = time.process_time()
    try:
        try:
            yield
        finally:  # what fires before this line is done still meets the one below
            armed = False
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
        if outer:
            left = outer - (time.process_time() - started)
            signal.setitimer(signal.ITIMER_PROF, max(left, 1e-3), interval)


def check_size(path: Path) -> int:
    """The file's size in bytes; DamagedRecordError where it is no regular file, empty or over 4 GiB."""
    try:
        if not path.is_file():
            raise DamagedRecordError("it is a folder or a device" if path.exists() else "there is no such file")
        size = path.stat().st_size
    except OSError as error:
        raise DamagedRecordError(f"it cannot be opened: {error.strerror}") from None
    if size == 0:
        raise DamagedRecordError("the file is empty")
    if size > LARGEST_FILE:
        raise DamagedRecordError(
            f"the file has {size / (1 << 30):.1f} GiB, over the {LARGEST_FILE >> 30} GiB that are read"
        )
    return size


def check_declared(values: int, size: int) -> None:
    """DamagedRecordError where a header declares more samples than a file of `size` bytes may unpack to."""
    if values * 8 > allowance(size)[1] // 2:
        raise DamagedRecordError(f"its header declares {values} samples, far more than {size} bytes can hold")
