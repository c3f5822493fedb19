"""What is done, what is to be done, and how long that may take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ecgbench.errors import EcgbenchError
from ecgbench.pipeline.sweep.estimates import Estimates
from ecgbench.pipeline.sweep.readiness import Ready
from ecgbench.pipeline.sweep.records import Records, Standing, State
from ecgbench.results import read_result


@dataclass(frozen=True)
class Planned:
    """A cell and how far it is. `seconds`: what a finished one took, what is expected of another; None: nothing like it was
    done."""

    ready: Ready
    state: State
    reason: str | None
    seconds: float | None


@dataclass
class Plan:
    """The cells of a grid in its order, and what the finished runs in OUT say about time."""

    cells: list[Planned]
    estimates: Estimates = field(default_factory=Estimates)

    def wanted(self, *, retry_failed: bool) -> list[Ready]:
        """The cells to carry out now: those that were stopped first, since their work is half done."""
        states = ["stopped", "to do", *(["failed"] if retry_failed else [])]
        return [cell.ready for state in states for cell in self.cells if cell.state == state]

    def of_state(self, state: State) -> list[Planned]:
        return [cell for cell in self.cells if cell.state == state]


def make_plan(ready: Sequence[Ready], out: Path, progress: Callable[[int, int], None] | None = None) -> Plan:
    """Look up every cell in OUT, and learn from all finished runs there how long cells take."""
    estimates = Estimates()
    others = sorted({path.parent.name for path in out.glob("*/result.json")} - {each.run_id for each in ready})
    for run_id in others:
        _learn(estimates, out / run_id / "result.json")
    standings: list[Standing] = []
    for number, each in enumerate(ready, 1):
        standing = Records(out, each.run_id).standing()
        standings.append(standing)
        if standing.result is not None:
            estimates.add(standing.result, standing.seconds)
        if progress:
            progress(number, len(ready))
    cells = [
        Planned(each, standing.state, standing.reason, _seconds(each, standing, estimates))
        for each, standing in zip(ready, standings, strict=True)
    ]
    return Plan(cells, estimates)


def _learn(estimates: Estimates, path: Path) -> None:
    """From a run that is no cell of the grid; one that cannot be read teaches nothing."""
    try:
        result = read_result(path)
    except EcgbenchError:
        return
    if result.status == "ok" and result.submitted is None and result.trained_on is None:
        estimates.add(result)


def _seconds(ready: Ready, standing: Standing, estimates: Estimates) -> float | None:
    if standing.result is not None:
        return standing.seconds or sum(standing.result.provenance.seconds.values())
    return estimates.of(ready)
