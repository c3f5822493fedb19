"""Tasks that are linear probes -> their scores, from an encoder's features."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ecgbench.evaluation.probe import chosen_patients, fit_probe
from ecgbench.evaluation.tables import TaskRecords

Features = Callable[[np.ndarray], np.ndarray]
"""Rows of a store -> the encoder's features of them, (n, dim) float32."""


def probed(tasks: Sequence[TaskRecords], features: Features) -> Iterator[tuple[TaskRecords, np.ndarray]]:
    """Each probe with its logits (rows, classes). It is fitted on its share of the training records that hold one of the
    task's classes, its penalty chosen on the validation records, whole patients kept together."""
    wanted = np.unique(np.concatenate([np.concatenate([training_rows(task), task.rows]) for task in tasks]))
    known = features(wanted)
    for task in tasks:
        assert task.probe is not None
        split = task.store.records["split"].to_numpy(dtype=str)
        patients = task.store.records["patient"].to_numpy(dtype=str)
        training = training_rows(task)
        training = training[chosen_patients(patients[training], task.probe.share, task.probe.seed)]
        validation = task.rows[split[task.rows] == "validation"]

        def of(rows: np.ndarray) -> np.ndarray:
            return known[np.searchsorted(wanted, rows)]

        positive = task.targets.counts > 0
        probe = fit_probe(of(training), positive[training], of(validation), positive[validation])
        yield task, probe.logits(of(task.rows))


def training_rows(task: TaskRecords) -> np.ndarray:
    """The training records that hold one of the task's classes, ascending."""
    split = task.store.records["split"].to_numpy(dtype=str)
    return np.flatnonzero((split == "train") & task.targets.belongs)
