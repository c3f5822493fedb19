"""The patient bootstrap against explicit resampling, and the paired comparison."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgbench.errors import EcgbenchError
from ecgbench.evaluation import weighting
from ecgbench.evaluation.bootstrap import interval, patient_weights
from ecgbench.evaluation.compare import paired_difference
from ecgbench.evaluation.metrics import METRICS
from ecgbench.evaluation.scores import Scores
from ecgbench.evaluation.scoring import fitted


def random_scores(seed: int, n: int = 48, n_patients: int = 15) -> Scores:
    """Few patients, tied scores, rare classes; the first twelve records are validation records."""
    rng = np.random.default_rng(seed)
    labels = (rng.random((n, 7)) < [0.5, 0.3, 0.1, 0.05, 0.1, 0.1, 0.1]).astype(np.int16)
    labels[labels.sum(axis=1) == 0, 0] = 2
    patient = np.array([f"p{each:03}" for each in rng.integers(0, n_patients, n)])
    patient[:12] = "validation-patient"
    labels[2:4] = [0, 1, 1, 1, 1, 1, 1]
    blank = np.full(n, "")
    return Scores(
        "rhythm", 1, np.array([f"r{each}" for each in range(n)]), patient,
        np.array(["validation"] * 12 + ["test"] * (n - 12)), np.array([f"c{each}" for each in range(7)]),
        (rng.integers(0, 5, labels.shape) + labels).astype(np.float32), labels, blank, blank, blank,
    )  # fmt: skip


def explicit_resamples(patient_id: np.ndarray, n_replicates: int, seed: int) -> list[np.ndarray]:
    """The slow way: draw patients one by one, list the rows of each as often as it is drawn."""
    patients = sorted(set(patient_id.tolist()))
    source = np.random.PCG64(seed)
    resamples = []
    for _ in range(n_replicates):
        rows: list[int] = []
        for _ in patients:
            drawn = patients[int(source.random_raw()) % len(patients)]
            rows.extend(np.flatnonzero(patient_id == drawn).tolist())
        resamples.append(np.array(rows))
    return resamples


@pytest.mark.parametrize("name", sorted(METRICS))
@pytest.mark.parametrize("seed", [0, 1])
def test_replicates_are_the_metric_on_repeated_rows(name: str, seed: int) -> None:
    scores = random_scores(seed)
    test, metric = scores.rows("test"), fitted(METRICS[name], scores)
    weights = patient_weights(test.patient_id, 60, seed)
    values, per_class = metric.values(test.scores, test.labels, weights)
    assert np.isfinite(values).all() and len(np.unique(values)) > 10
    lost = 0
    for replicate, rows in enumerate(explicit_resamples(test.patient_id, 60, seed)):
        once = np.ones((1, len(rows)), dtype=np.int16)
        expected, expected_per_class = metric.values(test.scores[rows], test.labels[rows], once)
        assert values[replicate] == pytest.approx(expected[0], abs=1e-12)
        np.testing.assert_allclose(per_class[replicate], expected_per_class[0], atol=1e-12)
        lost += int(np.isnan(expected_per_class).any())
    assert lost > 0, "no replicate lost a class: the test does not test what it should"


def test_all_records_of_a_patient_come_along() -> None:
    patient_id = np.array(["b", "a", "b", "c", "b"])
    weights = patient_weights(patient_id, 500, seed=3)
    assert weights.shape == (500, 5) and weights.dtype == np.int16
    np.testing.assert_array_equal(weights[:, 0], weights[:, 2])
    np.testing.assert_array_equal(weights[:, 0], weights[:, 4])
    np.testing.assert_array_equal(weights[:, [0, 1, 3]].sum(axis=1), 3)
    np.testing.assert_allclose(weights[:, [0, 1, 3]].mean(axis=0), 1.0, atol=0.12)


def test_the_draws_never_change() -> None:
    """Intervals of committed results rest on these draws."""
    weights = patient_weights(np.array(["a", "b", "c", "d", "e"]), 3, seed=0)
    np.testing.assert_array_equal(weights, [[0, 2, 1, 1, 1], [0, 1, 2, 1, 1], [1, 0, 1, 1, 2]])


def test_seed_and_order() -> None:
    patient_id = np.array(["b", "a", "b", "c", "d"])
    first = patient_weights(patient_id, 50, seed=0)
    np.testing.assert_array_equal(first, patient_weights(patient_id, 50, seed=0))
    assert (first != patient_weights(patient_id, 50, seed=1)).any()
    order = np.array([4, 2, 0, 1, 3])
    np.testing.assert_array_equal(first[:, order], patient_weights(patient_id[order], 50, seed=0))
    np.testing.assert_array_equal(first[:20], patient_weights(patient_id, 20, seed=0))


def test_copies_of_a_patients_records_add_no_certainty() -> None:
    scores = random_scores(5)
    test = scores.rows("test")
    for metric in (fitted(each, scores) for each in METRICS.values()):
        once = metric.values(test.scores, test.labels, patient_weights(test.patient_id, 100))
        thrice = metric.values(
            np.tile(test.scores, (3, 1)),
            np.tile(test.labels, (3, 1)),
            patient_weights(np.tile(test.patient_id, 3), 100),
        )
        np.testing.assert_allclose(once[0], thrice[0], atol=1e-12)


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = random_scores(2)
    test, metrics = scores.rows("test"), {name: fitted(each, scores) for name, each in METRICS.items()}
    weights = patient_weights(test.patient_id, 30)
    whole = {name: metric.values(test.scores, test.labels, weights) for name, metric in metrics.items()}
    monkeypatch.setattr(weighting, "BLOCK", 7 * len(test.scores))
    assert len(list(weighting.blocks(*weights.shape))) == 5
    for name, metric in metrics.items():
        for one, other in zip(whole[name], metric.values(test.scores, test.labels, weights), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.one_of(st.floats(-1, 1), st.just(float("nan"))), min_size=1, max_size=30))
def test_interval_is_the_percentiles_of_what_is_defined(values: list[float]) -> None:
    array = np.array(values)
    kept = sorted(each for each in values if not np.isnan(each))
    bounds = interval(array)
    stacked = interval(np.stack([array, array, np.full(len(array), np.nan)], axis=1))
    np.testing.assert_array_equal(stacked, [[bounds[0]] * 2 + [np.nan], [bounds[1]] * 2 + [np.nan]])
    if not kept:
        assert np.isnan(bounds).all()
        return
    for bound, share in zip(bounds, (0.025, 0.975), strict=True):
        at = share * (len(kept) - 1)
        low, high = kept[int(np.floor(at))], kept[int(np.ceil(at))]
        assert bound == pytest.approx(low + (high - low) * (at - np.floor(at)), abs=1e-12)


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """200 studies of 150 patients with two alike records each; the true hit rate is one half."""
    rng = np.random.default_rng(0)
    covered = 0
    weights = patient_weights(np.repeat(np.arange(150).astype(str), 2), 400)
    for _ in range(200):
        hit = np.repeat(rng.random(150) < 0.5, 2)
        scores = np.stack([hit, ~hit], axis=1).astype(np.float32)
        labels = np.tile(np.array([1, 0], dtype=np.int16), (300, 1))
        low, high = interval(METRICS["accuracy"].values(scores, labels, weights)[0])
        covered += bool(low <= 0.5 <= high)
    assert 0.89 <= covered / 200 <= 0.99


def other_scores(a: Scores, seed: int = 9) -> Scores:
    noise = np.random.default_rng(seed).integers(-2, 3, a.scores.shape)
    return replace(a, scores=(a.scores + noise).astype(np.float32))


@pytest.mark.parametrize("name", sorted(METRICS))
def test_the_difference_is_taken_on_the_same_resamples(name: str) -> None:
    a = random_scores(3)
    b = other_scores(a)
    difference = paired_difference(a, b, name, replicates=80, seed=4)
    first, second = a.rows("test"), b.rows("test")

    def value(scores: Scores, rows: np.ndarray) -> float:
        once = np.ones((1, len(rows)), dtype=np.int16)
        metric = fitted(METRICS[name], a if scores is first else b)
        return float(metric.values(scores.scores[rows], scores.labels[rows], once)[0][0])

    everything = np.arange(len(first.scores))
    resampled = [value(first, rows) - value(second, rows) for rows in explicit_resamples(first.patient_id, 80, 4)]
    low, high = np.percentile(resampled, [2.5, 97.5])
    assert difference.value == pytest.approx(value(first, everything) - value(second, everything), abs=1e-12)
    assert (difference.low, difference.high) == pytest.approx((low, high), abs=1e-12)
    assert difference.n_patients == len(set(first.patient_id.tolist()))


def test_compared_with_itself_or_turned_round() -> None:
    a = random_scores(3)
    b = other_scores(a)
    same = paired_difference(a, a, "macro_auroc", replicates=50)
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
    forth = paired_difference(a, b, "top1", replicates=200)
    back = paired_difference(b, a, "top1", replicates=200)
    assert (forth.value, forth.low, forth.high) == pytest.approx((-back.value, -back.high, -back.low), abs=1e-12)


def test_order_of_records_and_classes_does_not_matter() -> None:
    a = random_scores(3)
    b = other_scores(a)
    turned = b.select(np.random.default_rng(0).permutation(len(b.scores))).with_classes(
        ("c2", "c0", "c6", "c3", "c1", "c5", "c4")
    )
    for name in METRICS:
        straight = paired_difference(a, b, name, replicates=50)
        assert vars(paired_difference(a, turned, name, replicates=50)) == pytest.approx(vars(straight), abs=1e-12)


def test_validation_rows_do_not_enter() -> None:
    a = random_scores(3)
    b = other_scores(a)
    without = b.select(b.split == "test")
    assert paired_difference(a, without, "top1", replicates=20) == paired_difference(a, b, "top1", replicates=20)


@pytest.mark.parametrize("name", ["macro_f1", "micro_f1", "ece"])
def test_what_validation_rows_decide_is_compared_on_the_same_ones_only(name: str) -> None:
    a = random_scores(3)
    b = other_scores(a)
    assert not np.isnan(paired_difference(a, b, name, replicates=5).value)
    labels = b.labels.copy()
    labels[0, 0] += 1  # a validation record
    for other in (b.select(b.split == "test"), replace(b, labels=labels)):
        assert np.isnan(paired_difference(a, other, name, replicates=5).value)


def mismatched(**changes: Any) -> Scores:
    return replace(random_scores(3), **changes)


def test_what_does_not_match_is_refused() -> None:
    a = random_scores(3)
    labels = a.labels.copy()
    labels[17, 0] += 1
    patients = a.patient_id.copy()
    patients[19] = "p999"
    records = a.record_id.copy()
    records[21] = "r999"
    for wrong, says in (
        (mismatched(task="superclass"), "rhythm version 1 cannot be compared with superclass"),
        (mismatched(task_version=2), "version 2"),
        (mismatched(labels=labels), "test record 'r17' has other labels"),
        (mismatched(patient_id=patients), "test record 'r19' has other labels or another patient"),
        (mismatched(record_id=records), "test record 'r21' stands only in the first"),
        (a.select(np.arange(len(a.scores)) != 22), "test record 'r22' stands only in the first"),
        (mismatched(class_id=np.array([*a.class_id[:6], "c9"])), "lack the class 'c6'"),
        (mismatched(scores=a.scores * np.float32(np.nan)), "not finite"),
    ):
        with pytest.raises(EcgbenchError, match=says):
            paired_difference(a, wrong, "top1", replicates=5)
    with pytest.raises(EcgbenchError, match="no metric 'f1'"):
        paired_difference(a, a, "f1")
