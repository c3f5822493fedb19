"""A text tower looked at before anything is trained: what its vectors of a label table's sentences are like.

Everything is measured on the sentences alone. A geometry is fitted on one language's label sentences, as a run in that
language would fit it on those of its training prompts (recipe `prompt: one` or `mean`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ecgbench.cards import PromptSet, TaskCard, TextCard
from ecgbench.catalogue import all_cards
from ecgbench.errors import EcgbenchError
from ecgbench.evaluation.metrics import metric_named
from ecgbench.findings import LabelBank
from ecgbench.pipeline.reporting import Reporter, Silent
from ecgbench.text.diagnosis import (
    Share,
    Spread,
    beginning,
    ending,
    nearest_classes,
    nearest_others,
    shared_with_nearest,
    spread,
    unit,
)
from ecgbench.text.embed import check_available, embed_prompts
from ecgbench.text.geometry import GEOMETRIES, fit
from ecgbench.text.pack import read_pack
from ecgbench.text.prompts import Prompt, class_prompts, label_prompts
from ecgbench.text.tokenizer_checks import vector_warnings
from ecgbench.text.tokens import Tokens, tokens_of

LANGUAGES = ("ja", "en")
RETRIEVAL = ("top1", "top5", "mrr")
MAPPING = "paper"
LABELS = "the labels"
"""What the label sentences are called beside those of tasks; no card has spaces in its name."""


@dataclass(frozen=True)
class Shape:
    """The vectors of one language under one geometry. `classes`: task -> findings nearest to their own class, of how many,
    class by class. `across`: the retrieval metrics of the other language's sentence of the same label, None without it."""

    spread: Spread
    nearest: np.ndarray
    cosines: np.ndarray
    same_ending: Share
    same_beginning: Share
    classes: dict[str, list[tuple[int, int]]]
    across: dict[str, float] | None


@dataclass(frozen=True)
class Said:
    """One language: the label prompts and the tower's own vectors of them, what each geometry makes of these, the tokens
    where they can be counted, and what the tower cannot tell apart."""

    prompts: list[Prompt]
    vectors: np.ndarray
    shapes: dict[str, Shape]
    tokens: list[int] | None
    warnings: list[str]


@dataclass(frozen=True)
class Diagnosis:
    """`left_out`: what could not be looked at, and why, a sentence each."""

    tower: TextCard
    identity: dict[str, Any]
    bank: LabelBank
    prompt_set: PromptSet
    tasks: dict[str, TaskCard]
    languages: dict[str, Said]
    left_out: list[str]

    def claims(self, language: str) -> bool | None:
        """Whether the card names a language; None where it does not say."""
        return None if self.tower.languages is None else language in self.tower.languages


def diagnose(
    tower: TextCard,
    bank: LabelBank,
    prompt_set: PromptSet,
    languages: Sequence[str] = LANGUAGES,
    *,
    text_path: Path | None = None,
    text_pack: Path | None = None,
    text_device: str = "auto",
    reporter: Reporter | None = None,
) -> Diagnosis:
    """Embed the label and class sentences in one go and look at their vectors. What a pack or a table lacks is left out;
    EcgbenchError where that leaves no language, or the tower cannot be had."""
    _check_asked(bank, prompt_set, languages)
    tasks = {
        task.name: task
        for task in all_cards(TaskCard)[0]
        if task.kind == "zero_shot" and task.labels == bank.table and len(task.classes) > 1
    }
    asked = _Asked()
    for language in languages:
        asked.add(LABELS, language, partial(_single, prompt_set, bank, language))
        for task in tasks.values():
            asked.add(task.name, language, partial(class_prompts, task, prompt_set, bank, language, MAPPING))
    if text_pack is not None:
        asked.keep_those_in(text_pack, read_pack(text_pack, tower).texts)
    if not any((LABELS, language) in asked.groups for language in languages):
        raise EcgbenchError(asked.left_out[0])
    prompts = asked.prompts()
    check_available(tower, text_path, text_pack, prompts, device=text_device)
    with (reporter or Silent()).stage(f"Embedding prompts with {tower.name}") as progress:
        embedded = embed_prompts(
            tower, prompts, text_path=text_path, pack=text_pack, device=text_device, progress=progress
        )
    found = asked.split(embedded.vectors)
    said = {}
    for language in languages:
        if (LABELS, language) in found:
            own = [each[0] for each in asked.groups[LABELS, language]]
            tokens = tokens_of(tower, own, text_path) if text_pack is None else None
            said[language] = _said(language, own, tokens, found, tasks, bank)
    return Diagnosis(tower, embedded.identity, bank, prompt_set, tasks, said, asked.left_out)


