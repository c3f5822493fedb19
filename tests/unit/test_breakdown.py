"""Groups of records and parts of findings are what the task gives on those records and findings alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ecgbench.cards import TaskCard
from ecgbench.catalogue import load_card
from ecgbench.evaluation.breakdown import compared_metrics
from ecgbench.evaluation.metrics import metric_named
from ecgbench.evaluation.scores import Scores
from ecgbench.evaluation.scoring import score_task
from ecgbench.evaluation.targets import class_ids
from ecgbench.findings import label_bank
from ecgbench.leaderboard.replay import replay
from ecgbench.leaderboard.verify import mismatches
from ecgbench.results import TaskScore
from tests.unit.test_scoring import random_scores

CARDS = [load_card(TaskCard, name) for name in ("superclass", "retrieval98", "linear-probe")]
UNSEEN = load_card(TaskCard, "unseen-labels")


def known(card: TaskCard) -> Scores:
    """Scores whose records have sex, age band and site, some unknown."""
    scores = random_scores(load_card(TaskCard, "retrieval98" if not card.mappings else card.name))
    n = len(scores.record_id)
    rng = np.random.default_rng(1)
    return replace(
        scores,
        task="linear-probe-100pct" if card.kind == "linear_probe" else card.name,
        task_version=card.version,
        sex=rng.choice(["female", "male", ""], n),
        age_band=rng.choice(["40-64", "65-89"], n),
        site=rng.choice(["第一病院", "second", ""], n),
    )


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_a_group_is_the_task_on_its_records(card: TaskCard) -> None:
    scores = known(card)
    groups = score_task(scores, card, replicates=50)["groups"]
    assert {kind: set(values) for kind, values in groups.items()} == {
        "sex": {"female", "male"}, "age_band": {"40-64", "65-89"}, "site": {"第一病院", "second"},
    }  # fmt: skip
    for kind, values in groups.items():
        for value, found in values.items():
            alone = score_task(scores.select(getattr(scores, kind) == value), card, replicates=50)
            assert set(found["metrics"]) == set(compared_metrics(card))
            for name in found["metrics"]:
                assert found["metrics"][name] == alone["metrics"][name], (kind, value, name)
            for count in ("n_records", "n_patients", "n_instances", "n_present"):
                assert found[count] == alone[count]


def test_nothing_known_makes_no_group() -> None:
    assert score_task(random_scores(CARDS[0]), CARDS[0], replicates=5)["groups"] == {}


def test_parts_are_the_instances_of_seen_and_unseen_findings() -> None:
    """Top-5, MRR and AUROC of each part, one instance after another."""
    scores = known(UNSEEN)
    result = score_task(scores, UNSEEN, replicates=20)
    test = scores.rows("test")
    ids = class_ids(UNSEEN, label_bank())
    ranks: dict[str, list[float]] = {"seen": [], "unseen": []}
    for row in range(len(test.labels)):
        for column, name in enumerate(ids):
            if test.labels[row, column]:
                higher = int((test.scores[row] > test.scores[row, column]).sum())
                tied = int((test.scores[row] == test.scores[row, column]).sum())
                part = "unseen" if name in UNSEEN.unseen else "seen"
                ranks[part].append(sum(1 / (higher + place) for place in range(1, tied + 1)) / tied)
    for part, each in ranks.items():
        assert result["parts"][part]["n_instances"] == len(each)
        assert result["parts"][part]["metrics"]["mrr"]["value"] == pytest.approx(np.mean(each), abs=1e-9)
    aurocs = [result["per_class"][name]["auroc"] for name in ids if name in UNSEEN.unseen]
    mean = np.mean([value for value in aurocs if value is not None])
    assert result["parts"]["unseen"]["metrics"]["macro_auroc"]["value"] == pytest.approx(mean, abs=1e-9)
    assert result["parts"]["unseen"]["n_classes"] == len(UNSEEN.unseen)
    assert not any(metric_named(name).rounded for name in result["parts"]["seen"]["metrics"])


@pytest.mark.parametrize("card", [CARDS[0], UNSEEN], ids=lambda card: card.name)
def test_an_edited_group_or_part_is_found_out(card: TaskCard) -> None:
    scores = known(card)
    score = TaskScore.model_validate(score_task(scores, card))
    measured = replay(scores, card)
    assert mismatches(score, card, measured) == []
    kind, value = "sex", "female"
    piece = score.groups[kind][value]
    name = card.primary
    metric = piece.metrics[name].model_copy(update={"value": (piece.metrics[name].value or 0) + 0.01})
    edited = piece.model_copy(update={"metrics": {**piece.metrics, name: metric}})
    told = score.model_copy(update={"groups": {**score.groups, kind: {**score.groups[kind], value: edited}}})
    assert any(f"{name} of sex female is" in what for what in mismatches(told, card, measured))
    fewer = piece.model_copy(update={"n_records": piece.n_records - 1})
    told = score.model_copy(update={"groups": {**score.groups, kind: {**score.groups[kind], value: fewer}}})
    assert any("the counts of sex female" in what for what in mismatches(told, card, measured))
    told = score.model_copy(update={"groups": {}})
    assert any("told apart by" in what for what in mismatches(told, card, measured))


@pytest.mark.parametrize("card", [CARDS[0], UNSEEN], ids=lambda card: card.name)
def test_scores_kept_as_float16_leave_every_group_within_its_room(card: TaskCard, tmp_path: object) -> None:
    rng = np.random.default_rng(3)
    scores = known(card)
    fine = replace(scores, scores=(rng.normal(0, 0.2, scores.scores.shape) + 0.1 * scores.labels).astype(np.float32))
    score = TaskScore.model_validate(score_task(fine, card))
    half = replace(fine, scores=fine.scores.astype(np.float16).astype(np.float32))
    assert mismatches(score, card, replay(half, card)) == []
