"""What a scores file gives: its numbers, the room that rounding leaves them, and bootstrap replicates."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from ecgbench.cards import TaskCard
from ecgbench.catalogue import all_cards
from ecgbench.errors import EcgbenchError
from ecgbench.evaluation.bootstrap import patient_weights
from ecgbench.evaluation.breakdown import compared_metrics, pieces
from ecgbench.evaluation.metrics import metric_named
from ecgbench.evaluation.scores import Scores
from ecgbench.evaluation.scoring import fitted_metrics, score_task, task_rows
from ecgbench.evaluation.targets import keys_of, task_keys
from ecgbench.evaluation.values import BootstrapValues, patients_hash
from ecgbench.files import hash_file, hash_of
from ecgbench.leaderboard.bands import Band, bands, confusion_band
from ecgbench.results import PieceScore, TaskIdentity, TaskScore


@dataclass(frozen=True, eq=False, kw_only=True)
class Replay:
    """What a board compares of the test rows of a scores file, measured again.

    `rows` is a hash over the records with their patients, splits and labels, in any order, `test_rows` the same of the test
    records alone, `patients` their patients in the order of the resamples. `replicates` (1 + 1000,) holds
    the plain value and then the bootstrap, for the metrics that boards compare. Where `values` stand in the place of scores,
    rows and patients are not known (empty).
    """

    rows: str
    test_rows: str
    patients: tuple[str, ...]
    replicates: dict[str, np.ndarray]
    values: BootstrapValues | None = None

    @property
    def n_patients(self) -> int:
        return self.values.n_patients if self.values else len(self.patients)

    def resamples(self, data_hash: str) -> str:
        """What the bootstrap drew from: equal for two replays whose replicates are of the same resamples."""
        return self.values.patients if self.values else patients_hash(data_hash, self.patients)


@dataclass(frozen=True, eq=False, kw_only=True)
class Measured(Replay):
    """And what the result beside a scores file is held to.

    `score` is the task's part of a result as the scores give it (`n_excluded`, of which they know nothing, is 0), of bootstrap
    values what their file tells; `bands` what each of its numbers can have been before the scores were rounded to float16.
    `pieces`: by name, the same of each group of records and part of findings.
    """

    score: TaskScore
    bands: dict[str, Band]
    confusion: tuple[np.ndarray, np.ndarray] | None
    pieces: dict[str, tuple[PieceScore, dict[str, Band]]]

    def replay(self) -> Replay:
        """Without that: a tenth of the memory."""
        return Replay(**{each.name: getattr(self, each.name) for each in fields(Replay)})


Key = tuple[str, str]
"""Hash of a scores file's bytes, hash of the task card that it is measured by."""

HELD = 64
"""Measurements that are kept whole: the references that every run on one data set has, from one result to the next."""


class Replays:
    """The task cards of this installation, and replays by content: files with the same bytes (the `majority`
    of every run on one data set) are measured once."""

    def __init__(self) -> None:
        self._cards = all_cards(TaskCard)[0]
        self._known: dict[Key, Replay] = {}
        self._held: OrderedDict[Key, Measured] = OrderedDict()
        self._patients: dict[tuple[str, ...], tuple[str, ...]] = {}
        self.ahead: Callable[[Key], Measured | None] = lambda key: None
        """Who may have measured a file already, in another process."""

    def key(self, path: Path, card: TaskCard) -> Key:
        return hash_file(path), card.hash

    def card(self, task: str, identity: TaskIdentity) -> TaskCard:
        """The card of a task by its name in a result (`superclass_clinical`), in the result's version."""
        for card in self._cards:
            if task in task_keys(card, identity.mapping):
                if card.version != identity.version:
                    raise EcgbenchError(
                        f"task {task} was version {identity.version} then and is version {card.version} "
                        "now: run it again."
                    )
                return card
        raise EcgbenchError(f"there is no card for the task {task} with mapping {identity.mapping}.")

    def of(self, path: Path, card: TaskCard, *, values: bool = False) -> Replay:
        """The replay of a scores file, or of the bootstrap `values` in its place; EcgbenchError where the file is damaged or
        of another task."""
        key = self.key(path, card)
        if key not in self._known:
            self.measured(path, card, values=values)
        return self._known[key]

    def measured(self, path: Path, card: TaskCard, *, values: bool = False) -> Measured:
        """The same with all that the result beside the file is held to by `mismatches`."""
        key = self.key(path, card)
        if key not in self._held:
            found = self.ahead(key) or measure_file(path, card, values)
            patients = self._patients.setdefault(found.patients, found.patients)
            self._known[key] = replace(found.replay(), patients=patients)
            self._held[key] = found
        self._held.move_to_end(key)
        if len(self._held) > HELD:
            self._held.popitem(last=False)
        return self._held[key]


