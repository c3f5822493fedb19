"""Findings and classes as sentences: what a text tower is given to read.

A prompt keeps the names it was made of beside its text, because a name may itself hold the joiner ("S1, S2,
S3 Pattern"), so that the parts cannot be read back from the sentence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ecgbench.cards import Language, PromptSet, TaskCard
from ecgbench.errors import EcgbenchError, unknown_name
from ecgbench.findings import LabelBank
from ecgbench.text.descriptors import descriptors_of


@dataclass(frozen=True)
class Prompt:
    """A sentence, and the names of the findings or of the class that it states."""

    text: str
    parts: tuple[str, ...]


SENTENCES_APART: dict[str, str] = {"ja": "", "en": " "}
"""What stands between the descriptors of several findings, each of which is whole sentences."""


def prompt_of(prompt_set: PromptSet, language: str, names: Sequence[str], seen: Sequence[str] = ()) -> Prompt:
    """The sentence of a prompt set around the given names, joined in the order given. What a model is trained on is one
    sentence: EcgbenchError where the set has several."""
    check_one_sentence(prompt_set, language)
    return sentences_of(prompt_set, language, names, seen)[0]


def check_one_sentence(prompt_set: PromptSet, language: str) -> None:
    """EcgbenchError where a set is not fit for training in a language."""
    templates, _ = _templates(prompt_set, language)
    if len(templates) > 1:
        raise EcgbenchError(
            f"prompt set {prompt_set.name} has {len(templates)} sentences in '{language}' and training takes one: write a set of "
            f"one sentence into the recipe (`prompt_set: paper`) and ask by the others with --prompts {prompt_set.name}."
        )


def sentences_of(prompt_set: PromptSet, language: str, names: Sequence[str], seen: Sequence[str] = ()) -> list[Prompt]:
    """Every sentence of a prompt set around the given names, in the card's order; `seen`: the descriptor of each, where the
    set states descriptors."""
    if not names:
        raise EcgbenchError(f"prompt set {prompt_set.name} was given no finding: a prompt states at least one.")
    if len(seen) != (len(names) if prompt_set.descriptors else 0):
        raise ValueError(f"prompt set {prompt_set.name}: {len(names)} names, {len(seen)} descriptors")
    templates, joiner = _templates(prompt_set, language)
    put = {"{findings}": joiner.join(names), "{descriptor}": SENTENCES_APART.get(language, " ").join(seen)}
    return [Prompt(_filled(template, put), tuple(names)) for template in templates]


def _filled(template: str, put: dict[str, str]) -> str:
    """Neither str.format nor one replacement after another: a name may hold braces."""
    parts = re.split(r"(\{findings\}|\{descriptor\})", template)
    return "".join(put.get(part, part) for part in parts)


def label_prompts(prompt_set: PromptSet, bank: LabelBank, language: str) -> list[Prompt]:
    """One prompt a finding, in label-table order."""
    check_one_sentence(prompt_set, language)
    return [prompt for (prompt,) in _finding_sentences(prompt_set, bank, language)]


def joined_prompt(prompt_set: PromptSet, bank: LabelBank, language: str, finding_ids: Iterable[str]) -> Prompt:
    """One prompt that states all the given findings, each once, in label-table order whatever the order given
    (the paper's way of stating a record with several findings; the order is this toolkit's)."""
    _templates(prompt_set, language)
    wanted = set(finding_ids)
    unknown = sorted(finding_id for finding_id in wanted if finding_id not in bank)
    if unknown:
        raise unknown_name("finding", unknown[0], bank.ids, "ecgbench data info synth98 --json")
    ordered = bank.in_order(wanted)
    names = [_finding_name(bank, fid, language) for fid in ordered]
    return prompt_of(prompt_set, language, names, _seen(prompt_set, language, ordered, bank.table))


def class_prompts(
    task: TaskCard, prompt_set: PromptSet, bank: LabelBank, language: str, mapping: str
) -> list[list[Prompt]]:
    """The sentences of each class of the task, in class order: around every finding of the label table for `retrieval`;
    for `zero_shot` around the class names, or around the findings that map to the class where the set states `members`."""
    _templates(prompt_set, language)
    if task.kind == "retrieval":
        return _finding_sentences(prompt_set, bank, language, f"task {task.name}")
    if prompt_set.states == "members":
        return [
            [prompt for name in names for prompt in sentences_of(prompt_set, language, [name])]
            for names in _member_names(task, prompt_set, bank, language, mapping)
        ]
    return _sentences_by_id(prompt_set, language, class_names(task, bank, language), f"task {task.name}")


def _finding_sentences(
    prompt_set: PromptSet, bank: LabelBank, language: str, asked_for: str | None = None
) -> list[list[Prompt]]:
    names = {finding_id: _finding_name(bank, finding_id, language) for finding_id in bank.ids}
    return _sentences_by_id(prompt_set, language, names, asked_for or bank.table)


def _sentences_by_id(prompt_set: PromptSet, language: str, names: dict[str, str], asked_for: str) -> list[list[Prompt]]:
    """Of each id the sentences around its name and, where the set states descriptors, what is seen of it."""
    seen = _seen(prompt_set, language, list(names), asked_for)
    each = [[said] for said in seen] if seen else [[] for _ in names]
    return [sentences_of(prompt_set, language, [name], own) for name, own in zip(names.values(), each, strict=True)]


def _seen(prompt_set: PromptSet, language: str, ids: Sequence[str], asked_for: str) -> list[str]:
    """The descriptor of each id; none where the set states no descriptors."""
    return descriptors_of(prompt_set).of(ids, language, asked_for) if prompt_set.descriptors else []


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


def _member_names(
    task: TaskCard, prompt_set: PromptSet, bank: LabelBank, language: str, mapping: str
) -> list[list[str]]:
    """For each class the names of the findings that map to it."""
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
