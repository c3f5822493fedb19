"""`ecgbench check`: every card held to its contract and to what it names; `--load` also builds the encoders."""

from __future__ import annotations

import csv
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from ecgbench.cli.tables import table
from ecgbench.errors import EcgbenchError

if TYPE_CHECKING:
    from ecgbench.cards import Card, DatasetCard, EncoderCard, PromptSet, TaskCard
    from ecgbench.recipe import RecipeFile
    from ecgbench.text.prompt_lint import Overlap

Line = tuple[str, str, str, str]
"""kind, name, ok / warning / FAULT, what it is."""

UNREADABLE = (EcgbenchError, OSError, UnicodeDecodeError, csv.Error)
"""What reading a card, or a file that it names, may raise."""

T = TypeVar("T")


class Faults(list[str]):
    """What is wrong with one card, each fault a sentence."""

    def attempt(self, work: Callable[..., T], *given: object) -> T | None:
        """What `work` returns, or None with its error noted, once."""
        try:
            return work(*given)
        except UNREADABLE as error:
            if str(error) not in self:
                self.append(str(error))
            return None


def task_faults(card: TaskCard) -> Faults:
    """Its metrics, label table, mappings, prompt set, and its class names in every language of the prompt set."""
    from ecgbench.cards import PromptSet
    from ecgbench.catalogue import load_card
    from ecgbench.evaluation.metrics import metric_named
    from ecgbench.evaluation.targets import finding_to_class
    from ecgbench.findings import label_bank
    from ecgbench.text.prompts import class_prompts

    faults = Faults()
    for metric in card.metrics:
        faults.attempt(metric_named, metric)
    bank = faults.attempt(label_bank, card.labels)
    prompt_set = faults.attempt(load_card, PromptSet, card.prompt_set)
    for mapping in card.mappings if bank else ():
        faults.attempt(finding_to_class, card, bank, mapping)
    for language in prompt_set.templates if bank and prompt_set else ():
        for asked in card.mappings or ("paper",):
            faults.attempt(class_prompts, card, prompt_set, bank, language, asked)
    return faults


def dataset_faults(card: DatasetCard) -> Faults:
    """Its code, its label table and the column it labels by."""
    from ecgbench.entry_points import source_hash
    from ecgbench.findings import label_bank

    faults = Faults()
    faults.attempt(source_hash, card, card.entry_point)
    bank = faults.attempt(label_bank, card.labels)
    if bank and card.label_column is not None:
        faults.attempt(bank.column, card.label_column)
    return faults


def recipe_faults(name: str) -> Faults:
    """Its fields, and a sentence in its language in its prompt set."""
    from ecgbench.cards import PromptSet
    from ecgbench.catalogue import load_card
    from ecgbench.recipe import load_recipe_file
    from ecgbench.text.prompts import check_one_sentence

    faults = Faults()
    file: RecipeFile | None = faults.attempt(load_recipe_file, name)
    recipe = faults.attempt(file.resolve) if file else None
    prompt_set: PromptSet | None = faults.attempt(load_card, PromptSet, recipe.prompt_set) if recipe else None
    if recipe and prompt_set:
        faults.attempt(check_one_sentence, prompt_set, recipe.language)
    return faults


def card_faults(card: Card) -> Faults:
    """What is wrong with what a readable card names."""
    from ecgbench.cards import DatasetCard, EncoderCard, PromptSet, TaskCard
    from ecgbench.entry_points import source_hash
    from ecgbench.text.descriptors import descriptors_of

    if isinstance(card, TaskCard):
        return task_faults(card)
    if isinstance(card, DatasetCard):
        return dataset_faults(card)
    faults = Faults()
    if isinstance(card, EncoderCard):
        faults.attempt(source_hash, card, card.entry_point)
    if isinstance(card, PromptSet) and card.descriptors:
        faults.attempt(descriptors_of, card)
    return faults


def card_lines(only: set[str]) -> list[Line]:
    """A line for each fault of a card; one line for a card without: what a user should know."""
    from ecgbench.cards import TextCard
    from ecgbench.catalogue import FOLDERS, all_cards
    from ecgbench.recipe import recipe_paths
    from ecgbench.text.weights import COMMIT

    def fault_lines(kind: str, name: str, faults: list[str]) -> list[Line]:
        return [(kind, name, "FAULT", fault) for fault in faults] or [(kind, name, "ok", "")]

    def lines_of(card: Card) -> list[Line]:
        if isinstance(card, TextCard) and card.kind == "huggingface" and not COMMIT.fullmatch(str(card.revision)):
            what = f"revision: {card.revision} is not pinned, the weights behind it may change"
            return [(card.KIND, card.name, "warning", what)]
        return fault_lines(card.KIND, card.name, card_faults(card))

    lines: list[Line] = []
    for kind in FOLDERS:
        cards, broken = all_cards(kind)
        for card in cards:
            lines += lines_of(card) if not only or card.name in only else []
        lines += [(kind.KIND, b.name, "FAULT", b.reason) for b in broken if not only or b.name in only]
    for name in recipe_paths():
        lines += fault_lines("recipe", name, recipe_faults(name)) if not only or name in only else []
    return lines


