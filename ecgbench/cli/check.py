"""`ecgbench check`: every card held to its contract; `--load` also builds the encoders."""

from __future__ import annotations

from typing import Annotated

import typer

from ecgbench.cli.tables import table
from ecgbench.errors import EcgbenchError

Line = tuple[str, str, str, str]
"""kind, name, ok / warning / FAULT, what it is."""


def card_lines(only: set[str]) -> list[Line]:
    """One line a card: what is wrong with it, or what a user should know."""
    from ecgbench.cards import Card, DatasetCard, EncoderCard, TaskCard, TextCard
    from ecgbench.catalogue import FOLDERS, all_cards
    from ecgbench.entry_points import source_hash
    from ecgbench.evaluation.targets import finding_to_class
    from ecgbench.findings import label_bank
    from ecgbench.recipe import load_recipe_file, recipe_paths

    def verdict(card: Card) -> tuple[str, str]:
        try:
            if isinstance(card, (EncoderCard, DatasetCard)):
                source_hash(card, card.entry_point)
            if isinstance(card, TaskCard):
                for mapping in card.mappings:
                    finding_to_class(card, label_bank(card.labels), mapping)
            if isinstance(card, TextCard) and card.revision == "main":
                return "warning", "revision: main is not pinned, the weights behind it may change"
        except EcgbenchError as error:
            return "FAULT", str(error)
        return "ok", ""

    lines: list[Line] = []
    for kind in FOLDERS:
        cards, broken = all_cards(kind)
        lines += [(kind.KIND, card.name, *verdict(card)) for card in cards if not only or card.name in only]
        lines += [(kind.KIND, b.name, "FAULT", b.reason) for b in broken if not only or b.name in only]
    for name in recipe_paths():
        if only and name not in only:
            continue
        try:
            load_recipe_file(name).resolve()
            lines.append(("recipe", name, "ok", ""))
        except EcgbenchError as error:
            lines.append(("recipe", name, "FAULT", str(error)))
    return lines


def load_lines(only: set[str]) -> list[Line]:
    """Each encoder built and fed, at every rate of its card."""
    from ecgbench.cards import EncoderCard
    from ecgbench.catalogue import all_cards
    from ecgbench.encoders.contract import check_contract

    lines: list[Line] = []
    for card in all_cards(EncoderCard)[0]:
        if only and card.name not in only:
            continue
        for rate in card.input.rates:
            try:
                lines.append(("encoder", f"{card.name} at {rate} Hz", "ok", check_contract(card, rate)))
            except EcgbenchError as error:
                lines.append(("encoder", f"{card.name} at {rate} Hz", "FAULT", str(error)))
    return lines


def check(
    names: Annotated[list[str] | None, typer.Argument(help="Cards to check; all where none is named.")] = None,
    load: Annotated[bool, typer.Option("--load", help="Build each encoder and feed it (imports torch).")] = False,
) -> None:
    """Check cards; exit 1 where one has a fault."""
    only = set(names or ())
    lines = card_lines(only)
    unknown = sorted(only - {name for _, name, _, _ in lines})
    if unknown:
        from ecgbench.errors import unknown_name

        raise unknown_name("card", unknown[0], {name for _, name, _, _ in card_lines(set())})
    if load:
        lines += load_lines(only)
    typer.echo(table(["kind", "name", "", "what"], lines))
    faults = sum(state == "FAULT" for _, _, state, _ in lines)
    warnings = sum(state == "warning" for _, _, state, _ in lines)
    typer.echo(f"\n{len(lines)} checked, {faults} faults, {warnings} warnings")
    if faults:
        raise typer.Exit(1)


def add_to(app: typer.Typer) -> None:
    app.command(epilog="Examples: ecgbench check · ecgbench check resnet1d18 --load")(check)
