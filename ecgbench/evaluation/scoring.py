"""A scores file and a task card -> the task's part of the result file."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ecgbench.cards import TaskCard
from ecgbench.errors import EcgbenchError
from ecgbench.evaluation.bootstrap import REPLICATES, SEED, interval, patient_weights
from ecgbench.evaluation.breakdown import pieces
from ecgbench.evaluation.confusion import confusion
from ecgbench.evaluation.fitted import CalibrationMetric, F1Metric
from ecgbench.evaluation.metrics import METRICS, Metric, metric_named
from ecgbench.evaluation.scores import Scores
from ecgbench.evaluation.targets import class_ids, keys_of
from ecgbench.findings import label_bank

__all__ = [
    "FEW",
    "METRICS",
    "bootstrap_values",
    "fitted",
    "fitted_metrics",
    "score_task",
    "task_rows",
    "tested_rows",
]

FEW = 10
"""A class with fewer positive test records than this is marked."""

DECIMALS = 12
"""Numbers are rounded here, so that the order in which a machine adds does not show in a result file."""


def score_task(
    scores: Scores, card: TaskCard, *, n_excluded: int = 0, replicates: int = REPLICATES, seed: int = SEED
) -> dict[str, Any]:
    """Every metric of the card on the test records: the value of `tasks.<name>` in a result file.

    What is undefined is None, never 0: per-class numbers of an absent class, AUROC without a negative, F1 and
    calibration without a validation record, everything where no test record belongs to the task. Thresholds and
    temperature are chosen once, on the validation rows: the interval does not choose them anew. `n_excluded`: the
    test records left out of the task.
    """
    task = task_rows(scores, card)
    test, n_validation = task.rows("test"), int((task.split == "validation").sum())
    labels = test.labels
    weights = patient_weights(test.patient_id, replicates, seed, plain=True)
    positives = (labels > 0).sum(axis=0)
    instances = labels.sum(axis=0, dtype=np.int64)
    ids = test.class_id.tolist()
    per_class: dict[str, dict[str, Any]] = {
        name: {"n": int(instances[i]), "positives": int(positives[i])} for i, name in enumerate(ids)
    }
    overall: dict[str, dict[str, Any]] = {}
    metrics = fitted_metrics(task, card)
    for metric in metrics:
        totals, by_class = metric.values(test.scores, labels, weights)
        overall[metric.name] = _level(metric, totals, labels)
        if metric.per_class:
            _add_per_class(per_class, ids, metric, by_class)
    matrix = confusion(test.scores, labels)
    return {
        "version": card.version,
        "n_records": len(labels),
        "n_instances": int(instances.sum()),
        "n_patients": len(np.unique(test.patient_id)),
        "n_excluded": n_excluded,
        "n_present": int((positives > 0).sum()),
        "absent": [name for i, name in enumerate(ids) if not positives[i]],
        "few": [name for i, name in enumerate(ids) if 0 < positives[i] < FEW],
        "no_threshold": _add_thresholds(per_class, ids, metrics),
        "metrics": overall,
        "per_class": per_class,
        "calibration": _calibration(metrics, n_validation),
        "confusion": None if matrix is None else np.round(matrix, DECIMALS).tolist(),
        **_taken_apart(test, card, replicates, seed),
    }


def _level(metric: Metric, values: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """One overall number; `values` (1 + replicates,), the value first."""
    return {
        "value": number(values[0]),
        "ci": bounds(interval(values[1:]), defined=not math.isnan(values[0])),
        "chance": number(metric.chance(labels)),
        "ceiling": number(metric.ceiling(labels)),
    }


def _taken_apart(test: Scores, card: TaskCard, replicates: int, seed: int) -> dict[str, Any]:
    """`groups` and `parts` of a result: a piece's own patients are resampled for its intervals."""
    found: dict[str, dict[str, Any]] = {}
    for piece in pieces(test, card):
        own, labels = piece.test, piece.test.labels
        weights = patient_weights(own.patient_id, replicates, seed, plain=True)
        metrics = [metric_named(name) for name in piece.metrics]
        found.setdefault(piece.kind, {})[piece.value] = {
            "n_records": len(labels),
            "n_patients": len(np.unique(own.patient_id)),
            "n_instances": int(labels.sum(dtype=np.int64)),
            "n_classes": piece.n_classes,
            "n_present": int((labels > 0).any(axis=0).sum()),
            "metrics": {m.name: _level(m, m.values(own.scores, labels, weights)[0], labels) for m in metrics},
        }
    return {"parts": found.pop("parts", None), "groups": found}


