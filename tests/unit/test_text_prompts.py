"""Prompts: wording, order, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecgbench.cards import PromptSet, TaskCard
from ecgbench.catalogue import load_card
from ecgbench.errors import EcgbenchError
from ecgbench.findings import Finding, LabelBank, label_bank
from ecgbench.text.prompts import Prompt, class_prompts, joined_prompt, label_prompts, prompt_of

PAPER = load_card(PromptSet, "paper")
BANK = label_bank()


def test_the_paper_s_sentences() -> None:
    japanese, english = (label_prompts(PAPER, BANK, language) for language in ("ja", "en"))
    assert len(japanese) == len(english) == 98
    assert japanese[0] == Prompt("この心電図は洞性頻脈を示しています。", ("洞性頻脈",))
    assert english[0] == Prompt("This ECG shows Sinus Tachycardia.", ("Sinus Tachycardia",))
    assert [prompt.parts[0] for prompt in japanese] == [finding.names["ja"] for finding in BANK.findings]


@pytest.mark.parametrize("language", ["ja", "en"])
def test_no_two_findings_share_a_prompt(language: str) -> None:
    assert len({prompt.text for prompt in label_prompts(PAPER, BANK, language)}) == 98


@given(st.sets(st.sampled_from(BANK.ids), min_size=1, max_size=6), st.randoms())
def test_joined_findings_stand_in_table_order_whatever_the_order_given(ids: set[str], random: object) -> None:
    given_order = sorted(ids)
    random.shuffle(given_order)  # type: ignore[attr-defined]
    prompt = joined_prompt(PAPER, BANK, "ja", given_order * 2)
    in_order = [finding.names["ja"] for finding in BANK.findings if finding.id in ids]
    assert prompt == Prompt(f"この心電図は{'、'.join(in_order)}を示しています。", tuple(in_order))


def test_a_name_that_holds_the_joiner_or_braces_stays_one_part() -> None:
    bank = LabelBank("mine.csv", (_finding("s1s2s3", "S1, S2, S3 Pattern"), _finding("odd", "{findings} {0}")))
    prompt = joined_prompt(PAPER, bank, "en", ["odd", "s1s2s3"])
    assert prompt.parts == ("S1, S2, S3 Pattern", "{findings} {0}")
    assert prompt.text == "This ECG shows S1, S2, S3 Pattern, {findings} {0}."


def test_class_prompts_of_every_task() -> None:
    retrieval = load_card(TaskCard, "retrieval98")
    assert class_prompts(retrieval, PAPER, BANK, "ja") == label_prompts(PAPER, BANK, "ja")
    rhythm = load_card(TaskCard, "rhythm")
    expected = [prompt_of(PAPER, "en", [item.names["en"]]) for item in rhythm.classes]
    assert class_prompts(rhythm, PAPER, BANK, "en") == expected
    assert expected[1].text == "This ECG shows Atrial fibrillation."


def test_a_language_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(EcgbenchError, match="prompt set paper has no sentence in 'de': type --lang en or ja"):
        label_prompts(PAPER, BANK, "de")
    rhythm = load_card(TaskCard, "rhythm")
    german = PAPER.model_copy(update={"templates": {"de": "EKG: {findings}"}, "joiners": {"de": ", "}})
    with pytest.raises(EcgbenchError, match="task rhythm has no name in 'de' for sinus-rhythm"):
        class_prompts(rhythm, german, BANK, "de")


def test_unnamed_unknown_and_absent_findings_are_refused() -> None:
    bank = LabelBank("mine.csv", (Finding("af", {"en": "Atrial fibrillation", "ja": ""}, {}),))
    with pytest.raises(EcgbenchError, match=r"mine\.csv has no name in 'ja' for the finding af"):
        label_prompts(PAPER, bank, "ja")
    with pytest.raises(EcgbenchError, match="unknown finding 'atrial-fibrilation': did you mean atrial-fibrillation"):
        joined_prompt(PAPER, BANK, "ja", ["atrial-fibrilation"])
    with pytest.raises(EcgbenchError, match="a prompt states at least one"):
        joined_prompt(PAPER, BANK, "ja", [])


def _finding(name: str, english: str) -> Finding:
    return Finding(name, {"en": english, "ja": english}, {})
