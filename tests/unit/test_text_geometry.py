"""Reshaping a tower's vectors: fitted on the training prompts alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ecgbench.errors import EcgbenchError
from ecgbench.text.geometry import FittedGeometry, Geometry, fit

RNG = np.random.default_rng(0)
VECTORS = (RNG.normal(size=(30, 8)) * 0.2 + 3.0).astype(np.float32)
TRAINING = np.arange(0, 20)


def reshape(vectors: np.ndarray, training: np.ndarray, how: Geometry) -> np.ndarray:
    return fit(vectors[training], how).apply(vectors)


def test_none_changes_nothing() -> None:
    assert reshape(VECTORS, TRAINING, "none") is VECTORS


@pytest.mark.parametrize("how", ["center", "standardize"])
def test_against_a_loop(how: Geometry) -> None:
    out = reshape(VECTORS, TRAINING, how)
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
def test_other_prompts_do_not_change_the_fit(how: Geometry) -> None:
    other = VECTORS.copy()
    other[25:] += 100
    np.testing.assert_array_equal(reshape(VECTORS, TRAINING, how)[:25], reshape(other, TRAINING, how)[:25])


@pytest.mark.parametrize("how", ["center", "standardize"])
def test_a_flat_dimension_and_a_single_prompt_stay_finite(how: Geometry) -> None:
    flat = VECTORS.copy()
    flat[:, 3] = 1.0
    assert np.isfinite(reshape(flat, TRAINING, how)).all()
    assert np.isfinite(reshape(flat, TRAINING[:1], how)).all()


@pytest.mark.parametrize("how", ["none", "center", "standardize"])
def test_what_was_fitted_is_kept_to_the_last_bit(how: Geometry, tmp_path: Path) -> None:
    fitted = fit(VECTORS[TRAINING], how)
    fitted.save(tmp_path / "geometry.npz")
    assert (tmp_path / "geometry.npz").exists() == (how != "none")
    again = FittedGeometry.load(tmp_path / "geometry.npz", how)
    np.testing.assert_array_equal(again.apply(VECTORS), fitted.apply(VECTORS))


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 no archive"])
def test_a_file_that_is_missing_or_harmed_is_said(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "geometry.npz").write_bytes(content)
    with pytest.raises(EcgbenchError, match="which a run with text_geometry center leaves, cannot be read"):
        FittedGeometry.load(tmp_path / "geometry.npz", "center")
