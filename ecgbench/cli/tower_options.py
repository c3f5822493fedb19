"""The options by which a verb is told where a text tower's vectors come from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

TextPath = Annotated[Path | None, typer.Option(metavar="DIR", help="A folder with the text tower's weights.")]
TextPack = Annotated[Path | None, typer.Option(metavar="FILE", help="An embedding pack in the tower's place.")]
TextDevice = Annotated[
    str,
    typer.Option(
        metavar="auto|cpu|cuda|cuda:N|spread|disk", help="Where the text tower is run; no part of a run's identity."
    ),
]
PromptSets = Annotated[
    str, typer.Option(metavar="all|A,B", help="Prompt sets of `ecgbench ls prompts`, or all of them.")
]
EitherLanguage = Annotated[str | None, typer.Option(metavar="ja|en", help="One language; both where left out.")]
