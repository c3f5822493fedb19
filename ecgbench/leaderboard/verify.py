"""Does a result file say what its scores say?"""

from __future__ import annotations

import math
from collections.abc import Iterator

from ecgbench.cards import TaskCard
from ecgbench.evaluation.metrics import METRICS, InstanceMetric, metric_named
from ecgbench.leaderboard.bands import Band, class_number
from ecgbench.leaderboard.replay import Replay
from ecgbench.results import Result, TaskScore

TOLERANCE = 2e-3
"""A number may differ this much from what the scores give, on top of what rounding to float16 explains."""

CONSISTENCY = 1e-6
"""Per-class numbers and their mean are from one computation."""

EXACT = 1e-9
"""Chance and ceiling follow from the labels, which are never rounded."""

COUNTS = ("version", "n_records", "n_patients", "n_instances", "n_present", "absent", "few")

Interval = tuple[float, float] | None


def mismatches(score: TaskScore, card: TaskCard, replay: Replay | None) -> list[str]:
    """What does not fit between a task's part of a result and itself, and its scores; one clause each."""
    found = [f"{name} is not among its metrics" for name in card.metrics if name not in score.metrics]
    found += [f"{name} is no metric of the task" for name in sorted(score.metrics) if name not in card.metrics]
    if found:
        return found
    found = _against_itself(score, card)
    return found if replay is None else found + _against_scores(score, replay)


def clashes(result: Result) -> list[str]:
    """What does not fit between the tasks of a result, its references and its data; one clause each."""
    test = result.data.splits.get("test")
    found = []
    for task, score in result.tasks.items():
        known = score.n_records + score.n_excluded
        if test is None or known != test.records:
            there = "none" if test is None else test.records
            found.append(f"{task}: n_records and n_excluded make {known} test records and the data have {there}")
    references = result.references
    if references is None:
        return found
    for name, scored in (("majority", references.majority), ("untrained", references.untrained)):
        for task, score in scored.items():
            if task not in result.tasks or score.n_excluded != result.tasks[task].n_excluded:
                found.append(f"{task} ({name}): n_excluded is {score.n_excluded} and is another in the run's own part")
    levels = {
        task: {name: metric.chance for name, metric in score.metrics.items() if metric.chance is not None}
        for task, score in result.tasks.items()
    }
    for task in sorted(levels.keys() | references.chance.keys()):
        if not _same_levels(references.chance.get(task, {}), levels.get(task, {})):
            found.append(f"{task} (chance): the levels are not those of its metrics")
    return found


def _same_levels(given: dict[str, float], wanted: dict[str, float]) -> bool:
    return given.keys() == wanted.keys() and all(abs(given[name] - wanted[name]) <= EXACT for name in wanted)


def _against_itself(score: TaskScore, card: TaskCard) -> list[str]:
    """The overall number of a metric must be the mean of its classes, as the metric takes it."""
    found = []
    for name in card.metrics:
        metric = metric_named(name)
        if metric.per_class is None:
            continue
        by_instance = isinstance(metric, InstanceMetric)
        each = [(getattr(c, metric.per_class), c.n if by_instance else 1) for c in score.per_class.values()]
        known = [(value, weight) for value, weight in each if value is not None and weight]
        total = sum(weight for _, weight in known)
        mean = sum(value * weight for value, weight in known) / total if known else None
        given = score.metrics[name].value
        if (mean is None) != (given is None) or (mean is not None and abs(mean - (given or 0.0)) > CONSISTENCY):
            found.append(f"{name} is {_shown(given)} and its classes together give {_shown(mean)}")
    return found


def _against_scores(score: TaskScore, replay: Replay) -> list[str]:
    """What follows from the labels must be equal, what follows from the scores near."""
    measured = replay.score
    found = [
        f"{name} is {getattr(score, name)} and the scores give {getattr(measured, name)}"
        for name in COUNTS
        if getattr(score, name) != getattr(measured, name)
    ]
    counts, wanted = ({name: (c.n, c.positives) for name, c in s.per_class.items()} for s in (score, measured))
    if counts != wanted:
        found.append("the counts of its classes are not those of the scores")
    found += _levels(score, measured)
    given = dict(_numbers(score))
    for name, (value, ends) in _numbers(measured):
        if name in given:  # a class that is missing is told with the counts
            found += _far(name, *given[name], value, ends, replay.bands.get(name))
    return found


def _levels(score: TaskScore, measured: TaskScore) -> list[str]:
    """The ends of each metric's scale."""
    return [
        f"the {kind} of {name} is {given} and the labels give {wanted}"
        for name, metric in measured.metrics.items()
        for kind in ("chance", "ceiling")
        for given, wanted in [(getattr(score.metrics[name], kind), getattr(metric, kind))]
        if (given is None) != (wanted is None) or (given is not None and abs(given - wanted) > EXACT)
    ]


def _numbers(score: TaskScore) -> Iterator[tuple[str, tuple[float | None, Interval]]]:
    """Every number with its interval, by the name that it has in `Replay.bands`."""
    for name, metric in score.metrics.items():
        yield name, (metric.value, metric.ci)
    kinds = sorted({metric.per_class for metric in METRICS.values() if metric.per_class})
    for class_id, each in score.per_class.items():
        for kind in kinds:
            yield class_number(kind, class_id), (getattr(each, kind), getattr(each, f"{kind}_ci"))


def _far(
    name: str, given: float | None, given_ends: Interval, value: float | None, ends: Interval, band: Band | None
) -> list[str]:
    """What is outside a number's band and the tolerance. No band: a number that the task does not have."""
    found = []
    if not _near(given, value, band.value if band else None):
        found.append(f"{name} is {_shown(given)} and the scores give {_shown(value)}")
    lows, highs = (band.low, band.high) if band else (None, None)
    pairs = zip(given_ends or (None, None), ends or (None, None), (lows, highs), strict=True)
    if not all(_near(*each) for each in pairs):
        found.append(
            f"the interval of {name} is {_shown_interval(given_ends)} and the scores give {_shown_interval(ends)}"
        )
    return found


def _near(given: float | None, measured: float | None, room: tuple[float, float] | None) -> bool:
    """Within the band of rounding and the tolerance; undefined here means undefined there."""
    if given is None or measured is None or room is None:
        return given is None and measured is None
    return room[0] - TOLERANCE <= given <= room[1] + TOLERANCE


def _shown(value: float | None) -> str:
    return "undefined" if value is None or math.isnan(value) else f"{value:.4f}"


def _shown_interval(ends: Interval) -> str:
    return "undefined" if ends is None else f"[{_shown(ends[0])}, {_shown(ends[1])}]"
