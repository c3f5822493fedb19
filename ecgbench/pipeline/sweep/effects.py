"""What each choice of a grid is worth: runs that are alike in all else, on the same resamples of the test patients."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecgbench.cards import TaskCard
from ecgbench.evaluation.bootstrap import patient_weights
from ecgbench.evaluation.compare import Difference, aligned
from ecgbench.evaluation.metrics import metric_named
from ecgbench.evaluation.scores import Scores
from ecgbench.evaluation.scoring import fitted, task_rows
from ecgbench.leaderboard.collect import Boards
from ecgbench.leaderboard.rescore import card_of, scores_files
from ecgbench.pipeline.sweep.cells import choices_of
from ecgbench.pipeline.sweep.readiness import Ready
from ecgbench.results import read_result

Chosen = dict[str, str]
"""Axis or recipe option -> value, as `choices_of` says it."""


@dataclass(frozen=True, eq=False)
class Measured:
    """A metric of a task of the runs on one data set; `primary` is the task's own. `values`: run -> (1 + replicates,), the
    plain value first; the replicates of all runs are of the same resamples of the test patients."""

    task: str
    metric: str
    primary: bool
    n_records: int
    n_patients: int
    values: dict[str, np.ndarray]

    @property
    def name(self) -> str:
        return f"{self.task} {self.metric}"


@dataclass(frozen=True)
class Mean:
    """A mean over runs with its 95 % interval over resamples of the test patients. `spread`: the sample standard deviation of
    the seeds' own means, NaN for one seed."""

    value: Difference
    spread: float

    @classmethod
    def of(cls, found: Iterable[tuple[int, np.ndarray]], n_patients: int) -> Mean | None:
        """From the seed and the (1 + replicates,) of every run, or pair of runs; None where there is none."""
        by_seed: dict[int, list[np.ndarray]] = defaultdict(list)
        for seed, values in found:
            by_seed[seed].append(values)
        if not by_seed:
            return None
        means = [np.mean(own, axis=0) for own in by_seed.values()]
        every = np.mean([values for own in by_seed.values() for values in own], axis=0)
        spread = statistics.stdev(float(each[0]) for each in means) if len(means) > 1 else math.nan
        return cls(Difference.of(every, n_patients), spread)


@dataclass(frozen=True)
class System:
    """Runs that differ in their seed alone. `chosen` holds what some system of the grid has otherwise."""

    chosen: Chosen
    seeds: tuple[int, ...]
    means: dict[str, Mean]


@dataclass(frozen=True)
class Effect:
    """One value of an axis less another, over all pairs of runs that are alike in all else, seed included."""

    axis: str
    value: str
    base: str
    pairs: int
    means: dict[str, Mean]


RANKING = "macro_auroc"
"""Measured beside a primary metric that takes the best class alone: it does not hang on where one class ends and the next begins."""


def measure(
    done: Sequence[Ready], out: Path, progress: Callable[[int, int], None] | None = None
) -> dict[str, list[Measured]]:
    """Board of a data set -> the primary metric of every task of its finished runs and `RANKING`, measured from their scores,
    in the order of the boards. EcgbenchError where runs on one data set were tested on different records."""
    found: dict[str, dict[tuple[bool, str], Trial]] = defaultdict(dict)
    boards = Boards()
    for number, each in enumerate(done, 1):
        of_data = found[boards.name(read_result(out / each.run_id / "result.json"))]
        for task, path in scores_files(out / each.run_id).items():
            scores = Scores.load(path)
            card = card_of(scores)
            own, place = task_rows(scores, card), (bool(card.mappings), task)
            if place not in of_data:
                of_data[place] = Trial(card, own)
            of_data[place].add(each.run_id, own)
        if progress is not None:
            progress(number, len(done))
    return {
        board: [one for _, trial in sorted(tasks.items()) for one in trial.measured] for board, tasks in found.items()
    }


