"""F1 with thresholds, and the calibration error with a temperature, both chosen on validation rows."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import minimize_scalar
from sklearn.metrics import f1_score

from ecgbench.evaluation.fitted import BINS, TEMPERATURES, as_committed, best_temperature, best_thresholds, bin_of
from ecgbench.evaluation.metrics import METRICS, Metric

Rows = tuple[np.ndarray, np.ndarray]
FITTED = ["macro_f1", "micro_f1", "ece"]


@st.composite
def rows(draw: st.DrawFn, n_classes: int = 3) -> Rows:
    """Scores with ties and label counts, each record with a label."""
    shape = (draw(st.integers(1, 9)), n_classes)
    scores = draw(arrays(np.float32, shape, elements=st.sampled_from([-0.5, -0.25, 0.0, 0.125, 0.3, 0.7])))
    labels = draw(arrays(np.int16, shape, elements=st.sampled_from([0, 0, 1, 2])))
    labels[~labels.any(axis=1), draw(st.integers(0, n_classes - 1))] = 1
    return scores, labels


def cosines(n: int, n_classes: int, seed: int) -> Rows:
    rng = np.random.default_rng(seed)
    labels = (rng.random((n, n_classes)) < 0.2).astype(np.int16)
    labels[labels.sum(axis=1) == 0, 0] = 1
    labels[::7] *= 2
    return (0.1 * rng.standard_normal(labels.shape) + 0.15 * (labels > 0)).astype(np.float32), labels


def once(metric: Metric, scores: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    values, per_class = metric.values(scores, labels, np.ones((1, len(scores)), dtype=np.int16))
    return float(values[0]), per_class[0]


# F1


def naive_f1(called: list[bool], positive: list[bool]) -> float:
    hits = sum(c and p for c, p in zip(called, positive, strict=True))
    return 2 * hits / (sum(called) + sum(positive)) if any(positive) else math.nan


def naive_threshold(scores: list[float], positive: list[bool]) -> float:
    """Of all observed scores, from the lowest on, the first with the largest F1."""
    best, chosen = -1.0, math.nan
    for threshold in sorted(scores) if any(positive) else []:
        f1 = naive_f1([score >= threshold for score in scores], positive)
        if f1 > best:
            best, chosen = f1, threshold
    return chosen


@settings(max_examples=80, deadline=None)
@given(validation=rows(), test=rows())
def test_f1_against_its_naive_twin(validation: Rows, test: Rows) -> None:
    coarse = [as_committed(each[0]) for each in (validation, test)]
    by_class, pooled_calls, pooled_truth = [], [], []
    for column in range(3):
        threshold = naive_threshold(coarse[0][:, column].tolist(), (validation[1][:, column] > 0).tolist())
        called, truth = (coarse[1][:, column] >= threshold).tolist(), (test[1][:, column] > 0).tolist()
        by_class.append(math.nan if math.isnan(threshold) else naive_f1(called, truth))
        if not math.isnan(threshold):
            pooled_calls += called
            pooled_truth += truth
    value, per_class = once(METRICS["macro_f1"].fitted(*validation), *test)
    np.testing.assert_allclose(per_class, by_class, atol=1e-12)
    defined = [each for each in by_class if not math.isnan(each)]
    assert value == pytest.approx(np.mean(defined) if defined else math.nan, abs=1e-12, nan_ok=True)
    value, _ = once(METRICS["micro_f1"].fitted(*validation), *test)
    assert value == pytest.approx(naive_f1(pooled_calls, pooled_truth), abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("average", ["macro", "micro"])
def test_f1_is_scikit_learns(average: str) -> None:
    validation, test = cosines(80, 5, 1), cosines(120, 5, 2)
    metric = METRICS[f"{average}_f1"].fitted(*validation)
    called = as_committed(test[0]) >= best_thresholds(as_committed(validation[0]), validation[1] > 0)
    assert 0 < called.mean() < 1
    expected = f1_score(test[1] > 0, called, average=average)
    assert once(metric, *test)[0] == pytest.approx(expected, abs=1e-12)


def test_of_equally_good_thresholds_the_lowest_is_taken() -> None:
    scores = np.array([[0.5], [0.25], [0.125], [0.0]])
    # From 0.5: 1 of 1 called and 1 of 2 found, F1 2/3. From 0: 2 of 4 called and both found, F1 2/3.
    positive = np.array([[True], [False], [False], [True]])
    assert best_thresholds(scores, positive).tolist() == [0.0]
    assert best_thresholds(scores[:3], positive[:3]).tolist() == [0.5]


def test_a_class_without_a_validation_positive_has_no_f1_and_enters_no_mean() -> None:
    scores = np.array([[0.5, 0.5], [0.0, 0.25]])
    metric = METRICS["macro_f1"].fitted(scores, np.array([[1, 0], [1, 0]]))
    value, per_class = once(metric, scores, np.array([[1, 1], [0, 1]]))
    np.testing.assert_allclose(per_class, [2 / 3, np.nan])
    assert value == pytest.approx(2 / 3)
    micro = METRICS["micro_f1"].fitted(scores, np.array([[1, 0], [1, 0]]))
    assert once(micro, scores, np.array([[1, 1], [0, 1]]))[0] == pytest.approx(2 / 3)


@pytest.mark.parametrize("name", ["macro_f1", "micro_f1"])
def test_constant_scores_get_the_chance_of_the_classes_with_a_threshold(name: str) -> None:
    validation, test = cosines(30, 5, 1)[1], cosines(50, 5, 2)[1]
    validation[:, 2] = 0
    metric = METRICS[name].fitted(np.full(validation.shape, 0.25), validation)
    value, _ = once(metric, np.full(test.shape, 0.25), test)
    assert value == pytest.approx(metric.chance(test), abs=1e-12) and 0 < value < 1
    assert metric.chance(test) != pytest.approx(METRICS[name].fitted(test, test).chance(test), abs=1e-6)


# calibration


def naive_ece(scores: np.ndarray, labels: np.ndarray, temperature: float) -> float:
    """Instance by instance into bins (low, high]; the gaps of the bins weighted by their instances."""
    bins: list[list[tuple[float, float]]] = [[] for _ in range(BINS)]
    for row, counts in zip(scores.tolist(), labels.tolist(), strict=True):
        powers = [math.exp((each - max(row)) / temperature) for each in row]
        confidence, best = max(powers) / sum(powers), [each for each in row if each == max(row)]
        place = next(b for b in range(BINS) if confidence <= (b + 1) / BINS + 1e-12)
        for score, count in zip(row, counts, strict=True):
            bins[place] += [((score == max(row)) / len(best), confidence)] * count
    gaps = [abs(sum(hit for hit, _ in each) - sum(sure for _, sure in each)) for each in bins]
    return sum(gaps) / sum(map(len, bins))


@settings(max_examples=60, deadline=None)
@given(validation=rows(), test=rows())
def test_calibration_error_against_its_naive_twin(validation: Rows, test: Rows) -> None:
    temperature = best_temperature(as_committed(validation[0]), validation[1])
    assert temperature is not None
    value, per_class = once(METRICS["ece"].fitted(*validation), *test)
    assert value == pytest.approx(naive_ece(as_committed(test[0]), test[1], temperature), abs=1e-9)
    assert np.isnan(per_class).all()


def likelihood(scores: np.ndarray, labels: np.ndarray) -> Callable[[float], float]:
    """Mean negative log-likelihood of the label instances by the logarithm of the temperature."""

    def loss(log_temperature: float) -> float:
        scaled = scores.astype(np.float64) / math.exp(log_temperature)
        largest = scaled.max(axis=1, keepdims=True)
        log_share = scaled - largest - np.log(np.exp(scaled - largest).sum(axis=1, keepdims=True))
        return float(-(labels * log_share).sum() / labels.sum())

    return loss


@pytest.mark.parametrize("seed", range(5))
def test_the_temperature_is_the_one_that_scipy_finds(seed: int) -> None:
    scores, labels = cosines(200, 5, seed)
    bounds = tuple(math.log(each) for each in TEMPERATURES)
    found = minimize_scalar(likelihood(scores, labels), bounds=bounds, method="bounded", options={"xatol": 1e-9})
    temperature = best_temperature(scores, labels)
    assert temperature == pytest.approx(math.exp(found.x), rel=1e-5) and 0.01 < temperature < 1


@pytest.mark.parametrize(
    ("scores", "labels", "expected"),
    [
        ([[0.5, 0.5], [0.1, 0.1]], [[1, 0], [0, 1]], TEMPERATURES[1]),  # constant: every temperature is as good
        ([[0.5, 0.0]], [[0, 1]], TEMPERATURES[1]),  # wrong: the less sure, the better
        ([[0.5, 0.0]], [[1, 0]], TEMPERATURES[0]),  # right: the surer, the better
    ],
)
def test_a_temperature_without_an_inner_best_is_an_end(scores: list, labels: list, expected: float) -> None:
    assert best_temperature(np.array(scores), np.array(labels, np.int16)) == expected


def test_the_temperature_does_not_depend_on_the_order_of_records() -> None:
    scores, labels = cosines(300, 5, 3)
    order = np.random.default_rng(0).permutation(300)
    assert best_temperature(scores, labels) == best_temperature(scores[order], labels[order])


def test_a_calibrated_model_has_a_small_error_and_a_boastful_one_a_large() -> None:
    """Labels drawn from softmax(scores / 0.1): fitted on such rows the error is sampling noise; fitted on rows where
    the best class is always right, the confidence is too high."""
    rng = np.random.default_rng(0)
    scores = (0.15 * rng.standard_normal((8000, 5))).astype(np.float32)
    share = np.exp(scores / 0.1) / np.exp(scores / 0.1).sum(axis=1, keepdims=True)
    labels = np.eye(5, dtype=np.int16)[(share.cumsum(axis=1) < rng.random((8000, 1))).sum(axis=1).clip(0, 4)]
    half = slice(4000), slice(4000, None)
    metric = METRICS["ece"].fitted(scores[half[0]], labels[half[0]])
    assert metric.temperature == pytest.approx(0.1, rel=0.05)  # type: ignore[attr-defined]
    assert once(metric, scores[half[1]], labels[half[1]])[0] < 0.03
    boastful = METRICS["ece"].fitted(scores, np.eye(5, dtype=np.int16)[scores.argmax(axis=1)])
    assert once(boastful, scores[half[1]], labels[half[1]])[0] > 0.2


def test_bins_are_closed_above_and_one_fifth_falls_into_the_third() -> None:
    shares = np.array([1 / 5, 0.2 + 1e-15, 0.2 + 1e-6, 0.5, 1.0, 1 / 98, 7 / 15, 7 / 15 + 1e-6])
    assert bin_of(shares).tolist() == [2, 2, 3, 7, 14, 0, 6, 7]


def test_the_calibration_error_by_hand() -> None:
    """T = 1 / ln 3 makes 3 : 1 of a difference of one: confidence 0.75. Two of three instances hit."""
    scores, labels = np.array([[1.0, 0.0]] * 3), np.array([[1, 0], [1, 0], [0, 1]], np.int16)
    metric = METRICS["ece"].fitted(np.array([[1.0, 0.0]] * 4), np.array([[1, 0]] * 3 + [[0, 1]], np.int16))
    assert metric.temperature == pytest.approx(1 / math.log(3), rel=1e-5)  # type: ignore[attr-defined]
    assert once(metric, scores, labels)[0] == pytest.approx(0.75 - 2 / 3, abs=1e-5)


# both


@pytest.mark.parametrize("name", FITTED)
def test_without_validation_rows_it_is_undefined(name: str) -> None:
    test = cosines(20, 4, 0)
    for metric in (METRICS[name], METRICS[name].fitted(test[0][:0], test[1][:0])):
        assert np.isnan(once(metric, *test)[0])


@pytest.mark.parametrize("name", FITTED)
@settings(max_examples=30, deadline=None)
@given(validation=rows(), test=rows(), seed=st.integers(0, 99))
def test_order_of_records_and_classes_changes_nothing(name: str, validation: Rows, test: Rows, seed: int) -> None:
    rng = np.random.default_rng(seed)
    columns = rng.permutation(3)
    orders = [rng.permutation(len(scores)) for scores, _ in (validation, test)]
    turned = [[x[order][:, columns] for x in each] for each, order in zip((validation, test), orders, strict=True)]
    value, per_class = once(METRICS[name].fitted(*validation), *test)
    again, per_class_again = once(METRICS[name].fitted(*turned[0]), *turned[1])
    assert again == pytest.approx(value, abs=1e-9, nan_ok=True)
    np.testing.assert_allclose(per_class_again, per_class[columns], atol=1e-12)


@pytest.mark.parametrize("name", FITTED)
def test_a_float16_copy_gives_the_same_number(name: str) -> None:
    validation, test = cosines(60, 5, 1), cosines(90, 5, 2)
    copies = [(each.astype(np.float16).astype(np.float32), labels) for each, labels in (validation, test)]
    assert (copies[1][0] != test[0]).mean() > 0.9
    values = [once(METRICS[name].fitted(*pair[0]), *pair[1])[0] for pair in ((validation, test), tuple(copies))]
    assert values[0] == values[1] and 0 < values[0] < 1


def test_scores_beyond_float16_stay_finite() -> None:
    assert as_committed(np.array([1e9, -1e9, 0.5])).tolist() == [65504.0, -65504.0, 0.5]
