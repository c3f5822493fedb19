"""AUROC and average precision, by class and pooled, against all pairs, all thresholds and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import average_precision_score, roc_auc_score

from ecgbench.evaluation.areas import weighted_auprc, weighted_auroc

Example = tuple[np.ndarray, np.ndarray, np.ndarray]


@st.composite
def examples(draw: st.DrawFn) -> Example:
    """Scores with few distinct values, labels, and how often each record counts."""
    shape = (draw(st.integers(1, 9)), draw(st.integers(1, 4)))
    scores = draw(arrays(np.float32, shape, elements=st.integers(-2, 2).map(float)))
    labels = draw(arrays(np.int16, shape, elements=st.sampled_from([0, 0, 1, 2])))
    weights = draw(arrays(np.int16, (2, shape[0]), elements=st.integers(0, 3)))
    return scores, labels, weights


def naive_auroc(scores: list[float], positive: list[bool]) -> float:
    wins = [
        1.0 if p > n else 0.5 if p == n else 0.0
        for p, is_positive in zip(scores, positive, strict=True)
        if is_positive
        for n, other in zip(scores, positive, strict=True)
        if not other
    ]
    return float(np.mean(wins)) if wins else float("nan")


def naive_auprc(scores: list[float], positive: list[bool]) -> float:
    """Over the thresholds from high to low: the share of positives that each adds times the precision there."""
    if all(positive) or not any(positive):
        return float("nan")
    area = found = 0.0
    for threshold in sorted(set(scores), reverse=True):
        called = [p for s, p in zip(scores, positive, strict=True) if s >= threshold]
        area += (sum(called) - found) * sum(called) / len(called)
        found = sum(called)
    return area / found


def listed(scores: np.ndarray, labels: np.ndarray, weights: np.ndarray, column: int | None) -> tuple[list, list]:
    """The pairs of one class, or of all with None, each as often as its record counts."""
    rows = np.repeat(np.arange(len(scores)), weights)
    columns = slice(None) if column is None else [column]
    return scores[rows][:, columns].ravel().tolist(), (labels[rows][:, columns].ravel() > 0).tolist()


@settings(max_examples=100, deadline=None)
@given(example=examples())
def test_both_areas_against_naive_twins_with_records_repeated(example: Example) -> None:
    scores, labels, weights = example
    for ours, naive in ((weighted_auroc, naive_auroc), (weighted_auprc, naive_auprc)):
        by_class, pooled = (ours(scores, labels, weights, pooled=each) for each in (False, True))
        for row, counts in enumerate(weights):
            expected = [naive(*listed(scores, labels, counts, column)) for column in range(scores.shape[1])]
            np.testing.assert_allclose(by_class[row], expected, atol=1e-12)
            expected = [naive(*listed(scores, labels, counts, None))]
            np.testing.assert_allclose(pooled[row], expected, atol=1e-12)


@settings(max_examples=100, deadline=None)
@given(example=examples(), seed=st.integers(0, 1000))
def test_apart_is_the_least_of_all_ways_to_break_ties(example: Example, seed: int) -> None:
    """Negatives first and then each positive alone is reached; no other order of the tied pairs gives less."""
    scores, labels, weights = example
    assume(weights[0].any())
    column = 0
    ranked, positive = listed(scores, labels, weights[0], column)
    (least,) = weighted_auprc(scores, labels, weights[:1], apart=True)[:, column]
    reached = [s - 1e-3 * (place + 1) * p for place, (s, p) in enumerate(zip(ranked, positive, strict=True))]
    assert least == pytest.approx(naive_auprc(reached, positive), abs=1e-9, nan_ok=True)
    broken = [s + jitter for s, jitter in zip(ranked, np.random.default_rng(seed).random(len(ranked)) / 2, strict=True)]
    other = naive_auprc(broken, positive)
    assert np.isnan(least) or least <= min(other, naive_auprc(ranked, positive)) + 1e-9
    (pooled,) = weighted_auprc(scores, labels, weights[:1], pooled=True, apart=True)[:, 0]
    assert np.isnan(pooled) or pooled <= naive_auprc(*listed(scores, labels, weights[0], None)) + 1e-9


def test_a_tie_among_positives_alone_is_worth_more_than_its_order() -> None:
    """One negative above ten positives: tied they share one threshold. So average precision can fall when a positive
    rises, and moving the scores is no bound for it."""
    labels = np.array([[0]] + [[1]] * 10, dtype=np.int16)
    ones = np.ones((1, 11), dtype=np.int16)
    tied = np.array([[2.0]] + [[1.0]] * 10)
    risen = tied.copy()
    risen[1] = 1.5
    values = [weighted_auprc(scores, labels, ones)[0, 0] for scores in (tied, risen)]
    assert values == pytest.approx([10 / 11, (1 / 2 + 9 * 10 / 11) / 10])
    assert values[1] < values[0]
    apart = weighted_auprc(tied, labels, ones, apart=True)[0, 0]
    assert apart == pytest.approx(np.mean([k / (k + 1) for k in range(1, 11)]))


@pytest.mark.parametrize("distinct", [3, 1000])
def test_all_four_are_scikit_learns(distinct: int) -> None:
    rng = np.random.default_rng(1)
    labels = (rng.random((300, 6)) < [0.02, 0.1, 0.3, 0.5, 0.9, 0.98]).astype(np.int16)
    scores = (rng.integers(0, distinct, labels.shape) + labels * distinct / 3).astype(np.float32)
    weights = rng.integers(0, 4, (5, 300)).astype(np.int16)
    for ours, theirs in ((weighted_auroc, roc_auc_score), (weighted_auprc, average_precision_score)):
        by_class, pooled = (ours(scores, labels, weights, pooled=each) for each in (False, True))
        for row in range(5):
            expected = theirs(labels, scores, average=None, sample_weight=weights[row])
            np.testing.assert_allclose(by_class[row], expected, atol=1e-12)
            expected = theirs(labels, scores, average="micro", sample_weight=weights[row])
            assert pooled[row, 0] == pytest.approx(expected, abs=1e-12)


def test_without_a_positive_or_a_negative_nothing_is_defined() -> None:
    ones = np.ones((2, 3), dtype=np.int16)
    for labels in (np.zeros((3, 2), np.int16), np.ones((3, 2), np.int16)):
        for area in (weighted_auroc, weighted_auprc):
            assert np.isnan(area(np.eye(3, 2), labels, ones)).all()
            assert np.isnan(area(np.eye(3, 2), labels, ones, pooled=True)).all()
