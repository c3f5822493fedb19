"""Which prompts there are to embed beforehand: all that any run can ask for, made by the functions by which a run makes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from ecgbench.cards import DatasetCard, PromptSet, TaskCard
from ecgbench.catalogue import all_cards
from ecgbench.errors import EcgbenchError
from ecgbench.findings import LabelBank, label_bank
from ecgbench.text.prompts import Prompt, class_prompts, joined_prompt, label_prompts


@dataclass
class Collected:
    """Distinct prompts in the order in which they were met. `left_out`: why a run is refused where it would ask for more."""

    prompt_sets: Sequence[PromptSet]
    languages: Sequence[str]
    prompts: dict[Prompt, None] = field(default_factory=dict)
    left_out: dict[str, None] = field(default_factory=dict)

    def add_labels_and_classes(self) -> None:
        """The label prompts of every label table and the class prompts of every task and mapping: enough for the prompt modes
        `one` and `mean` and for every evaluation."""
        tasks = all_cards(TaskCard)[0]
        tables = {task.labels for task in tasks} | {card.labels for card in all_cards(DatasetCard)[0]}
        for prompt_set, language in self._said():
            if _for_training(prompt_set, language):
                for table in sorted(tables):
                    self._take(partial(_of_labels, table, prompt_set, language))
            for task in tasks:
                for mapping in _mappings(task):
                    self._take(partial(_of_classes, task, prompt_set, language, mapping))

    def add_joined(self, bank: LabelBank, findings: Iterable[Sequence[str]]) -> None:
        """The sentence of each combination of findings (ids of `bank`), for the prompt mode `joined`."""
        combinations = sorted({bank.in_order(set(ids)) for ids in findings if ids})
        for prompt_set, language in self._said():
            if _for_training(prompt_set, language):
                self._take(partial(_of_combinations, bank, combinations, prompt_set, language))

    def add(self, prompts: Iterable[Prompt]) -> None:
        self.prompts |= dict.fromkeys(prompts)

    def _said(self) -> Iterable[tuple[PromptSet, str]]:
        for prompt_set in self.prompt_sets:
            for language in self.languages:
                if language in list(map(str, prompt_set.templates)):
                    yield prompt_set, language

    def _take(self, made: Callable[[], Iterable[Prompt]]) -> None:
        """What one run could ask for; nothing where that run would be refused."""
        try:
            self.add(made())
        except EcgbenchError as refused:
            self.left_out[str(refused)] = None


def _for_training(prompt_set: PromptSet, language: str) -> bool:
    """Whether the set has one sentence in the language: training takes no other."""
    return len({str(key): said for key, said in prompt_set.templates.items()}[language]) == 1


def _mappings(task: TaskCard) -> Sequence[str]:
    """By which its classes may be asked for; a linear probe asks by none."""
    return () if task.kind == "linear_probe" else tuple(map(str, task.mappings)) or ("paper",)


def _of_labels(table: str, prompt_set: PromptSet, language: str) -> list[Prompt]:
    return label_prompts(prompt_set, label_bank(table), language)


def _of_combinations(
    bank: LabelBank, combinations: Sequence[Sequence[str]], prompt_set: PromptSet, language: str
) -> list[Prompt]:
    return [joined_prompt(prompt_set, bank, language, ids) for ids in combinations]


def _of_classes(task: TaskCard, prompt_set: PromptSet, language: str, mapping: str) -> list[Prompt]:
    asked = class_prompts(task, prompt_set, label_bank(task.labels), language, mapping)
    return [prompt for said in asked for prompt in said]
