"""Which records belong to a task, and which of its classes they hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ecgbench.cards import Mapping, TaskCard
from ecgbench.errors import EcgbenchError
from ecgbench.findings import LabelBank


@dataclass(frozen=True, eq=False)
class TaskTargets:
    """The labels of n records for the c classes of a task.

    `counts` (n, c) int16: how many of the record's findings map to the class. `belongs` (n,) bool: the record
    has at least one; the others are out of the task and counted as excluded.
    """

    class_ids: tuple[str, ...]
    counts: np.ndarray
    belongs: np.ndarray


def class_ids(card: TaskCard, bank: LabelBank) -> tuple[str, ...]:
    """The classes of a task in order: those of the card, without a mapping every finding of the label bank."""
    return tuple(each.id for each in card.classes) if card.mappings else bank.ids


def task_key(card: TaskCard, mapping: Mapping) -> str:
    """The name under which scores and results of a task stand: `superclass`, `superclass_clinical`.

    A task without mappings has the same name under either.
    """
    return card.name if mapping == "paper" or not card.mappings else f"{card.name}_{mapping}"


@dataclass(frozen=True)
class ProbeShare:
    """How many of the training records a linear probe is given, and the seed by which they are drawn."""

    share: float
    seed: int

    @property
    def suffix(self) -> str:
        drawn = f"-seed{self.seed}" if self.share < 1 else ""
        return f"-{100 * self.share:g}pct{drawn}"


def probe_shares(card: TaskCard) -> list[ProbeShare]:
    """Every probe of a card: all of the records once, a smaller share with each seed; none of other kinds of task."""
    return [
        ProbeShare(share, seed)
        for share in card.shares
        for seed in (card.seeds if share < 1 else (card.seeds or (0,))[:1])
    ]


def task_keys(card: TaskCard, mapping: Mapping) -> tuple[str, ...]:
    """All names under which scores and results of a card stand: one, or one a probe."""
    key = task_key(card, mapping)
    return tuple(key + each.suffix for each in probe_shares(card)) or (key,)


def keys_of(card: TaskCard) -> frozenset[str]:
    """The names of a card under any mapping."""
    return frozenset(key for mapping in (*card.mappings, "paper") for key in task_keys(card, mapping))


def finding_to_class(card: TaskCard, bank: LabelBank, mapping: Mapping) -> dict[str, int]:
    """Finding id -> index of its class, for the findings that have one under the mapping."""
    if not card.mappings:
        return {finding: i for i, finding in enumerate(bank.ids)}
    if mapping not in card.mappings:
        raise EcgbenchError(f"task {card.name} has no mapping '{mapping}': choose {' or '.join(card.mappings)}.")
    index = {each.value: i for i, each in enumerate(card.classes)}
    cells = bank.column(card.mappings[mapping])
    for finding, value in cells.items():
        if value not in index:
            raise EcgbenchError(
                f"label table {bank.table} maps '{finding}' to '{value}' in column {card.mappings[mapping]}, "
                f"which is no class of task {card.name}: its classes are {', '.join(index)}."
            )
    return {finding: index[value] for finding, value in cells.items()}


def task_targets(card: TaskCard, bank: LabelBank, mapping: Mapping, findings: Sequence[Sequence[str]]) -> TaskTargets:
    """Count, for each record's findings (ids of the label bank), how many map to each class of the task.

    A finding named twice in one record counts once: a label instance is a (record, finding) pair.
    """
    ids = class_ids(card, bank)
    index = finding_to_class(card, bank, mapping)
    counts = np.zeros((len(findings), len(ids)), dtype=np.int16)
    for row, named in enumerate(findings):
        for finding in dict.fromkeys(named):
            if finding not in bank:
                raise EcgbenchError(
                    f"a record has the finding '{finding}', which is not in label table {bank.table}: "
                    "use that table's ids."
                )
            if finding in index:
                counts[row, index[finding]] += 1
    return TaskTargets(ids, counts, counts.sum(axis=1) > 0)
