"""The records that a submitted file must hold: from a store, or from the results that a board has already."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecgbench.cards import Mapping, TaskCard
from ecgbench.catalogue import all_cards
from ecgbench.ecg.store import SPLITS, Store
from ecgbench.errors import EcgbenchError, unknown_name
from ecgbench.evaluation.scores import Scores
from ecgbench.evaluation.tables import task_records
from ecgbench.evaluation.targets import task_keys
from ecgbench.files import hash_file
from ecgbench.findings import label_bank
from ecgbench.leaderboard.collect import Boards, Submission
from ecgbench.results import DataPart, SplitCount, read_result


@dataclass(frozen=True, eq=False)
class TestSet:
    """The validation and test records of a task, with patients and labels; the scores in `records` mean nothing.
    `elsewhere`: what is known of other records of the data, by id. `n_excluded` test records have no label of the task."""

    key: str
    card: TaskCard
    mapping: Mapping
    records: Scores
    n_excluded: int
    data: DataPart
    elsewhere: dict[str, str]

    __test__ = False  # pytest: no class of tests

    def of_split(self, split: str) -> Scores:
        return self.records.rows(split)

    def split_of(self, record: str) -> str | None:
        """In words, where a record that is no test record of the task belongs; None for one that is not known."""
        at = np.flatnonzero(self.records.record_id == record)
        return f"in the {self.records.split[at[0]]} split" if at.size else self.elsewhere.get(record)


def task_named(key: str) -> tuple[TaskCard, Mapping]:
    """The card of a task by the name that results give it (`superclass_clinical`), and the mapping that it means."""
    cards = all_cards(TaskCard)[0]
    known: dict[str, tuple[TaskCard, Mapping]] = {}
    for card in cards:
        for mapping in tuple(card.mappings) or ("paper",):
            known.update(dict.fromkeys(task_keys(card, mapping), (card, mapping)))
    if key not in known:
        raise unknown_name("task", key, known, "ecgbench ls tasks")
    return known[key]


def from_store(key: str, store: Store) -> TestSet:
    """EcgbenchError where the store is labelled by another table, or has no test record of the task."""
    card, mapping = task_named(key)
    bank = label_bank(card.labels)
    manifest = store.manifest
    if manifest.labels != card.labels or manifest.labels_hash != bank.hash:
        raise EcgbenchError(
            f"task {key} is about labels in {card.labels}, and the store '{store.folder}' is labelled by "
            f"{manifest.labels}: give the store that was scored."
        )
    task = next(each for each in task_records(card, bank, mapping, store) if each.key == key)
    scores = task.scores(np.zeros((len(task.rows), len(task.targets.class_ids)), np.float32))
    own = set(scores.record_id.tolist())
    splits = store.records["split"].to_numpy(dtype=str)
    others = {
        str(record): "a test record without a class of the task" if split == "test" else f"in the {split} split"
        for record, split in zip(store.records["record"], splits, strict=True)
        if str(record) not in own
    }
    data = DataPart(
        **manifest.model_dump(include=set(DataPart.model_fields) - {"splits"}),
        splits={
            split: SplitCount(
                records=int((splits == split).sum()),
                patients=int(store.records["patient"][splits == split].nunique()),
            )
            for split in SPLITS
        },
    )
    return _checked(TestSet(key, card, mapping, scores, task.n_excluded, data, others))


def from_board(key: str, data_hash: str, results_dir: Path) -> TestSet:
    """The records of a result that stands below `results_dir` already, on the data of that hash and with scores of the task.
    EcgbenchError where there is none."""
    card, mapping = task_named(key)
    hashes: dict[str, str] = {}
    for path in sorted(results_dir.glob("*/*/result.json")):
        result = read_result(path)
        hashes[Boards().name(result)] = result.data.data_hash
        if result.data.data_hash != data_hash or key not in result.tasks or result.submitted:
            continue
        submission = Submission(path.parent, path.parent.name, "", result, hash_file(path))
        scores = submission.scores(key)
        told = result.comparable[key]
        if scores and (told.version, told.labels) == (card.version, label_bank(card.labels).hash):
            return _checked(TestSet(key, card, mapping, scores, result.tasks[key].n_excluded, result.data, {}))
    there = ", ".join(f"{name} ({each[:12]}…)" for name, each in sorted(hashes.items())) or "none"
    if data_hash in hashes.values():
        raise EcgbenchError(
            f"no result with scores of task {key}, version {card.version}, has the data hash {data_hash[:12]}…: say with "
            "--data SOURCE where the records are."
        )
    raise EcgbenchError(
        f"no board in {results_dir} has the data hash '{data_hash[:12]}…'; there are {there}: give the hash of the data that "
        "you scored, and with --data SOURCE where they are if they have no board yet."
    )


def _checked(found: TestSet) -> TestSet:
    if not (found.records.split == "test").any():
        raise EcgbenchError(f"the data have no test record for task {found.key}: nothing can be submitted to it.")
    return found
