"""One cell carried out: `ecgbench run` in a process of its own, watched to its end, whatever end that is."""

from __future__ import annotations

import ctypes
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ecgbench.pipeline.sweep.records import WAIT, Records, Standing

Asked = Literal[0, 1, 2]
"""What the one who watches is asked for: 0 to go on, 1 to stop with a checkpoint, 2 to stop at once."""

BEGUN = "=== "
"""Begins the line of a log with which an attempt begins."""

KILLED = {
    signal.SIGKILL: "which is how a system ends a process when memory runs out: start fewer --workers, or take a smaller "
    "batch_size or encoder",
    signal.SIGSEGV: "a crash in compiled code: the log shows where it was",
    signal.SIGABRT: "a crash in compiled code: the log shows where it was",
    signal.SIGTERM: "somebody or a batch system ended it",
}


@dataclass(frozen=True)
class Order:
    """All that is needed to carry a cell out, on another machine too: paths are absolute. `environment` is put over that of
    the process."""

    run_id: str
    arguments: tuple[str, ...]
    threads: int
    out: str
    cwd: str
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Outcome:
    """How a cell ended. `before`: another had done it already when its turn came."""

    state: Literal["done", "failed", "stopped"]
    reason: str | None = None
    seconds: float = 0.0
    before: bool = False


def carry_out(order: Order, asked: Callable[[], Asked]) -> Outcome:
    """Carry a cell out, or find that it is done. Of all that call this for one cell, on however many machines, one at a time
    does any work; the others wait for it, and find it done."""
    records = Records(Path(order.out), order.run_id)
    with records.locked(lambda: asked() > 0) as lock:
        if lock is None or asked():
            return Outcome("stopped")
        before = records.standing()
        if before.state == "done":
            return Outcome("done", before=True)
        start = time.monotonic()
        records.write("begun", pid=os.getpid())
        exit_code = _watched(order, records, lock, asked)
        seconds = round(time.monotonic() - start, 1)
        outcome = _outcome(records.standing(), exit_code, records.log, seconds, stopped=asked() > 0)
        told = None if outcome.state == "stopped" else outcome.reason
        records.write("ended", exit=exit_code, seconds=seconds, reason=told)
        return outcome


def _watched(order: Order, records: Records, lock: int, asked: Callable[[], Asked]) -> int:
    """Run the command and return its exit code, below 0 where a signal ended it."""
    command = [sys.executable, "-m", "ecgbench", "run", *order.arguments, "--out", order.out]
    if (records.run / "result.json").exists():
        command.append("--again")  # a result that says that the run failed: what it trained is of no use
    elif (records.run / "checkpoints").is_dir():
        command.append("--resume")
    threads = {name: str(order.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    with records.log.open("ab") as log:
        log.write(f"{BEGUN}{shlex.join(command)}\n".encode())
        log.flush()
        process = subprocess.Popen(
            command,
            cwd=order.cwd,
            env={**os.environ, **order.environment, **threads},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            pass_fds=(lock,),
            start_new_session=True,  # Ctrl-C in a terminal comes to the sweep alone, which passes it on once
            preexec_fn=_begin_as_a_child,
        )
        told = 0
        while process.poll() is None:
            wanted = asked()
            if wanted > told:
                told = wanted
                os.killpg(process.pid, signal.SIGINT if wanted == 1 else signal.SIGKILL)
            time.sleep(WAIT)
    return process.returncode


def _load_libc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


_LIBC = _load_libc()
_PR_SET_PDEATHSIG = 1


def _begin_as_a_child() -> None:
    """Runs between fork and exec. SIGINT must reach the cell, though it does not reach who started it: Ray blocks it in its
    workers, a shell ignores it in what it starts behind itself. And on Linux the system kills a cell whose sweep was killed:
    nothing works on unwatched."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _outcome(after: Standing, exit_code: int, log: Path, seconds: float, *, stopped: bool) -> Outcome:
    if after.state == "done":
        return Outcome("done", seconds=seconds)
    if stopped:
        return Outcome("stopped", seconds=seconds)
    reason = after.reason if after.state == "failed" else None
    return Outcome("failed", reason or _why(exit_code, log), seconds)


def _why(exit_code: int, log: Path) -> str:
    """Why a command ended that left no result, in one sentence."""
    if exit_code < 0:
        number = signal.Signals(-exit_code)
        told = KILLED.get(number, "the log shows where it was")
        return f"it was killed by signal {number.value} ({number.name}), {told}; {log}"
    text = f"\n{log.read_text(encoding='utf-8', errors='replace')}".rpartition(f"\n{BEGUN}")[2]
    said = [line for line in text.splitlines()[1:] if line.strip()]
    own = [line for line in said if line.startswith("ecgbench: ")]
    last = (own or said or ["it said nothing"])[-1].removeprefix("ecgbench: ").strip()
    return last if own else f"it ended with exit code {exit_code}: {last}; {log}"
