"""What `ecgbench sweep` prints: the plan, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ecgbench.cli.tables import table

if TYPE_CHECKING:
    from ecgbench.pipeline.sweep.plan import Plan
    from ecgbench.pipeline.sweep.readiness import Ready
    from ecgbench.pipeline.sweep.sweeping import Sweep


def plan_text(plan: Plan, wanted: Sequence[Ready], at_once: int | None) -> str:
    """Every cell with its state and time, then what all of it will take. `at_once`: cells side by side; None on a cluster."""
    from ecgbench.pipeline.sweep.live import duration

    now = {each.run_id for each in wanted}
    expected = [cell.seconds for cell in plan.cells if cell.ready.run_id in now]
    known = [seconds for seconds in expected if seconds is not None]
    lines = [_counted(plan)]
    if wanted:
        work = f"To be carried out: {len(wanted)}"
        if known:
            whole = sum(known) / len(known) * len(expected)
            side_by_side = f"{at_once} at a time" if at_once else "one after the other"
            work += f", in about {duration(whole / (at_once or 1))} {side_by_side}"
        if len(known) < len(expected):
            work += (
                f"; {len(expected) - len(known)} of these are like nothing that is done here: their time is not known"
            )
        lines.append(f"{work}.")
    if plan.of_state("failed") and not any(cell.ready.run_id in now for cell in plan.of_state("failed")):
        lines.append("What failed is carried out again with --retry-failed.")
    return "\n".join([_table(plan), "", *lines])


def outcome_text(plan: Plan, pages: Sequence[Path]) -> str:
    """Every cell with its state and time, then the pages."""
    lines = [_counted(plan), *(f"wrote {page}" for page in pages)]
    if plan.of_state("failed"):
        lines.append("What failed is carried out again with --retry-failed.")
    return "\n".join([_table(plan), "", *lines])


def _counted(plan: Plan) -> str:
    """`36 cells: 12 done, 1 failed, 23 to do.`"""
    counts = {state: len(plan.of_state(state)) for state in ("done", "failed", "stopped", "to do")}
    told = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    return f"{len(plan.cells)} cell{'' if len(plan.cells) == 1 else 's'}: {told}."


def _table(plan: Plan) -> str:
    """Times of what is not done are estimates."""
    from ecgbench.pipeline.sweep.live import duration

    rows = []
    for cell in plan.cells:
        about = "" if cell.state == "done" or cell.seconds is None else "about "
        rows.append([cell.ready.name, cell.ready.run_id, cell.state, f"{about}{duration(cell.seconds)}"])
    failed = [f"{cell.ready.name}: {cell.reason}" for cell in plan.of_state("failed")]
    told = "\n\nFailed:\n" + "\n".join(failed) if failed else ""
    return table(["Cell", "Run", "State", "Time"], rows, right=[3]) + told


def plan_json(given: Sweep, plan: Plan) -> str:
    """The same for a program."""
    cells = [
        {
            "name": cell.ready.name,
            "run_id": cell.ready.run_id,
            "arguments": cell.ready.cell.arguments(),
            "state": cell.state,
            "reason": cell.reason,
            "seconds": None if cell.seconds is None else round(cell.seconds, 1),
            "threads": cell.ready.threads,
            "steps": cell.ready.steps,
        }
        for cell in plan.cells
    ]
    return json.dumps({"grid": given.grid.name, "cells": cells}, ensure_ascii=False, indent=2)
