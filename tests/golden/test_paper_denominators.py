"""The paper's tables count label instances: their denominators follow from the label table."""

from __future__ import annotations

import numpy as np
import pytest

from ecgbench.cards import TaskCard
from ecgbench.catalogue import load_card
from ecgbench.evaluation.scores import Scores
from ecgbench.evaluation.scoring import score_task
from ecgbench.evaluation.targets import TaskTargets, task_targets
from ecgbench.findings import label_bank

PER_CLASS = {
    "superclass": (639, 1254, 930, 588, 1562),
    "rhythm": (639, 316, 82, 166, 52),
    "mitbih": (639, 139, 544, 92, 194),
}
TOTALS = {"superclass": 4973, "rhythm": 1255, "mitbih": 1608, "retrieval98": 7710}


def one_record_an_instance() -> list[tuple[str]]:
    """Table 9: as many records with that one finding as the paper's test set has instances of it."""
    bank = label_bank("labels98.csv")
    return [(each.id,) for each in bank.findings for _ in range(int(each.columns["n_test"]))]


def constant_scores(card: TaskCard, targets: TaskTargets) -> Scores:
    counts = targets.counts[targets.belongs]
    record = np.array([f"record-{row}" for row in np.flatnonzero(targets.belongs)])
    blank = np.full(len(record), "")
    return Scores(
        card.name, card.version, record, record, np.full(len(record), "test"), np.array(targets.class_ids),
        np.zeros(counts.shape, dtype=np.float32), counts, blank, blank, blank,
    )  # fmt: skip


@pytest.mark.parametrize("task", sorted(TOTALS))
def test_denominators_are_the_papers(task: str) -> None:
    card = load_card(TaskCard, task)
    bank = label_bank(card.labels)
    targets = task_targets(card, bank, "paper", one_record_an_instance())
    result = score_task(constant_scores(card, targets), card, replicates=2)
    assert result["n_instances"] == result["n_records"] == TOTALS[task]
    n = tuple(each["n"] for each in result["per_class"].values())
    assert n == PER_CLASS.get(task, tuple(int(each.columns["n_test"]) for each in bank.findings))
    assert result["absent"] == []


def test_two_findings_of_one_class_count_twice() -> None:
    """The mapping sends both to Conduction Disturbance, and one of them to Right bundle branch block beat."""
    card = load_card(TaskCard, "superclass")
    bank = label_bank(card.labels)
    block = [name for name, value in bank.column("superclass_paper").items() if value == "Conduction Disturbance"][:2]
    records = [*one_record_an_instance(), tuple(block)]
    targets = task_targets(card, bank, "paper", records)
    result = score_task(constant_scores(card, targets), card, replicates=2)
    assert result["n_records"] == 4973 + 1 and result["n_instances"] == 4973 + 2
    doubled = result["per_class"]["conduction-disturbance"]
    assert (doubled["n"], doubled["positives"]) == (1254 + 2, 1254 + 1)
