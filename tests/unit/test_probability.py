"""Similarity -> probability: on validation rows alone, rising, within 0 and 1, absent where it would be invented."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from ecgbench.evaluation.bootstrap import patient_weights
from ecgbench.evaluation.fitted import BINS, as_committed
from ecgbench.evaluation.probability import LEAST, fit_curves, reliability
from ecgbench.evaluation.scores import Scores


def made(n: int = 120, classes: int = 3, strength: float = 3.0, seed: int = 0, base: float = 0.4) -> Scores:
    """Half validation, half test; a finding's similarity is higher by `strength` / 10 where it is there."""
    drawn = np.random.default_rng(seed)
    labels = (drawn.random((n, classes)) < base).astype(np.int16)
    scores = (drawn.normal(scale=0.15, size=(n, classes)) + strength / 10 * labels).astype(np.float32)
    unknown = np.full(n, "", dtype="<U1")
    return Scores(
        task="t",
        task_version=1,
        record_id=np.array([f"r{i}" for i in range(n)]),
        patient_id=np.array([f"p{i // 2}" for i in range(n)]),
        split=np.array(["validation" if i < n // 2 else "test" for i in range(n)]),
        class_id=np.array([f"c{i}" for i in range(classes)]),
        scores=scores,
        labels=labels,
        sex=unknown,
        age_band=unknown,
        site=unknown,
    )


def naive_curve(similarity: np.ndarray, positive: np.ndarray) -> tuple[float, float]:
    """Platt's own: the cross-entropy of his targets, minimised as it stands."""
    n, m = positive.sum(), (~positive).sum()
    target = [(n + 1) / (n + 2) if each else 1 / (m + 2) for each in positive]

    def loss(pair: np.ndarray) -> float:
        total = 0.0
        for s, t in zip(similarity, target, strict=True):
            logit = pair[0] * s + pair[1]
            total += np.logaddexp(0, logit) - t * logit
        return total

    found = minimize(loss, [1.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-10, "maxiter": 5000})
    return float(found.x[0]), float(found.x[1])


def test_curves_are_platts_of_the_validation_rows() -> None:
    scores = made()
    curves = fit_curves(scores)
    validation = scores.rows("validation")
    for column in range(3):
        slope, intercept = naive_curve(as_committed(validation.scores[:, column]), validation.labels[:, column] > 0)
        assert curves.slopes[column] == pytest.approx(slope, rel=1e-4)
        assert curves.intercepts[column] == pytest.approx(intercept, rel=1e-4)


def test_test_rows_play_no_part() -> None:
    scores = made()
    test = scores.split == "test"
    other = replace(
        scores,
        labels=np.where(test[:, None], 1 - scores.labels, scores.labels),
        scores=np.where(test[:, None], -scores.scores, scores.scores),
    )
    one, two = fit_curves(scores), fit_curves(other)
    assert np.array_equal(one.slopes, two.slopes) and np.array_equal(one.intercepts, two.intercepts)


def test_there_is_none_where_it_would_be_invented() -> None:
    scores = made(classes=4)
    validation = np.flatnonzero(scores.split == "validation")
    labels, values = scores.labels.copy(), scores.scores.copy()
    labels[validation, 0] = 0
    labels[validation[: LEAST - 1], 0] = 1  # one too few with the finding
    labels[validation, 1] = 1
    labels[validation[: LEAST - 1], 1] = 0  # one too few without it
    values[:, 2] = -values[:, 2]  # falls
    values[:, 3] = 0.25  # says nothing
    curves = fit_curves(replace(scores, labels=labels, scores=values))
    assert curves.known.tolist() == [False] * 4
    assert np.isnan(curves.probabilities(values)).all()
    assert reliability(curves, replace(scores, labels=labels, scores=values)) is None


def test_separate_similarities_stay_short_of_certainty() -> None:
    scores = made(base=0.5)
    apart = replace(scores, scores=(scores.labels * 0.5).astype(np.float32))
    curves = fit_curves(apart)
    n = int(curves.positives[0])
    said = curves.probabilities(np.array([[0.0] * 3, [0.5] * 3]))
    assert curves.known.all() and said[1, 0] == pytest.approx((n + 1) / (n + 2), abs=1e-3)
    assert said[0, 0] == pytest.approx(1 / (curves.n_validation - n + 2), abs=1e-3)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    strength=st.floats(0, 8),
    base=st.floats(0.02, 0.95),
    asked=st.lists(st.floats(-1, 1), min_size=2, max_size=20),
)
def test_probabilities_rise_and_stay_within_0_and_1(
    seed: int, strength: float, base: float, asked: list[float]
) -> None:
    curves = fit_curves(made(seed=seed, strength=strength, base=base))
    said = curves.probabilities(np.repeat(np.sort(np.array(asked))[:, None], 3, axis=1))
    assert np.isnan(said[:, ~curves.known]).all()
    known = said[:, curves.known]
    assert ((known >= 0) & (known <= 1)).all() and (np.diff(known, axis=0) >= 0).all()


def test_the_order_of_records_changes_nothing() -> None:
    scores = made()
    order = np.random.default_rng(1).permutation(len(scores.record_id))
    one, two = fit_curves(scores), fit_curves(scores.select(order))
    np.testing.assert_allclose(one.slopes, two.slopes, rtol=1e-6)
    first, second = reliability(one, scores), reliability(two, scores.select(order))
    assert first is not None and second is not None and first.error == pytest.approx(second.error, abs=1e-9)


def naive_error(said: np.ndarray, true: np.ndarray, weights: np.ndarray) -> float:
    """Bin by bin, pair by pair."""
    total, apart = 0.0, 0.0
    for number in range(BINS):
        gap = 0.0
        for row in range(len(said)):
            for column in range(said.shape[1]):
                if number / BINS < said[row, column] <= (number + 1) / BINS:
                    gap += weights[row] * (float(true[row, column]) - said[row, column])
                    total += weights[row]
        apart += abs(gap)
    return apart / total


def test_the_calibration_error_has_a_naive_twin() -> None:
    scores = made()
    curves = fit_curves(scores)
    test = scores.rows("test")
    said, true = curves.probabilities(as_committed(test.scores)), test.labels > 0
    found = reliability(curves, scores)
    assert found is not None
    ones = np.ones(len(said))
    assert found.error == pytest.approx(naive_error(said, true, ones))
    drawn = [naive_error(said, true, weights) for weights in patient_weights(test.patient_id, 60)]
    assert found.ci[0] < np.median(drawn) < found.ci[1]
    assert found.brier == pytest.approx(
        np.mean([(s - t) ** 2 for s, t in zip(said.ravel(), true.ravel(), strict=True)])
    )
    assert found.n_pairs == said.size == sum(each.pairs for each in found.bins)
    assert found.brier < found.brier_of_shares
