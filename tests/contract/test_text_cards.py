"""What holds for every text tower that has a card."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ecgbench.cards import PromptSet, TaskCard, TextCard
from ecgbench.catalogue import all_cards, load_card, shipped_folder
from ecgbench.findings import label_bank
from ecgbench.text.embed import check_available, embed_prompts
from ecgbench.text.prompts import Prompt, class_prompts, joined_prompt, label_prompts
from ecgbench.text.tower import KINDS, embed_checked, open_tower
from ecgbench.text.weights import weights_identity

CARDS, BROKEN = all_cards(TextCard)
HERE = [card for card in CARDS if card.kind != "huggingface"]
HUB = [card for card in CARDS if card.kind == "huggingface"]
PAPER = load_card(PromptSet, "paper")
BANK = label_bank()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECGBENCH_CACHE", str(tmp_path))


def by_name(card: TextCard) -> str:
    return card.name


def test_no_card_is_broken_and_the_promised_ones_are_there() -> None:
    assert not BROKEN
    promised = {"medllama3-jp", "swallow", "clinicalbert", "use-multilingual", "char-ngram", "random"}
    assert promised <= {card.name for card in CARDS}


@pytest.mark.parametrize("card", CARDS, ids=by_name)
def test_a_card_says_what_a_user_asks(card: TextCard) -> None:
    assert card.kind in KINDS and card.summary and card.notes
    assert card.languages is not None and card.size_gb is not None
    assert card.control == (card.kind in ("char-ngram", "random"))
    assert card.control or (card.licence and card.reference)
    assert card.control or set(card.languages) & {"ja", "en"}
    assert not card.summary.endswith(".") and "\n" not in card.summary


@pytest.mark.parametrize("card", HUB, ids=by_name)
def test_a_hub_card_pins_a_commit_or_says_why_not(card: TextCard) -> None:
    assert len(card.revision or "") == 40 or "revision is main" in card.notes
    assert str(weights_identity(card, None)).startswith(f"{card.hub_id}@")


@pytest.mark.parametrize("card", HUB, ids=by_name)
def test_a_hub_card_s_size_fits_its_parameters(card: TextCard) -> None:
    assert card.parameters is not None and card.size_gb is not None
    stored_bytes = card.size_gb * 1e9 / card.parameters
    assert stored_bytes == pytest.approx({"float32": 4, "bfloat16": 2}[card.dtype], rel=0.05)


@pytest.mark.parametrize("card", HERE, ids=by_name)
def test_a_tower_that_is_here_keeps_the_contract(card: TextCard) -> None:
    check_available(card)
    assert card.path is not None and card.path.parent == shipped_folder() / "registry" / "text"
    tower = open_tower(card)
    assert tower.dim == card.dim and tower.card == card
    prompts = label_prompts(PAPER, BANK, "ja")
    some = [prompts[i] for i in (0, 50, 97)]
    vectors = embed_checked(tower, some)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.array_equal(embed_checked(open_tower(card), some[::-1])[::-1], vectors), "not the same vector again"


@pytest.mark.parametrize("card", HERE, ids=by_name)
def test_every_prompt_of_every_task_has_a_vector_of_its_own(card: TextCard) -> None:
    tasks, _ = all_cards(TaskCard)
    prompts: list[Prompt] = []
    for language in PAPER.templates:
        prompts.append(joined_prompt(PAPER, BANK, language, BANK.ids[:3]))
        for task in tasks:
            bank = label_bank(task.labels)
            prompts += [each for said in class_prompts(task, PAPER, bank, language, "paper") for each in said]
    embedded = embed_prompts(card, prompts)
    assert embedded.vectors.shape == (len(prompts), card.dim)
    assert embedded.identity["name"] == card.name and embedded.identity["dim"] == card.dim
    # "Atrial Fibrillation", a finding, and "Atrial fibrillation", a class, may be the same to a tower.
    distinct = {prompt.text.casefold() for prompt in prompts}
    assert len(np.unique(embedded.vectors, axis=0)) >= len(distinct) > 200
