"""Where cards lie, and how a name becomes a card.

Folders are looked through in this order, a later one adding to and overriding the earlier: the cards that came with
the package (`ecgbench/_data`, else beside the package in a checkout), then each folder of `ECGBENCH_PATH`. Encoders
have two places more (`ecgbench/encoders/plugins.py`): installed packages, and classes registered in this process.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ecgbench.cards import C, Card, DatasetCard, EncoderCard, PromptSet, TaskCard, TaskClass, TextCard, read_card
from ecgbench.csv_table import read_table
from ecgbench.encoders.plugins import BrokenPlugin, packaged_cards, registered_cards
from ecgbench.errors import EcgbenchError, near_names, unknown_name
from ecgbench.text.variation import varied
from ecgbench.variations import parse_variation

FOLDERS: dict[type[Card], str] = {
    EncoderCard: "registry/encoders",
    TextCard: "registry/text",
    DatasetCard: "registry/datasets",
    TaskCard: "tasks",
    PromptSet: "tasks/prompts",
}

FAMILIES = {"timm": "ecgbench.encoders.timm_image:timm_card", "hf": "ecgbench.encoders.huggingface:huggingface_card"}
"""Encoders without a card file, asked for as `timm:NAME` and `hf:ID`: what makes their card."""


@dataclass(frozen=True)
class BrokenCard:
    """A card file that could not be read: its would-be name and the reason."""

    name: str
    path: Path
    reason: str


def shipped_folder() -> Path:
    """The folder that holds `registry/`, `tasks/` and `baselines/` of this installation."""
    package = Path(__file__).resolve().parent
    for folder in (package / "_data", package.parent):
        if (folder / "registry").is_dir() and (folder / "tasks").is_dir():
            return folder
    raise EcgbenchError(f"the cards that belong to ecgbench are not beside {package}: install the package again.")


def card_folders() -> list[Path]:
    """The shipped folder, then the overlays of `ECGBENCH_PATH` (separated as in PATH)."""
    overlays = [Path(part) for part in os.environ.get("ECGBENCH_PATH", "").split(os.pathsep) if part]
    for overlay in overlays:
        if not overlay.is_dir():
            raise EcgbenchError(
                f"ECGBENCH_PATH names '{overlay}', which is no folder: create it or unset ECGBENCH_PATH."
            )
    return [shipped_folder(), *overlays]


def card_paths(kind: type[Card]) -> dict[str, Path]:
    """Name -> file of every card of a kind, sorted by name; nothing is parsed. Encoders may come from packages too."""
    shipped, *overlays = [_paths_in(folder, kind) for folder in card_folders()]
    packaged = packaged_cards(frozenset(shipped))[0] if kind is EncoderCard else {}
    found = packaged | shipped
    for overlay in overlays:
        found |= overlay
    return dict(sorted(found.items()))


def _paths_in(folder: Path, kind: type[Card]) -> dict[str, Path]:
    paths = sorted((folder / FOLDERS[kind]).glob("*.yaml"))
    # a dangling link is no folder: it is listed, and broken
    return {path.stem: path for path in paths if not path.is_dir()}


def load_card(kind: type[C], name: str) -> C:
    """The card of that exact name; an unknown name lists near ones."""
    if kind is EncoderCard and name in registered_cards():
        return registered_cards()[name]  # type: ignore[return-value]
    paths = card_paths(kind)
    if name not in paths:
        if kind is EncoderCard:
            return _named_encoder(name, paths)  # type: ignore[return-value]
        if kind is TextCard and "+" in name:
            own, settings = parse_variation("--text", name)
            return varied(load_card(TextCard, own), settings)  # type: ignore[return-value]
        raise unknown_name(kind.KIND, name, paths)
    return _completed(read_card(kind, paths[name]))


def _named_encoder(name: str, known: Iterable[str]) -> EncoderCard:
    """The card that a family makes for `FAMILY:NAME`; torch is imported there."""
    family, colon, _ = name.partition(":")
    if not colon or family not in FAMILIES:
        written = " and ".join(f"{each}:NAME" for each in FAMILIES)
        raise EcgbenchError(f"{unknown_name(EncoderCard.KIND, name, known)} Without a card there are {written}.")
    module, _, attribute = FAMILIES[family].partition(":")
    card: EncoderCard = getattr(importlib.import_module(module), attribute)(name)
    return card


def all_cards(kind: type[C]) -> tuple[list[C], list[BrokenCard]]:
    """Every card of a kind, and the files that are not one; a broken card does not hide the others."""
    cards: list[C] = []
    broken: list[BrokenCard] = []
    for name, path in card_paths(kind).items():
        try:
            cards.append(_completed(read_card(kind, path)))
        except EcgbenchError as error:
            broken.append(BrokenCard(name, path, str(error)))
    if kind is EncoderCard:
        cards += registered_cards().values()  # type: ignore[arg-type]
        broken += [BrokenCard(each.name, each.path, each.reason) for each in broken_packages()]
    return cards, broken


def broken_packages() -> list[BrokenPlugin]:
    """What installed packages announce as encoders, and cannot be used."""
    return packaged_cards(frozenset(_paths_in(shipped_folder(), EncoderCard)))[1]


def _completed(card: C) -> C:
    """A zero-shot set that names no classes has those of its column in the label table."""
    if not isinstance(card, TaskCard) or not card.mappings or card.classes:
        return card
    column = card.mappings["paper"]
    table = read_table(table_path(card.labels))
    if column not in table.header:
        raise EcgbenchError(f"task card {card.path}: column: label table {card.labels} has no column '{column}'.")
    classes: dict[str, TaskClass] = {}
    for row in table.rows:
        cells = dict(zip(table.header, row.cells, strict=True))
        value = cells[column]
        if value:
            names = {language: cells.get(f"{column}_{language}") or value for language in ("ja", "en")}
            classes.setdefault(value, TaskClass.model_validate({"id": value, "value": value, "names": names}))
    if len(classes) < 2:
        raise EcgbenchError(f"task card {card.path}: column: '{column}' of {card.labels} names fewer than two classes.")
    return card.model_copy(update={"classes": tuple(classes.values())})


def table_path(name: str) -> Path:
    """The file of a label table in `tasks/`, the last folder that has one winning."""
    for folder in reversed(card_folders()):
        path = folder / "tasks" / name
        if path.is_file():
            return path
    known = sorted({path.name for folder in card_folders() for path in (folder / "tasks").glob("*.csv")})
    near = near_names(name, known)
    hint = f"near is {near[0]}" if near else f"there are {', '.join(known)}"
    raise EcgbenchError(
        f"there is no label table '{name}': {hint}; your own is looked for as DIR/tasks/{name} with --path DIR before the "
        "verb (or ECGBENCH_PATH=DIR)."
    )
