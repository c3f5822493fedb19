"""What is measured of a tower's vectors, against loops, and on vectors whose answer is known."""

from __future__ import annotations

import math
import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgbench.text.diagnosis import (
    beginning,
    closest_pairs,
    ending,
    nearest_classes,
    nearest_others,
    shared_with_nearest,
    spread,
    unit,
)

SHAPES = {"seed": st.integers(0, 10**6), "n": st.integers(2, 12), "dim": st.integers(1, 8)}
quickly = settings(max_examples=40, deadline=None)


def made(seed: int, n: int, dim: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return (random.normal(size=(n, dim)) + 2 * random.normal(size=dim)).astype(np.float32)


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    dot = sum(float(x) * float(y) for x, y in zip(a, b, strict=True))
    length = math.sqrt(sum(float(x) ** 2 for x in a) * sum(float(y) ** 2 for y in b))
    return dot / length if length else 0.0


@given(**SHAPES)
@quickly
def test_spread_against_loops(seed: int, n: int, dim: int) -> None:
    vectors = made(seed, n, dim).astype(np.float64)
    mean = sum(vectors) / n
    found = spread(vectors)
    left = sum(((row - mean) ** 2).sum() for row in vectors) / sum((row**2).sum() for row in vectors)
    assert found.norm_left == pytest.approx(left)
    cosines = [cosine(vectors[i], vectors[j]) for i, j in combinations(range(n), 2)]
    assert found.mean_cosine == pytest.approx(sum(cosines) / len(cosines), abs=1e-9)
    covariance = sum(np.outer(row - mean, row - mean) for row in vectors)
    shares = [value for value in np.linalg.eigvalsh(covariance) / np.trace(covariance) if value > 1e-15]
    assert found.effective_rank == pytest.approx(math.exp(-sum(p * math.log(p) for p in shares)), rel=1e-6)


def test_spread_of_vectors_whose_answer_is_known() -> None:
    corners = np.vstack([np.eye(4), -np.eye(4)])
    assert spread(corners).norm_left == 1
    assert spread(corners).effective_rank == pytest.approx(4)
    assert spread(corners).mean_cosine == pytest.approx(-1 / 7)
    far = spread(corners + 100)
    assert far.norm_left < 1e-4 and far.mean_cosine > 0.9999 and far.effective_rank == pytest.approx(4)
    same = spread(np.ones((3, 5)))
    assert (same.norm_left, same.effective_rank) == (0, 0) and same.mean_cosine == pytest.approx(1)
    nothing = spread(np.zeros((3, 5)))
    assert (nothing.norm_left, nothing.mean_cosine, nothing.effective_rank) == (0, 0, 0)


@given(**SHAPES)
@quickly
def test_nearest_and_closest_against_loops(seed: int, n: int, dim: int) -> None:
    vectors = made(seed, n, max(dim, 2))
    cosines = {(i, j): cosine(vectors[i], vectors[j]) for i in range(n) for j in range(n) if i != j}
    nearest, found = nearest_others(vectors)
    for i in range(n):
        best = max(range(n), key=lambda j: cosines.get((i, j), -2.0))
        assert cosines[i, int(nearest[i])] == pytest.approx(cosines[i, best], abs=1e-9) == found[i]
    pairs = closest_pairs(vectors, 5)
    expected = sorted((cosines[pair] for pair in combinations(range(n), 2)), reverse=True)[:5]
    assert [value for *_, value in pairs] == pytest.approx(expected, abs=1e-9)
    assert all(i < j and value == pytest.approx(cosines[i, j], abs=1e-9) for i, j, value in pairs)
    assert len({(i, j) for i, j, _ in pairs}) == len(pairs) == min(5, n * (n - 1) // 2)


@given(st.lists(st.sampled_from("abc"), min_size=2, max_size=9), st.randoms(use_true_random=False))
@quickly
def test_shared_kinds_against_a_loop(kinds: list[str], random: object) -> None:
    n = len(kinds)
    nearest = np.array([random.choice([j for j in range(n) if j != i]) for i in range(n)])  # type: ignore[attr-defined]
    found = shared_with_nearest(nearest, kinds)
    assert found.value == sum(kinds[i] == kinds[nearest[i]] for i in range(n)) / n
    chances = [sum(kinds[i] == kinds[j] for j in range(n) if j != i) / (n - 1) for i in range(n)]
    assert found.chance == pytest.approx(sum(chances) / n)


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("Sinus Tachycardia", "sinus", "tachycardia"),
        ("洞性頻脈", "洞性", "頻脈"),
        ("S1, S2, S3 Pattern", "s1", "pattern"),
        ("ST-T変化", "st", "変化"),
        ("完全右脚ブロック", "完全", "ック"),
        ("Wolff-Parkinson-White Syndrome (Type A)", "wolff", "a"),
        ("QT延長（軽度）", "qt", "軽度"),
        ("AF", "af", "af"),
        ("正", "正", "正"),
    ],
)
def test_how_a_name_begins_and_ends(name: str, first: str, last: str) -> None:
    assert (beginning(name), ending(name)) == (first, last)


def test_a_tower_that_reads_the_ending_alone_is_seen() -> None:
    names = [
        f"{kind} {organ}" for organ in ("block", "infarction", "rhythm", "axis") for kind in ("left", "right", "old")
    ]
    ends = sorted({ending(name) for name in names})
    random = np.random.default_rng(0)
    vectors = np.eye(4)[[ends.index(ending(name)) for name in names]] + random.normal(size=(12, 4)) * 0.01
    nearest, _ = nearest_others(vectors)
    by_ending = shared_with_nearest(nearest, [ending(name) for name in names])
    assert by_ending.value == 1 and by_ending.chance == pytest.approx(2 / 11)
    assert shared_with_nearest(nearest, [beginning(name) for name in names]).value == 0


@given(seed=st.integers(0, 10**6), classes=st.integers(2, 4), dim=st.integers(1, 6))
@quickly
def test_nearest_classes_against_a_loop(seed: int, classes: int, dim: int) -> None:
    random = np.random.default_rng(seed)
    said = [random.normal(size=(random.integers(1, 4), dim)) for _ in range(classes)]
    members = [random.normal(size=(random.integers(1, 6), dim)) for _ in range(classes)]
    directions = [sum(row / math.sqrt((row**2).sum()) for row in each) for each in said]
    expected = []
    for own, rows in enumerate(members):
        hits = 0
        for row in rows:
            cosines = [cosine(row, direction) for direction in directions]
            hits += all(cosines[own] > value + 1e-12 for other, value in enumerate(cosines) if other != own)
        expected.append((hits, len(rows)))
    assert nearest_classes(said, members) == expected or dim == 1  # in one dimension cosines are equal but for rounding


def test_an_equal_cosine_is_no_hit() -> None:
    axis = np.array([[1.0, 0.0]])
    assert nearest_classes([axis, axis * 3], [axis, axis]) == [(0, 1), (0, 1)]
    assert nearest_classes([axis, axis[:, ::-1]], [axis * 0, axis[:, ::-1]]) == [(0, 1), (1, 1)]


def test_rows_of_length_one_and_zeros() -> None:
    np.testing.assert_allclose(unit(np.array([[3, 4], [0, 0]], np.float32)), np.array([[0.6, 0.8], [0, 0]]))


def test_nothing_heavy_is_imported() -> None:
    code = (
        "import sys, ecgbench.text.diagnosis, ecgbench.text.geometry, ecgbench.text.tokens, ecgbench.cli.text_show\n"
        "print([name for name in ('torch', 'sklearn', 'transformers', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
