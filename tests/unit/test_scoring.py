"""From records' findings to targets, and from a scores file to a task's part of the result file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from ecgbench.cards import TaskCard
from ecgbench.catalogue import load_card
from ecgbench.errors import EcgbenchError
from ecgbench.evaluation.bootstrap import interval, patient_weights
from ecgbench.evaluation.metrics import METRICS
from ecgbench.evaluation.scores import Scores
from ecgbench.evaluation.scoring import bootstrap_values, score_task
from ecgbench.evaluation.targets import class_ids, finding_to_class, task_key, task_targets
from ecgbench.files import canonical_json
from ecgbench.findings import Finding, LabelBank, label_bank

RHYTHM = load_card(TaskCard, "rhythm")
SUPERCLASS = load_card(TaskCard, "superclass")
RETRIEVAL = load_card(TaskCard, "retrieval98")
BANK = label_bank("labels98.csv")


def random_scores(card: TaskCard, n: int = 120, seed: int = 0) -> Scores:
    """Two thirds test records; of the classes, every seventh is absent and every third rare."""
    rng = np.random.default_rng(seed)
    ids = class_ids(card, BANK)
    rate = np.full(len(ids), 0.2)
    rate[::3] = 0.03
    labels = (rng.random((n, len(ids))) < rate).astype(np.int16)
    labels[:, 4::7] = 0
    labels[labels.sum(axis=1) == 0, 1] = 1
    if card.kind == "zero_shot":
        labels[::5] *= 2
    blank = np.full(n, "")
    split = np.array(["test", "validation", "test"])[np.arange(n) % 3]
    patient = np.array([f"{name}-{each}" for name, each in zip(split, rng.integers(0, 30, n), strict=True)])
    return Scores(
        card.name, card.version, np.array([f"r{each}" for each in range(n)]), patient, split, np.array(ids),
        (rng.integers(0, 6, labels.shape) + labels).astype(np.float32), labels, blank, blank, blank,
    )  # fmt: skip


# targets


def test_targets_count_findings_of_one_class() -> None:
    index = finding_to_class(SUPERCLASS, BANK, "paper")
    by_class = [[name for name in BANK.ids if index.get(name) == each] for each in range(5)]
    outside = next(name for name in BANK.ids if name not in index)
    findings = [
        (by_class[0][0],),
        (by_class[1][0], by_class[1][1], by_class[4][0], outside),
        (outside,),
        (),
        (by_class[2][0], by_class[2][0]),
    ]
    targets = task_targets(SUPERCLASS, BANK, "paper", findings)
    assert targets.class_ids == tuple(each.id for each in SUPERCLASS.classes)
    assert targets.counts.dtype == np.int16
    np.testing.assert_array_equal(targets.counts, [[1, 0, 0, 0, 0], [0, 2, 0, 0, 1], [0] * 5, [0] * 5, [0, 0, 1, 0, 0]])
    np.testing.assert_array_equal(targets.belongs, [True, True, False, False, True])


def test_retrieval_asks_for_every_finding_of_the_bank() -> None:
    targets = task_targets(RETRIEVAL, BANK, "paper", [(BANK.ids[97], BANK.ids[3]), ()])
    assert targets.class_ids == BANK.ids and targets.counts.shape == (2, 98)
    assert np.flatnonzero(targets.counts[0]).tolist() == [3, 97]
    np.testing.assert_array_equal(targets.belongs, [True, False])
    assert task_key(RETRIEVAL, "clinical") == "retrieval98"


def test_both_mappings_stand_beside_each_other() -> None:
    paper, clinical = (finding_to_class(SUPERCLASS, BANK, mapping) for mapping in ("paper", "clinical"))
    assert paper != clinical
    assert (task_key(SUPERCLASS, "paper"), task_key(SUPERCLASS, "clinical")) == (
        "superclass",
        "superclass_clinical",
    )
    only_paper = SUPERCLASS.model_copy(update={"mappings": {"paper": "superclass_paper"}})
    with pytest.raises(EcgbenchError, match="superclass has no mapping 'clinical': choose paper"):
        finding_to_class(only_paper, BANK, "clinical")


def test_no_task_without_targets() -> None:
    assert task_targets(RHYTHM, BANK, "paper", []).counts.shape == (0, 5)


def test_a_mapping_to_no_class_names_both() -> None:
    row = {"id": "af", "label_en": "AF", "label_ja": "心房細動", "rhythm_paper": "Atrial fibrilation"}
    bank = LabelBank("mine.csv", (Finding("af", {"en": "AF", "ja": "心房細動"}, row),))
    with pytest.raises(EcgbenchError, match=r"mine\.csv maps 'af' to 'Atrial fibrilation' .* no class of task rhythm"):
        finding_to_class(RHYTHM, bank, "paper")


def test_a_finding_outside_the_label_table_is_refused() -> None:
    with pytest.raises(EcgbenchError, match=r"'sinus tachycardia', which is not in label table labels98\.csv"):
        task_targets(RHYTHM, BANK, "paper", [("sinus-tachycardia",), ("sinus tachycardia",)])


# score_task


def test_the_shape_of_a_retrieval_result() -> None:
    scores = random_scores(RETRIEVAL)
    result = score_task(scores, RETRIEVAL, n_excluded=3, replicates=40)
    assert list(result) == [
        "version", "n_records", "n_instances", "n_patients", "n_excluded", "n_present", "absent", "few",
        "no_threshold", "metrics", "per_class", "calibration", "confusion", "parts", "groups",
    ]  # fmt: skip
    test = scores.rows("test")
    positives = dict(zip(BANK.ids, (test.labels > 0).sum(axis=0).tolist(), strict=True))
    assert (result["version"], result["n_records"], result["n_excluded"]) == (RETRIEVAL.version, 80, 3)
    assert result["n_instances"] == int(test.labels.sum())
    assert result["n_patients"] == len(set(test.patient_id.tolist()))
    assert result["absent"] == [name for name in BANK.ids if positives[name] == 0] != []
    assert result["few"] == [name for name in BANK.ids if 0 < positives[name] < 10] != []
    assert result["n_present"] == 98 - len(result["absent"])
    assert list(result["metrics"]) == list(RETRIEVAL.metrics)
    for each in result["metrics"].values():
        assert list(each) == ["value", "ci", "chance", "ceiling"]
        assert each["ci"][0] <= each["value"] <= each["ci"][1] and each["value"] <= each["ceiling"] <= 1
    assert list(result["per_class"]) == list(BANK.ids)
    for name, each in result["per_class"].items():
        assert list(each) == [
            "n", "positives", "top1", "top1_ci", "top5", "top5_ci", "auroc", "auroc_ci", "auprc", "auprc_ci",
            "f1", "f1_ci", "threshold",
        ]  # fmt: skip
        assert (each["n"], each["positives"]) == (positives[name], positives[name])


def test_the_shape_of_a_zero_shot_result() -> None:
    result = score_task(random_scores(RHYTHM), RHYTHM, replicates=10)
    assert list(result["metrics"]) == [
        "accuracy", "balanced_accuracy", "macro_auroc", "micro_auroc", "macro_auprc", "micro_auprc", "macro_f1", "ece",
    ]  # fmt: skip
    assert list(result["per_class"]) == [each.id for each in RHYTHM.classes]
    for each in result["per_class"].values():
        assert list(each) == [
            "n", "positives", "accuracy", "accuracy_ci", "auroc", "auroc_ci", "auprc", "auprc_ci", "f1", "f1_ci",
            "threshold",
        ]  # fmt: skip
    assert any(each["n"] > each["positives"] for each in result["per_class"].values())


def test_the_numbers_are_the_definitions() -> None:
    """`all` is hits over instances, and the macro mean is over the present classes, against scikit-learn."""
    scores = random_scores(RHYTHM)
    test = scores.rows("test")
    result = score_task(scores, RHYTHM, replicates=10)
    hits = 0.0
    for row in range(len(test.scores)):
        best = np.flatnonzero(test.scores[row] == test.scores[row].max())
        hits += sum(test.labels[row, each] / len(best) for each in best)
    assert result["metrics"]["accuracy"]["value"] == pytest.approx(hits / test.labels.sum(), abs=1e-12)
    present = [c for c in range(5) if test.labels[:, c].any()]
    assert result["absent"] == ["sinus-bradycardia"] and present == [0, 1, 2, 3]
    macro = roc_auc_score(test.labels[:, present] > 0, test.scores[:, present], average="macro")
    assert result["metrics"]["macro_auroc"]["value"] == pytest.approx(macro, abs=1e-12)


def test_absent_is_null_and_never_zero() -> None:
    result = score_task(random_scores(RETRIEVAL), RETRIEVAL, replicates=10)
    for name in result["absent"]:
        values = result["per_class"][name]
        assert values.pop("n") == values.pop("positives") == 0
        assert set(values.values()) == {None}


def test_a_class_that_every_record_has_is_present_without_auroc() -> None:
    scores = random_scores(RHYTHM)
    labels = scores.labels.copy()
    labels[:, 1] = 1
    result = score_task(replace(scores, labels=labels), RHYTHM, replicates=10)
    everywhere = result["per_class"]["atrial-fibrillation"]
    assert everywhere["auroc"] is None and everywhere["auroc_ci"] is None and everywhere["accuracy"] is not None
    assert result["metrics"]["macro_auroc"]["value"] is not None


def test_no_test_record_is_all_null() -> None:
    scores = random_scores(RETRIEVAL)
    result = score_task(scores.select(scores.split == "validation"), RETRIEVAL, n_excluded=5, replicates=10)
    assert (result["n_records"], result["n_patients"], result["n_present"]) == (0, 0, 0)
    assert result["absent"] == list(BANK.ids) and result["few"] == []
    assert {each["value"] for each in result["metrics"].values()} == {None}
    assert all(each["ci"] is None for each in result["metrics"].values())


def test_it_is_json_and_the_same_each_time() -> None:
    scores = random_scores(RETRIEVAL)
    result = score_task(scores, RETRIEVAL, replicates=20)
    assert json.loads(canonical_json(result)) == result
    assert score_task(scores, RETRIEVAL, replicates=20) == result
    assert score_task(scores, RETRIEVAL, replicates=20, seed=1) != result


@pytest.mark.parametrize("card", [RETRIEVAL, RHYTHM], ids=lambda card: card.name)
def test_order_of_records_and_classes_changes_nothing(card: TaskCard) -> None:
    scores = random_scores(card)
    rng = np.random.default_rng(1)
    turned = scores.select(rng.permutation(len(scores.scores)))
    turned = turned.with_classes(tuple(rng.permutation(turned.class_id).tolist()))
    assert score_task(turned, card, replicates=20) == score_task(scores, card, replicates=20)


CHOSEN = {"macro_f1", "micro_f1", "ece", "f1", "f1_ci", "threshold"}


def without_chosen(result: dict) -> dict:
    """A task's part without what validation rows decide."""
    classes = result["per_class"].items()
    return {
        **result,
        **{"calibration": None, "no_threshold": None},
        "metrics": {name: each for name, each in result["metrics"].items() if name not in CHOSEN},
        "per_class": {name: {k: v for k, v in each.items() if k not in CHOSEN} for name, each in classes},
    }


