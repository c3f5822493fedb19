"""What a prompt set says, by example: the lower half of `ecgbench show PROMPTSET`."""

from __future__ import annotations

from collections.abc import Callable

from ecgbench.cards import PromptSet, TaskCard
from ecgbench.catalogue import load_card
from ecgbench.cli.mapping import wrapped
from ecgbench.cli.tables import table
from ecgbench.errors import EcgbenchError
from ecgbench.findings import label_bank
from ecgbench.text.prompts import Prompt, class_prompts, joined_prompt

FINDING, OTHER, CLASS = "atrial-fibrillation", "left-axis-deviation", "conduction-disturbance"
WIDTH = 100
MOST = 5
"""Sentences of one class that are shown."""


def prompt_examples(card: PromptSet) -> str:
    """What the set makes of a finding, of a class, and of a training record with two findings, in each language."""
    bank = label_bank()
    retrieval, superclass = load_card(TaskCard, "retrieval98"), load_card(TaskCard, "superclass")
    classes = [item.id for item in superclass.classes]

    def asked(task: TaskCard, place: int) -> Callable[[str], list[Prompt]]:
        return lambda language: class_prompts(task, card, bank, language, "paper")[place]

    made: dict[str, Callable[[str], list[Prompt]]] = {
        f"finding {FINDING}": asked(retrieval, bank.position(FINDING)),
        f"class {CLASS}": asked(superclass, classes.index(CLASS)),
        f"trained with {FINDING}, {OTHER}": lambda language: [joined_prompt(card, bank, language, (FINDING, OTHER))],
    }
    rows = [
        (language if first else "", what if first else "", line)
        for language in sorted(card.templates, reverse=True)
        for what, make in made.items()
        for first, line in _lines(make, language)
    ]
    return table(["lang", "what", "sentences"], rows)


def _lines(make: Callable[[str], list[Prompt]], language: str) -> list[tuple[bool, str]]:
    """Each line, and whether it is the first; where the set has no sentence for it, the reason."""
    try:
        texts = [prompt.text for prompt in make(language)]
    except EcgbenchError as error:
        texts = [f"none: {error}"]
    more = [f"… and {len(texts) - MOST} more"] if len(texts) > MOST else []
    lines = [line for text in [*texts[:MOST], *more] for line in wrapped(text, WIDTH)]
    return [(i == 0, line) for i, line in enumerate(lines)]
