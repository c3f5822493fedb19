"""Every metric against a naive twin, and the properties it must have."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import balanced_accuracy_score

from ecgbench.errors import EcgbenchError
from ecgbench.evaluation.confusion import MOST_CLASSES, confusion
from ecgbench.evaluation.metrics import METRICS, metric_named
from ecgbench.evaluation.references import majority_scores

Example = tuple[np.ndarray, np.ndarray]


@st.composite
def examples(draw: st.DrawFn, max_records: int = 8, max_classes: int = 4, top: int = 2) -> Example:
    """Scores with few distinct values (ties everywhere) and label counts from 0 to 2."""
    shape = (draw(st.integers(1, max_records)), draw(st.integers(2, max_classes)))
    scores = draw(arrays(np.float32, shape, elements=st.integers(-top, top).map(float)))
    labels = draw(arrays(np.int16, shape, elements=st.sampled_from([0, 0, 1, 2])))
    assume(labels.any())
    return scores, labels


def plain(name: str, scores: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """The metric's value over all classes and per class, every record counted once, thresholds and temperature chosen
    on the same records."""
    metric = METRICS[name].fitted(scores, labels)
    values, per_class = metric.values(scores, labels, np.ones((1, len(scores)), dtype=np.int16))
    return float(values[0]), per_class[0]


def chance(name: str, labels: np.ndarray) -> float:
    """The chance level, thresholds chosen on constant scores of the same records."""
    return METRICS[name].fitted(np.zeros(labels.shape), labels).chance(labels)


# Naive twins. Ties are broken in every possible order and the results averaged: no formula is shared.


def mean_over_tie_orders(scores: np.ndarray, target: int, classes: list[int], gain: Callable[[int], float]) -> float:
    """Average of gain(rank of target) over all orders in which ties can be broken."""
    gains = []
    for order in permutations(classes):
        ranked = sorted(order, key=lambda each: -scores[each])  # sorted is stable: `order` breaks the ties
        gains.append(gain(ranked.index(target) + 1))
    return float(np.mean(gains))


def naive_instances(name: str, scores: np.ndarray, labels: np.ndarray) -> list[tuple[int, float]]:
    """(class, credit) of every label instance."""
    gains: dict[str, Callable[[int], float]] = {
        "top1": lambda rank: float(rank <= 1),
        "accuracy": lambda rank: float(rank <= 1),
        "top5": lambda rank: float(rank <= 5),
        "mrr": lambda rank: 1 / rank,
        "mrr_filtered": lambda rank: 1 / rank,
    }
    instances = []
    for row in range(len(scores)):
        for target in range(scores.shape[1]):
            for _ in range(labels[row, target]):
                classes = list(range(scores.shape[1]))
                if name == "mrr_filtered":
                    classes = [each for each in classes if each == target or labels[row, each] == 0]
                instances.append((target, mean_over_tie_orders(scores[row], target, classes, gains[name])))
    return instances


def naive_hit(scores: np.ndarray, labels: np.ndarray, k: int) -> float:
    """Share of the labelled records with a true class among the k best, averaged over all orders of ties."""
    shares = []
    for row in range(len(scores)):
        hits = []
        for order in permutations(range(scores.shape[1])):
            best = sorted(order, key=lambda each: -scores[row, each])[:k]
            hits.append(any(labels[row, each] > 0 for each in best))
        if labels[row].any():
            shares.append(np.mean(hits))
    return float(np.mean(shares))


INSTANCE_METRICS = ["top1", "accuracy", "mrr", "mrr_filtered"]


@pytest.mark.parametrize("name", INSTANCE_METRICS)
@settings(max_examples=40, deadline=None)
@given(example=examples())
def test_instance_metrics_against_all_tie_orders(name: str, example: Example) -> None:
    scores, labels = example
    instances = naive_instances(name, scores, labels)
    value, per_class = plain(name, scores, labels)
    assert value == pytest.approx(np.mean([credit for _, credit in instances]), abs=1e-12)
    for column in range(scores.shape[1]):
        credits = [credit for target, credit in instances if target == column]
        expected = np.mean(credits) if credits else np.nan
        assert per_class[column] == pytest.approx(expected, abs=1e-12, nan_ok=True)


@settings(max_examples=8, deadline=None)
@given(example=examples(max_records=3, max_classes=7, top=1))
def test_top5_against_all_tie_orders(example: Example) -> None:
    scores, labels = example
    value, _ = plain("top5", scores, labels)
    assert value == pytest.approx(np.mean([c for _, c in naive_instances("top5", scores, labels)]), abs=1e-12)


@pytest.mark.parametrize("k", [1, 5])
@settings(max_examples=15, deadline=None)
@given(example=examples(max_records=3, max_classes=7, top=1))
def test_hit_against_all_tie_orders(k: int, example: Example) -> None:
    scores, labels = example
    value, per_class = plain(f"hit{k}", scores, labels)
    assert value == pytest.approx(naive_hit(scores, labels, k), abs=1e-12) and np.isnan(per_class).all()


@settings(max_examples=40, deadline=None)
@given(example=examples())
def test_balanced_accuracy_against_all_tie_orders(example: Example) -> None:
    scores, labels = example
    instances = naive_instances("accuracy", scores, labels)
    of_class = [[credit for target, credit in instances if target == column] for column in range(scores.shape[1])]
    value, _ = plain("balanced_accuracy", scores, labels)
    assert value == pytest.approx(np.mean([np.mean(each) for each in of_class if each]), abs=1e-12)


def test_balanced_accuracy_is_scikit_learns() -> None:
    rng = np.random.default_rng(2)
    scores, truth = rng.random((200, 5)), np.minimum(rng.geometric(0.5, 200) - 1, 4)
    labels = np.eye(5, dtype=np.int16)[truth]
    expected = balanced_accuracy_score(truth, scores.argmax(axis=1))
    assert plain("balanced_accuracy", scores, labels)[0] == pytest.approx(expected, abs=1e-12)
    assert expected != pytest.approx(plain("accuracy", scores, labels)[0], abs=1e-3)


def naive_confusion(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    matrix = np.zeros((scores.shape[1],) * 2)
    for row in range(len(scores)):
        best = [each for each in range(scores.shape[1]) if scores[row, each] == max(scores[row])]
        for true in range(scores.shape[1]):
            for taken in best:
                matrix[true, taken] += labels[row, true] / len(best)
    return matrix


@settings(max_examples=40, deadline=None)
@given(example=examples(max_classes=9))
def test_the_confusion_matrix_is_the_naive_one_and_its_diagonal_the_hits(example: Example) -> None:
    scores, labels = example
    matrix = confusion(scores, labels)
    assert matrix is not None
    np.testing.assert_allclose(matrix, naive_confusion(scores, labels), atol=1e-12)
    assert np.trace(matrix) == pytest.approx(plain("accuracy", scores, labels)[0] * labels.sum())
    np.testing.assert_allclose(matrix.sum(axis=1), labels.sum(axis=0))


def test_a_confusion_matrix_of_many_classes_is_not_made() -> None:
    assert confusion(np.zeros((2, MOST_CLASSES + 1)), np.ones((2, MOST_CLASSES + 1), np.int16)) is None
    assert confusion(np.zeros((0, 3)), np.zeros((0, 3), np.int16)).tolist() == [[0.0] * 3] * 3  # type: ignore[union-attr]


@pytest.mark.parametrize("name", sorted(METRICS))
@settings(max_examples=25, deadline=None)
@given(example=examples(max_classes=9), constant=st.sampled_from([-0.5, 0.0, 1e-30, 7.0]))
def test_constant_scores_get_chance(name: str, example: Example, constant: float) -> None:
    scores, labels = example
    value, _ = plain(name, np.full_like(scores, constant), labels)
    if name in ("macro_auroc", "micro_auroc", "macro_auprc", "micro_auprc") and np.isnan(value):
        assert all(column.all() or not column.any() for column in labels.T)
    else:
        assert value == pytest.approx(chance(name, labels), abs=1e-12)


@pytest.mark.parametrize("name", sorted(METRICS))
@settings(max_examples=25, deadline=None)
@given(example=examples(max_classes=9), seed=st.integers(0, 100))
def test_order_of_records_and_classes_changes_nothing(name: str, example: Example, seed: int) -> None:
    scores, labels = example
    rng = np.random.default_rng(seed)
    rows, columns = rng.permutation(len(scores)), rng.permutation(scores.shape[1])
    value, per_class = plain(name, scores, labels)
    turned, turned_per_class = plain(name, scores[rows][:, columns], labels[rows][:, columns])
    assert turned == pytest.approx(value, abs=1e-12, nan_ok=True)
    np.testing.assert_allclose(turned_per_class, per_class[columns], atol=1e-12)


@pytest.mark.parametrize("name", sorted(set(METRICS) - {"ece"}))
@settings(max_examples=25, deadline=None)
@given(example=examples(max_classes=9))
def test_only_the_order_of_scores_counts(name: str, example: Example) -> None:
    scores, labels = example
    stretched = np.exp(3 * scores.astype(np.float64)) - 7
    value, per_class = plain(name, scores, labels)
    turned, turned_per_class = plain(name, stretched, labels)
    assert turned == pytest.approx(value, abs=0, nan_ok=True)
    np.testing.assert_array_equal(turned_per_class, per_class)


@pytest.mark.parametrize("name", sorted(set(METRICS) - {"ece"}))
@settings(max_examples=25, deadline=None)
@given(example=examples(max_classes=9))
def test_the_best_scores_reach_the_ceiling_and_none_pass_it(name: str, example: Example) -> None:
    scores, labels = example
    ceiling = METRICS[name].ceiling(labels)
    weight = np.maximum(labels.sum(axis=0), 1) if name == "balanced_accuracy" else 1
    best, _ = plain(name, labels / weight, labels)
    if np.isnan(best):  # an area of classes that every record has, or none
        assert ((labels > 0).all(axis=0) | ~labels.any(axis=0)).all() and "_au" in name
        return
    assert best == pytest.approx(ceiling, abs=1e-12)
    assert plain(name, scores, labels)[0] <= ceiling + 1e-12


def test_hit_chance_and_balanced_ceiling_by_counting() -> None:
    """Every choice of k of 5 classes; every way to call three records."""
    labels = np.array([[1, 0, 0, 2, 0], [0, 1, 0, 0, 0], [3, 1, 0, 0, 0]], dtype=np.int16)
    for k, name in ((1, "hit1"), (5, "hit5")):
        choices = list(combinations(range(5), k))
        shares = [np.mean([any(row[each] for each in choice) for choice in choices]) for row in labels]
        assert METRICS[name].chance(labels) == pytest.approx(np.mean(shares), abs=1e-12)
    best = 0.0
    for calls in np.ndindex(5, 5, 5):
        scores = np.eye(5)[list(calls)]
        best = max(best, plain("balanced_accuracy", scores, labels)[0])
    assert METRICS["balanced_accuracy"].ceiling(labels) == pytest.approx(best, abs=1e-12)


@pytest.mark.parametrize("name", ["top1", "accuracy", "mrr"])
@given(labels=arrays(np.int16, (1, 4), elements=st.integers(0, 3)))
@settings(max_examples=25, deadline=None)
def test_the_ceiling_is_the_best_of_all_rankings(name: str, labels: np.ndarray) -> None:
    assume(labels.any())
    reached = max(plain(name, np.array([order], dtype=np.float32), labels)[0] for order in permutations(range(4)))
    assert METRICS[name].ceiling(labels) == pytest.approx(reached, abs=1e-12)


def test_worked_examples() -> None:
    """By hand: one record with two of four labels, one with two findings of one class."""
    scores = np.array([[0.9, 0.8, 0.7, 0.1], [0.5, 0.5, 0.2, 0.1]], dtype=np.float32)
    labels = np.array([[0, 1, 1, 0], [2, 0, 0, 1]], dtype=np.int16)
    # Instances: ranks 2 and 3; then twice a class tied for the ranks 1 and 2, and rank 4.
    assert plain("top1", scores, labels)[0] == pytest.approx((0 + 0 + 2 * 0.5 + 0) / 5)
    assert plain("accuracy", scores, labels)[0] == pytest.approx(1 / 5)
    assert plain("top5", scores, labels)[0] == 1.0
    assert plain("mrr", scores, labels)[0] == pytest.approx((1 / 2 + 1 / 3 + 2 * 0.75 + 1 / 4) / 5)
    assert plain("mrr_filtered", scores, labels)[0] == pytest.approx((1 / 2 + 1 / 2 + 2 * 0.75 + 1 / 3) / 5)
    np.testing.assert_allclose(plain("accuracy", scores, labels)[1], [0.5, 0, 0, 0])
    assert plain("balanced_accuracy", scores, labels)[0] == pytest.approx((0.5 + 0 + 0 + 0) / 4)
    assert plain("hit1", scores, labels)[0] == pytest.approx((0 + 0.5) / 2)
    assert np.diag(confusion(scores, labels)).tolist() == [1.0, 0, 0, 0]  # type: ignore[arg-type]
    # Σ min(k, m) / Σ m where no class holds two findings, Σ max count / Σ count in general.
    assert METRICS["top1"].ceiling((labels > 0).astype(np.int16)) == 2 / 4
    assert METRICS["accuracy"].ceiling(labels) == 3 / 5
    assert METRICS["mrr"].ceiling(labels) == pytest.approx((1 + 1 / 2 + 2 + 1 / 2) / 5)


def test_chance_of_the_98_labels() -> None:
    labels = np.eye(98, dtype=np.int16)
    harmonic = sum(1 / rank for rank in range(1, 99))
    assert METRICS["top1"].chance(labels) == 1 / 98
    assert METRICS["top5"].chance(labels) == 5 / 98
    assert METRICS["mrr"].chance(labels) == pytest.approx(harmonic / 98)
    assert METRICS["mrr_filtered"].chance(labels) == pytest.approx(harmonic / 98)
    assert METRICS["macro_auroc"].chance(labels) == METRICS["micro_auroc"].chance(labels) == 0.5
    assert METRICS["hit5"].chance(labels) == pytest.approx(5 / 98)
    assert METRICS["hit5"].chance(labels + labels[::-1]) == pytest.approx(
        1 - 96 * 95 * 94 * 93 * 92 / (98 * 97 * 96 * 95 * 94)
    )
    assert METRICS["micro_auprc"].chance(labels) == METRICS["macro_auprc"].chance(labels) == 1 / 98
    assert [chance(name, labels) for name in ("macro_f1", "micro_f1")] == pytest.approx([2 / 99] * 2)
    assert METRICS["accuracy"].chance(np.eye(5, dtype=np.int16)) == 1 / 5
    assert METRICS["top5"].chance(np.eye(3, dtype=np.int16)) == 1.0


def test_a_class_without_positive_or_negative_is_undefined_and_not_averaged() -> None:
    scores = np.array([[1, 0, 0], [0, 1, 0], [0, 2, 0]], dtype=np.float32)
    labels = np.array([[1, 0, 1], [0, 0, 1], [1, 0, 2]], dtype=np.int16)
    for name, expected in (("macro_auroc", 0.75), ("macro_auprc", (1 + 2 / 3) / 2)):
        value, per_class = plain(name, scores, labels)
        np.testing.assert_allclose(per_class, [expected, np.nan, np.nan])
        assert value == pytest.approx(expected)
    value, per_class = plain("top1", scores, labels)
    np.testing.assert_array_equal(np.isnan(per_class), [False, True, False])
    value, _ = plain("balanced_accuracy", scores, labels)
    assert value == pytest.approx((1 / 2 + 0) / 2)


def test_without_any_record_everything_is_undefined() -> None:
    none = np.zeros((0, 5), dtype=np.float32), np.zeros((0, 5), dtype=np.int16)
    for name, metric in METRICS.items():
        value, per_class = plain(name, *none)
        assert np.isnan(value) and np.isnan(per_class).all()
        level = metric.chance(none[1])
        assert np.isnan(level) or 0 <= level <= 1
        from_labels = name in ("top1", "top5", "accuracy", "balanced_accuracy", "mrr")
        assert np.isnan(metric.ceiling(none[1])) == from_labels


def test_only_the_calibration_error_is_better_when_lower() -> None:
    assert [name for name, metric in METRICS.items() if not metric.higher_is_better] == ["ece"]


def test_majority_ranks_classes_by_training_instances() -> None:
    train = np.array([[1, 0, 2], [1, 0, 1], [1, 0, 0]], dtype=np.int16)
    scores = majority_scores(train, 4)
    assert scores.dtype == np.float32 and scores.shape == (4, 3)
    np.testing.assert_array_equal(scores, [[1, 0, 1]] * 4)
    labels = np.array([[1, 0, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0]], dtype=np.int16)
    assert plain("accuracy", scores, labels)[0] == pytest.approx((0.5 + 0.5 + 0 + 0.5) / 4)
    assert plain("macro_auroc", scores, labels)[0] == 0.5


@pytest.mark.parametrize("counts", [(18001, 18003, 18002, 18001), (70000, 2049, 2048, 65505), (3, 0, 0, 1)])
def test_majority_survives_half_precision_with_the_metrics_of_the_counts(counts: tuple[int, ...]) -> None:
    """The counts themselves do not: 2049 becomes 2048, and 70000 becomes infinite."""
    train = np.array([counts])
    scores = majority_scores(train, 60)
    np.testing.assert_array_equal(scores.astype(np.float16).astype(np.float32), scores)
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, scores.shape).astype(np.int16)
    weights = random.integers(0, 3, (5, len(labels)))
    plain_counts = np.tile(np.array(counts, np.float64), (len(labels), 1))
    for metric in METRICS.values():
        if metric.rounded:  # it sees the rounded counts, which is why majority scores are ranks
            continue
        for found, wanted in zip(
            metric.values(scores, labels, weights), metric.values(plain_counts, labels, weights), strict=True
        ):
            np.testing.assert_array_equal(found, wanted)


def test_an_unknown_metric_is_refused() -> None:
    with pytest.raises(EcgbenchError, match="no metric 'top2': choose from top1, top5"):
        metric_named("top2")
