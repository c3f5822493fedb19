"""`ecgbench show NAME`: all that is known about one thing."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from ecgbench.cards import Card, EncoderCard, PromptSet, TaskCard
from ecgbench.catalogue import FOLDERS, card_paths, load_card
from ecgbench.cli.mapping import wrapped
from ecgbench.cli.tables import table
from ecgbench.errors import unknown_name

VALUE_WIDTH = 100


def show(
    name: Annotated[str, typer.Argument(help="An encoder, text tower, data set, task, prompt set or recipe.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Show a card or a recipe: every field, where it lies, its hash."""
    from ecgbench.recipe import recipe_paths

    kinds = [kind for kind in FOLDERS if name in card_paths(kind)]
    if ":" in name and not kinds:  # timm:NAME and hf:ID have no card file
        kinds = [EncoderCard]
    recipe = name in recipe_paths()
    if not kinds and not recipe:
        known = {known for kind in FOLDERS for known in card_paths(kind)} | set(recipe_paths())
        raise unknown_name("name", name, known)
    cards: list[Card] = [load_card(kind, name) for kind in kinds]
    if as_json:
        found = [card_json(card) for card in cards]
        typer.echo(json.dumps(found + ([recipe_json(name)] if recipe else []), indent=2, ensure_ascii=False))
        return
    parts = [card_text(card) for card in cards] + ([recipe_text(name)] if recipe else [])
    typer.echo("\n\n".join(parts))


def card_json(card: Card) -> dict[str, Any]:
    """A card with what identifies it; of a zero-shot set also the class of each finding."""
    from ecgbench.cli.mapping import mapping_json

    shown: dict[str, Any] = {
        "kind": card.KIND,
        "hash": card.hash,
        "path": str(card.path),
        "card": card.model_dump(mode="json"),
    }
    if isinstance(card, TaskCard) and card.mappings:
        shown["findings"] = mapping_json(card)
    return shown


def card_text(card: Card) -> str:
    """A card as a two-column table; for a task, the findings of each class below it."""
    rows: list[tuple[str, str]] = [("kind", card.KIND)]
    fields = card.model_dump(mode="json")
    hidden = {"classes"} | (
        {"descriptors"} if fields.get("descriptors") is None else set()
    )  # no table, not an unknown one
    rows += [(key, _cell(value)) for key, value in fields.items() if key not in hidden]
    rows += [("path", str(card.path)), ("hash", card.hash)]
    text = table(["field", card.name], [(key, "\n".join(wrapped(value, VALUE_WIDTH))) for key, value in rows])
    if isinstance(card, PromptSet):
        from ecgbench.cli.prompt_examples import prompt_examples

        return f"{text}\n\n{prompt_examples(card)}"
    return f"{text}\n\n{task_text(card)}" if isinstance(card, TaskCard) else text


def task_text(card: TaskCard) -> str:
    """The classes; of a zero-shot set which findings map to which, under each mapping, and why two mappings differ."""
    from ecgbench.cli.mapping import mapping_text
    from ecgbench.findings import label_bank

    if card.mappings:
        return mapping_text(card)
    rows = [(f.id, f.names["ja"], f.names["en"]) for f in label_bank(card.labels).findings]
    return table(["class", "日本語", "English"], rows)


def recipe_text(name: str) -> str:
    from ecgbench.recipe import load_recipe_file, recipe_paths

    recipe = load_recipe_file(name)
    resolved = recipe.resolve()
    stated = [(line.field, _cell(line.value), "stated", line.source) for line in recipe.stated]
    assumed = [(line.field, _cell(line.value), "assumed", line.reason) for line in recipe.assumed]
    head = table(
        ["field", name],
        [("kind", "recipe"), ("version", recipe.version), ("summary", recipe.summary),
         ("path", recipe_paths()[name]), ("hash", resolved.hash)],
    )  # fmt: skip
    return f"{head}\n\n{table(['field', 'value', '', 'where or why'], stated + assumed)}"


def recipe_json(name: str) -> dict[str, Any]:
    from ecgbench.recipe import load_recipe_file, recipe_paths

    recipe = load_recipe_file(name)
    return {
        "kind": "recipe",
        "hash": recipe.resolve().hash,
        "path": str(recipe_paths()[name]),
        "card": recipe.model_dump(mode="json"),
    }


def _cell(value: Any) -> str:
    if value is None:
        return "unknown"
    if value is True or value is False:
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_cell, value)) or "none"
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_cell(item)}" for key, item in value.items()) or "none"
    return " ".join(str(value).split())


def add_to(app: typer.Typer) -> None:
    app.command(epilog="Examples: ecgbench show resnet1d18 · ecgbench show superclass · ecgbench show paper")(show)
