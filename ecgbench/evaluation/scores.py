"""The scores file: everything that a metric needs, for the validation and test records of one task.

A scores file is an npz of plain arrays: the fields of `Scores` by name, and `schema` (1). `sex`, `age_band`
and `site` may be left out (unknown).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ecgbench.errors import EcgbenchError
from ecgbench.evaluation.npz import member, read_npz, stored_form, write_npz
from ecgbench.files import atomic_path

SCHEMA = 1
"""Raised when the members of the file or their meaning change."""

SPLITS = ("validation", "test")
SEXES = ("female", "male", "")
AGE_BANDS = ("0-17", "18-39", "40-64", "65-89", "90+", "")
OPTIONAL = ("sex", "age_band", "site")
PER_RECORD = ("record_id", "patient_id", "split", *OPTIONAL)


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores and labels of n records (validation and test) for the c classes of a task.

    All text is a NumPy string array. `scores` (n, c) float32 is the cosine similarity, higher is likelier.
    `labels` (n, c) int16 is how many of the record's findings map to the class: positive means above 0, and
    metrics over label instances weight by it. `sex` is "female", "male" or "" (unknown), `age_band` one of
    `AGE_BANDS`, `site` free text or "".
    """

    task: str
    task_version: int
    record_id: np.ndarray
    patient_id: np.ndarray
    split: np.ndarray
    class_id: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    sex: np.ndarray
    age_band: np.ndarray
    site: np.ndarray

    def validate(self) -> None:
        """Raise EcgbenchError that names the first offender, if there is one."""
        if not self.task or self.task_version < 1:
            raise EcgbenchError(
                f"scores name the task '{self.task}', version {self.task_version}: "
                "a name and a version from 1 are needed."
            )
        _check_form(self)
        _check_records(self)
        _check_numbers(self)

    def select(self, rows: np.ndarray) -> Scores:
        """The given records, by index or as a boolean mask (n,)."""
        per_record = {name: getattr(self, name)[rows] for name in PER_RECORD}
        return replace(self, scores=self.scores[rows], labels=self.labels[rows], **per_record)

    def rows(self, split: str) -> Scores:
        """The records of one split, in the order they stand."""
        if split not in SPLITS:
            raise EcgbenchError(f"scores have no split '{split}': ask for {' or '.join(SPLITS)}.")
        return self.select(self.split == split)

    def with_classes(self, class_ids: tuple[str, ...]) -> Scores:
        """The same scores with the classes in the given order; they must be the same classes."""
        position = {name: i for i, name in enumerate(self.class_id.tolist())}
        for name in class_ids:
            if name not in position:
                raise EcgbenchError(f"scores of {self.task} lack the class '{name}': score all classes of the task.")
        wanted = set(class_ids)
        for name in position:
            if name not in wanted:
                raise EcgbenchError(
                    f"scores of {self.task} hold the class '{name}', which is not in the task: leave it out."
                )
        at = [position[name] for name in class_ids]
        return replace(self, class_id=self.class_id[at], scores=self.scores[:, at], labels=self.labels[:, at])

    def save(self, path: Path, dtype: npt.DTypeLike = np.float32) -> None:
        """Write an npz, whole or not at all; the same content gives the same bytes (with the same zlib).

        `dtype=np.float16` halves a copy to be committed; it rounds scores to 11 bits, which can tie them.
        """
        stored = np.dtype(dtype)
        if stored not in (np.dtype(np.float32), np.dtype(np.float16)):
            raise EcgbenchError(f"scores cannot be saved as {stored}: choose float32 or float16.")
        self.validate()
        with np.errstate(over="ignore"):  # what does not fit becomes infinite, and the next line refuses it
            rounded = replace(self, scores=self.scores.astype(stored).astype(np.float32))
        rounded.validate()
        members: dict[str, np.ndarray] = {"schema": np.array(SCHEMA, "<i8")}
        for field in fields(self):
            members[field.name] = stored_form(getattr(self, field.name))
        members["scores"] = members["scores"].astype(stored.newbyteorder("<"))
        with atomic_path(Path(path)) as temporary:
            write_npz(temporary, members)

    @classmethod
    def load(cls, path: Path) -> Scores:
        """Read and validate a scores file; float16 scores come back as float32 of the same values."""
        path = Path(path)
        members = read_npz(path, "scores file")
        given = member(path, members, "schema", "scores file").tolist()
        if given != SCHEMA:
            raise EcgbenchError(f"scores file {path} has schema {given}, this ecgbench reads {SCHEMA}: write it again.")
        known = {field.name for field in fields(cls)}
        for name in members:
            if name not in known | {"schema"}:
                raise EcgbenchError(
                    f"scores file {path} holds '{name}', which is no part of a scores file: leave it out."
                )
        record_id = member(path, members, "record_id", "scores file")
        unknown = np.full(record_id.shape, "", dtype="<U1")
        members = dict.fromkeys(OPTIONAL, unknown) | members
        values: dict[str, Any] = {name: member(path, members, name, "scores file") for name in known}
        if values["scores"].dtype == np.float16:
            values["scores"] = values["scores"].astype(np.float32)
        task, version = values["task"], values["task_version"]
        if task.shape or version.shape or task.dtype.kind != "U" or version.dtype.kind not in "iu":
            raise EcgbenchError(f"scores file {path}: task must be one string and task_version one integer.")
        values.update(task=task.item(), task_version=version.item())
        scores = cls(**values)
        try:
            scores.validate()
        except EcgbenchError as error:
            raise EcgbenchError(f"scores file {path}: {error}") from None
        return scores


