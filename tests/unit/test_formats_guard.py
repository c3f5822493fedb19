"""What reading a file may cost is bounded. Each case runs in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from ecgbench.ecg.formats.guard import LARGEST_FILE, allowance, check_declared, check_size, limits
from ecgbench.ecg.recording import DamagedRecordError

SETUP = """
import resource, signal, time
from ecgbench.ecg.formats.guard import limits
from ecgbench.ecg.recording import DamagedRecordError
def of(seconds, mebibytes, work):
    started = time.process_time()
    try:
        with limits(seconds, mebibytes << 20):
            work()
        return "done", time.process_time() - started
    except DamagedRecordError as error:
        return str(error), time.process_time() - started
def busy(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
"""


def told(script: str) -> list[str]:
    """The lines that a script prints after `SETUP`."""
    done = subprocess.run(
        [sys.executable, "-c", SETUP + textwrap.dedent(script)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_processor_time_is_bounded() -> None:
    said = told("""
        what, took = of(0.3, 100, lambda: busy(30))
        print(what, 0.25 < took < 0.8)
    """)
    assert said == ["reading it takes more than 0.3 s of processor time True"]


def test_a_library_that_catches_every_exception_is_ended_too() -> None:
    said = told("""
        def stubborn():
            while True:
                try:
                    busy(30)
                except Exception:
                    pass
        print(of(0.3, 100, stubborn)[0])
    """)
    assert said == ["reading it takes more than 0.3 s of processor time"]


def test_a_pattern_that_matches_in_many_ways_is_ended() -> None:
    said = told("""
        import re
        print(of(0.3, 100, lambda: re.fullmatch(r"(a+)+", "a" * 60 + "b"))[0])
    """)
    assert said == ["reading it takes more than 0.3 s of processor time"]


def test_waiting_costs_nothing() -> None:
    """Of the clock's time a busy machine takes what it will."""
    assert told("print(of(0.3, 100, lambda: time.sleep(0.6))[0])") == ["done"]


@pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded on Linux alone")
def test_memory_is_bounded_beyond_what_the_process_has() -> None:
    said = told("""
        kept = bytearray(300 << 20)
        print(of(5, 100, lambda: bytearray(50 << 20))[0])
        print(of(5, 100, lambda: bytearray(200 << 20))[0])
        print(resource.getrlimit(resource.RLIMIT_AS) == (resource.RLIM_INFINITY,) * 2)
    """)
    assert said == ["done", "reading it takes more than 100 MiB of memory", "True"]


def test_nothing_is_left_behind() -> None:
    said = told("""
        def heard(number, frame): pass
        signal.signal(signal.SIGPROF, heard)
        for work in (lambda: None, lambda: busy(1), lambda: 1 / 0):
            try:
                of(0.2, 100, work)
            except ZeroDivisionError:
                pass
            print(signal.getitimer(signal.ITIMER_PROF), signal.getsignal(signal.SIGPROF) is heard)
        busy(0.5)
    """)
    assert said == ["(0.0, 0.0) True"] * 3


def test_limits_within_limits_keep_the_outer_ones() -> None:
    said = told("""
        def inner():
            of(0.2, 50, lambda: None)
            try:
                bytearray(150 << 20)
            except MemoryError:
                print("memory")
            busy(30)
        print(of(0.4, 100, inner)[0])
        print(of(5, 100, lambda: print(of(5, 1000, lambda: bytearray(150 << 20))[0]))[0])
    """)
    assert said[:2] == ["memory", "reading it takes more than 0.4 s of processor time"]
    assert said[2:] == ["reading it takes more than 1000 MiB of memory", "done"]


def test_a_thread_reads_without_a_limit_of_time() -> None:
    """Signals reach the main thread alone."""
    caught: list[BaseException] = []

    def read() -> None:
        try:
            with limits(0.1, 100 << 20):
                pass
        except BaseException as error:
            caught.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    thread.join()
    assert not caught


def test_small_files_are_given_less_than_2_s_and_a_gigabyte() -> None:
    seconds, extra = allowance(1_000_000)
    assert seconds < 1.8 and extra < 600 << 20


def test_a_holter_of_a_day_is_given_what_it_needs() -> None:
    size = 24 * 3600 * 1000 * 12 * 2
    seconds, extra = allowance(size)
    assert seconds > 300 and extra > 7 * size


def test_a_file_that_is_too_large_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "x"
    with path.open("wb") as handle:
        handle.truncate(LARGEST_FILE + (1 << 30))
    with pytest.raises(DamagedRecordError, match=r"the file has 5\.0 GiB, over the 4 GiB that are read"):
        check_size(path)


def test_a_header_may_not_declare_more_than_the_file_can_unpack_to() -> None:
    check_declared(10_000_000, 1000)
    with pytest.raises(DamagedRecordError, match="its header declares 100000000 samples, far more than 1000 bytes"):
        check_declared(100_000_000, 1000)