def test_validation_rows_enter_thresholds_and_temperature_alone() -> None:
    scores = random_scores(RHYTHM)
    other = scores.scores.copy()
    other[scores.split == "validation"] = 1 - other[scores.split == "validation"] / 2
    before, after = (score_task(each, RHYTHM, replicates=20) for each in (scores, replace(scores, scores=other)))
    assert without_chosen(before) == without_chosen(after)
    for name in ("macro_f1", "ece"):
        assert before["metrics"][name]["value"] != after["metrics"][name]["value"]
    assert before["calibration"]["temperature"] != after["calibration"]["temperature"]


def test_test_rows_enter_neither_thresholds_nor_temperature() -> None:
    scores = random_scores(RHYTHM)
    test = scores.split == "test"
    labels, other = scores.labels.copy(), scores.scores.copy()
    labels[test] = np.roll(labels[test], 1, axis=1)
    other[test] = other[test][::-1]
    before, after = (
        score_task(each, RHYTHM, replicates=5) for each in (scores, replace(scores, labels=labels, scores=other))
    )
    assert before["calibration"] == after["calibration"] and before["calibration"]["n_validation"] == 40
    thresholds = [[each["threshold"] for each in result["per_class"].values()] for result in (before, after)]
    assert thresholds[0] == thresholds[1] and before["metrics"]["macro_f1"] != after["metrics"]["macro_f1"]


