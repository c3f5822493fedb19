"""Reshaping a tower's vectors: fitted on the training prompts alone."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.covariance import ledoit_wolf_shrinkage

from ecgbench.errors import EcgbenchError
from ecgbench.recipe import Recipe
from ecgbench.text.geometry import GEOMETRIES, FittedGeometry, Geometry, fit

RNG = np.random.default_rng(0)
VECTORS = (RNG.normal(size=(30, 8)) * 0.2 + 3.0).astype(np.float32)
TRAINING = np.arange(0, 20)


def reshape(vectors: np.ndarray, training: np.ndarray, how: Geometry) -> np.ndarray:
    return fit(vectors[training], how).apply(vectors)


def test_a_recipe_may_name_each_and_no_other() -> None:
    assert get_args(Recipe.model_fields["text_geometry"].annotation) == GEOMETRIES == get_args(Geometry)


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


@pytest.mark.parametrize("how", GEOMETRIES[1:])
def test_other_prompts_do_not_change_the_fit(how: Geometry) -> None:
    other = VECTORS.copy()
    other[25:] += 100
    np.testing.assert_array_equal(reshape(VECTORS, TRAINING, how)[:25], reshape(other, TRAINING, how)[:25])


@pytest.mark.parametrize("how", GEOMETRIES[1:])
def test_a_flat_dimension_and_a_single_prompt_stay_finite(how: Geometry) -> None:
    flat = VECTORS.copy()
    flat[:, 3] = 1.0
    assert np.isfinite(reshape(flat, TRAINING, how)).all()
    assert np.isfinite(reshape(flat, TRAINING[:1], how)).all()


@pytest.mark.parametrize("how", GEOMETRIES)
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


def whitened_by_definition(training: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """The whole covariance and its eigenvectors, Ledoit and Wolf's shrinkage by their formulas (2004, section 3.3)."""
    x = training.astype(np.float64)
    n, dim = x.shape
    mean = sum(x) / n
    products = [np.outer(row - mean, row - mean) for row in x]
    covariance = sum(products) / n
    level = sum(covariance[i, i] for i in range(dim)) / dim
    apart = ((covariance - level * np.eye(dim)) ** 2).sum()
    unsure = sum(((product - covariance) ** 2).sum() for product in products) / n**2
    shrinkage = min(unsure, apart) / apart if apart else 0.0
    matrix = np.zeros((dim, dim))
    values, directions = np.linalg.eigh(covariance)
    for value, direction in zip(values, directions.T, strict=True):
        if value > 1e-9 * values.max():
            shrunk = (1 - shrinkage) * value + shrinkage * level
            matrix += np.outer(direction, direction) / shrunk**0.5
    scale = np.mean([((row - mean) @ matrix @ matrix @ (row - mean)) for row in x]) ** 0.5
    return np.array([(row - mean) @ matrix / scale for row in vectors.astype(np.float64)])


@pytest.mark.parametrize(("n", "dim"), [(20, 8), (8, 20), (2, 5), (30, 3), (5, 5)])
def test_whitening_against_its_definition(n: int, dim: int) -> None:
    vectors = (np.random.default_rng(n).normal(size=(n + 4, dim)) * np.geomspace(3, 0.2, dim) + 5).astype(np.float32)
    np.testing.assert_allclose(
        fit(vectors[:n], "whiten").apply(vectors), whitened_by_definition(vectors[:n], vectors), atol=2e-5
    )


def random_vectors(seed: int, n: int, dim: int) -> tuple[np.ndarray, np.random.Generator]:
    """(n, dim) float64 of strongly unequal directions, away from the origin."""
    random = np.random.default_rng(seed)
    mixing = random.normal(size=(dim, dim)) * np.geomspace(1, 0.05, dim)
    return random.normal(size=(n, dim)) @ mixing + 4 * random.normal(size=dim), random


SHAPES = {"seed": st.integers(0, 10**6), "n": st.integers(3, 30), "dim": st.integers(2, 30)}