def measure_file(path: Path, card: TaskCard, values: bool) -> Measured:
    """A scores file, or one of bootstrap `values`; EcgbenchError where it is damaged or of another task."""
    return replay_of_values(BootstrapValues.load(path), card) if values else replay(Scores.load(path), card)


def replay(scores: Scores, card: TaskCard) -> Measured:
    """Measure the test rows of a scores file by a task card, with what its validation rows decide."""
    task = task_rows(scores, card)
    test, metrics = task.rows("test"), fitted_metrics(task, card)
    weights = patient_weights(test.patient_id, plain=True)
    compared = compared_metrics(card)
    score = TaskScore.model_validate(score_task(scores, card))
    return Measured(
        rows=_rows_hash(task),
        test_rows=_rows_hash(test),
        patients=tuple(np.unique(test.patient_id).tolist()),
        score=score,
        bands=bands(metrics, test, weights),
        confusion=confusion_band(test),
        pieces=_pieces(score, test, card),
        replicates={m.name: m.values(test.scores, test.labels, weights)[0] for m in metrics if m.name in compared},
    )


def replay_of_values(values: BootstrapValues, card: TaskCard) -> Measured:
    """Bootstrap values as they stand; EcgbenchError where one that boards compare is not among them."""
    lacking = [name for name in compared_metrics(card) if name not in values.metric.tolist()]
    if lacking or values.task not in keys_of(card) or values.task_version != card.version:
        what = f"lacks {lacking[0]}" if lacking else f"is of task {values.task} version {values.task_version}"
        raise EcgbenchError(f"the values file {what}: {card.name} version {card.version} belongs there.")
    return Measured(
        rows="",
        test_rows="",
        patients=(),
        score=values.told_score(0),
        bands={},
        confusion=None,
        pieces={},
        replicates={name: values.replicates(name) for name in compared_metrics(card)},
        values=values,
    )


def told_pieces(score: TaskScore) -> dict[str, PieceScore]:
    """The groups and parts of a task by one name each."""
    groups = {f"{kind} {value}": each for kind, values in score.groups.items() for value, each in values.items()}
    return groups | (score.parts or {})


def _pieces(score: TaskScore, test: Scores, card: TaskCard) -> dict[str, tuple[PieceScore, dict[str, Band]]]:
    told = told_pieces(score)
    found = {}
    for piece in pieces(test, card):
        weights = patient_weights(piece.test.patient_id, plain=True)
        metrics = [metric_named(name) for name in piece.metrics]
        found[piece.name] = (told[piece.name], bands(metrics, piece.test, weights))
    return found


def _rows_hash(task: Scores) -> str:
    """A hash of which validation and test records of which patients carry which labels; classes stand in the task's order.
    Validation rows decide thresholds and temperature."""
    order = np.argsort(task.record_id)
    return hash_of(
        [
            task.class_id.tolist(),
            task.record_id[order].tolist(),
            task.patient_id[order].tolist(),
            task.split[order].tolist(),
            task.labels[order].tolist(),
        ]
    )
