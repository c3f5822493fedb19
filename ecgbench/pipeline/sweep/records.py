"""What a sweep keeps of its cells beside their runs, in `OUT/cells/`: a lock, a journal and a log for each.

The lock is held by whoever carries a cell out, through every process that does, so that no two ever work on one cell; the
system lets go of it when the last of them has ended, however it ended. The journal has a line when a cell is begun and one when
it has ended: a cell that died left no result that could say so.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from ecgbench.errors import EcgbenchError
from ecgbench.results import Result, read_result

State = Literal["done", "failed", "stopped", "to do"]
WAIT = 0.2
"""Seconds between two looks at something that is waited for."""


@dataclass(frozen=True)
class Standing:
    """How far a cell is, by what lies in OUT. `reason`: why it failed. `seconds`: what it took here, where it was done in one
    go."""

    state: State
    reason: str | None = None
    result: Result | None = None
    seconds: float | None = None


class Records:
    """The files of one cell."""

    def __init__(self, out: Path, run_id: str) -> None:
        self.run = out / run_id
        self.log = out / "cells" / f"{run_id}.log"
        self._journal = out / "cells" / f"{run_id}.jsonl"
        self._lock = out / "cells" / f"{run_id}.lock"

    def standing(self) -> Standing:
        """Done with a whole and valid result; failed by its result, or by the end that the journal tells of; stopped where
        checkpoints lie; else to do."""
        lines = self.journal()
        last = lines[-1] if lines else {}
        if (self.run / "result.json").is_file():
            try:
                result = read_result(self.run / "result.json")
            except EcgbenchError as error:
                return Standing("failed", str(error))
            if result.run_id != self.run.name:
                return Standing("failed", f"its folder holds the result of another run, {result.run_id}.")
            lacking = [task for task in result.tasks if not (self.run / "scores" / f"{task}.npz").is_file()]
            if lacking:
                return Standing("failed", f"its scores of {lacking[0]} are not there.")
            if result.status == "failed":
                return Standing("failed", result.reason)
            whole = [line for line in lines if line["event"] == "begun"]
            return Standing("done", None, result, last.get("seconds") if len(whole) == 1 else None)
        if last.get("event") == "ended" and last.get("reason"):
            return Standing("failed", last["reason"])
        return Standing("stopped" if (self.run / "checkpoints").is_dir() else "to do")

    def journal(self) -> list[dict[str, Any]]:
        """Its lines; one that was cut off by a kill is none."""
        lines = []
        for text in self._journal.read_text(encoding="utf-8").splitlines() if self._journal.is_file() else ():
            try:
                lines.append(json.loads(text))
            except ValueError:
                continue
        return lines

    def write(self, event: Literal["begun", "ended"], **facts: Any) -> None:
        """A line more in the journal, which only the holder of the lock may write."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        line = json.dumps({"event": event, "at": now, "host": socket.gethostname(), **facts}, ensure_ascii=False)
        with self._journal.open("a", encoding="utf-8") as handle:
            handle.write(line + "\n")

    @contextmanager
    def locked(self, give_up: Callable[[], bool]) -> Iterator[int | None]:
        """The lock, waited for while another holds it; its descriptor is to be handed on to the process that does the work.
        None where `give_up` said so first."""
        import fcntl

        self._lock.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            while not (held := _taken(descriptor, self._lock, fcntl)) and not give_up():
                time.sleep(WAIT)
            yield descriptor if held else None
        finally:
            os.close(descriptor)  # not unlocked: a process that was handed the descriptor holds it to its own end


def _taken(descriptor: int, path: Path, fcntl: Any) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK):
            raise EcgbenchError(
                f"the file system of {path.parent} does not lock files, so that two processes could work on one cell: give "
                "--out on one that does (a Lustre must be mounted with `flock`)."
            ) from None
        raise
    return True