def bootstrap_values(
    scores: Scores, card: TaskCard, metric: str, replicates: int = REPLICATES, seed: int = SEED
) -> np.ndarray:
    """The metric's overall value in every replicate of the test patients: (replicates,) float64."""
    task = task_rows(scores, card)
    test = task.rows("test")
    weights = patient_weights(test.patient_id, replicates, seed)
    return fitted(metric_named(metric), task).values(test.scores, test.labels, weights)[0]


def fitted_metrics(task: Scores, card: TaskCard) -> list[Metric]:
    """The metrics of the card, thresholds and temperature chosen on the validation rows."""
    return [fitted(metric_named(name), task) for name in card.metrics]


def fitted(metric: Metric, scores: Scores) -> Metric:
    """The metric with what it chooses on the validation rows of a scores file."""
    validation = scores.rows("validation")
    return metric.fitted(validation.scores, validation.labels)


def task_rows(scores: Scores, card: TaskCard) -> Scores:
    """The validated records of a scores file that belongs to the task, classes in the task's order."""
    scores.validate()
    names = sorted(keys_of(card))
    if scores.task not in names or scores.task_version != card.version:
        raise EcgbenchError(
            f"scores are of task {scores.task} version {scores.task_version}, the card is of "
            f"{' or '.join(names)} version {card.version}: score the records again with this card."
        )
    return scores.with_classes(class_ids(card, label_bank(card.labels)))


def tested_rows(scores: Scores, card: TaskCard) -> Scores:
    """The test records among `task_rows`."""
    return task_rows(scores, card).rows("test")


def number(value: float) -> float | None:
    """A Python float to `DECIMALS` places, None for what is undefined."""
    return None if math.isnan(value) else round(float(value), DECIMALS)


def bounds(pair: np.ndarray, *, defined: bool = True) -> list[float] | None:
    """[low, high], None for what is undefined."""
    if not defined or np.isnan(pair).any():
        return None
    return [round(float(bound), DECIMALS) for bound in pair]


def _add_per_class(per_class: dict[str, dict[str, Any]], ids: list[str], metric: Metric, values: np.ndarray) -> None:
    """Write one metric's value and interval of each class; `values` (1 + replicates, c), the value first."""
    intervals = interval(values[1:])
    for i, name in enumerate(ids):
        value = number(values[0, i])
        per_class[name][str(metric.per_class)] = value
        per_class[name][f"{metric.per_class}_ci"] = bounds(intervals[:, i], defined=value is not None)


def _add_thresholds(per_class: dict[str, dict[str, Any]], ids: list[str], metrics: list[Metric]) -> list[str] | None:
    """Write each class's threshold; the classes without one, None where no metric of the task asks for them."""
    thresholds = next((each.thresholds for each in metrics if isinstance(each, F1Metric)), None)
    if thresholds is None:
        return None
    for name, threshold in zip(ids, thresholds, strict=True):
        per_class[name]["threshold"] = number(threshold)
    return [name for name in ids if per_class[name]["threshold"] is None]


def _calibration(metrics: list[Metric], n_validation: int) -> dict[str, Any] | None:
    """The temperature and the validation records behind it, None where the task asks for none or has none."""
    temperature = next((each.temperature for each in metrics if isinstance(each, CalibrationMetric)), None)
    return None if temperature is None else {"temperature": temperature, "n_validation": n_validation}