def age_band(age: float | None) -> str:
    """The band of an age in years, "" where it is not known. PTB-XL writes 300 for every age over 89."""
    if age is None or math.isnan(age):
        return ""
    if age < 0 or math.isinf(age):
        raise EcgbenchError(f"an age of {age} years was given: give 0 or more, None where it is not known.")
    for limit, band in ((18, "0-17"), (40, "18-39"), (65, "40-64"), (90, "65-89")):
        if age < limit:
            return band
    return "90+"


def _check_form(scores: Scores) -> None:
    """Types and shapes."""
    for name in ("class_id", *PER_RECORD):
        array = getattr(scores, name)
        if array.dtype.kind != "U" or array.ndim != 1:
            raise EcgbenchError(
                f"{name} is {array.dtype} with shape {array.shape}: "
                "a flat array of strings is needed, np.array([…], dtype=str)."
            )
    n, c = len(scores.record_id), len(scores.class_id)
    for name in PER_RECORD:
        if len(getattr(scores, name)) != n:
            raise EcgbenchError(f"{name} has {len(getattr(scores, name))} entries for {n} records: one each is needed.")
    for name, dtype in (("scores", np.float32), ("labels", np.int16)):
        array = getattr(scores, name)
        if array.shape != (n, c):
            raise EcgbenchError(f"{name} has the shape {array.shape}: {n} records x {c} classes are needed.")
        if array.dtype != dtype:
            wanted = np.dtype(dtype)
            raise EcgbenchError(f"{name} is {array.dtype}: {wanted} is needed, {name}.astype(np.{wanted}).")


def _check_records(scores: Scores) -> None:
    """Ids, splits and vocabularies."""
    for name in ("class_id", "record_id"):
        ids, counts = np.unique(getattr(scores, name), return_counts=True)
        if (counts > 1).any():
            twice, times = ids[counts > 1][0], counts[counts > 1][0]
            raise EcgbenchError(f"{name} '{twice}' stands there {times} times: it may stand there once.")
    if not len(scores.class_id):
        raise EcgbenchError("scores hold no class: at least one is needed.")
    for name in ("class_id", "record_id", "patient_id"):
        empty = np.flatnonzero(getattr(scores, name) == "")
        if empty.size:
            raise EcgbenchError(
                f"{name} is empty at position {empty[0]}: give one each (unknown patient: the record's id)."
            )
    for name, known in (("split", SPLITS), ("sex", SEXES), ("age_band", AGE_BANDS)):
        wrong = np.flatnonzero(~np.isin(getattr(scores, name), known))
        if wrong.size:
            raise EcgbenchError(
                f"record '{scores.record_id[wrong[0]]}' has the {name} '{getattr(scores, name)[wrong[0]]}': "
                f"valid is {', '.join(repr(value) for value in known)}."
            )
    shared = np.intersect1d(*(scores.patient_id[scores.split == split] for split in SPLITS))
    if shared.size:
        raise EcgbenchError(f"patient '{shared[0]}' stands in two splits: split by patient, not by record.")


def _check_numbers(scores: Scores) -> None:
    """Scores finite, labels counts, no record without one."""
    for what, wrong, valid in (
        ("score that is not finite", ~np.isfinite(scores.scores), "a finite number"),
        ("negative label", scores.labels < 0, "a count from 0"),
    ):
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            raise EcgbenchError(
                f"record '{scores.record_id[row]}' has a {what} for the class "
                f"'{scores.class_id[column]}': {valid} is needed."
            )
    bare = np.flatnonzero(~scores.labels.any(axis=1))
    if bare.size:
        raise EcgbenchError(
            f"record '{scores.record_id[bare[0]]}' has no label: leave out records without one, "
            "they are not in the task."
        )
