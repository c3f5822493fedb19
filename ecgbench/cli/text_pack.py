"""`ecgbench text export` and `ecgbench text import`: a tower's vectors as a file that stands in for the tower."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ecgbench.cli.run import Terminal
from ecgbench.cli.text_embed import covered, say_left_out, sets_of
from ecgbench.cli.tower_options import EitherLanguage, PromptSets, TextDevice, TextPath
from ecgbench.errors import EcgbenchError

EXPORT_EPILOG = (
    "Examples: ecgbench text export --text medllama3-jp -o pack.safetensors · "
    "ecgbench text export --text medllama3-jp --prompts paper --lang ja --for ptbxl:DIR -o ptbxl.safetensors"
)
IMPORT_EPILOG = "Example: ecgbench text import pack.safetensors, and then ecgbench run --text medllama3-jp …"


def export(
    text: Annotated[str, typer.Option(help="A text tower of `ecgbench ls texts`.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The pack; it must not be there.")],
    prompts: PromptSets = "all",
    lang: EitherLanguage = None,
    for_: Annotated[
        str | None,
        typer.Option("--for", metavar="SOURCE", help="Also the joined sentences of this data set's training records."),
    ] = None,
    reports: Annotated[
        bool, typer.Option("--reports", help="With --for: also their reports, where the data are public.")
    ] = False,
    text_path: TextPath = None,
    text_device: TextDevice = "auto",
) -> None:
    """Write a tower's vectors of all sentences that runs can ask for to an embedding pack, for those who lack the model."""
    from ecgbench.cards import TextCard
    from ecgbench.catalogue import load_card
    from ecgbench.pipeline.packs import Wanted, export_pack

    if reports and for_ is None:
        raise EcgbenchError("--reports was given without --for: name the data whose reports the pack should cover.")
    terminal = Terminal()
    card = load_card(TextCard, text)
    done = export_pack(Wanted(card, sets_of(prompts), lang, for_, reports, text_path, text_device), out, terminal)
    say_left_out(done.collected, terminal)
    megabytes = out.stat().st_size / 1e6
    typer.echo(f"{out}: {covered(done)}, {megabytes:.1f} MB, made by {done.embedded.identity['weights']}.")
    typer.echo(f"Licence of the model, which the pack states: {card.licence or 'unknown'}.")


def import_(
    pack: Annotated[Path, typer.Argument(metavar="PACK", help="An embedding pack, made by `ecgbench text export`.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Where vectors of other weights are in use: use the pack's from now on.")
    ] = False,
) -> None:
    """Put a pack's vectors into the cache: runs then need neither the model nor the pack."""
    from ecgbench.text.importing import import_pack

    done = import_pack(pack, replace=replace)
    about, name = done.pack.about, done.pack.card.name
    known = f" ({done.known} were there)" if done.known else ""
    typer.echo(f"{name}: {done.added} vectors imported{known}, made by {done.pack.weights}.")
    typer.echo(f"The pack holds {done.pack.contents()}. Licence of the model: {about.get('licence') or 'unknown'}.")
    typer.echo(f"`ecgbench run --text {name}` uses them where the model is not here; `ecgbench text cache` shows them.")
