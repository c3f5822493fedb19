"""An outsider's score file -> scores of exactly the task's records, or the reason why not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ecgbench.errors import EcgbenchError
from ecgbench.evaluation.npz import read_npz
from ecgbench.evaluation.scores import Scores
from ecgbench.leaderboard.testset import TestSet

SHORT = ("record_id", "class_id", "scores")
"""The arrays of the short form; patients and labels come from the test set."""


def read_scores(path: Path, test_set: TestSet) -> Scores:
    """A file of the short form (`SHORT`, test records alone), or a whole scores file with validation records or without.

    The records must be the test set's, each once, in any order, with its patients and labels; the classes must be the
    task's, in its order. EcgbenchError otherwise, naming the first offender.
    """
    members = read_npz(path, "scores file")
    if "values" in members and "scores" not in members:
        raise EcgbenchError(f"{path} is a file of bootstrap values: give it with --bootstrap.")
    try:
        scores = Scores.load(path) if "schema" in members else _short(path, members, test_set)
        _check_task(scores, test_set)
        _check_classes(scores.class_id.tolist(), test_set)
        _check_records(scores, test_set)
        _check_against(scores, test_set)
    except EcgbenchError as error:
        where = "" if str(path) in str(error) else f"{path}: "
        raise EcgbenchError(f"{where}{error}") from None
    return _with_known(scores, test_set)


def _short(path: Path, members: dict[str, np.ndarray], test_set: TestSet) -> Scores:
    lacking = [name for name in SHORT if name not in members]
    strange = sorted(set(members) - set(SHORT))
    if lacking or strange:
        what = f"lacks '{lacking[0]}'" if lacking else f"holds '{strange[0]}' too"
        raise EcgbenchError(
            f"it {what}: np.savez(file, record_id=…, class_id=…, scores=…) is needed, or a whole scores file, which has a "
            "`schema` (docs/submit.md)."
        )
    ids, classes, matrix = (members[name] for name in SHORT)
    for name, array in (("record_id", ids), ("class_id", classes)):
        if array.dtype.kind != "U" or array.ndim != 1:
            raise EcgbenchError(f"its {name} is {array.dtype} of shape {array.shape}: give np.array([…], dtype=str).")
    if matrix.shape != (len(ids), len(classes)) or matrix.dtype.kind != "f":
        raise EcgbenchError(
            f"its scores are {matrix.dtype} of shape {matrix.shape}: {len(ids)} records x {len(classes)} classes of "
            "float32 are needed."
        )
    _check_classes(classes.tolist(), test_set)
    doubled = _first_twice(ids)
    if doubled:
        raise EcgbenchError(f"record_id '{doubled}' stands there more than once: it may stand there once.")
    _check_are_the_test_records(set(ids.tolist()), test_set)
    test = test_set.of_split("test")
    own = test.select(_places(test, ids))
    with np.errstate(over="ignore"):  # what does not fit becomes infinite, and `validate` refuses it
        scores = replace(own, scores=np.ascontiguousarray(matrix, np.float32))
    scores.validate()
    return scores


def _check_task(scores: Scores, test_set: TestSet) -> None:
    given, wanted = (scores.task, scores.task_version), (test_set.key, test_set.card.version)
    if given != wanted:
        raise EcgbenchError(
            f"it is of task {given[0]} version {given[1]}, and --task {wanted[0]} is version {wanted[1]} now: name the task "
            "that was scored, or score the records again."
        )


def _check_classes(given: list[str], test_set: TestSet) -> None:
    wanted = test_set.records.class_id.tolist()
    if given == wanted:
        return
    lacking = [name for name in wanted if name not in given]
    strange = [name for name in given if name not in wanted]
    if lacking or strange or len(given) != len(wanted):
        what = f"lacks '{lacking[0]}'" if lacking else f"holds '{strange[0]}'" if strange else "name one twice"
        raise EcgbenchError(f"its class_id {what}: the {len(wanted)} classes of {test_set.key} are needed, each once.")
    at = next(i for i in range(len(wanted)) if given[i] != wanted[i])
    raise EcgbenchError(
        f"its classes stand in another order than the task's: '{given[at]}' at place {at}, where '{wanted[at]}' belongs; put "
        "class_id and the columns of scores into the order of `--template`."
    )


def _check_records(scores: Scores, test_set: TestSet) -> None:
    """Test records are the test set's; validation records are all of its, or none."""
    _check_are_the_test_records(set(scores.rows("test").record_id.tolist()), test_set)
    given = set(scores.rows("validation").record_id.tolist())
    wanted = set(test_set.of_split("validation").record_id.tolist())
    if given and given != wanted:
        first = min(given ^ wanted)
        what = "lacks" if first in wanted else "holds"
        raise EcgbenchError(
            f"it {what} the validation record '{first}': give all {len(wanted)} validation records of the task, or none."
        )


def _check_are_the_test_records(given: set[str], test_set: TestSet) -> None:
    wanted = set(test_set.of_split("test").record_id.tolist())
    strange, missing = sorted(given - wanted), sorted(wanted - given)
    if strange:
        first = next(filter(test_set.split_of, strange), strange[0])
        belongs = test_set.split_of(first) or "neither a test nor a validation record of the task"
        whole = "no test record at all" if not given & wanted else f"{len(strange)} that are no test records"
        raise EcgbenchError(
            f"it holds {whole} of {test_set.key}: '{first}' is {belongs}; give the {len(wanted)} test records."
        )
    if missing:
        raise EcgbenchError(
            f"it lacks {len(missing)} of the {len(wanted)} test records of {test_set.key}: '{missing[0]}'"
            f"{' and more' if len(missing) > 1 else ''}; score them all."
        )


def _check_against(scores: Scores, test_set: TestSet) -> None:
    """Patients, splits and labels as the test set has them."""
    own = test_set.records.select(_places(test_set.records, scores.record_id))
    for name, given, wanted in (
        ("patient", scores.patient_id, own.patient_id),
        ("split", scores.split, own.split),
    ):
        wrong = np.flatnonzero(given != wanted)
        if wrong.size:
            at = wrong[0]
            raise EcgbenchError(
                f"it gives record '{scores.record_id[at]}' the {name} '{given[at]}', and the data say '{wanted[at]}'."
            )
    rows = np.flatnonzero((scores.labels != own.labels).any(axis=1))
    if rows.size:
        row, column = rows[0], int(np.flatnonzero(scores.labels[rows[0]] != own.labels[rows[0]])[0])
        raise EcgbenchError(
            f"it gives record '{scores.record_id[row]}' {scores.labels[row, column]} of the class "
            f"'{scores.class_id[column]}', and the data say {own.labels[row, column]}."
        )


def _with_known(scores: Scores, test_set: TestSet) -> Scores:
    """In the test set's order, with the sex, age band and site that it knows."""
    keep = np.isin(test_set.records.record_id, scores.record_id)
    own = test_set.records.select(keep)
    return replace(own, scores=scores.scores[_places(scores, own.record_id)])


def _places(records: Scores, ids: np.ndarray) -> np.ndarray:
    """Where each id stands among the records, all of which must be there."""
    order = np.argsort(records.record_id)
    return np.asarray(order[np.searchsorted(records.record_id[order], ids)])


def _first_twice(ids: np.ndarray) -> str | None:
    names, counts = np.unique(ids, return_counts=True)
    return str(names[counts > 1][0]) if (counts > 1).any() else None
