"""Scores of every task -> their files and numbers, the references beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ecgbench.evaluation.scores import Scores
from ecgbench.evaluation.scoring import score_task
from ecgbench.evaluation.tables import TaskRecords
from ecgbench.results import References, TaskScore

if TYPE_CHECKING:
    from ecgbench.pipeline.model import Side


def scores_of(side: Side, inputs: np.ndarray) -> dict[str, Scores]:
    """Task -> scores by the model as it is now."""
    return {task.key: task.scores(matrix) for task, matrix in side.matrices(inputs)}


def score_all(
    tasks: Sequence[TaskRecords],
    own: dict[str, Scores],
    untrained: dict[str, Scores],
    folder: Path,
    progress: Callable[[int, int], None],
) -> tuple[dict[str, TaskScore], References]:
    """Write `folder/scores/…` and compute every number."""
    scored: dict[str, dict[str, TaskScore]] = {"": {}, "majority": {}, "untrained": {}}
    for number, task in enumerate(tasks):
        named = {"": own[task.key], "majority": task.majority(), "untrained": untrained[task.key]}
        for name, scores in named.items():
            scores.save(folder / "scores" / ("references" if name else "") / name / f"{task.key}.npz")
            values = score_task(scores, task.card, n_excluded=task.n_excluded)
            scored[name][task.key] = TaskScore.model_validate(values)
        progress(number + 1, len(tasks))
    chance = {
        key: {name: metric.chance for name, metric in score.metrics.items() if metric.chance is not None}
        for key, score in scored[""].items()
    }
    return scored[""], References(chance=chance, majority=scored["majority"], untrained=scored["untrained"])
