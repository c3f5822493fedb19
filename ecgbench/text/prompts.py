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
    """The sentence of a prompt set around the given names, joined in the order given."""
    if not names:
        raise EcgbenchError(f"prompt set {prompt_set.name} was given no finding: a prompt states at least one.")
    template, joiner = _template(prompt_set, language)
    # Not str.format: a name may hold braces.
    return Prompt(template.replace("{findings}", joiner.join(names)), tuple(names))


def label_prompts(prompt_set: PromptSet, bank: LabelBank, language: str) -> list[Prompt]:
    """One prompt a finding, in label-table order."""
    _template(prompt_set, language)
    return [prompt_of(prompt_set, language, [_finding_name(bank, fid, language)]) for fid in bank.ids]


def joined_prompt(prompt_set: PromptSet, bank: LabelBank, language: str, finding_ids: Iterable[str]) -> Prompt:
    """One prompt that states all the given findings, each once, in label-table order whatever the order given
    (the paper's way of stating a record with several findings; the order is this toolkit's)."""
    _template(prompt_set, language)
    wanted = set(finding_ids)
    unknown = sorted(finding_id for finding_id in wanted if finding_id not in bank)
    if unknown:
        raise unknown_name("finding", unknown[0], bank.ids, "ecgbench data info synth98 --json")
    names = [_finding_name(bank, fid, language) for fid in bank.in_order(wanted)]
    return prompt_of(prompt_set, language, names)


def class_prompts(task: TaskCard, prompt_set: PromptSet, bank: LabelBank, language: str) -> list[Prompt]:
    """One prompt a class of the task, in class order: every finding of the label table for `retrieval`, the
    class names for `zero_shot`."""
    if task.kind == "retrieval":
        return label_prompts(prompt_set, bank, language)
    lacking = [item.id for item in task.classes if language not in item.names]
    if lacking:
        raise EcgbenchError(
            f"task {task.name} has no name in '{language}' for {', '.join(lacking)}: "
            f"type --lang {_either(_common_languages(task))}."
        )
    named = [{str(key): name for key, name in item.names.items()} for item in task.classes]
    return [prompt_of(prompt_set, language, [names[language]]) for names in named]


def _template(prompt_set: PromptSet, language: str) -> tuple[str, str]:
    known: dict[Language, str] = prompt_set.templates
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
