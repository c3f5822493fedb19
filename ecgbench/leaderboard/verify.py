"""Does a result file say what its scores say?"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ecgbench.cards import TaskCard
from ecgbench.evaluation.bootstrap import interval
from ecgbench.evaluation.metrics import METRICS, InstanceMetric, metric_named
from ecgbench.evaluation.scoring import bounds, number
from ecgbench.evaluation.targets import class_ids
from ecgbench.evaluation.values import BootstrapValues
from ecgbench.findings import label_bank
from ecgbench.leaderboard.bands import Band, class_number
from ecgbench.leaderboard.replay import Measured, told_pieces
from ecgbench.results import Result, TaskScore

TOLERANCE = 2e-3
"""A number may differ this much from what the scores give, on top of what rounding to float16 explains."""

CONSISTENCY = 1e-6
"""Per-class numbers and their mean are from one computation."""

EXACT = 1e-9
"""Chance and ceiling follow from the labels, which are never rounded."""

CHOSEN = 1e-5
"""Thresholds are scores that were there, and temperatures have six digits."""

COUNTS = ("version", "n_records", "n_patients", "n_instances", "n_present", "absent", "few", "no_threshold")

Interval = tuple[float, float] | None


def mismatches(score: TaskScore, card: TaskCard, replay: Measured | None) -> list[str]:
    """What does not fit between a task's part of a result and itself, and its scores; one clause each."""
    if replay is not None and replay.values is not None:
        return value_mismatches(score, card, replay.values)
    found = _other_metrics(score, card)
    if found:
        return found
    found = _against_itself(score, card) + _matrix_against_classes(score, card)
    return found if replay is None else found + _against_scores(score, replay)


def value_mismatches(score: TaskScore, card: TaskCard, values: BootstrapValues) -> list[str]:
    """What does not fit between a task's part of a result and itself, and bootstrap values in the place of its scores: the
    overall numbers must be those of the values, all others those that the values file tells."""
    found = _other_metrics(score, card)
    if found:
        return found
    lacking = [name for name in card.metrics if name not in values.metric.tolist()]
    if lacking:
        return [f"the values hold no {lacking[0]}"]
    found = _against_itself(score, card) + _matrix_against_classes(score, card)
    for name in card.metrics:
        replicates = values.replicates(name)
        value, ends = number(replicates[0]), bounds(interval(replicates[1:]), defined=not math.isnan(replicates[0]))
        told = score.metrics[name]
        if told.value != value or (None if told.ci is None else list(told.ci)) != ends:
            shown = f"{_shown(told.value)} {_shown_interval(told.ci)}"
            ends_shown = _shown_interval(None if ends is None else (ends[0], ends[1]))
            found.append(f"{name} is {shown} and the bootstrap values give {_shown(value)} {ends_shown}")
    if not found and score != values.told_score(score.n_excluded):
        found.append("its counts or classes are not those that the values file tells")
    if score.n_patients != values.n_patients:
        found.append(f"n_patients is {score.n_patients} and the values are of {values.n_patients}")
    return found


def _other_metrics(score: TaskScore, card: TaskCard) -> list[str]:
    found = [f"{name} is not among its metrics" for name in card.metrics if name not in score.metrics]
    return found + [f"{name} is no metric of the task" for name in sorted(score.metrics) if name not in card.metrics]


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


def _matrix_against_classes(score: TaskScore, card: TaskCard) -> list[str]:
    """A row of the confusion matrix makes up a class, and its place on the diagonal the class's accuracy."""
    if score.confusion is None:
        return []
    ids = class_ids(card, label_bank(card.labels))
    if not _is_square(score.confusion, len(ids)):
        return [f"confusion is no matrix of its {len(ids)} classes"]
    found = []
    for place, (name, row) in enumerate(zip(ids, score.confusion, strict=True)):
        each = score.per_class.get(name)
        if each is None or abs(sum(row) - each.n) > CONSISTENCY:
            found.append(f"the row of {name} in confusion does not make up its label instances")
        elif each.accuracy is not None and abs(row[place] - each.accuracy * each.n) > CONSISTENCY * max(1, each.n):
            found.append(f"confusion has {row[place]:.4f} hits of {name}, which is not its accuracy")
    return found


def _against_scores(score: TaskScore, replay: Measured) -> list[str]:
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
    found += _levels(score, measured) + _chosen(score, measured) + _cells(score, replay)
    given = dict(_numbers(score))
    for name, (value, ends) in _numbers(measured):
        if name in given:  # a class that is missing is told with the counts
            found += _far(name, *given[name], value, ends, replay.bands.get(name))
    return found + _taken_apart(score, replay)


def _taken_apart(score: TaskScore, replay: Measured) -> list[str]:
    """Groups of records and parts of findings: counts equal, numbers near."""
    given = told_pieces(score)
    if given.keys() != replay.pieces.keys():
        return [f"it is told apart by {', '.join(given) or 'nothing'} and its scores by {', '.join(replay.pieces)}"]
    found = []
    for name, (measured, room) in replay.pieces.items():
        own = given[name]
        counts = ("n_records", "n_patients", "n_instances", "n_classes", "n_present")
        if [getattr(own, each) for each in counts] != [getattr(measured, each) for each in counts]:
            found.append(f"the counts of {name} are not those of the scores")
        if own.metrics.keys() != measured.metrics.keys():
            found.append(f"the metrics of {name} are not those that its scores give")
            continue
        for metric, wanted in measured.metrics.items():
            told = own.metrics[metric]
            found += _far(f"{metric} of {name}", told.value, told.ci, wanted.value, wanted.ci, room[metric])
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


def _chosen(score: TaskScore, measured: TaskScore) -> list[str]:
    """What the validation rows decide: thresholds and temperature, which rounding does not move."""
    pairs = {
        f"{name} of calibration": (_calibrated(score, name), _calibrated(measured, name))
        for name in ("temperature", "n_validation")
    }
    pairs |= {
        f"the threshold of {name}": (score.per_class[name].threshold, each.threshold)
        for name, each in measured.per_class.items()
        if name in score.per_class
    }
    return [
        f"{what} is {given} and the validation scores give {wanted}"
        for what, (given, wanted) in pairs.items()
        if (given is None) != (wanted is None)
        or (given is not None and wanted is not None and not math.isclose(given, wanted, rel_tol=CHOSEN))
    ]


def _calibrated(score: TaskScore, name: str) -> float | None:
    return getattr(score.calibration, name) if score.calibration else None


def _cells(score: TaskScore, replay: Measured) -> list[str]:
    """The confusion matrix against the room of each cell. Its shape is checked before."""
    given, measured = score.confusion, replay.score.confusion
    if given is None or measured is None or replay.confusion is None:
        return [] if given == measured else ["confusion is there in one of the result and its scores only"]
    if not _is_square(given, len(measured)):
        return []
    (least, most), cells = replay.confusion, np.array(given)
    far = (cells < least - TOLERANCE) | (cells > most + TOLERANCE)
    return [
        f"confusion has {cells[at]:.4f} at row {at[0]}, column {at[1]} and the scores give {measured[at[0]][at[1]]:.4f}"
        for at in zip(*np.nonzero(far), strict=True)
    ]


def _is_square(rows: list[list[float]], size: int) -> bool:
    return [len(row) for row in rows] == [size] * size


def _numbers(score: TaskScore) -> Iterator[tuple[str, tuple[float | None, Interval]]]:
    """Every number with its interval, by the name that it has in `Measured.bands`."""
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
