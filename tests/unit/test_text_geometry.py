"""Reshaping a tower's vectors: fitted on the training prompts alone."""

from __future__ import annotations

import numpy as np
import pytest

from ecgbench.text.geometry import reshape

RNG = np.random.default_rng(0)
VECTORS = (RNG.normal(size=(30, 8)) * 0.2 + 3.0).astype(np.float32)
TRAINING = np.arange(0, 20)


def test_none_changes_nothing() -> None:
    assert reshape(VECTORS, TRAINING, "none") is VECTORS


@pytest.mark.parametrize("how", ["center", "standardize"])
def test_against_a_loop(how: str) -> None:
    out = reshape(VECTORS, TRAINING, how)  # type: ignore[arg-type]
    columns = []
    for column in VECTORS.T.astype(np.float64):
        known = [column[i] for i in TRAINING]
        mean = sum(known) / 20
        spread = (sum((v - mean) ** 2 for v in known) / 20) ** 0.5
        columns.append([(v - mean) / (spread if how == "standardize" else 1) for v in column])
    expected = np.array(columns).T
    norm = np.mean([(expected[i] ** 2).sum() for i in TRAINING]) ** 0.5
    np.testing.assert_allclose(out, expected / norm, atol=1e-5)
    assert out.dtype == np.float32


@pytest.mark.parametrize("how", ["center", "standardize"])
def test_other_prompts_do_not_change_the_fit(how: str) -> None:
    other = VECTORS.copy()
    other[25:] += 100
    np.testing.assert_array_equal(reshape(VECTORS, TRAINING, how)[:25], reshape(other, TRAINING, how)[:25])  # type: ignore[arg-type]


@pytest.mark.parametrize("how", ["center", "standardize"])
def test_a_flat_dimension_and_a_single_prompt_stay_finite(how: str) -> None:
    flat = VECTORS.copy()
    flat[:, 3] = 1.0
    assert np.isfinite(reshape(flat, TRAINING, how)).all()  # type: ignore[arg-type]
    assert np.isfinite(reshape(flat, TRAINING[:1], how)).all()  # type: ignore[arg-type]
