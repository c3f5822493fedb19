"""A sweep as it is seen: a table that moves where stderr is a terminal, a line for each change where it is not."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ecgbench.pipeline.sweep.progress import Line, Phase, Progress, Show

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

ORDER: tuple[Phase, ...] = ("running", "failed", "stopped", "done", "waiting")
"""Which lines are shown first where a terminal is too low for all."""

COLOURS = {"running": "cyan", "failed": "red", "stopped": "yellow", "done": "green", "waiting": "dim"}

AROUND = 6
"""Lines of a terminal that are not cells: headings, the line below, one to spare."""


def duration(seconds: float | None) -> str:
    """`1:02:03` or `2:03`; `—` where it is not known."""
    if seconds is None:
        return "—"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def summary(progress: Progress) -> str:
    """`12 of 36 done · 1 failed · 2 running · about 9:30 left`."""
    parts = [f"{progress.count('done')} of {len(progress.lines)} done"]
    told: tuple[Phase, ...] = ("failed", "stopped", "running")
    parts += [f"{progress.count(phase)} {phase}" for phase in told if progress.count(phase)]
    left = progress.time_left()
    if left:  # 0 where all is done, or takes longer than was expected
        parts.append(f"about {duration(left)} left")
    return " · ".join(parts)


@contextmanager
def shown(progress: Progress) -> Iterator[Show]:
    """The right way to show a sweep on this stderr, for the length of the block."""
    if not sys.stderr.isatty():
        yield Plain(progress)
        return
    from rich.console import Console
    from rich.live import Live

    moving = Moving(progress, Console(stderr=True))
    with Live(get_renderable=moving.table, console=moving.console, refresh_per_second=2):
        yield moving


class Plain:
    """A line on stderr for each change."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def began(self, line: Line) -> None:
        where = f" on {line.where}" if line.where else ""
        expected = f", about {duration(line.expected)}" if line.expected is not None else ""
        self.say(f"begun{where}: {line.ready.name}{expected}")

    def ended(self, line: Line) -> None:
        told = {
            "done": f"done in {duration(line.seconds)}",
            "failed": "FAILED",
            "stopped": "stopped",
            "waiting": "begins again elsewhere",
        }
        why = f": {line.reason}" if line.reason else ""
        self.say(f"{told[line.phase]}: {line.ready.name}{why} ({summary(self.progress)})")

    def tick(self) -> None:
        return None

    def say(self, text: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


class Moving:
    """A table that is drawn anew twice a second."""

    def __init__(self, progress: Progress, console: Console) -> None:
        self.progress, self.console = progress, console

    def began(self, line: Line) -> None:
        return None

    def ended(self, line: Line) -> None:
        if line.phase == "failed":
            self.say(f"failed: {line.ready.name}: {line.reason}")

    def tick(self) -> None:
        return None

    def say(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False)

    def table(self) -> RenderableType:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        lines = list(self.progress.lines.values())
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("cell", overflow="fold")
        for name in ("state", "step", "time", "left"):
            table.add_column(name, justify="left" if name == "state" else "right", no_wrap=True)
        room = max(3, self.console.height - AROUND)
        seen = self._chosen(lines, room)
        for line in seen:
            table.add_row(Text(line.ready.name), Text(_state(line), COLOURS[line.phase]), *self._times(line))
        below = [Text(summary(self.progress))]
        if len(lines) > len(seen):
            below.insert(0, Text(f"and {len(lines) - len(seen)} more cells", "dim"))
        return Group(table, *below)

    def _times(self, line: Line) -> tuple[str, str, str]:
        """Steps, what has gone by, what is left."""
        if line.phase != "running":
            return "", duration(line.seconds) if line.phase == "done" else "", _expected(line)
        step = self.progress.steps(line)
        left = None if line.expected is None else line.expected - (line.elapsed() or 0.0)
        steps = f"{'—' if step is None else step}/{line.ready.steps}"
        return steps, duration(line.elapsed()), duration(left if left and left > 0 else None)

    def _chosen(self, lines: list[Line], room: int) -> list[Line]:
        """The lines that there is room for, in the grid's order; of what is done, what was done last."""
        if len(lines) <= room:
            return lines
        ranked = sorted(range(len(lines)), key=lambda place: _rank(lines[place], place))
        return [lines[place] for place in sorted(ranked[:room])]


def _rank(line: Line, place: int) -> tuple[int, float]:
    return ORDER.index(line.phase), -(line.began or 0.0) if line.phase == "done" else float(place)


def _state(line: Line) -> str:
    return f"{line.phase} on {line.where}" if line.phase == "running" and line.where else line.phase


def _expected(line: Line) -> str:
    return duration(line.expected) if line.phase == "waiting" and line.expected is not None else ""
