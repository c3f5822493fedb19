"""Does a scores file fit the store that it claims to be of?"""

from __future__ import annotations

import numpy as np

from ecgbench.cards import Mapping, TaskCard
from ecgbench.ecg.store import Store
from ecgbench.errors import EcgbenchError
from ecgbench.evaluation.scores import Scores
from ecgbench.evaluation.tables import TaskRecords, task_records
from ecgbench.findings import label_bank


def check_against_store(scores: Scores, card: TaskCard, store: Store) -> None:
    """EcgbenchError, naming the first offender, where the file has other records, splits, patients or labels than the
    store has for the task. Records and classes may stand in another order."""
    bank = label_bank(card.labels)
    if store.manifest.labels != card.labels or store.manifest.labels_hash != bank.hash:
        raise EcgbenchError(
            f"scores of {scores.task} are of labels in {card.labels}, and the store '{store.folder}' is labelled by "
            f"{store.manifest.labels}: give the store that was scored."
        )
    task = _of_key(scores.task, card, store)
    table = store.records.iloc[task.rows]
    place = {str(record): row for row, record in enumerate(table["record"])}
    known = {
        str(record): str(split) for record, split in zip(store.records["record"], store.records["split"], strict=True)
    }
    for record, split in zip(scores.record_id.tolist(), scores.split.tolist(), strict=True):
        if record not in known:
            raise EcgbenchError(f"scores hold the record '{record}', which the store '{store.folder}' does not have.")
        if known[record] != split:
            raise EcgbenchError(
                f"scores have the record '{record}' in {split}, and in the store '{store.folder}' it is in {known[record]}."
            )
        if record not in place:
            raise EcgbenchError(f"scores hold the record '{record}', which has no class of task {scores.task}.")
    missing = [record for record in place if record not in set(scores.record_id.tolist())]
    if missing:
        raise EcgbenchError(
            f"scores lack the record '{missing[0]}' and {len(missing) - 1} more of the task's in '{store.folder}': score all."
        )
    rows = np.array([place[record] for record in scores.record_id.tolist()], np.int64)
    _check_patients_and_labels(scores.with_classes(task.targets.class_ids), task, rows)


def _of_key(key: str, card: TaskCard, store: Store) -> TaskRecords:
    mappings: tuple[Mapping, ...] = tuple(card.mappings) or ("paper",)
    bank = label_bank(card.labels)
    of_all = [each for mapping in mappings for each in task_records(card, bank, mapping, store)]
    return next(each for each in of_all if each.key == key)


def _check_patients_and_labels(scores: Scores, task: TaskRecords, rows: np.ndarray) -> None:
    """`rows`: where each record of the file stands among the task's."""
    patients = task.store.records["patient"].to_numpy(dtype=str)[task.rows][rows]
    labels = task.targets.counts[task.rows][rows]
    for row, record in enumerate(scores.record_id.tolist()):
        if scores.patient_id[row] != patients[row]:
            raise EcgbenchError(
                f"scores give record '{record}' the patient '{scores.patient_id[row]}', the store says '{patients[row]}'."
            )
        wrong = np.flatnonzero(scores.labels[row] != labels[row])
        if wrong.size:
            raise EcgbenchError(
                f"scores give record '{record}' {scores.labels[row, wrong[0]]} of the class "
                f"'{scores.class_id[wrong[0]]}', and by the store it has {labels[row, wrong[0]]}."
            )
