"""Prompts: wording, order, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecgbench.cards import PromptSet, TaskCard
from ecgbench.catalogue import card_paths, load_card
from ecgbench.errors import EcgbenchError
from ecgbench.findings import Finding, LabelBank, label_bank
from ecgbench.text.prompts import Prompt, class_prompts, joined_prompt, label_prompts, prompt_of, sentences_of

PAPER = load_card(PromptSet, "paper")
MEMBERS = load_card(PromptSet, "members")
PARAPHRASES = load_card(PromptSet, "paraphrases")
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


def test_a_finding_is_asked_for_by_its_own_sentence_under_every_mapping() -> None:
    retrieval = load_card(TaskCard, "retrieval98")
    expected = [[prompt] for prompt in label_prompts(PAPER, BANK, "ja")]
    for mapping in ("paper", "clinical"):
        assert class_prompts(retrieval, PAPER, BANK, "ja", mapping) == expected
        assert class_prompts(retrieval, MEMBERS, BANK, "ja", mapping) == expected


def test_a_class_is_asked_for_by_its_name_under_every_mapping() -> None:
    rhythm = load_card(TaskCard, "rhythm")
    expected = [[prompt_of(PAPER, "en", [item.names["en"]])] for item in rhythm.classes]
    assert class_prompts(rhythm, PAPER, BANK, "en", "paper") == expected
    assert class_prompts(rhythm, PAPER, BANK, "en", "clinical") == expected
    assert expected[1][0].text == "This ECG shows Atrial fibrillation."


@pytest.mark.parametrize("language", ["ja", "en"])
@pytest.mark.parametrize("mapping", ["paper", "clinical"])
@pytest.mark.parametrize("name", ["superclass", "rhythm", "mitbih"])
def test_members_ask_for_the_findings_that_the_label_table_maps_to_a_class(
    name: str, mapping: str, language: str
) -> None:
    """Told by the table's own cells, row by row."""
    task = load_card(TaskCard, name)
    asked = class_prompts(task, MEMBERS, BANK, language, mapping)
    for item, prompts in zip(task.classes, asked, strict=True):
        mapped = [each for each in BANK.findings if each.columns[f"{name}_{mapping}"] == item.value]
        assert [prompt.parts for prompt in prompts] == [(each.names[language],) for each in mapped]
        single = {prompt.parts: prompt for prompt in label_prompts(PAPER, BANK, language)}
        assert prompts and all(prompt == single[prompt.parts] for prompt in prompts)


def test_members_of_conduction_disturbance_are_not_its_name() -> None:
    asked = class_prompts(load_card(TaskCard, "superclass"), MEMBERS, BANK, "ja", "clinical")[1]
    assert "この心電図は完全右脚ブロックを示しています。" in [prompt.text for prompt in asked]
    assert not any("伝導障害" in prompt.text for prompt in asked)
    assert not any("ペースメーカー調律" in prompt.text for prompt in asked)  # the paper's, not the clinical mapping's


def test_a_class_without_findings_cannot_be_asked_for_by_its_members() -> None:
    task = load_card(TaskCard, "rhythm")
    empty = task.classes[0].model_copy(update={"id": "pause", "value": "Pause"})
    task = task.model_copy(update={"classes": (*task.classes, empty)})
    assert len(class_prompts(task, PAPER, BANK, "ja", "paper")) == 6
    with pytest.raises(EcgbenchError, match=r"no finding of labels98\.csv maps to pause of task rhythm .* --prompts"):
        class_prompts(task, MEMBERS, BANK, "ja", "paper")


def test_members_under_a_mapping_that_a_task_lacks_are_refused() -> None:
    task = load_card(TaskCard, "rhythm").model_copy(update={"mappings": {"paper": "rhythm_paper"}})
    with pytest.raises(EcgbenchError, match="task rhythm has no mapping 'clinical': choose paper"):
        class_prompts(task, MEMBERS, BANK, "ja", "clinical")


def test_the_bare_set_is_the_name() -> None:
    bare = load_card(PromptSet, "bare")
    task = load_card(TaskCard, "superclass")
    asked = class_prompts(task, bare, BANK, "ja", "paper")
    assert [prompt.text for (prompt,) in asked] == ["正常", "伝導障害", "心筋梗塞", "心肥大", "ST-T変化"]


@pytest.mark.parametrize("language", ["ja", "en"])
def test_paraphrases_are_five_sentences_that_begin_with_the_paper_s(language: str) -> None:
    said = sentences_of(PARAPHRASES, language, ["AF"])
    assert len({prompt.text for prompt in said}) == 5 and {prompt.parts for prompt in said} == {("AF",)}
    assert said[0] == prompt_of(PAPER, language, ["AF"])


def test_a_set_of_several_sentences_is_no_training_sentence() -> None:
    message = "prompt set paraphrases has 5 sentences in 'ja' and training takes one: .* --prompts paraphrases"
    with pytest.raises(EcgbenchError, match=message):
        prompt_of(PARAPHRASES, "ja", ["心房細動"])
    with pytest.raises(EcgbenchError, match=message):
        joined_prompt(PARAPHRASES, BANK, "ja", [BANK.ids[0]])


@pytest.mark.parametrize("name", sorted(card_paths(PromptSet)))
def test_a_shipped_set_has_as_many_sentences_in_either_language(name: str) -> None:
    card = load_card(PromptSet, name)
    assert set(card.templates) == {"ja", "en"} and len(card.templates["ja"]) == len(card.templates["en"])


def test_a_language_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(EcgbenchError, match="prompt set paper has no sentence in 'de': type --lang en or ja"):
        label_prompts(PAPER, BANK, "de")
    rhythm = load_card(TaskCard, "rhythm")
    german = PAPER.model_copy(update={"templates": {"de": ("EKG: {findings}",)}, "joiners": {"de": ", "}})
    with pytest.raises(EcgbenchError, match="task rhythm has no name in 'de' for sinus-rhythm"):
        class_prompts(rhythm, german, BANK, "de", "paper")


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