@given(**SHAPES)
@settings(max_examples=60, deadline=None)
def test_whitened_prompts_have_the_shrunken_covariance(seed: int, n: int, dim: int) -> None:
    training, _ = random_vectors(seed, n, dim)
    out = fit(training, "whiten").apply(training).astype(np.float64)
    np.testing.assert_allclose(out.mean(0), 0, atol=1e-5)
    found = np.linalg.eigvalsh(out.T @ out / n)[::-1]
    assert found.sum() == pytest.approx(1, abs=1e-4)  # the mean squared norm
    x = training - training.mean(0)
    own = np.linalg.eigvalsh(x.T @ x / n)[::-1].clip(0)
    shrinkage = ledoit_wolf_shrinkage(x, assume_centered=True)
    expected = own / ((1 - shrinkage) * own + shrinkage * own.sum() / dim)
    np.testing.assert_allclose(found, expected / expected.sum(), atol=1e-4)


def test_many_prompts_have_the_identity_as_their_covariance() -> None:
    random = np.random.default_rng(3)
    turn, _ = np.linalg.qr(random.normal(size=(6, 6)))
    training = random.normal(size=(20000, 6)) * np.geomspace(2, 0.5, 6) @ turn + 7
    out = fit(training, "whiten").apply(training)
    assert np.ptp(np.linalg.eigvalsh(np.cov(training.T))) > 1
    np.testing.assert_allclose(np.cov(out.T) * 6, np.eye(6), atol=0.02)


@given(**SHAPES)
@settings(max_examples=40, deadline=None)
def test_turning_all_vectors_turns_the_whitened_ones(seed: int, n: int, dim: int) -> None:
    vectors, random = random_vectors(seed, n + 3, dim)
    turn, _ = np.linalg.qr(random.normal(size=(dim, dim)))
    plain = fit(vectors[:n], "whiten").apply(vectors)
    np.testing.assert_allclose(fit(vectors[:n] @ turn, "whiten").apply(vectors @ turn), plain @ turn, atol=2e-4)


@given(how=st.sampled_from(GEOMETRIES), **SHAPES)
@settings(max_examples=60, deadline=None)
def test_a_mean_of_vectors_becomes_the_mean_of_theirs(how: Geometry, seed: int, n: int, dim: int) -> None:
    """`prompt: mean` takes the mean of a record's findings after the geometry: it may as well be taken before."""
    vectors, random = random_vectors(seed, n + 5, dim)
    fitted = fit(vectors[:n], how)
    some = vectors[random.integers(0, n + 5, 3)]
    np.testing.assert_allclose(fitted.apply(some.mean(0)[None])[0], fitted.apply(some).mean(0), rtol=1e-4, atol=1e-4)


def test_what_no_training_prompt_spans_becomes_nothing() -> None:
    training = np.zeros((6, 5), np.float32)
    training[:, :3] = RNG.normal(size=(6, 3))
    fitted = fit(training, "whiten")
    outside = training[0] + np.array([0, 0, 0, 7, -2], np.float32)
    np.testing.assert_allclose(fitted.apply(outside[None])[0], fitted.apply(training)[0], atol=1e-6)
    assert fitted.basis is not None and fitted.basis.shape == (3, 5)


def test_prompts_that_are_all_the_same_become_nothing() -> None:
    assert not fit(np.repeat(VECTORS[:1], 4, axis=0), "whiten").apply(VECTORS).any()


def test_a_file_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    fitted = fit(VECTORS[TRAINING], "standardize")
    assert fitted.mean is not None and fitted.factor is not None
    np.savez(tmp_path / "geometry.npz", mean=fitted.mean, factor=fitted.factor)
    again = FittedGeometry.load(tmp_path / "geometry.npz", "standardize")
    np.testing.assert_array_equal(again.apply(VECTORS), fitted.apply(VECTORS))
    with pytest.raises(EcgbenchError, match="which a run with text_geometry whiten leaves, cannot be read"):
        FittedGeometry.load(tmp_path / "geometry.npz", "whiten")


def test_the_file_of_a_wide_tower_is_small(tmp_path: Path) -> None:
    vectors = np.random.default_rng(5).normal(size=(98, 2048)).astype(np.float32) + 1
    fit(vectors, "whiten").save(tmp_path / "geometry.npz")
    assert (tmp_path / "geometry.npz").stat().st_size < 98 * 2048 * 8 + 50_000
