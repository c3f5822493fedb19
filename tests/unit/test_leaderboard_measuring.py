"""Scores files measured ahead by other processes: the same numbers, and the same errors where they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ecgbench.cards import TaskCard
from ecgbench.catalogue import load_card
from ecgbench.errors import EcgbenchError
from ecgbench.leaderboard import measuring
from ecgbench.leaderboard.measuring import Ahead, in_order
from ecgbench.leaderboard.pages import build_pages
from ecgbench.leaderboard.replay import Key, Replays
from tests.unit.leaderboard_made import make


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Scores of three results, the second of them damaged."""
    found = [make(tmp_path, f"r{n}", seed=n) / "scores" / "superclass.npz" for n in range(3)]
    found[1].write_bytes(b"no scores")
    return found


@pytest.fixture
def several(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(measuring, "TOO_FEW", 0)
    monkeypatch.setattr(measuring, "usable_cores", lambda: 2)
    yield


def keys(files: list[Path], card: TaskCard) -> list[Key]:
    return [Replays().key(path, card) for path in files]


def test_what_was_measured_elsewhere_is_what_would_be_measured_here(files: list[Path], several: None) -> None:
    card = load_card(TaskCard, "superclass")
    first, damaged, last = keys(files, card)
    asked = ((key, (path, card, False)) for key, path in zip((first, damaged, last), files, strict=True))
    with Ahead(in_order(asked)) as ahead:
        found = ahead.take(first)
        assert found is not None
        here = Replays().measured(files[0], card)
        assert found.score == here.score
        assert repr(found.bands) == repr(here.bands)  # NaN is not equal to itself
        assert {name: each.tolist() for name, each in found.replicates.items()} == {
            name: each.tolist() for name, each in here.replicates.items()
        }
        with pytest.raises(EcgbenchError, match=r"superclass\.npz"):
            ahead.take(damaged)
        assert ahead.take(first) is None  # given out already
        assert ahead.take(last) is not None


def test_what_is_not_asked_for_is_given_up(files: list[Path], several: None) -> None:
    card = load_card(TaskCard, "superclass")
    first, damaged, last = keys(files, card)
    asked = ((key, (path, card, False)) for key, path in zip((first, damaged, last), files, strict=True))
    with Ahead(in_order(asked)) as ahead:
        assert ahead.take(last) is not None
        assert ahead.take(first) is None
        assert ahead.take(damaged) is None


def test_after_the_end_nothing_is_measured_ahead(files: list[Path], several: None) -> None:
    card = load_card(TaskCard, "superclass")
    (first, _, last) = keys(files, card)
    with Ahead({first: (files[0], card, False), last: (files[2], card, False)}) as ahead:
        assert ahead.take(first) is not None
    assert ahead.take(last) is None


def test_few_files_are_measured_here(files: list[Path]) -> None:
    card = load_card(TaskCard, "superclass")
    (first, *_) = keys(files, card)
    with Ahead({first: (files[0], card, False)}) as ahead:
        assert ahead.take(first) is None


def test_pages_do_not_depend_on_who_measured(tmp_path: Path, several: None, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        make(
            tmp_path, f"r{number}", encoder=["stats", "linear"][number % 2], seed=number, tasks=("superclass", "rhythm")
        )
    (tmp_path / "made" / "r1" / "scores" / "rhythm.npz").write_bytes(b"no scores")
    by_several = build_pages(tmp_path)
    monkeypatch.setattr(measuring, "TOO_FEW", 1000)
    assert build_pages(tmp_path) == by_several
    (page,) = [text for name, text in by_several.items() if name.startswith("made") and name.endswith(".md")]
    assert "r1" in page.split("## Left out")[1]
