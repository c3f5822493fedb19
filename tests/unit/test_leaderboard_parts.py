"""Ranks, differences, verification and tables of the boards."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from leaderboard_made import DATA, N_TEST, rounded, scores_of
from wcwidth import wcswidth

from ecgbench.cards import TaskCard
from ecgbench.catalogue import load_card
from ecgbench.evaluation.bootstrap import patient_weights
from ecgbench.evaluation.breakdown import compared_metrics
from ecgbench.evaluation.compare import paired_difference
from ecgbench.evaluation.scoring import bootstrap_values, score_task
from ecgbench.leaderboard.ranks import difference, rank_intervals
from ecgbench.leaderboard.replay import Replays, replay
from ecgbench.leaderboard.tables import millions, plain, signed, spread, table, with_interval
from ecgbench.leaderboard.verify import mismatches
from ecgbench.results import Metric, TaskScore

SUPERCLASS = load_card(TaskCard, "superclass")
RETRIEVAL = load_card(TaskCard, "retrieval98")


def naive_accuracy(scores: np.ndarray, labels: np.ndarray, records: list[int]) -> float:
    """Hits per label instance over a list of records, a tie worth its share."""
    hits = instances = 0.0
    for record in records:
        best = [c for c in range(scores.shape[1]) if scores[record, c] == max(scores[record])]
        for c in range(scores.shape[1]):
            hits += labels[record, c] * (c in best) / len(best)
            instances += labels[record, c]
    return hits / instances


def naive_percentile(values: list[float], percent: float) -> float:
    """Linear between the two order statistics around the place."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def test_rank_intervals_agree_with_a_naive_twin() -> None:
    systems = [scores_of("superclass", DATA, skill, noise) for noise, skill in enumerate((0.0, 0.5, 0.6, 2.0))]
    tests = [each.rows("test") for each in systems]
    weights = patient_weights(tests[0].patient_id)
    ranks: list[list[float]] = [[] for _ in systems]
    for replicate in weights:
        records = [record for record in range(N_TEST) for _ in range(replicate[record])]
        values = [naive_accuracy(each.scores, each.labels, records) for each in tests]
        for row, value in enumerate(values):
            higher = sum(other > value + 1e-12 for other in values)
            same = sum(abs(other - value) <= 1e-12 for other in values)
            ranks[row].append(higher + (same + 1) / 2)
    naive = [(math.floor(naive_percentile(found, 2.5)), math.ceil(naive_percentile(found, 97.5))) for found in ranks]
    replicates = [replay(each, SUPERCLASS).replicates["accuracy"] for each in systems]
    assert rank_intervals(replicates) == naive
    assert naive[3][0] == 1 and naive[0][1] == 4


def test_a_row_without_scores_has_no_rank_and_moves_no_other() -> None:
    rows = [np.array([0.0, *values]) for values in ([0.9] * 5, [0.5] * 5)]
    assert rank_intervals([rows[0], None, rows[1]]) == [(1, 1), None, (2, 2)]
    assert rank_intervals([None, None]) == [None, None]


def test_tied_rows_share_their_rank() -> None:
    same = np.array([0.5, *[0.5] * 10])
    assert rank_intervals([same, same]) == [(1, 2), (1, 2)]


@given(st.lists(st.lists(st.floats(0, 1), min_size=8, max_size=8), min_size=1, max_size=5))
@settings(max_examples=50, deadline=None)
def test_ranks_lie_between_1_and_the_number_of_rows(rows: list[list[float]]) -> None:
    for found in rank_intervals([np.array(row) for row in rows]):
        assert found is not None
        assert 1 <= found[0] <= found[1] <= len(rows)


@pytest.mark.parametrize("card", [SUPERCLASS, RETRIEVAL], ids=lambda card: card.name)
def test_difference_is_the_paired_difference(card: TaskCard) -> None:
    a, b = scores_of(card.name, DATA, 1.0, 1), scores_of(card.name, DATA, 0.2, 2)
    shuffled = b.select(np.random.default_rng(0).permutation(len(b.record_id)))
    for metric in compared_metrics(card):
        found = difference(replay(a, card), replay(shuffled, card), metric)
        assert found is not None
        wanted = paired_difference(a, shuffled, metric)
        assert (found.value, found.low, found.high) == pytest.approx((wanted.value, wanted.low, wanted.high), abs=1e-12)
        assert found.n_patients == wanted.n_patients
        assert np.allclose(replay(a, card).replicates[metric][1:], bootstrap_values(a, card, metric))


