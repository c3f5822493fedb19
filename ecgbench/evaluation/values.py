"""Bootstrap values in the place of scores: what a board needs of a system whose record ids may not leave the house.

A values file is an npz of plain arrays: the fields of `BootstrapValues` by name, and `schema` (1). It holds every metric of
a task in every resample of the test patients. All systems of a data set see the same resamples: the draws depend on the
seed and on the patients in the order of their ids (`patient_weights`), and the file says by a hash which patients, in
which order, these were. No id, no label and no score of a record is in it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from ecgbench.cards import TaskCard, problems_of
from ecgbench.errors import EcgbenchError
from ecgbench.evaluation.bootstrap import REPLICATES, SEED, patient_weights
from ecgbench.evaluation.npz import member, read_npz, stored_form, write_npz
from ecgbench.evaluation.scores import Scores
from ecgbench.evaluation.scoring import fitted_metrics, score_task, task_rows
from ecgbench.files import atomic_path, canonical_json
from ecgbench.results import TaskScore

SCHEMA = 1
ROUNDS = 100_000
"""Of PBKDF2: guessing a list of patients is made slow."""


@dataclass(frozen=True, eq=False)
class BootstrapValues:
    """Every metric of a task in every resample of the test patients.

    `metric` (m,) names the rows of `values` (m, 1 + replicates) float64, the plain value first and NaN where a metric is
    undefined. `patients` is `patients_hash` of the test patients. `score` is the task's part of a result as JSON, with
    counts, intervals and classes; `n_excluded` in it is 0.
    """

    task: str
    task_version: int
    data_hash: str
    seed: int
    n_patients: int
    patients: str
    metric: np.ndarray
    values: np.ndarray
    score: str

    @classmethod
    def of(cls, scores: Scores, card: TaskCard, data_hash: str) -> BootstrapValues:
        """The values of a scores file; what is chosen on validation rows is chosen once, as for every interval."""
        task = task_rows(scores, card)
        test, metrics = task.rows("test"), fitted_metrics(task, card)
        weights = patient_weights(test.patient_id, plain=True)
        patients = tuple(np.unique(test.patient_id).tolist())
        values = cls(
            task=scores.task,
            task_version=scores.task_version,
            data_hash=data_hash,
            seed=SEED,
            n_patients=len(patients),
            patients=patients_hash(data_hash, patients),
            metric=np.array([metric.name for metric in metrics]),
            values=np.stack([metric.values(test.scores, test.labels, weights)[0] for metric in metrics]),
            score=canonical_json(score_task(scores, card)),
        )
        values.validate()
        return values

    def replicates(self, metric: str) -> np.ndarray:
        """(1 + replicates,), the plain value first."""
        return np.asarray(self.values[self.metric.tolist().index(metric)])

    def told_score(self, n_excluded: int) -> TaskScore:
        """The task's part of a result; EcgbenchError where `score` is none."""
        try:
            return TaskScore.model_validate({**json.loads(self.score), "n_excluded": n_excluded})
        except ValidationError as error:
            raise EcgbenchError(f"the `score` of a values file is no part of a result: {problems_of(error)}") from None

    def validate(self) -> None:
        """Raise EcgbenchError that names the first fault, if there is one."""
        if self.seed != SEED or self.values.shape != (len(self.metric), 1 + REPLICATES):
            raise EcgbenchError(
                f"it holds {self.values.shape[0]} x {self.values.shape[-1]} values of {len(self.metric)} metrics from the "
                f"seed {self.seed}: a plain value and {REPLICATES} replicates each from the seed {SEED} are needed."
            )
        if self.values.dtype != np.float64 or np.isinf(self.values).any():
            raise EcgbenchError("its values must be finite float64 numbers, or NaN where a metric is undefined.")
        if len(set(self.metric.tolist())) != len(self.metric):
            raise EcgbenchError("it names a metric twice.")
        if self.n_patients < 1 or self.task_version < 1:
            raise EcgbenchError("its number of patients and its task version must be 1 or more.")
        try:
            known = isinstance(json.loads(self.score), dict)
        except ValueError:
            known = False
        if not known:
            raise EcgbenchError("its `score` is no JSON object.")

    def content_hash(self) -> str:
        """sha256 over the content, however the file was packed."""
        told = [self.task, self.task_version, self.data_hash, self.seed, self.n_patients, self.patients, self.score]
        head = canonical_json([*told, self.metric.tolist()]).encode()
        return hashlib.sha256(head + np.ascontiguousarray(self.values, "<f8").tobytes()).hexdigest()

    def save(self, path: Path) -> None:
        """Write an npz, whole or not at all; the same content gives the same bytes (with the same zlib)."""
        self.validate()
        members = {field.name: getattr(self, field.name) for field in fields(self)} | {"schema": SCHEMA}
        with atomic_path(path) as temporary:
            write_npz(temporary, {name: stored_form(value) for name, value in members.items()})

    @classmethod
    def load(cls, path: Path) -> BootstrapValues:
        """Read and validate a values file; EcgbenchError says what is wrong with it."""
        members = read_npz(path, "values file")
        names = {field.name for field in fields(cls)}
        if "values" not in members and "scores" in members:
            raise EcgbenchError(f"{path} is a scores file: give it without --bootstrap.")
        strange = sorted(set(members) - names - {"schema"})
        if strange:
            raise EcgbenchError(f"values file {path} holds '{strange[0]}', which is no part of a values file.")
        given: dict[str, Any] = {name: member(path, members, name, "values file") for name in [*names, "schema"]}
        if given.pop("schema").tolist() != SCHEMA:
            raise EcgbenchError(f"values file {path} has another schema than {SCHEMA}: write it again.")
        kinds = {"task": "U", "data_hash": "U", "patients": "U", "score": "U", "task_version": "iu", "seed": "iu"}
        for name, kind in (kinds | {"n_patients": "iu"}).items():
            if given[name].shape or given[name].dtype.kind not in kind:
                raise EcgbenchError(
                    f"values file {path}: {name} is not one {'text' if kind == 'U' else 'whole number'}."
                )
            given[name] = given[name].item()
        if given["metric"].ndim != 1 or given["metric"].dtype.kind != "U" or given["values"].ndim != 2:
            raise EcgbenchError(f"values file {path}: metric must be a list of names and values a table of numbers.")
        values = cls(**given)
        try:
            values.validate()
        except EcgbenchError as error:
            raise EcgbenchError(f"values file {path}: {error}") from None
        return values


@lru_cache(maxsize=256)
def patients_hash(data_hash: str, patients: tuple[str, ...]) -> str:
    """A hash over the ordered test patients, with the data hash as its salt. Whoever does not have the whole list cannot
    test a single id against it."""
    listed = canonical_json(list(patients)).encode()
    return hashlib.pbkdf2_hmac("sha256", listed, data_hash.encode(), ROUNDS).hex()


def scores_hash(scores: Scores) -> str:
    """sha256 over the records' ids and scores, as a committed copy holds them, in the order of the ids."""
    order = np.argsort(scores.record_id)
    told = [scores.task, scores.task_version, scores.class_id.tolist(), scores.record_id[order].tolist()]
    return hashlib.sha256(canonical_json(told).encode() + scores.scores[order].astype("<f4").tobytes()).hexdigest()
