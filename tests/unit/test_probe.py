"""The linear probe against scikit-learn, and what it may not see."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from ecgbench.errors import EcgbenchError
from ecgbench.evaluation.probe import STRENGTHS, Probe, chosen_patients, fit_probe


def made(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, 12) float32, one of them constant, and three classes that depend on them."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, 12)).astype(np.float32) * np.arange(1, 13, dtype=np.float32)
    features[:, 5] = 3.0
    logits = np.stack([features[:, 0] - 1, features[:, 3] / 4 + features[:, 7] / 8, -features[:, 11] / 6 - 1], axis=1)
    return features, rng.random(logits.shape) < 1 / (1 + np.exp(-logits))


def test_it_is_scikit_learns_logistic_regression() -> None:
    (x, y), (vx, vy) = made(400, 0), made(200, 1)
    probe = fit_probe(x, y, vx, vy)
    scaled, spread = (x - x.mean(0)) / np.where(x.std(0) > 0, x.std(0), 1), x.std(0) > 0
    for column in range(3):
        model = LogisticRegression(C=1 / (probe.strength * len(x)), tol=1e-10, max_iter=5000)
        model.fit(scaled[:, spread], y[:, column])
        naive = model.decision_function(((vx - x.mean(0)) / np.where(x.std(0) > 0, x.std(0), 1))[:, spread])
        assert np.abs(probe.logits(vx)[:, column] - naive).max() < 5e-3


def test_fewer_records_than_dimensions_give_the_same_probe() -> None:
    """The short way through the records' own space, against scikit-learn on all dimensions."""
    (x, y), (vx, vy) = made(9, 20), made(200, 21)
    probe = fit_probe(x, y, vx, vy)
    scaled = (x - x.mean(0)) / np.where(x.std(0) > 0, x.std(0), np.inf)
    out = (vx - x.mean(0)) / np.where(x.std(0) > 0, x.std(0), np.inf)
    for column in np.flatnonzero(y.any(0) & ~y.all(0)):
        model = LogisticRegression(C=1 / (probe.strength * len(x)), tol=1e-10, max_iter=5000).fit(scaled, y[:, column])
        assert np.abs(probe.logits(vx)[:, column] - model.decision_function(out)).max() < 5e-3


def test_the_penalty_is_the_best_on_validation() -> None:
    (x, y), (vx, vy) = made(60, 2), made(300, 3)
    probe = fit_probe(x, y, vx, vy)
    reached = {}
    scaled = (x - x.mean(0)) / np.where(x.std(0) > 0, x.std(0), np.inf)
    for strength in STRENGTHS:
        models = [
            LogisticRegression(C=1 / (strength * len(x)), tol=1e-10, max_iter=5000).fit(scaled, y[:, column])
            for column in range(3)
        ]
        out = (vx - x.mean(0)) / np.where(x.std(0) > 0, x.std(0), np.inf)
        reached[strength] = np.mean([roc_auc_score(vy[:, c], m.decision_function(out)) for c, m in enumerate(models)])
    assert reached[probe.strength] == pytest.approx(max(reached.values()), abs=2e-3)


def test_a_class_without_a_training_positive_does_not_stop_the_others() -> None:
    (x, y), (vx, vy) = made(300, 4), made(200, 5)
    y[:, 1] = False
    probe = fit_probe(x, y, vx, vy)
    assert np.isfinite(probe.logits(vx)).all()
    assert roc_auc_score(vy[:, 0], probe.logits(vx)[:, 0]) > 0.6


def test_scale_and_a_constant_feature_change_nothing() -> None:
    (x, y), (vx, vy) = made(200, 6), made(200, 7)
    factor = np.linspace(0.1, 50, 12).astype(np.float32)
    plain, scaled = fit_probe(x, y, vx, vy).logits(vx), fit_probe(x * factor, y, vx * factor, vy).logits(vx * factor)
    assert np.abs(plain - scaled).max() < 1e-3
    assert fit_probe(x, y, vx, vy).weights[5].tolist() == [0.0, 0.0, 0.0]


def test_no_record_and_no_validation_are_said() -> None:
    x, y = made(50, 8)
    with pytest.raises(EcgbenchError, match="no training record"):
        fit_probe(x[:0], y[:0], x, y)
    with pytest.raises(EcgbenchError, match="no class has a positive and a negative one"):
        fit_probe(x, y, x[:10], np.zeros((10, 3), bool))


@settings(max_examples=50, deadline=None)
@given(
    patients=st.lists(st.sampled_from("abcdefghij"), min_size=1, max_size=60),
    seed=st.integers(0, 5),
    shares=st.tuples(st.floats(0.01, 1), st.floats(0.01, 1)),
)
def test_shares_are_of_whole_patients_and_nested(patients: list[str], seed: int, shares: tuple[float, float]) -> None:
    names = np.array(patients)
    less, more = (chosen_patients(names, share, seed) for share in sorted(shares))
    assert set(less) <= set(more)
    for rows, share in ((less, min(shares)), (more, max(shares))):
        inside = set(names[rows])
        assert {row for row, name in enumerate(patients) if name in inside} == set(rows.tolist())
        largest = max(patients.count(name) for name in inside)
        assert round(share * len(patients)) <= len(rows) <= max(1, round(share * len(patients))) + largest


def test_another_seed_is_another_share() -> None:
    patients = np.array([f"p{n}" for n in range(100)])
    drawn = {tuple(chosen_patients(patients, 0.1, seed)) for seed in range(5)}
    assert len(drawn) == 5 and all(len(rows) == 10 for rows in drawn)


def test_logits_are_what_the_weights_say() -> None:
    probe = Probe(np.array([[2.0], [0.0]]), np.array([-1.0]), np.array([1.0, 5.0]), np.array([2.0, np.inf]), 1.0)
    assert probe.logits(np.array([[3.0, 7.0], [1.0, 0.0]], np.float32)).tolist() == [[1.0], [-1.0]]