def test_compared_metrics() -> None:
    assert compared_metrics(RETRIEVAL) == ("macro_auroc", "top1")
    assert compared_metrics(SUPERCLASS) == ("accuracy",)


def test_equal_files_are_replayed_once(tmp_path: Path) -> None:
    scores = scores_of("superclass", DATA, 1.0, 1)
    for name in ("a.npz", "b.npz"):
        scores.save(tmp_path / name)
    replays = Replays()
    assert replays.of(tmp_path / "a.npz", SUPERCLASS) is replays.of(tmp_path / "b.npz", SUPERCLASS)


def test_records_in_another_order_are_the_same_test_rows_and_another_label_is_not() -> None:
    scores = scores_of("superclass", DATA, 1.0, 1)
    turned = scores.select(np.arange(len(scores.record_id))[::-1])
    assert replay(scores, SUPERCLASS).rows == replay(turned, SUPERCLASS).rows
    turned.labels[0, 0] += 1  # the last test record of the original
    assert replay(scores, SUPERCLASS).rows != replay(turned, SUPERCLASS).rows


# --- verification --------------------------------------------------------------------------


def test_an_edited_metric_is_a_mismatch(tmp_path: Path) -> None:
    scores = scores_of("superclass", DATA, 1.0, 1)
    score = TaskScore.model_validate(score_task(scores, SUPERCLASS))
    after = replay(rounded(scores, tmp_path), SUPERCLASS)
    assert mismatches(score, SUPERCLASS, after) == []
    value = score.metrics["accuracy"].value
    assert value is not None
    score.metrics["accuracy"].value = value + 0.05
    found = mismatches(score, SUPERCLASS, after)
    assert any(each.startswith(f"accuracy is {value + 0.05:.4f} and the scores give") for each in found)


def test_an_edited_class_does_not_fit_the_whole() -> None:
    scores = scores_of("superclass", DATA, 1.0, 1)
    for kind in ("accuracy", "auroc"):
        score = TaskScore.model_validate(score_task(scores, SUPERCLASS))
        assert mismatches(score, SUPERCLASS, None) == []
        setattr(score.per_class["hypertrophy"], kind, 0.99)
        assert "its classes together give" in " ".join(mismatches(score, SUPERCLASS, None))


def test_counts_and_metrics_that_are_missing() -> None:
    scores = scores_of("superclass", DATA, 1.0, 1)
    score = TaskScore.model_validate(score_task(scores, SUPERCLASS))
    score.n_records += 1
    score.per_class["hypertrophy"].positives += 1
    assert mismatches(score, SUPERCLASS, replay(scores, SUPERCLASS)) == [
        f"n_records is {N_TEST + 1} and the scores give {N_TEST}",
        "the counts of its classes are not those of the scores",
    ]
    del score.metrics["accuracy"]
    assert mismatches(score, SUPERCLASS, None) == ["accuracy is not among its metrics"]


def put(score: TaskScore, where: str, value: object) -> None:
    """Set one field of a task's part: `metrics/accuracy/ci`, `per_class/hypertrophy/auroc`, `few`."""
    *way, last = where.split("/")
    part: Any = score
    for key in way:
        part = part[key] if isinstance(part, dict) else getattr(part, key)
    if isinstance(part, dict):
        part[last] = value
    else:
        assert getattr(part, last) != value
        setattr(part, last, value)