def prompt_warnings(only: set[str]) -> list[Overlap]:
    """Classes some prompt of which names another class of their own task, for every readable task and prompt set."""
    from ecgbench.cards import PromptSet, TaskCard
    from ecgbench.catalogue import all_cards
    from ecgbench.findings import label_bank
    from ecgbench.text.prompt_lint import overlaps

    prompt_sets = all_cards(PromptSet)[0]
    warnings: list[Overlap] = []
    for task in all_cards(TaskCard)[0]:
        chosen = [each for each in prompt_sets if not only or task.name in only or each.name in only]
        try:
            warnings += overlaps(task, chosen, label_bank(task.labels)) if chosen else []
        except UNREADABLE:  # its fault is told already
            continue
    return warnings


def _listed(named: list[Overlap]) -> str:
    rows = [(each.task, each.language, each.asked, each.named, " ".join(each.prompt_sets)) for each in named]
    return table(["task", "lang", "class", "names the class", "by the prompt sets"], rows)


def _counted(named: list[Overlap]) -> str:
    """A line a task and language, with one example; `ecgbench check TASK` lists all."""
    groups: dict[tuple[str, str], list[Overlap]] = {}
    for each in named:
        groups.setdefault((each.task, each.language), []).append(each)
    rows = [(task, language, len(all_of), f"{all_of[0].asked} names {all_of[0].named}")
            for (task, language), all_of in groups.items()]  # fmt: skip
    return table(["task", "lang", "prompts", "one of them (`ecgbench check TASK` lists all)"], rows, right=(2,))


def load_lines(only: set[str]) -> tuple[list[Line], str]:
    """Each encoder built and held to its contract: a line for each fault, and a table of all for a pull request.

    At every rate of its card; where all encoders are asked for, a large one at its lowest rate alone. On one thread: such
    small batches gain little by more, and beside other work on the machine more threads wait for each other.
    """
    import torch

    from ecgbench.encoders.contract import HEADERS, LARGE, check_contract
    from ecgbench.leaderboard.tables import table as pipe_table

    torch.set_num_threads(1)
    lines: list[Line] = []
    rows: list[list[str]] = []
    for card in _encoders(only):
        for rate in sorted(card.input.rates):
            try:
                found = check_contract(card, rate)
            except EcgbenchError as error:
                lines.append(("encoder", card.name, "FAULT", f"at {rate} Hz: {error}"))
                continue
            faults = dict.fromkeys(found.faults.values())
            lines += [("encoder", card.name, "FAULT", f"at {rate} Hz: {fault}") for fault in faults]
            if not found.weights_read:
                reason = "weights: their file is not on this machine, the architecture alone was checked"
                lines.append(("encoder", card.name, "warning", reason))
            rows.append(found.row)
            if not only and found.parameters >= LARGE:
                break
    return lines, pipe_table(HEADERS, rows, text_columns=3) if rows else ""


def _encoders(only: set[str]) -> list[EncoderCard]:
    """Those with a card of their own, and those that are asked for as `FAMILY:NAME`."""
    from ecgbench.cards import EncoderCard
    from ecgbench.catalogue import all_cards, load_card

    cards = [card for card in all_cards(EncoderCard)[0] if not only or card.name in only]
    return cards + [load_card(EncoderCard, name) for name in sorted(only) if ":" in name]


def check(
    names: Annotated[list[str] | None, typer.Argument(help="Cards to check; all where none is named.")] = None,
    load: Annotated[bool, typer.Option("--load", help="Build each encoder and feed it (imports torch).")] = False,
) -> None:
    """Check cards; exit 1 where one has a fault."""
    only = set(names or ())
    lines = card_lines(only)
    named = {name for name in only if load and ":" in name}  # their cards are made when they are loaded
    unknown = sorted(only - named - {name for _, name, _, _ in lines})
    if unknown:
        from ecgbench.errors import unknown_name

        raise unknown_name("card", unknown[0], {name for _, name, _, _ in card_lines(set())})
    loaded = ""
    if load:
        found, loaded = load_lines(only)
        told = {(kind, name) for kind, name, _, _ in found}
        lines = [line for line in lines if line[2] != "ok" or line[:2] not in told]
        lines += [("encoder", name, "ok", "") for name in sorted(named) if ("encoder", name) not in told] + found
    typer.echo(table(["kind", "name", "", "what"], lines))
    overlaps = prompt_warnings(only)
    if overlaps:
        typer.echo("\nwarning: prompts that name another class of their own task (docs/prompts.md)\n")
        typer.echo(_listed(overlaps) if only else _counted(overlaps))
    if loaded:
        typer.echo(f"\nEncoders as built, for a pull request\n\n{loaded}")
    faults = sum(state == "FAULT" for _, _, state, _ in lines)
    warnings = sum(state == "warning" for _, _, state, _ in lines) + len(overlaps)
    checked = len({(kind, name) for kind, name, _, _ in lines})
    typer.echo(f"\n{checked} checked, {faults} faults, {warnings} warnings")
    if faults:
        raise typer.Exit(1)


def add_to(app: typer.Typer) -> None:
    app.command(epilog="Examples: ecgbench check · ecgbench check resnet1d18 --load")(check)
