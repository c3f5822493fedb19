"""Scores of a class that has several sentences, against sums written out one by one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecgbench.evaluation.embed import class_scores


def unit(rng: np.random.Generator, n: int, dim: int = 8) -> np.ndarray:
    vectors = rng.normal(size=(n, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def naive(ecg: np.ndarray, sentences: list[np.ndarray], combine: str) -> float:
    """CLIP's ensemble: the unit vectors added up, the sum brought to length one, its cosine; or the best cosine."""
    if combine == "max":
        return max(sum(float(a) * float(b) for a, b in zip(ecg, said, strict=True)) for said in sentences)
    total = [sum(float(said[i]) for said in sentences) for i in range(len(ecg))]
    length = math.sqrt(sum(value * value for value in total))
    return sum(float(a) * b / length for a, b in zip(ecg, total, strict=True))


@given(st.integers(0, 10_000), st.lists(st.integers(1, 4), min_size=1, max_size=4), st.sampled_from(["mean", "max"]))
def test_scores_are_those_of_the_naive_twin(seed: int, sizes: list[int], combine: str) -> None:
    rng = np.random.default_rng(seed)
    ecgs, sentences = unit(rng, 3), unit(rng, 6)
    classes = [rng.choice(6, size, replace=False).tolist() for size in sizes]  # a sentence may be of several classes
    found = class_scores(ecgs, sentences, classes, combine)  # type: ignore[arg-type]
    assert found.shape == (3, len(sizes)) and found.dtype == np.float32
    expected = [[naive(ecg, [sentences[i] for i in rows], combine) for rows in classes] for ecg in ecgs]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_one_sentence_a_class_is_its_cosine_to_the_last_bit_however_combined() -> None:
    rng = np.random.default_rng(1)
    ecgs, sentences = unit(rng, 20, 64), unit(rng, 5, 64)
    plain = ecgs @ sentences.T
    for combine in ("mean", "max"):
        assert np.array_equal(class_scores(ecgs, sentences, [[i] for i in range(5)], combine), plain)  # type: ignore[arg-type]


def test_a_mean_direction_is_not_the_mean_of_cosines() -> None:
    """Two sentences at a right angle: their direction lies between, at cosine 0.707 from either; the mean would be 0.5."""
    sentences = np.eye(2, 3, dtype=np.float32)
    assert class_scores(sentences[:1], sentences, [[0, 1]], "mean")[0, 0] == pytest.approx(math.sqrt(0.5))


def test_sentences_that_cancel_out_score_zero() -> None:
    sentences = np.array([[1, 0], [-1, 0]], np.float32)
    assert class_scores(sentences, sentences, [[0, 1]], "mean").tolist() == [[0.0], [0.0]]