EDITS = [
    ("version", 9, f"version is 9 and the scores give {SUPERCLASS.version}"),
    ("few", ["hypertrophy"], "few is ['hypertrophy'] and the scores give []"),
    ("absent", [], "absent is [] and the scores give ['st-t-change']"),
    ("metrics/top1", Metric(value=1.0, ci=(1.0, 1.0)), "top1 is no metric of the task"),
    ("metrics/accuracy/ci", (0.999, 1.0), "the interval of accuracy is [0.9990, 1.0000] and the scores give ["),
    ("metrics/accuracy/ci", None, "the interval of accuracy is undefined and the scores give ["),
    ("metrics/macro_auroc/value", 0.9999, "macro_auroc is 0.9999 and the scores give"),
    ("metrics/macro_auroc/ci", (0.0, 1.0), "the interval of macro_auroc is [0.0000, 1.0000] and"),
    ("metrics/accuracy/chance", 0.2 - 1e-6, "the chance of accuracy is 0.199999 and the labels give 0.2"),
    ("metrics/accuracy/chance", None, "the chance of accuracy is None and the labels give 0.2"),
    ("metrics/accuracy/ceiling", 1.0, "the ceiling of accuracy is 1.0 and the labels give 0."),
    ("metrics/balanced_accuracy/value", 0.9999, "balanced_accuracy is 0.9999 and the scores give"),
    ("metrics/ece/value", 0.9999, "ece is 0.9999 and the scores give"),
    ("no_threshold", [], "no_threshold is [] and the scores give ['st-t-change']"),
    ("no_threshold", None, "no_threshold is None and the scores give ['st-t-change']"),
    ("calibration", None, "temperature of calibration is None and the validation scores give"),
    ("calibration/temperature", 0.5, "temperature of calibration is 0.5 and the validation scores give"),
    ("calibration/n_validation", 9, "n_validation of calibration is 9 and the validation scores give 10"),
    ("confusion", None, "confusion is there in one of the result and its scores only"),
    ("confusion", [[1.0]], "confusion is no matrix of its 5 classes"),
    ("confusion", [[1.0] * 5] * 5, "the row of normal-ecg in confusion does not make up its label instances"),
    ("per_class/hypertrophy/threshold", 0.25, "the threshold of hypertrophy is 0.25 and the validation scores give"),
    ("per_class/hypertrophy/f1", 0.9999, "f1 of hypertrophy is 0.9999 and the scores give"),
    ("per_class/hypertrophy/auprc_ci", (0.0, 1.0), "the interval of auprc of hypertrophy is [0.0000, 1.0000] and"),
    ("per_class/hypertrophy/accuracy", 0.9999, "accuracy of hypertrophy is 0.9999 and the scores give"),
    ("per_class/hypertrophy/auroc", None, "auroc of hypertrophy is undefined and the scores give"),
    ("per_class/hypertrophy/auroc_ci", (0.0, 1.0), "the interval of auroc of hypertrophy is [0.0000, 1.0000] and"),
    ("per_class/hypertrophy/accuracy_ci", None, "the interval of accuracy of hypertrophy is undefined and"),
    ("per_class/hypertrophy/top1", 0.9, "top1 of hypertrophy is 0.9000 and the scores give undefined"),
    ("per_class/hypertrophy/top1_ci", (0.8, 0.9), "the interval of top1 of hypertrophy is [0.8000, 0.9000] and"),
    ("per_class/st-t-change/accuracy", 0.5, "accuracy of st-t-change is 0.5000 and the scores give undefined"),
]


@pytest.mark.parametrize(("where", "value", "message"), EDITS, ids=[f"{where}={value}" for where, value, _ in EDITS])
def test_every_edit_is_noticed(where: str, value: object, message: str, tmp_path: Path) -> None:
    scores = scores_of("superclass", DATA, 1.0, 1)
    score = TaskScore.model_validate(score_task(scores, SUPERCLASS))
    after = replay(rounded(scores, tmp_path), SUPERCLASS)
    assert mismatches(score, SUPERCLASS, after) == []
    put(score, where, value)
    found = mismatches(score, SUPERCLASS, after)
    assert any(each.startswith(message) for each in found), found


