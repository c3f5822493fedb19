"""`ecgbench text embed`: prompts embedded before any run asks for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ecgbench.cli.run import Terminal
from ecgbench.cli.tower_options import EitherLanguage, PromptSets, TextDevice, TextPath
from ecgbench.cli.words import words
from ecgbench.errors import EcgbenchError

if TYPE_CHECKING:
    from ecgbench.pipeline.packs import Beforehand
    from ecgbench.text.pack_prompts import Collected

EPILOG = (
    "Examples: ecgbench text embed --text medllama3-jp · ecgbench text embed --text medllama3-jp --data ptbxl:DIR --reports · "
    "ecgbench text embed --text clinicalbert --prompts paper --lang en"
)
MOST_TOLD = 3


def embed(
    text: Annotated[str, typer.Option(help="A text tower of `ecgbench ls texts`.")],
    prompts: PromptSets = "all",
    lang: EitherLanguage = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="Also the joined sentences of this data set's training records."),
    ] = None,
    reports: Annotated[
        bool, typer.Option("--reports", help="With --data: also their reports, for recipes with `prompt: report`.")
    ] = False,
    text_path: TextPath = None,
    text_device: TextDevice = "auto",
) -> None:
    """Fill the cache: the sentences of every label and class that runs can ask for, so that no run waits for the tower."""
    from ecgbench.cards import TextCard
    from ecgbench.catalogue import load_card
    from ecgbench.pipeline.packs import Wanted, embed_beforehand

    if reports and data is None:
        raise EcgbenchError("--reports was given without --data: name the data whose reports should be embedded.")
    terminal = Terminal()
    card = load_card(TextCard, text)
    done = embed_beforehand(Wanted(card, sets_of(prompts), lang, data, reports, text_path, text_device), terminal)
    say_left_out(done.collected, terminal)
    typer.echo(f"{card.name}: the vectors of {covered(done)} are in the cache.")


def sets_of(prompts: str) -> tuple[str, ...] | None:
    """The prompt sets that were named, None for all."""
    return None if prompts == "all" else words(prompts)


def covered(done: Beforehand) -> str:
    """What was embedded, in a few words."""
    sets = ", ".join(each.name for each in done.collected.prompt_sets)
    data = f", those of the records of data {done.data_hash[:12]} among them" if done.data_hash else ""
    return f"{len(done.collected.prompts)} prompts ({sets}; {', '.join(done.collected.languages)}){data}"


def say_left_out(collected: Collected, terminal: Terminal) -> None:
    """Which combinations of prompt set, language and labels no run can ask for, and why."""
    reasons = list(collected.left_out)
    for reason in reasons[:MOST_TOLD]:
        terminal.say(f"Left out, as a run would be refused: {reason}")
    if len(reasons) > MOST_TOLD:
        terminal.say(f"… and {len(reasons) - MOST_TOLD} more combinations of prompt set, language and labels.")
