"""How near a text tower puts the prompt of a class to the prompts of the findings in it, before anything is trained.

    python tests/bench/class_names.py [--text use-multilingual] [--mapping paper]

For each zero-shot set and class: how many of its findings lie nearer to its own prompt than to that of any other class of
the set, by cosine. The table stands in `docs/prompts.md`.
"""

from __future__ import annotations

import argparse

import numpy as np

from ecgbench.cards import PromptSet, TaskCard, TextCard
from ecgbench.catalogue import load_card
from ecgbench.findings import label_bank
from ecgbench.text.diagnosis import nearest_classes
from ecgbench.text.embed import embed_prompts
from ecgbench.text.prompts import Prompt, class_prompts

SETS = ("superclass", "rhythm", "mitbih")
PROMPTS = ("paper", "bare", "paraphrases", "descriptors")


def vectors_of(tower: TextCard, asked: list[list[Prompt]]) -> list[np.ndarray]:
    """The vectors of each class's prompts."""
    flat = embed_prompts(tower, [prompt for said in asked for prompt in said]).vectors
    return np.split(flat, np.cumsum([len(said) for said in asked])[:-1])


def nearest(tower: TextCard, task: TaskCard, prompts: str, language: str, mapping: str) -> list[tuple[int, int]]:
    """For each class: the findings nearest to it, of how many."""
    bank = label_bank(task.labels)
    classes, members = (
        vectors_of(tower, class_prompts(task, load_card(PromptSet, name), bank, language, mapping))
        for name in (prompts, "members")
    )
    return nearest_classes(classes, members)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text", default="use-multilingual")
    parser.add_argument("--mapping", default="paper")
    asked = parser.parse_args()
    tower = load_card(TextCard, asked.text)
    columns = [(language, name) for language in ("ja", "en") for name in PROMPTS]
    print(f"| set | class | {' | '.join(f'{language} {name}' for language, name in columns)} | findings |")
    print("|---|---|" + "---:|" * (len(columns) + 1))
    for task in (load_card(TaskCard, name) for name in SETS):
        counts = [nearest(tower, task, name, language, asked.mapping) for language, name in columns]
        for place, item in enumerate(task.classes):
            cells = [str(each[place][0]) for each in counts]
            print(f"| {task.name} | {item.value} | {' | '.join(cells)} | {counts[0][place][1]} |")


if __name__ == "__main__":
    main()