class Trial:
    """A task's test records, and its metrics of every run on them; `first` are the scores of one of the runs."""

    def __init__(self, card: TaskCard, first: Scores) -> None:
        test = first.rows("test")
        self._first = first
        self._weights = patient_weights(test.patient_id, plain=True)
        names = [card.primary, *({RANKING} & {*card.metrics} - {card.primary})]
        n_patients = len(np.unique(test.patient_id))
        self.measured = [
            Measured(first.task, name, name == card.primary, len(test.record_id), n_patients, {}) for name in names
        ]

    def add(self, run: str, scores: Scores) -> None:
        test = aligned(self._first, scores)[1]
        for each in self.measured:
            metric = fitted(metric_named(each.metric), scores)
            each.values[run] = metric.values(test.scores, test.labels, self._weights)[0]


def chosen_of(done: Sequence[Ready]) -> dict[str, Chosen]:
    """Run -> its choices on the axes and options in which the runs differ, in the grid's order."""
    every = {each.run_id: choices_of(each.cell) for each in done}
    names = dict.fromkeys(name for chosen in every.values() for name in chosen)
    told = [name for name in names if len({chosen.get(name) for chosen in every.values()}) > 1]
    return {run: {name: chosen.get(name, f"usual {name}") for name in told} for run, chosen in every.items()}


def systems(done: Sequence[Ready], measured: Iterable[Measured]) -> list[System]:
    """The grid's systems on one data set, in its order."""
    tasks = list(measured)
    runs: dict[tuple[str, ...], list[Ready]] = defaultdict(list)
    chosen = chosen_of(done)
    own = [each for each in done if any(each.run_id in task.values for task in tasks)]
    for each in own:
        runs[tuple(chosen[each.run_id].values())].append(each)
    return [
        System(
            chosen[those[0].run_id],
            tuple(each.cell.seed for each in those),
            {task.name: mean for task in tasks if (mean := _mean(those, task))},
        )
        for those in runs.values()
    ]


def _mean(runs: Iterable[Ready], task: Measured) -> Mean | None:
    measured = [each for each in runs if each.run_id in task.values]
    return Mean.of(((each.cell.seed, task.values[each.run_id]) for each in measured), task.n_patients)


def effects(done: Sequence[Ready], measured: Iterable[Measured]) -> list[Effect]:
    """Every value of every axis less the axis's first value in the grid, on one data set. What has no pair is left out."""
    tasks = list(measured)
    chosen = chosen_of(done)
    found = []
    for axis in next(iter(chosen.values()), {}):
        values = list(dict.fromkeys(each[axis] for each in chosen.values()))
        pairs = _pairs(done, chosen, axis, values[0])
        for value in values[1:]:
            means = {task.name: mean for task in tasks if (mean := _mean_difference(pairs[value], task))}
            if means:
                count = max(sum(_both(pair, task) for pair in pairs[value]) for task in tasks)
                found.append(Effect(axis, value, values[0], count, means))
    return found


Pair = tuple[Ready, Ready]


def _pairs(done: Sequence[Ready], chosen: Mapping[str, Chosen], axis: str, base: str) -> defaultdict[str, list[Pair]]:
    """Value -> the runs with it, each with the run that is alike in all else and has the base."""

    def rest(each: Ready) -> tuple[object, ...]:
        others = (value for name, value in chosen[each.run_id].items() if name != axis)
        return each.cell.data, each.cell.seed, each.cell.tasks, *others

    bases = {rest(each): each for each in done if chosen[each.run_id][axis] == base}
    pairs: defaultdict[str, list[Pair]] = defaultdict(list)
    for each in done:
        if rest(each) in bases:
            pairs[chosen[each.run_id][axis]].append((each, bases[rest(each)]))
    return pairs


def _both(pair: Pair, task: Measured) -> bool:
    return all(each.run_id in task.values for each in pair)


def _mean_difference(pairs: Iterable[Pair], task: Measured) -> Mean | None:
    measured = [pair for pair in pairs if _both(pair, task)]
    values = task.values
    return Mean.of(
        ((one.cell.seed, values[one.run_id] - values[base.run_id]) for one, base in measured), task.n_patients
    )