def test_without_validation_rows_what_they_decide_is_null() -> None:
    scores = random_scores(RHYTHM)
    whole, bare = (score_task(each, RHYTHM, replicates=5) for each in (scores, scores.rows("test")))
    assert without_chosen(whole) == without_chosen(bare) and bare["calibration"] is None
    assert bare["no_threshold"] == [each.id for each in RHYTHM.classes]
    for name in ("macro_f1", "ece"):
        assert bare["metrics"][name]["value"] is bare["metrics"][name]["ci"] is None
    assert {(each["threshold"], each["f1"]) for each in bare["per_class"].values()} == {(None, None)}


def test_classes_without_a_threshold_are_listed_and_a_task_without_f1_lists_none() -> None:
    scores = random_scores(RHYTHM)
    labels = scores.labels.copy()
    labels[scores.split == "validation", 2] = 0
    labels[labels.sum(axis=1) == 0, 1] = 1
    result = score_task(replace(scores, labels=labels), RHYTHM, replicates=5)
    assert result["no_threshold"] == ["sinus-tachycardia", "sinus-bradycardia"]
    assert result["per_class"]["sinus-tachycardia"]["f1"] is None and "sinus-tachycardia" not in result["absent"]
    plain = RHYTHM.model_copy(update={"metrics": ("accuracy",)})
    result = score_task(scores, plain, replicates=5)
    assert result["no_threshold"] is None and "threshold" not in result["per_class"]["sinus-tachycardia"]


