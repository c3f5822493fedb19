"""What a scores file gives: its numbers, the room that rounding leaves them, and bootstrap replicates."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecgbench.cards import TaskCard
from ecgbench.catalogue import all_cards
from ecgbench.errors import EcgbenchError
from ecgbench.evaluation.bootstrap import patient_weights, with_plain
from ecgbench.evaluation.metrics import metric_named
from ecgbench.evaluation.scores import Scores
from ecgbench.evaluation.scoring import score_task, tested_rows
from ecgbench.evaluation.targets import task_key
from ecgbench.files import hash_file, hash_of
from ecgbench.leaderboard.bands import Band, bands
from ecgbench.results import TaskIdentity, TaskScore


@dataclass(frozen=True, eq=False)
class Replay:
    """The test rows of a scores file, measured again.

    `test_rows` is a hash over the test records with their patients and labels, in any order. `score` is the
    task's part of a result as the scores give it (`n_excluded`, of which they know nothing, is 0), `bands` what
    each of its numbers can have been before the scores were rounded to float16. `replicates` (1 + 1000,) holds
    the plain value and then the bootstrap, for the metrics that boards compare.
    """

    test_rows: str
    score: TaskScore
    bands: dict[str, Band]
    replicates: dict[str, np.ndarray]

    @property
    def n_patients(self) -> int:
        return self.score.n_patients


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
    compared = compared_metrics(card)
    return Replay(
        test_rows=_rows_hash(test),
        score=TaskScore.model_validate(score_task(scores, card)),
        bands=bands(metrics, test, weights),
        replicates={m.name: m.values(test.scores, test.labels, weights)[0] for m in metrics if m.name in compared},
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
