"""Encoders whose published weights are not verified stand on a board without a rank."""

from __future__ import annotations

from pathlib import Path

import pytest
from leaderboard_made import DATA, make

from ecgbench.cards import EncoderCard
from ecgbench.catalogue import load_card
from ecgbench.leaderboard import build_pages

PAGE = f"made-{DATA[:8]}.md"
CARD = """\
name: published
summary: With weights
entry_point: ecgbench.encoders.resnet1d:ResNet1d
dim: 512
input: {{leads: [I], rates: [100], seconds: 10, unit: mV, normalisation: center, missing_lead: zero}}
weights: {{file: w.safetensors, sha256: {sha256}}}
verified: {verified}
licence: null
reference: null
"""


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A board with three systems, the best of them `published`."""
    folder = tmp_path / "leaderboards" / "results"
    for encoder, skill in (("published", 3.0), ("resnet1d18", 1.5), ("vit1d-tiny", 0.1)):
        make(folder, encoder, encoder=encoder, skill=skill)
    return folder


def card(folder: Path, monkeypatch: pytest.MonkeyPatch, verified: str, sha256: str = "ab" * 32) -> None:
    """The card of `published` in an overlay."""
    registry = folder / "registry" / "encoders"
    registry.mkdir(parents=True, exist_ok=True)
    (registry / "published.yaml").write_text(CARD.format(verified=verified, sha256=sha256), encoding="utf-8")
    monkeypatch.setenv("ECGBENCH_PATH", str(folder))


def of_this_card(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the result of `published` one that was run with its card."""
    import leaderboard_made

    own = load_card(EncoderCard, "published").hash
    usual = leaderboard_made.hash_of
    monkeypatch.setattr(leaderboard_made, "hash_of", lambda value: own if value == "published" else usual(value))
    make(results, "published", encoder="published", skill=3.0)


def ranked(results: Path) -> dict[str, str]:
    """Encoder -> rank in the table of superclass, controls without an encoder left out."""
    section = build_pages(results)[PAGE].split("\n## superclass: Japanese prompts, paper mapping\n")[1]
    lines = [line for line in section.split("\n#")[0].splitlines() if line.startswith("|")][2:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {f"{row[1]}{' untrained' if 'untrained' in row[3] else ''}": row[0] for row in cells if row[1] != "—"}


def test_an_unverified_encoder_has_a_mark_and_no_rank(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card(tmp_path, monkeypatch, "false")
    of_this_card(results, monkeypatch)
    found = ranked(results)
    assert found["published ‡"] == found["published ‡ untrained"] == "—"
    assert found["resnet1d18"].startswith("1") and found["vit1d-tiny"][0].isdigit()


def test_its_reason_stands_below_the_ranking_once(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "‡" not in build_pages(results)[PAGE]
    card(tmp_path, monkeypatch, "false")
    assert build_pages(results)[PAGE].count("‡: the encoder's published weights are not verified") == 1


def test_a_verified_one_is_ranked(results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card(tmp_path, monkeypatch, "true")
    of_this_card(results, monkeypatch)
    assert ranked(results)["published"].startswith("1")


def test_weights_of_another_file_than_the_verified_one_are_not_ranked(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card(tmp_path, monkeypatch, "true")
    of_this_card(results, monkeypatch)
    card(tmp_path, monkeypatch, "true", sha256="cd" * 32)
    assert ranked(results)["published ‡"] == "—"


def test_the_index_and_the_details_show_a_system_that_has_a_rank(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "published × use-multilingual" in build_pages(results)["README.md"]
    card(tmp_path, monkeypatch, "false")
    assert "published" not in build_pages(results)["README.md"]
    assert "resnet1d18 × use-multilingual" in build_pages(results)["README.md"]


def test_where_all_are_unverified_the_index_names_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = tmp_path / "leaderboards" / "results"
    make(results, "published", encoder="published")
    card(tmp_path, monkeypatch, "false")
    pages = build_pages(results)
    assert "published" not in pages["README.md"] and "published ‡" in pages[PAGE]


def test_an_encoder_without_a_card_here_is_ranked(results: Path) -> None:
    assert ranked(results)["published"].startswith("1")
