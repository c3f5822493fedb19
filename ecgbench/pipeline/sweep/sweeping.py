"""A grid's file -> cells that have names and can be handed out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ecgbench.files import cache_folder
from ecgbench.pipeline.reporting import Reporter
from ecgbench.pipeline.sweep.attempt import Order
from ecgbench.pipeline.sweep.checks import requests_of
from ecgbench.pipeline.sweep.grid import Grid, load_grid
from ecgbench.pipeline.sweep.plan import Plan, make_plan
from ecgbench.pipeline.sweep.readiness import Ready, make_ready

SEEN = ("ECGBENCH_PATH", "ECGBENCH_WEIGHTS", "HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "TORCH_HOME")
"""Environment variables that decide what a run finds, given to cells on other machines as they are here."""


@dataclass(frozen=True)
class Sweep:
    """A grid whose cells have names, and how far they are."""

    grid: Grid
    out: Path
    plan: Plan

    def looked_up_again(self) -> Plan:
        """The same cells as they are now."""
        return make_plan([cell.ready for cell in self.plan.cells], self.out)


def planned(path: Path, out: Path, reporter: Reporter, *, data: Sequence[str] = (), convert: bool = True) -> Sweep:
    """Read a grid (`data`: in place of its own), refuse it with everything that is wrong at once, prepare what its cells share
    and look up what is done. `convert`: the encoders' inputs too, which a plan alone does not need."""
    grid = load_grid(path, data)
    ready = make_ready(grid, requests_of(grid), reporter, convert=convert)
    with reporter.stage("Looking up what is done") as progress:
        return Sweep(grid, out, make_plan(ready, out, progress))


def orders_of(ready: list[Ready], out: Path) -> list[Order]:
    """What is handed to whoever carries the cells out. Paths are made whole: a SOURCE is seen from the folder one stands in,
    as for `run`."""
    found = {name: os.environ[name] for name in SEEN if name in os.environ}
    found["ECGBENCH_CACHE"] = str(cache_folder().resolve())
    return [
        Order(
            run_id=each.run_id,
            arguments=tuple(each.cell.arguments()),
            threads=each.threads,
            out=str(out.resolve()),
            cwd=str(Path.cwd()),
            environment=found,
        )
        for each in ready
    ]
