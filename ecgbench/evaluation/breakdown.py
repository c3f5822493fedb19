"""A task's test records taken apart: by sex, age band and site, and by findings that training met or did not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ecgbench.cards import TaskCard
from ecgbench.evaluation.metrics import metric_named
from ecgbench.evaluation.scores import Scores

GROUPED = ("sex", "age_band", "site")
"""Attributes of a record by which every task is told apart, where they are known."""
FIRST = "top1"


@dataclass(frozen=True, eq=False)
class Piece:
    """Test records of one `value` of a `kind` (sex: female), or of kind `parts` all of them with the labels of the seen or
    the unseen findings alone. `n_classes`: the classes that its labels may name."""

    kind: str
    value: str
    test: Scores
    n_classes: int
    metrics: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.value if self.kind == "parts" else f"{self.kind} {self.value}"


def compared_metrics(card: TaskCard) -> tuple[str, ...]:
    """The metrics that a board compares and that groups are told in: the primary one, and top-1 of a retrieval task."""
    return tuple(dict.fromkeys([card.primary, *(name for name in (FIRST,) if name in card.metrics)]))


def pieces(test: Scores, card: TaskCard) -> Iterator[Piece]:
    """Every piece of the test records of a task, those of unknown sex, age or site in none."""
    told = tuple(name for name in compared_metrics(card) if not metric_named(name).rounded)
    for kind in GROUPED:
        values = getattr(test, kind)
        for value in sorted(set(values.tolist()) - {""}):
            yield Piece(kind, value, test.select(values == value), len(test.class_id), told)
    if card.held_out:
        unseen = np.isin(test.class_id, list(card.unseen))
        without_choice = tuple(name for name in card.metrics if not metric_named(name).rounded)
        for value, columns in (("seen", ~unseen), ("unseen", unseen)):
            labels = np.where(columns, test.labels, 0).astype(test.labels.dtype)
            yield Piece("parts", value, replace(test, labels=labels), int(columns.sum()), without_choice)
