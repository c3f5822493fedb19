"""What each stress of `evaluation.stress` costs a trained model, on the same patients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ecgbench.cards import InputContract
from ecgbench.ecg.inputs import Batch, convert
from ecgbench.ecg.store import Store
from ecgbench.errors import EcgbenchError
from ecgbench.evaluation.bootstrap import interval, patient_weights
from ecgbench.evaluation.metrics import metric_named
from ecgbench.evaluation.scores import Scores
from ecgbench.evaluation.scoring import bounds, number
from ecgbench.evaluation.stress import Stress, stresses
from ecgbench.pipeline.prepare import Prepared

if TYPE_CHECKING:
    from ecgbench.pipeline.model import Side

UNHARMED = "as recorded"


@dataclass(frozen=True)
class Cost:
    """The primary metric of a task under a stress, and its paired difference to the unharmed recordings with the 95 %
    interval over patients. None where the encoder's card refuses such a recording."""

    stress: str
    task: str
    metric: str
    value: float | None
    difference: float | None
    ci: list[float] | None
    refused: bool = False


class StressedInputs:
    """Rows of a store as an encoder is fed them under a stress, made when they are asked for."""

    def __init__(self, store: Store, contract: InputContract, rate: int, stress: Stress | None) -> None:
        self.store, self.contract, self.rate, self.stress = store, contract, rate, stress
        self.masks = store.lead_masks()
        self.valid = store.records["valid_samples"].to_numpy()
        self.names = store.records["record"].to_numpy(dtype=str)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        """float32 (n, leads, samples)."""
        signals = self.store.signals(rows)
        batch = Batch(signals, self.masks[rows], self.valid[rows], self.names[rows].tolist())
        return convert(self.stress.apply(batch) if self.stress else batch, self.contract, self.rate)


def stress_costs(prepared: Prepared, side: Side, progress: Callable[[int, int], None]) -> list[Cost]:
    """Every stress on the test records of every task. `side` holds the trained weights."""
    store, contract, rate = prepared.store, prepared.request.encoder.input, prepared.request.rate
    side.prepared = _tested_only(prepared)
    costs: list[Cost] = []
    unharmed: dict[str, Scores] = {}
    every: list[Stress | None] = [None, *stresses()]
    for done, stress in enumerate(every):
        refused = stress is not None and stress.removes in contract.leads and contract.missing_lead == "refuse"
        scored = {} if refused else _scores(side, StressedInputs(store, contract, rate, stress))
        unharmed = unharmed or scored
        costs += [
            _cost(
                stress.name if stress else UNHARMED,
                task.key,
                task.card.primary,
                scored.get(task.key),
                unharmed[task.key],
            )
            for task in side.prepared.tasks
        ]
        progress(done + 1, len(every))
    return costs


def _tested_only(prepared: Prepared) -> Prepared:
    split = prepared.store.records["split"].to_numpy(dtype=str)
    asked = [task for task in prepared.tasks if not task.probe]  # a probe would be fitted to the harm
    if not asked:
        raise EcgbenchError("--stress has no use for linear probes alone: name a task that is asked by prompts.")
    tasks = tuple(replace(task, rows=task.rows[split[task.rows] == "test"]) for task in asked)
    return replace(prepared, tasks=tasks)


def _scores(side: Side, inputs: Any) -> dict[str, Scores]:
    return {task.key: task.scores(matrix) for task, matrix in side.matrices(inputs)}


def _cost(stress: str, task: str, name: str, harmed: Scores | None, unharmed: Scores) -> Cost:
    if harmed is None:
        return Cost(stress, task, name, None, None, None, refused=True)
    metric = metric_named(name)
    weights = patient_weights(unharmed.patient_id, plain=True)
    values, before = (metric.values(each.scores, each.labels, weights)[0] for each in (harmed, unharmed))
    difference = values - before
    return Cost(stress, task, name, number(values[0]), number(difference[0]), bounds(interval(difference[1:])))