def test_the_confusion_matrix_is_that_of_the_test_rows() -> None:
    scores = random_scores(RHYTHM)
    test = scores.rows("test")
    result = score_task(scores, RHYTHM, replicates=2)
    hits = [row[i] for i, row in enumerate(result["confusion"])]
    assert [sum(row) for row in result["confusion"]] == pytest.approx(test.labels.sum(axis=0).tolist())
    assert sum(hits) == pytest.approx(result["metrics"]["accuracy"]["value"] * result["n_instances"])
    assert score_task(random_scores(RETRIEVAL), RETRIEVAL, replicates=2)["confusion"] is None


@pytest.mark.parametrize("card", [RETRIEVAL, RHYTHM], ids=lambda card: card.name)
def test_rounded_scores_give_the_same_thresholds_temperature_f1_and_calibration(card: TaskCard, tmp_path: Path) -> None:
    scores = random_scores(card)
    noise = np.random.default_rng(1).random(scores.scores.shape)
    scores = replace(scores, scores=(scores.scores / 10 + noise / 10).astype(np.float32))
    scores.save(tmp_path / "half.npz", dtype=np.float16)
    coarse, fine = (score_task(each, card, replicates=10) for each in (Scores.load(tmp_path / "half.npz"), scores))
    assert coarse != fine and coarse["calibration"] == fine["calibration"]
    for name in CHOSEN & set(card.metrics):
        assert coarse["metrics"][name] == fine["metrics"][name] and fine["metrics"][name]["value"] is not None
    for name, each in fine["per_class"].items():
        assert {k: coarse["per_class"][name][k] for k in each if k in CHOSEN} == {
            k: each[k] for k in each if k in CHOSEN
        }


def test_constant_scores_are_at_chance_with_no_spread() -> None:
    scores = random_scores(RETRIEVAL)
    result = score_task(replace(scores, scores=np.zeros_like(scores.scores)), RETRIEVAL, replicates=20)
    for name, each in result["metrics"].items():
        assert each["value"] == each["chance"]
        if name in ("top1", "top5", "macro_auroc", "micro_auroc", "mrr"):  # chance of the others follows the resample
            assert each["ci"] == [each["chance"]] * 2


