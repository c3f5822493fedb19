"""Records of a store and a matrix of scores -> the scores file of a task."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ecgbench.cards import Mapping, TaskCard
from ecgbench.ecg.store import Store
from ecgbench.evaluation.references import majority_scores
from ecgbench.evaluation.scores import Scores, age_band
from ecgbench.evaluation.targets import (
    ProbeShare,
    TaskTargets,
    finding_to_class,
    probe_shares,
    task_key,
    task_targets,
)
from ecgbench.findings import LabelBank


@dataclass(frozen=True)
class TaskRecords:
    """The records of a store that a task scores: its validation and test rows that hold one of its classes. `train_counts`
    (1, classes): the label instances of each class in training."""

    card: TaskCard
    key: str
    store: Store
    rows: np.ndarray
    targets: TaskTargets
    n_excluded: int
    train_counts: np.ndarray
    probe: ProbeShare | None = None

    def scores(self, matrix: np.ndarray) -> Scores:
        """The scores file for `matrix` (rows, classes)."""
        table = self.store.records.iloc[self.rows]
        ages = [age_band(float(age) if age else None) for age in table["age"]]
        scores = Scores(
            task=self.key,
            task_version=self.card.version,
            record_id=table["record"].to_numpy(dtype=str),
            patient_id=table["patient"].to_numpy(dtype=str),
            split=table["split"].to_numpy(dtype=str),
            class_id=np.array(self.targets.class_ids),
            scores=np.ascontiguousarray(matrix, dtype=np.float32),
            labels=self.targets.counts[self.rows],
            sex=table["sex"].to_numpy(dtype=str),
            age_band=np.array(ages),
            site=table["site"].to_numpy(dtype=str),
        )
        scores.validate()
        return scores

    def majority(self) -> Scores:
        """The `majority` reference: classes by their label instances in training."""
        return self.scores(majority_scores(self.train_counts, len(self.rows)))


def task_records(card: TaskCard, bank: LabelBank, mapping: Mapping, store: Store) -> list[TaskRecords]:
    """Find a task's records and labels in a store: once, or once a probe. Validation records with a held-out finding are
    left out."""
    targets = task_targets(card, bank, mapping, store.findings())
    split = store.records["split"].to_numpy(dtype=str)
    seen = ~holds_any(store, card.unseen)
    evaluated = (split == "test") | ((split == "validation") & seen)
    whole = TaskRecords(
        card=card,
        key=task_key(card, mapping),
        store=store,
        rows=np.flatnonzero(evaluated & targets.belongs),
        targets=targets,
        n_excluded=int(((split == "test") & ~targets.belongs).sum()),
        train_counts=targets.counts.sum(axis=0, dtype=np.int64, where=((split == "train") & seen)[:, None])[None],
    )
    probes = probe_shares(card)
    return [replace(whole, key=whole.key + each.suffix, probe=each) for each in probes] or [whole]


def holds_any(store: Store, findings: frozenset[str]) -> np.ndarray:
    """bool (n,): which records of a store have one of the findings."""
    if not findings:
        return np.zeros(len(store), bool)
    return np.array([not findings.isdisjoint(named) for named in store.findings()], bool)


def class_maximum(card: TaskCard, bank: LabelBank, mapping: Mapping, per_finding: np.ndarray) -> np.ndarray:
    """Scores of findings (n, findings) -> of a task's classes (n, classes): the maximum over the findings that map to a
    class. A class that no finding maps to gets the lowest score of the record."""
    if not card.mappings:
        return per_finding
    index = finding_to_class(card, bank, mapping)
    out = np.repeat(per_finding.min(1, keepdims=True), len(card.classes), axis=1)
    for class_position in range(len(card.classes)):
        columns = [bank.position(finding) for finding, position in index.items() if position == class_position]
        if columns:
            out[:, class_position] = per_finding[:, columns].max(1)
    return out
