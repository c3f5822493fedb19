"""A scores file and a task card -> the task's part of the result file."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ecgbench.cards import TaskCard
from ecgbench.errors import EcgbenchError
from ecgbench.evaluation.bootstrap import REPLICATES, SEED, interval, patient_weights, with_plain
from ecgbench.evaluation.metrics import METRICS, Metric, metric_named
from ecgbench.evaluation.scores import Scores
from ecgbench.evaluation.targets import class_ids, task_key
from ecgbench.findings import label_bank

__all__ = ["FEW", "METRICS", "bootstrap_values", "score_task", "tested_rows"]

FEW = 10
"""A class with fewer positive test records than this is marked."""

DECIMALS = 12
"""Numbers are rounded here, so that the order in which a machine adds does not show in a result file."""


def score_task(
    scores: Scores, card: TaskCard, *, n_excluded: int = 0, replicates: int = REPLICATES, seed: int = SEED
) -> dict[str, Any]:
    """Every metric of the card on the test records: the value of `tasks.<name>` in a result file.

    What is undefined is None, never 0: per-class numbers of an absent class, AUROC without a negative,
    everything where no test record belongs to the task. `n_excluded`: the test records left out of the task.
    """
    metrics = [metric_named(name) for name in card.metrics]
    test = tested_rows(scores, card)
    labels = test.labels
    weights = with_plain(patient_weights(test.patient_id, replicates, seed))
    positives = (labels > 0).sum(axis=0)
    instances = labels.sum(axis=0, dtype=np.int64)
    ids = test.class_id.tolist()
    per_class: dict[str, dict[str, Any]] = {
        name: {"n": int(instances[i]), "positives": int(positives[i])} for i, name in enumerate(ids)
    }
    overall: dict[str, dict[str, Any]] = {}
    for metric in metrics:
        totals, by_class = metric.values(test.scores, labels, weights)
        overall[metric.name] = {
            "value": number(totals[0]),
            "ci": bounds(interval(totals[1:]), defined=not math.isnan(totals[0])),
            "chance": number(metric.chance(labels)),
            "ceiling": number(metric.ceiling(labels)),
        }
        if metric.per_class:
            _add_per_class(per_class, ids, metric, by_class)
    return {
        "version": card.version,
        "n_records": len(labels),
        "n_instances": int(instances.sum()),
        "n_patients": len(np.unique(test.patient_id)),
        "n_excluded": n_excluded,
        "n_present": int((positives > 0).sum()),
        "absent": [name for i, name in enumerate(ids) if not positives[i]],
        "few": [name for i, name in enumerate(ids) if 0 < positives[i] < FEW],
        "metrics": overall,
        "per_class": per_class,
    }


def bootstrap_values(
    scores: Scores, card: TaskCard, metric: str, replicates: int = REPLICATES, seed: int = SEED
) -> np.ndarray:
    """The metric's overall value in every replicate of the test patients: (replicates,) float64."""
    test = tested_rows(scores, card)
    return metric_named(metric).values(test.scores, test.labels, patient_weights(test.patient_id, replicates, seed))[0]


def tested_rows(scores: Scores, card: TaskCard) -> Scores:
    """The validated test records of a scores file that belongs to the task, classes in the task's order."""
    scores.validate()
    names = dict.fromkeys([card.name, *(task_key(card, mapping) for mapping in card.mappings)])
    if scores.task not in names or scores.task_version != card.version:
        raise EcgbenchError(
            f"scores are of task {scores.task} version {scores.task_version}, the card is of "
            f"{' or '.join(names)} version {card.version}: score the records again with this card."
        )
    return scores.with_classes(class_ids(card, label_bank(card.labels))).rows("test")


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
