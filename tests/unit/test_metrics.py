"""Every metric against a naive twin, and the properties it must have."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import roc_auc_score

from ecgbench.errors import EcgbenchError
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
    """The metric's value over all classes and per class, every record counted once."""
    values, per_class = METRICS[name].values(scores, labels, np.ones((1, len(scores)), dtype=np.int16))
    return float(values[0]), per_class[0]


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


def naive_auroc(scores: np.ndarray, positive: np.ndarray) -> float:
    wins = [1.0 if p > n else 0.5 if p == n else 0.0 for p in scores[positive] for n in scores[~positive]]
    return float(np.mean(wins)) if wins else float("nan")


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


@settings(max_examples=60, deadline=None)
@given(example=examples(max_records=12))
def test_auroc_against_all_pairs(example: Example) -> None:
    scores, labels = example
    expected = [naive_auroc(scores[:, c], labels[:, c] > 0) for c in range(scores.shape[1])]
    value, per_class = plain("macro_auroc", scores, labels)
    np.testing.assert_allclose(per_class, expected, atol=1e-12)
    defined = [each for each in expected if not np.isnan(each)]
    assert value == pytest.approx(np.mean(defined) if defined else np.nan, abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("distinct", [3, 1000])
def test_macro_auroc_is_scikit_learns(distinct: int) -> None:
    rng = np.random.default_rng(1)
    labels = (rng.random((300, 6)) < [0.02, 0.1, 0.3, 0.5, 0.9, 0.98]).astype(np.int16)
    scores = (rng.integers(0, distinct, labels.shape) + labels * distinct / 3).astype(np.float32)
    value, _ = plain("macro_auroc", scores, labels)
    assert value == pytest.approx(roc_auc_score(labels, scores, average="macro"), abs=1e-12)
    weights = rng.integers(0, 4, (5, 300)).astype(np.int16)
    _, weighted = METRICS["macro_auroc"].values(scores, labels, weights)
    for row in range(5):
        expected = roc_auc_score(labels, scores, average=None, sample_weight=weights[row])
        np.testing.assert_allclose(weighted[row], expected, atol=1e-12)


@pytest.mark.parametrize("name", sorted(METRICS))
@settings(max_examples=25, deadline=None)
@given(example=examples(max_classes=9), constant=st.sampled_from([-0.5, 0.0, 1e-30, 7.0]))
def test_constant_scores_get_chance(name: str, example: Example, constant: float) -> None:
    scores, labels = example
    value, _ = plain(name, np.full_like(scores, constant), labels)
    if name == "macro_auroc" and np.isnan(value):
        assert all(column.all() or not column.any() for column in labels.T)
    else:
        assert value == pytest.approx(METRICS[name].chance(labels), abs=1e-12)


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


@pytest.mark.parametrize("name", sorted(METRICS))
@settings(max_examples=25, deadline=None)
@given(example=examples(max_classes=9))
def test_only_the_order_of_scores_counts(name: str, example: Example) -> None:
    scores, labels = example
    stretched = np.exp(3 * scores.astype(np.float64)) - 7
    value, per_class = plain(name, scores, labels)
    turned, turned_per_class = plain(name, stretched, labels)
    assert turned == pytest.approx(value, abs=0, nan_ok=True)
    np.testing.assert_array_equal(turned_per_class, per_class)


@pytest.mark.parametrize("name", sorted(METRICS))
@settings(max_examples=25, deadline=None)
@given(example=examples(max_classes=9))
def test_the_best_scores_reach_the_ceiling_and_none_pass_it(name: str, example: Example) -> None:
    scores, labels = example
    ceiling = METRICS[name].ceiling(labels)
    best, per_class = plain(name, labels.astype(np.float32), labels)
    if name == "macro_auroc" and np.isnan(per_class).all():
        return
    assert best == pytest.approx(ceiling, abs=1e-12)
    assert plain(name, scores, labels)[0] <= ceiling + 1e-12


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
    assert METRICS["macro_auroc"].chance(labels) == 0.5
    assert METRICS["accuracy"].chance(np.eye(5, dtype=np.int16)) == 1 / 5
    assert METRICS["top5"].chance(np.eye(3, dtype=np.int16)) == 1.0


def test_a_class_without_positive_or_negative_is_undefined_and_not_averaged() -> None:
    scores = np.array([[1, 0, 0], [0, 1, 0], [0, 2, 0]], dtype=np.float32)
    labels = np.array([[1, 0, 1], [0, 0, 1], [1, 0, 2]], dtype=np.int16)
    value, per_class = plain("macro_auroc", scores, labels)
    np.testing.assert_array_equal(per_class, [0.75, np.nan, np.nan])
    assert value == 0.75
    value, per_class = plain("top1", scores, labels)
    np.testing.assert_array_equal(np.isnan(per_class), [False, True, False])


def test_without_any_record_everything_is_undefined() -> None:
    none = np.zeros((0, 5), dtype=np.float32), np.zeros((0, 5), dtype=np.int16)
    for name, metric in METRICS.items():
        value, per_class = plain(name, *none)
        assert np.isnan(value) and np.isnan(per_class).all()
        assert metric.chance(none[1]) <= 1 or name == "mrr_filtered"
        assert np.isnan(metric.ceiling(none[1])) == (name not in ("mrr_filtered", "macro_auroc"))


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
        for found, wanted in zip(
            metric.values(scores, labels, weights), metric.values(plain_counts, labels, weights), strict=True
        ):
            np.testing.assert_array_equal(found, wanted)


def test_an_unknown_metric_is_refused() -> None:
    with pytest.raises(EcgbenchError, match="no metric 'top2': choose from top1, top5"):
        metric_named("top2")
