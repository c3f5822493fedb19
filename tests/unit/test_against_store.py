"""A scores file held against the store it is of: the first offender is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ecgbench.cards import TaskCard
from ecgbench.catalogue import load_card
from ecgbench.cli.main import run_command
from ecgbench.ecg.build import store_for
from ecgbench.ecg.store import Store
from ecgbench.errors import EcgbenchError
from ecgbench.evaluation.against_store import check_against_store
from ecgbench.evaluation.scores import Scores
from ecgbench.evaluation.tables import task_records
from ecgbench.findings import label_bank

SOURCE = "synth98:balanced=6,labels=atrial-fibrillation+normal+flat-t-wave"
CARD = load_card(TaskCard, "superclass")


@pytest.fixture(scope="module")
def store() -> Store:
    return store_for(SOURCE)


@pytest.fixture
def scores(store: Store) -> Scores:
    (task,) = task_records(CARD, label_bank(), "paper", store)
    return task.scores(np.random.default_rng(0).normal(size=(len(task.rows), 5)))


def test_scores_of_the_store_fit_in_any_order(store: Store, scores: Scores) -> None:
    check_against_store(scores, CARD, store)
    turned = scores.select(np.arange(len(scores.record_id))[::-1]).with_classes(tuple(scores.class_id[::-1].tolist()))
    check_against_store(turned, CARD, store)


def changed(scores: Scores, field: str, value: object) -> Scores:
    array = getattr(scores, field).copy().astype("<U40")
    array[0] = value
    return replace(scores, **{field: array})


def relabelled(scores: Scores) -> Scores:
    labels = scores.labels.copy()
    labels[2] = np.roll(labels[2], 1) + (labels[2] == labels[2].max())
    return replace(scores, labels=labels)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda s: changed(s, "record_id", "x1"), "hold the record 'x1', which the store '.*' does not have"),
        (lambda s: changed(s, "patient_id", "px"), "the patient 'px', the store says '"),
        (
            lambda s: replace(s, split=np.where(s.split == "test", "validation", "test")),
            "scores have the record '.*' in (test|validation), and in the store '.*' it is in (test|validation)",
        ),
        (lambda s: s.select(np.arange(1, len(s.record_id))), "scores lack the record '.*' and 0 more"),
        (relabelled, "of the class '.*', and by the store it has"),
    ],
)
def test_the_first_offender_is_named(
    store: Store, scores: Scores, harm: Callable[[Scores], Scores], message: str
) -> None:
    with pytest.raises(EcgbenchError, match=message):
        check_against_store(harm(scores), CARD, store)


def test_a_store_of_other_labels_is_said(scores: Scores, store: Store) -> None:
    with pytest.raises(EcgbenchError, match=r"is labelled by labels98.csv: give the store that was scored"):
        check_against_store(scores, load_card(TaskCard, "ptbxl-superclass"), store)


def test_rescore_holds_a_file_against_data(
    store: Store, scores: Scores, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores.save(tmp_path / "good.npz")
    changed(scores, "record_id", "x1").save(tmp_path / "bad.npz")
    assert run_command(["rescore", str(tmp_path / "good.npz"), "--data", SOURCE]) == 0
    assert "superclass version" in capsys.readouterr().out
    assert run_command(["rescore", str(tmp_path / "bad.npz"), "--data", SOURCE]) == 2
    out, err = capsys.readouterr()
    assert out == "" and "bad.npz: scores hold the record 'x1'" in err