def _check_asked(bank: LabelBank, prompt_set: PromptSet, languages: Sequence[str]) -> None:
    if len(bank) < 2:
        raise EcgbenchError(
            f"label table {bank.table} has {len(bank)} labels, and a nearest label needs two: name another with --labels."
        )
    for language, said in prompt_set.templates.items():
        if language in languages and len(said) > 1:
            raise EcgbenchError(
                f"prompt set {prompt_set.name} has {len(said)} sentences in '{language}', and one a label is looked at: "
                "write --prompts paper, or another set of one sentence."
            )


@dataclass
class _Asked:
    """Groups of sentences, class by class, that are embedded together and looked at apart."""

    groups: dict[tuple[str, str], list[list[Prompt]]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def add(self, what: str, language: str, make: Callable[[], list[list[Prompt]]]) -> None:
        try:
            self.groups[what, language] = make()
        except EcgbenchError as error:  # no name in that language: said, and the rest is looked at
            self.left_out.append(str(error))

    def keep_those_in(self, pack: Path, texts: Sequence[str]) -> None:
        held = set(texts)
        for key, group in list(self.groups.items()):
            lacking = [prompt.text for said in group for prompt in said if prompt.text not in held]
            if lacking:
                what, language = key
                self.left_out.append(
                    f"the embedding pack {pack} lacks {len(lacking)} of the sentences of {what} in '{language}', "
                    f"'{lacking[0]}' first."
                )
                del self.groups[key]

    def prompts(self) -> list[Prompt]:
        return [prompt for group in self.groups.values() for said in group for prompt in said]

    def split(self, vectors: np.ndarray) -> dict[tuple[str, str], list[np.ndarray]]:
        rows = iter(vectors)
        return {key: [np.stack([next(rows) for _ in said]) for said in group] for key, group in self.groups.items()}


def _single(prompt_set: PromptSet, bank: LabelBank, language: str) -> list[list[Prompt]]:
    return [[prompt] for prompt in label_prompts(prompt_set, bank, language)]


def _said(
    language: str,
    prompts: list[Prompt],
    tokens: Tokens | None,
    found: dict[tuple[str, str], list[np.ndarray]],
    tasks: dict[str, TaskCard],
    bank: LabelBank,
) -> Said:
    labels = {said: np.concatenate(groups) for (what, said), groups in found.items() if what == LABELS}
    own = labels.pop(language)
    other = next(iter(labels.values()), None)
    names = [finding.names[language] for finding in bank.findings]
    classes = {
        name: (found[name, language], _members(task, bank)) for name, task in tasks.items() if (name, language) in found
    }
    shapes: dict[str, Shape] = {}
    for how in GEOMETRIES:
        apply = fit(own, how).apply
        moved = {name: ([apply(each) for each in groups], members) for name, (groups, members) in classes.items()}
        shapes[how] = _shape(apply(own), None if other is None else apply(other), names, moved)
    warnings = [*(tokens.warnings if tokens else []), *vector_warnings(prompts, own)]
    return Said(prompts, own, shapes, tokens.counts if tokens else None, warnings)


def _shape(
    own: np.ndarray,
    other: np.ndarray | None,
    names: Sequence[str],
    classes: dict[str, tuple[list[np.ndarray], list[list[int]]]],
) -> Shape:
    nearest, cosines = nearest_others(own)
    return Shape(
        spread=spread(own),
        nearest=nearest,
        cosines=cosines,
        same_ending=shared_with_nearest(nearest, [ending(name) for name in names]),
        same_beginning=shared_with_nearest(nearest, [beginning(name) for name in names]),
        classes={
            name: nearest_classes(groups, [own[rows] for rows in members])
            for name, (groups, members) in classes.items()
        },
        across=None if other is None else _retrieved(own, other),
    )


def _members(task: TaskCard, bank: LabelBank) -> list[list[int]]:
    """The places of the findings that map to each class, class by class."""
    columns: dict[str, str] = {str(mapping): column for mapping, column in task.mappings.items()}
    values = bank.column(columns[MAPPING])
    return [[bank.position(each) for each, value in values.items() if value == item.value] for item in task.classes]


def _retrieved(queries: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    """How the target of the same row is ranked among all targets, by the benchmark's own metrics."""
    cosines = unit(queries) @ unit(targets).T
    n = len(cosines)
    same, once = np.eye(n, dtype=np.int16), np.ones((1, n), np.int64)
    return {name: float(metric_named(name).values(cosines, same, once)[0][0]) for name in RETRIEVAL}


def retrieval_chance(labels: int) -> dict[str, float]:
    """What constant cosines would get among so many labels."""
    return {name: metric_named(name).chance(np.eye(labels, dtype=np.int16)) for name in RETRIEVAL}
