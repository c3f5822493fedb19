"""What is asked for: names resolved to cards and a recipe, checked together before anything is built."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ecgbench.cards import EncoderCard, Language, Mapping, PromptSet, TaskCard, TextCard
from ecgbench.catalogue import all_cards, load_card
from ecgbench.ecg.build import labels_of
from ecgbench.ecg.inputs import input_rate
from ecgbench.entry_points import source_hash
from ecgbench.errors import EcgbenchError
from ecgbench.recipe import Recipe, load_recipe, recipe_name
from ecgbench.results import control_of
from ecgbench.text.devices import parse_device

Control = Literal["none", "frozen-random", "supervised"]
DEFAULT_TASKS = ("retrieval98", "superclass", "rhythm", "mitbih")
"""The paper's, on its 98 labels."""
_CONTROL_FIELDS = {
    "none": {},
    "frozen-random": {"train_encoder": False},
    "supervised": {"objective": "supervised"},
}


@dataclass(frozen=True)
class Request:
    """Everything a run needs to know, as cards. `rate` is the Hz the encoder will be fed."""

    encoder: EncoderCard
    text: TextCard
    source: str
    recipe_name: str
    recipe: Recipe
    tasks: tuple[TaskCard, ...]
    prompt_set: PromptSet
    mapping: Mapping
    seed: int
    control: Control
    rate: int
    text_path: Path | None = None
    text_pack: Path | None = None
    text_device: str = "auto"
    """Where the text tower is run (`ecgbench.text.devices`); no part of the run's identity."""
    class_prompts: PromptSet | None = None
    """What all tasks' classes are asked by, where it is not each task's own prompt set."""
    asking: Language | None = None
    """Language that classes are asked in, where it is not the one that was trained in."""
    tasks_were_named: bool = True
    """False where the tasks are all those of the data's label table: one without test records is then left out."""

    @property
    def asked_language(self) -> Language:
        return self.asking or self.recipe.language


def default_tasks(source: str) -> tuple[str, ...]:
    """The tasks that a SOURCE's label table has, but for linear probes and those that change the training. EcgbenchError
    where it has none, with the card to write."""
    labels = labels_of(source)
    cards = [
        card for card in all_cards(TaskCard)[0]
        if card.labels == labels and not card.held_out and card.kind != "linear_probe"
    ]  # fmt: skip
    names = [card.name for card in sorted(cards, key=lambda card: (card.kind, card.name))]
    if not names:
        raise EcgbenchError(
            f"no task asks for the labels of {labels}: write tasks/NAME.yaml beside it, with the lines `name: NAME`, "
            f"`summary: …`, `kind: retrieval` and `labels: {labels}`."
        )
    return DEFAULT_TASKS if set(DEFAULT_TASKS) <= set(names) else tuple(names)


def make_request(
    *,
    encoder: str,
    text: str,
    data: str = "synth98",
    recipe: str = "quick",
    tasks: tuple[str, ...] | None = None,
    language: str | None = None,
    mapping: str = "paper",
    prompts: str | None = None,
    epochs: int | None = None,
    seed: int = 0,
    control: str = "none",
    text_path: Path | None = None,
    text_pack: Path | None = None,
    text_device: str = "auto",
) -> Request:
    """Resolve names and check that they fit; EcgbenchError with near matches for a name that no card carries. Without
    `tasks`, all those of the data's label table; without `prompts`, each task's own prompt set."""
    if control not in _CONTROL_FIELDS:
        raise EcgbenchError(f"--control {control} is not known: write {', '.join(_CONTROL_FIELDS)}.")
    if not 0 <= seed < 2**32:
        raise EcgbenchError(f"--seed {seed} is out of range: write a whole number from 0 to 4294967295.")
    _check_words(language, mapping)
    resolved = load_recipe(recipe, language=language, epochs=epochs, **_CONTROL_FIELDS[control])
    return assemble(
        encoder=encoder, text=text, data=data, recipe_name=recipe_name(recipe), recipe=resolved, tasks=tasks, mapping=mapping,
        prompts=prompts, seed=seed, text_path=text_path, text_pack=text_pack, text_device=text_device,
    )  # fmt: skip


def assemble(
    *,
    encoder: str,
    text: str,
    data: str,
    recipe_name: str,
    recipe: Recipe,
    tasks: tuple[str, ...] | None,
    mapping: str,
    prompts: str | None,
    seed: int,
    text_path: Path | None,
    text_pack: Path | None,
    text_device: str = "auto",
    asking: str | None = None,
) -> Request:
    """As `make_request`, of a recipe as it is: that of a run that is done, too. `asking`: the language classes are asked
    in, where it is another."""
    _check_words(asking, mapping)
    parse_device(text_device)
    named = tasks is not None
    if tasks is None:
        tasks = default_tasks(data)
    if not tasks or len(set(tasks)) != len(tasks):
        raise EcgbenchError(f"--tasks {','.join(tasks)}: name at least one task, each once.")
    encoder_card, text_card = load_card(EncoderCard, encoder), load_card(TextCard, text)
    source_hash(encoder_card, encoder_card.entry_point)  # a card whose code is not there ends here
    cards = tuple(load_card(TaskCard, task) for task in tasks)
    tables = {card.labels for card in cards}
    if len(tables) > 1:
        raise EcgbenchError(
            f"the tasks {', '.join(tasks)} use different label tables ({', '.join(sorted(tables))}): run them apart."
        )
    _check_augmentation(recipe, encoder_card)
    return Request(
        encoder=encoder_card,
        text=text_card,
        source=data,
        recipe_name=recipe_name,
        recipe=recipe,
        tasks=cards,
        prompt_set=load_card(PromptSet, recipe.prompt_set),
        mapping=mapping,  # type: ignore[arg-type]
        seed=seed,
        control=control_of(recipe.model_dump(mode="json")),
        rate=input_rate(encoder_card.input, recipe.rate, encoder),
        text_path=text_path,
        text_pack=text_pack,
        text_device=text_device,
        class_prompts=None if prompts is None else load_card(PromptSet, prompts),
        asking=asking,  # type: ignore[arg-type]
        tasks_were_named=named,
    )


def _check_augmentation(recipe: Recipe, encoder: EncoderCard) -> None:
    if recipe.augmentation and recipe.augmentation.lead_dropout and encoder.input.missing_lead == "refuse":
        raise EcgbenchError(
            f"the recipe's augmentation.lead_dropout makes leads missing, which the card of encoder {encoder.name} does not "
            "allow: leave lead_dropout out."
        )


def _check_words(language: str | None, mapping: str) -> None:
    if mapping not in ("paper", "clinical"):
        raise EcgbenchError(f"--mapping {mapping} is not known: write paper or clinical.")
    if language not in (None, "ja", "en"):
        raise EcgbenchError(f"--lang {language} is not known: write ja or en.")
