"""What each choice of a grid is worth, as one page of markdown."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from ecgbench.evaluation.metrics import metric_named
from ecgbench.leaderboard.tables import MISSING, number, plain, signed, table, with_interval
from ecgbench.pipeline.sweep.effects import Effect, Mean, Measured, System, effects, measure, systems
from ecgbench.pipeline.sweep.grid import Grid
from ecgbench.pipeline.sweep.readiness import Ready

PAGE = "effects.md"

MADE = "<!-- Made by `ecgbench sweep` from the scores of its runs: do not edit. -->"

HOW_TO_READ = (
    "A number is the mean over the seeds, with its 95 % interval over 1,000 resamples of the test patients, which are the "
    "same for all runs, and after ± the standard deviation of the seeds' own means. The interval says how far other patients "
    "would move the number, ± how far another seed would. A difference is over all pairs of runs that are alike in all "
    "else, seed included; above 0 the first is higher. Nothing is corrected for the number of comparisons."
)


def effects_page(
    grid: Grid, done: Sequence[Ready], out: Path, progress: Callable[[int, int], None] | None = None
) -> str:
    """The systems of a grid and what its choices are worth, a section for each data set."""
    blocks = [
        MADE,
        f"# {plain(grid.name)}: what each choice is worth",
        f"{plain(grid.summary.rstrip('.'))}.",
        HOW_TO_READ,
    ]
    cells = len(grid.cells)
    if len(done) < cells:
        blocks.append(f"{len(done)} of {cells} runs are done: what is missing is in no number here.")
    for board, every in measure(done, out, progress).items():
        own = [each for each in done if any(each.run_id in task.values for task in every)]
        parts = [part for primary in (True, False) if (part := [each for each in every if each.primary == primary])]
        blocks += [f"## {plain(board)}", _about(parts[0]), "### Systems"]
        blocks += [_systems(systems(own, part), part) for part in parts]
        found = [(effects(own, part), part) for part in parts]
        if found[0][0]:
            blocks += ["### Differences, all else equal", *(_effects(*each) for each in found)]
    return "\n\n".join(blocks) + "\n"


def _about(tasks: Iterable[Measured]) -> str:
    """What each task was tested on."""
    told = [f"{task.task}: {task.n_records} test records of {task.n_patients} patients" for task in tasks]
    lower = [task.name for task in tasks if not metric_named(task.metric).higher_is_better]
    return "; ".join(told) + "." + "".join(f" Lower is better in {name}." for name in lower)


def _systems(found: Sequence[System], tasks: Sequence[Measured]) -> str:
    names = list(found[0].chosen) or ["System"]
    rows = [
        [
            *([plain(value) for value in each.chosen.values()] or ["the grid's one"]),
            ", ".join(map(str, each.seeds)),
            *(_cell(each.means.get(task.name)) for task in tasks),
        ]
        for each in found
    ]
    return table([*names, "Seeds", *(task.name for task in tasks)], rows, text_columns=len(names) + 1)


def _effects(found: Sequence[Effect], tasks: Sequence[Measured]) -> str:
    rows = [
        [
            plain(each.axis),
            plain(each.value),
            plain(each.base),
            str(each.pairs),
            *(_cell(each.means.get(task.name), difference=True) for task in tasks),
        ]
        for each in found
    ]
    return table(["Choice", "Value", "Less", "Pairs", *(task.name for task in tasks)], rows, text_columns=3)


def _cell(mean: Mean | None, *, difference: bool = False) -> str:
    if mean is None or math.isnan(mean.value.value):
        return MISSING
    value, low, high = mean.value.value, mean.value.low, mean.value.high
    shown = signed(value, low, high) if difference else with_interval(value, (low, high))
    return shown if math.isnan(mean.spread) else f"{shown} ± {number(mean.spread)}"
