"""What a scores file gives: its metrics, the room that rounding leaves them, and bootstrap replicates."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecgbench.cards import TaskCard
from ecgbench.catalogue import all_cards
from ecgbench.errors import EcgbenchError
from ecgbench.evaluation.bootstrap import patient_weights, with_plain
from ecgbench.evaluation.metrics import Metric, metric_named
from ecgbench.evaluation.scores import Scores
from ecgbench.evaluation.scoring import tested_rows
from ecgbench.evaluation.targets import task_key
from ecgbench.files import hash_file, hash_of
from ecgbench.results import TaskIdentity


@dataclass(frozen=True, eq=False)
class Replay:
    """The test rows of a scores file, measured again.

    `test_rows` is a hash over the test records with their patients and labels, in any order. `values` is each
    metric of the card, `bands` the least and the most it can have been before the scores were rounded
    to float16. `replicates` (1 + 1000,) holds the plain value and then the bootstrap, for the metrics that
    boards compare.
    """

    test_rows: str
    n_records: int
    n_patients: int
    n_instances: int
    instances: dict[str, int]
    positives: dict[str, int]
    values: dict[str, float]
    bands: dict[str, tuple[float, float]]
    replicates: dict[str, np.ndarray]


def compared_metrics(card: TaskCard) -> tuple[str, ...]:
    """The metrics whose differences a board shows: the primary one, and top-1 of a retrieval task."""
    return tuple(dict.fromkeys([card.primary, *(name for name in ("top1",) if name in card.metrics)]))


class Replays:
    """The task cards of this installation, and replays by content: files with the same bytes (the `majority`
    of every run on one data set) are measured once."""

    def __init__(self) -> None:
        self._cards = all_cards(TaskCard)[0]
        self._known: dict[tuple[str, str], Replay] = {}

    def card(self, task: str, identity: TaskIdentity) -> TaskCard:
        """The card of a task by its name in a result (`superclass_clinical`), in the result's version."""
        for card in self._cards:
            if task_key(card, identity.mapping) == task:
                if card.version != identity.version:
                    raise EcgbenchError(
                        f"task {task} was version {identity.version} then and is version {card.version} "
                        "now: run it again."
                    )
                return card
        raise EcgbenchError(f"there is no card for the task {task} with mapping {identity.mapping}.")

    def of(self, path: Path, card: TaskCard) -> Replay:
        """The replay of a scores file; EcgbenchError where the file is damaged or of another task."""
        key = (hash_file(path), card.hash)
        if key not in self._known:
            self._known[key] = replay(Scores.load(path), card)
        return self._known[key]


def replay(scores: Scores, card: TaskCard) -> Replay:
    """Measure the test rows of a scores file by a task card."""
    test = tested_rows(scores, card)
    metrics = [metric_named(name) for name in card.metrics]
    weights = with_plain(patient_weights(test.patient_id))
    ids = test.class_id.tolist()
    compared = compared_metrics(card)
    replicates = {m.name: m.values(test.scores, test.labels, weights)[0] for m in metrics if m.name in compared}
    plain = weights[:1]
    return Replay(
        test_rows=_rows_hash(test),
        n_records=len(test.record_id),
        n_patients=len(np.unique(test.patient_id)),
        n_instances=int(test.labels.sum(dtype=np.int64)),
        instances=dict(zip(ids, test.labels.sum(axis=0, dtype=np.int64).tolist(), strict=True)),
        positives=dict(zip(ids, (test.labels > 0).sum(axis=0).tolist(), strict=True)),
        values={m.name: float(m.values(test.scores, test.labels, plain)[0][0]) for m in metrics},
        bands=_bands(metrics, test.scores, test.labels, plain),
        replicates=replicates,
    )


def _rows_hash(test: Scores) -> str:
    """A hash of which records of which patients carry which labels; classes stand in the task's order."""
    order = np.argsort(test.record_id)
    return hash_of(
        [
            test.class_id.tolist(),
            test.record_id[order].tolist(),
            test.patient_id[order].tolist(),
            test.labels[order].tolist(),
        ]
    )


def _bands(
    metrics: list[Metric], scores: np.ndarray, labels: np.ndarray, weights: np.ndarray
) -> dict[str, tuple[float, float]]:
    """Metric -> the least and the most that the scores can have given before they were rounded to float16.

    Rounding moves a score by half a spacing at most, so the most is reached with every true class that much
    higher and every other class that much lower, the least the other way round. On few records one tie that
    rounding made is worth more than any fixed tolerance. Scores that are no float16 numbers were not rounded:
    their band is a point.
    """
    coarse = scores.astype(np.float16)
    rounded = np.array_equal(coarse.astype(np.float32), scores)
    half = np.spacing(np.abs(coarse)).astype(np.float64) / 2 if rounded else np.zeros(scores.shape)
    towards = np.where(labels > 0, half, -half)
    exact = scores.astype(np.float64)
    ends = [
        {m.name: float(m.values(moved, labels, weights)[0][0]) for m in metrics}
        for moved in (exact - towards, exact + towards)
    ]
    return {m.name: (ends[0][m.name], ends[1][m.name]) for m in metrics}
