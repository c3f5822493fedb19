"""Where a sweep stands, cell by cell; who shows it is another's business."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from ecgbench.pipeline.sweep.attempt import Outcome
from ecgbench.pipeline.sweep.plan import Plan
from ecgbench.pipeline.sweep.readiness import Ready

Phase = Literal["waiting", "running", "done", "failed", "stopped"]


@dataclass
class Line:
    """One cell of the sweep. `expected`: seconds; `began` by `time.time`; `where`: the machine, on a cluster."""

    ready: Ready
    phase: Phase
    expected: float | None = None
    began: float | None = None
    seconds: float | None = None
    reason: str | None = None
    where: str | None = None

    def elapsed(self) -> float | None:
        if self.phase == "running" and self.began is not None:
            return time.time() - self.began
        return self.seconds


class Show(Protocol):
    """Who is told of every change, and a few times a second that time goes by."""

    def began(self, line: Line) -> None: ...

    def ended(self, line: Line) -> None: ...

    def tick(self) -> None: ...

    def say(self, text: str) -> None: ...


class Progress:
    """The lines of a sweep. `at_once`: how many cells are carried out side by side, as far as one knows."""

    def __init__(self, plan: Plan, wanted: Sequence[Ready], out: Path, at_once: int) -> None:
        self.out, self.at_once, self.estimates = out, max(1, at_once), plan.estimates
        now = {each.run_id for each in wanted}
        self.lines: dict[str, Line] = {}
        for cell in plan.cells:
            phase: Phase = "waiting" if cell.ready.run_id in now else "done" if cell.state == "done" else "failed"
            expected = cell.seconds if phase == "waiting" else None
            seconds = cell.seconds if phase == "done" else None
            self.lines[cell.ready.run_id] = Line(cell.ready, phase, expected, seconds=seconds, reason=cell.reason)

    def begin(self, run_id: str, where: str | None = None) -> Line:
        line = self.lines[run_id]
        line.phase, line.began, line.where = "running", time.time(), where
        return line

    def wait_again(self, run_id: str) -> Line:
        """Of a cell whose machine has gone."""
        line = self.lines[run_id]
        line.phase, line.began, line.where = "waiting", None, None
        return line

    def end(self, run_id: str, outcome: Outcome) -> Line:
        """Take note of an outcome, and of what it says about the time that the others will take."""
        line = self.lines[run_id]
        line.phase, line.reason, line.seconds = outcome.state, outcome.reason, outcome.seconds
        if outcome.state == "done" and not outcome.before:
            from ecgbench.results import read_result

            self.estimates.add(read_result(self.out / run_id / "result.json"), outcome.seconds)
            for other in self.lines.values():
                if other.phase in ("waiting", "running"):
                    other.expected = self.estimates.of(other.ready)
        return line

    def count(self, phase: Phase) -> int:
        return sum(line.phase == phase for line in self.lines.values())

    def time_left(self) -> float | None:
        """Seconds until the last cell is done: cells of which nothing alike is known count as the mean of the others; None
        where nothing is known of any."""
        open_lines = [line for line in self.lines.values() if line.phase in ("waiting", "running")]
        known = [line.expected for line in open_lines if line.expected is not None]
        known = known or [line.seconds for line in self.lines.values() if line.phase == "done" and line.seconds]
        if not open_lines or not known:
            return None if open_lines else 0.0
        mean = sum(known) / len(known)
        left = [max((line.expected or mean) - (line.elapsed() or 0.0), 0.0) for line in open_lines]
        return max(sum(left) / self.at_once, max(left))

    def steps(self, line: Line) -> int | None:
        """The last step that the training of a running cell has told of; None before the first."""
        log = self.out / line.ready.run_id / "log.jsonl"
        try:
            if line.began is None or log.stat().st_mtime < line.began:
                return None  # of an earlier attempt
            with log.open("rb") as handle:
                handle.seek(max(0, log.stat().st_size - 4096))
                last = handle.read().splitlines()[-1]
            return int(json.loads(last)["step"])
        except (OSError, ValueError, KeyError, IndexError):
            return None