def test_an_instance_moved_within_its_row_of_the_confusion_matrix_is_noticed(tmp_path: Path) -> None:
    scores = scores_of("superclass", DATA, 1.0, 1)
    score = TaskScore.model_validate(score_task(scores, SUPERCLASS))
    after = replay(rounded(scores, tmp_path), SUPERCLASS)
    assert score.confusion is not None
    row = score.confusion[0]
    row[1], row[2] = row[1] + 1, row[2] - 1
    assert [each.split(" has ")[0] for each in mismatches(score, SUPERCLASS, after)] == ["confusion", "confusion"]
    row[0], row[1] = row[0] + 1, row[1] - 1
    assert "of normal-ecg, which is not its accuracy" in " ".join(mismatches(score, SUPERCLASS, None))


def test_two_classes_that_make_up_for_each_other_are_noticed(tmp_path: Path) -> None:
    """The mean stays what it was, only the scores tell."""
    scores = scores_of("superclass", DATA, 1.0, 1)
    score = TaskScore.model_validate(score_task(scores, SUPERCLASS))
    after = replay(rounded(scores, tmp_path), SUPERCLASS)
    one, other = score.per_class["hypertrophy"], score.per_class["normal-ecg"]
    assert one.auroc is not None and other.auroc is not None
    one.auroc, other.auroc = one.auroc + 0.05, other.auroc - 0.05
    found = mismatches(score, SUPERCLASS, after)
    assert [each.split(" is ")[0] for each in found] == ["auroc of normal-ecg", "auroc of hypertrophy"]


def test_an_undefined_metric_is_undefined_in_both() -> None:
    scores = scores_of("superclass", DATA, 1.0, 1)
    one_class = scores.select(scores.labels[:, 0] > 0)
    one_class.labels[:, 1:] = 0
    score = TaskScore.model_validate(score_task(one_class, SUPERCLASS))
    assert score.metrics["macro_auroc"].value is None
    assert mismatches(score, SUPERCLASS, replay(one_class, SUPERCLASS)) == []
    score.metrics["macro_auroc"].value = 0.7
    score.metrics["macro_auroc"].ci = (0.6, 0.8)
    assert "the interval of macro_auroc is [0.6000, 0.8000] and the scores give undefined" in mismatches(
        score, SUPERCLASS, replay(one_class, SUPERCLASS)
    )
    assert "macro_auroc is 0.7000 and the scores give undefined" in mismatches(
        score, SUPERCLASS, replay(one_class, SUPERCLASS)
    )


# --- tables --------------------------------------------------------------------------------


def test_wide_characters_align() -> None:
    text = table(["ラベル", "n"], [["左脚ブロック心拍†", "3"], ["all labels", "—"], ["±0.1", "12"]])
    assert len({wcswidth(line) for line in text.splitlines()}) == 1
    assert len({len(line) for line in text.splitlines()}) > 1


@given(st.lists(st.text(st.sampled_from("aA0心拍ブ†—.｜ "), min_size=1, max_size=9), min_size=1, max_size=5))
@settings(max_examples=50, deadline=None)
def test_any_cell_aligns(cells: list[str]) -> None:
    text = table(["心", "b"], [[plain(cell), "1"] for cell in cells])
    assert len({wcswidth(line) for line in text.splitlines()}) == 1


def test_text_of_others_means_nothing_to_markdown() -> None:
    assert plain("a|b\n*c* <b> `d` [e](f) _g_ h_i") == r"a\|b \*c\* &lt;b> \`d\` \[e\](f) \_g\_ h_i"


def test_numbers() -> None:
    assert with_interval(0.7124, (0.6901, 0.7335)) == "0.712 [0.690, 0.734]"
    assert with_interval(None, None) == "—"
    assert with_interval(0.0, None) == "0.000"
    assert with_interval(-0.0001, None) == "0.000"
    assert signed(-0.0001, -0.1, 0.1) == "+0.000 [-0.100, +0.100]"
    assert spread([0.5]) == "—"
    assert spread([0.70, 0.72, 0.74]) == "seeds: 0.720 ± 0.020"
    assert [millions(n) for n in (3_850_123, 86_567_656, 5_000, 1_234_567_890)] == [
        "3.85",
        "86.6",
        "0.005",
        "1235",
    ]