@pytest.mark.parametrize("name", RETRIEVAL.metrics)
def test_bootstrap_values_are_behind_the_interval(name: str) -> None:
    scores = random_scores(RETRIEVAL)
    values = bootstrap_values(scores, RETRIEVAL, name, replicates=30, seed=2)
    assert values.shape == (30,)
    result = score_task(scores, RETRIEVAL, replicates=30, seed=2)
    assert result["metrics"][name]["ci"] == pytest.approx(interval(values).tolist(), abs=1e-11)


def test_intervals_of_each_class_are_over_the_replicates_alone() -> None:
    scores = random_scores(RHYTHM)
    test = scores.rows("test")
    weights = patient_weights(test.patient_id, 7, seed=2)
    result = score_task(scores, RHYTHM, replicates=7, seed=2)
    for name, key in (("accuracy", "accuracy"), ("macro_auroc", "auroc"), ("macro_auprc", "auprc")):
        _, per_class = METRICS[name].values(test.scores, test.labels, weights)
        for column in range(4):  # the fifth is absent
            ci = result["per_class"][RHYTHM.classes[column].id][f"{key}_ci"]
            assert ci == pytest.approx(interval(per_class[:, column]).tolist(), abs=1e-11)


@pytest.mark.parametrize(("positives", "marked"), [(9, True), (10, False)])
def test_few_means_under_ten_positive_records(positives: int, marked: bool) -> None:
    scores = random_scores(RHYTHM)
    labels = scores.labels.copy()
    labels[:, 2] = 0
    labels[np.flatnonzero(scores.split == "test")[:positives], 2] = 2  # counted by record, not by instance
    labels[labels.sum(axis=1) == 0, 1] = 1
    result = score_task(replace(scores, labels=labels), RHYTHM, replicates=2)
    assert ("sinus-tachycardia" in result["few"]) == marked
    assert result["per_class"]["sinus-tachycardia"]["n"] == 2 * positives


def test_a_scores_file_gives_the_same_numbers(tmp_path: Path) -> None:
    scores = random_scores(RETRIEVAL)
    scores.save(tmp_path / "retrieval98.npz")
    again = score_task(Scores.load(tmp_path / "retrieval98.npz"), RETRIEVAL, replicates=20)
    assert again == score_task(scores, RETRIEVAL, replicates=20)


def test_scores_under_the_clinical_name_are_taken() -> None:
    scores = random_scores(SUPERCLASS)
    clinical = replace(scores, task="superclass_clinical")
    assert score_task(clinical, SUPERCLASS, replicates=5) == score_task(scores, SUPERCLASS, replicates=5)


def test_what_does_not_fit_the_card_is_refused() -> None:
    scores = random_scores(RHYTHM)
    unknown = RHYTHM.model_copy(update={"metrics": ("accuracy", "f1")})
    with pytest.raises(EcgbenchError, match="no metric 'f1': choose from " + ", ".join(METRICS)):
        score_task(scores, unknown)
    with pytest.raises(
        EcgbenchError, match="of task rhythm version 2, the card is of superclass or superclass_clinical"
    ):
        score_task(scores, SUPERCLASS)
    with pytest.raises(EcgbenchError, match="version 9, the card is of rhythm"):
        score_task(replace(scores, task_version=9), RHYTHM)
    renamed = scores.class_id.copy()
    renamed[2] = "flutter"
    with pytest.raises(EcgbenchError, match="lack the class 'sinus-tachycardia'"):
        score_task(replace(scores, class_id=renamed), RHYTHM)
    wider = replace(
        scores,
        class_id=np.append(scores.class_id, "flutter"),
        scores=np.pad(scores.scores, ((0, 0), (0, 1))),
        labels=np.pad(scores.labels, ((0, 0), (0, 1))),
    )
    with pytest.raises(EcgbenchError, match="hold the class 'flutter', which is not in the task"):
        score_task(wider, RHYTHM)
    with pytest.raises(EcgbenchError, match="not finite"):
        score_task(replace(scores, scores=np.full_like(scores.scores, np.inf)), RHYTHM)
    with pytest.raises(EcgbenchError, match="no metric 'nothing'"):
        bootstrap_values(scores, RHYTHM, "nothing")
