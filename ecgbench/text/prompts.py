"""Findings and classes as sentences: what a text tower is given to read.

A prompt keeps the names it was made of beside its text, because a name may itself hold the joiner ("S1, S2,
S3 Pattern"), so that the parts cannot be read back from the sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ecgbench.cards import Language, PromptSet, TaskCard
from ecgbench.errors import EcgbenchError, unknown_name
from ecgbench.findings import LabelBank


@dataclass(frozen=True)
class Prompt:
    """A sentence, and the names of the findings or of the class that it states."""

    text: str
    parts: tuple[str, ...]


def prompt_of(prompt_set: PromptSet, language: str, names: Sequence[str]) -> Prompt:
    """The sentence of a prompt set around the given names, joined in the order given. What a model is trained on is one
    sentence: EcgbenchError where the set has several."""
    said = sentences_of(prompt_set, language, names)
    if len(said) > 1:
        raise EcgbenchError(
            f"prompt set {prompt_set.name} has {len(said)} sentences in '{language}' and training takes one: write a set of "
            f"one sentence into the recipe (`prompt_set: paper`) and ask by the others with --prompts {prompt_set.name}."
        )
    return said[0]


def sentences_of(prompt_set: PromptSet, language: str, names: Sequence[str]) -> list[Prompt]:
    """Every sentence of a prompt set around the given names, in the card's order."""
    if not names:
        raise EcgbenchError(f"prompt set {prompt_set.name} was given no finding: a prompt states at least one.")
    templates, joiner = _templates(prompt_set, language)
    stated = joiner.join(names)
    # Not str.format: a name may hold braces.
    return [Prompt(template.replace("{findings}", stated), tuple(names)) for template in templates]


def label_prompts(prompt_set: PromptSet, bank: LabelBank, language: str) -> list[Prompt]:
    """One prompt a finding, in label-table order."""
    _templates(prompt_set, language)
    return [prompt_of(prompt_set, language, [_finding_name(bank, fid, language)]) for fid in bank.ids]


def joined_prompt(prompt_set: PromptSet, bank: LabelBank, language: str, finding_ids: Iterable[str]) -> Prompt:
    """One prompt that states all the given findings, each once, in label-table order whatever the order given
    (the paper's way of stating a record with several findings; the order is this toolkit's)."""
    _templates(prompt_set, language)
    wanted = set(finding_ids)
    unknown = sorted(finding_id for finding_id in wanted if finding_id not in bank)
    if unknown:
        raise unknown_name("finding", unknown[0], bank.ids, "ecgbench data info synth98 --json")
    names = [_finding_name(bank, fid, language) for fid in bank.in_order(wanted)]
    return prompt_of(prompt_set, language, names)


def class_prompts(
    task: TaskCard, prompt_set: PromptSet, bank: LabelBank, language: str, mapping: str
) -> list[list[Prompt]]:
    """The sentences of each class of the task, in class order: around every finding of the label table for `retrieval`;
    for `zero_shot` around the class names, or around the findings that map to the class where the set states `members`."""
    _templates(prompt_set, language)
    return [
        [prompt for name in names for prompt in sentences_of(prompt_set, language, [name])]
        for names in _stated_names(task, prompt_set, bank, language, mapping)
    ]


def class_names(task: TaskCard, bank: LabelBank, language: str) -> dict[str, str]:
    """Class id -> its name in a language, in class order. EcgbenchError where a class has none."""
    if task.kind == "retrieval":
        return {finding_id: _finding_name(bank, finding_id, language) for finding_id in bank.ids}
    lacking = [item.id for item in task.classes if language not in item.names]
    if lacking:
        raise EcgbenchError(
            f"task {task.name} has no name in '{language}' for {', '.join(lacking)}: "
            f"type --lang {_either(_common_languages(task))}."
        )
    return {item.id: {str(key): name for key, name in item.names.items()}[language] for item in task.classes}


def _stated_names(
    task: TaskCard, prompt_set: PromptSet, bank: LabelBank, language: str, mapping: str
) -> list[list[str]]:
    """For each class, the names that its sentences are made around, one sentence (or one of each template) a name."""
    if task.kind == "retrieval" or prompt_set.states == "name":
        return [[name] for name in class_names(task, bank, language).values()]
    columns: dict[str, str] = {str(key): column for key, column in task.mappings.items()}
    if mapping not in columns:
        raise EcgbenchError(f"task {task.name} has no mapping '{mapping}': choose {' or '.join(columns)}.")
    members: dict[str, list[str]] = {item.value: [] for item in task.classes}
    for finding_id, value in bank.column(columns[mapping]).items():
        members.setdefault(value, []).append(_finding_name(bank, finding_id, language))
    for item in task.classes:
        if not members[item.value]:
            raise EcgbenchError(
                f"no finding of {bank.table} maps to {item.id} of task {task.name} in the column {columns[mapping]}, so that "
                f"prompt set {prompt_set.name} has nothing to ask by: take another with --prompts."
            )
    return [members[item.value] for item in task.classes]


def _templates(prompt_set: PromptSet, language: str) -> tuple[tuple[str, ...], str]:
    known: dict[Language, tuple[str, ...]] = prompt_set.templates
    for key in known:
        if key == language:
            return known[key], prompt_set.joiners[key]
    raise EcgbenchError(
        f"prompt set {prompt_set.name} has no sentence in '{language}': type --lang {_either(sorted(known))}."
    )


def _finding_name(bank: LabelBank, finding_id: str, language: str) -> str:
    name = bank[finding_id].names.get(language, "")
    if not name:
        raise EcgbenchError(
            f"label table {bank.table} has no name in '{language}' for the finding {finding_id}: "
            f"fill in its cell of the column label_{language}."
        )
    return name


def _common_languages(task: TaskCard) -> list[str]:
    return sorted(set.intersection(*(set(map(str, item.names)) for item in task.classes)))


def _either(languages: Sequence[str]) -> str:
    return " or ".join(languages) or "(no language is complete)"
