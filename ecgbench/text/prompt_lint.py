"""Prompts that name another class of their own task: what is asked for then holds what is asked for elsewhere.

A name is found as a word where it begins or ends with a Latin letter or a digit, and anywhere where it begins or ends
with anything else (Japanese has no spaces); letter case and width do not count.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ecgbench.cards import PromptSet, TaskCard
from ecgbench.errors import EcgbenchError
from ecgbench.findings import LabelBank
from ecgbench.text.prompts import class_names, class_prompts


@dataclass(frozen=True)
class Overlap:
    """A class some prompt of which names another, and the prompt sets that have such a prompt."""

    task: str
    language: str
    asked: str
    named: str
    prompt_sets: tuple[str, ...]


def folded(text: str) -> str:
    """Half-width, lower case: texts that differ in no more than that are the same."""
    return unicodedata.normalize("NFKC", text).casefold()


def says(text: str, name: str) -> bool:
    """Whether a folded text holds a folded name."""
    start = text.find(name)
    while start >= 0:
        end = start + len(name)
        cut = _one_word(text[start - 1 : start], name[0]) or _one_word(name[-1], text[end : end + 1])
        if not cut:
            return True
        start = text.find(name, start + 1)
    return False


def _one_word(before: str, after: str) -> bool:
    return all(side.isascii() and side.isalnum() for side in (before, after))


def overlaps(task: TaskCard, prompt_sets: Iterable[PromptSet], bank: LabelBank) -> list[Overlap]:
    """Every pair of classes of which a prompt of the one names the other, under any prompt set, mapping and language."""
    found: dict[tuple[str, str, str], dict[str, None]] = {}
    for prompt_set in prompt_sets:
        for pair in set(_pairs(task, prompt_set, bank)):
            found.setdefault(pair, {})[prompt_set.name] = None
    order = {name: place for place, name in enumerate(_ids(task, bank))}
    ranked = sorted(found, key=lambda pair: (pair[0], order[pair[1]], order[pair[2]]))
    return [Overlap(task.name, *pair, tuple(sorted(found[pair]))) for pair in ranked]


def _pairs(task: TaskCard, prompt_set: PromptSet, bank: LabelBank) -> Iterator[tuple[str, str, str]]:
    """Language, class asked for, class named."""
    for language in prompt_set.templates:
        for mapping in task.mappings or ("paper",):
            try:
                names = {name: folded(said) for name, said in class_names(task, bank, language).items()}
                asked = class_prompts(task, prompt_set, bank, language, mapping)
            except EcgbenchError:  # the task cannot be asked by this set in this language
                continue
            for own, prompts in zip(names, asked, strict=True):
                text = folded("\n".join(prompt.text for prompt in prompts))
                for other, name in names.items():
                    if other != own and name in text and says(text, name):
                        yield language, own, other


def _ids(task: TaskCard, bank: LabelBank) -> tuple[str, ...]:
    return bank.ids if task.kind == "retrieval" else tuple(item.id for item in task.classes)
