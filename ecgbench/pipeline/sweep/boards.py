"""Finished cells -> boards of the grid's own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ecgbench.errors import EcgbenchError
from ecgbench.files import write_text
from ecgbench.leaderboard.adding import add_run
from ecgbench.leaderboard.pages import write_pages
from ecgbench.pipeline.reporting import Reporter
from ecgbench.pipeline.sweep.effects_page import PAGE, effects_page
from ecgbench.pipeline.sweep.grid import Grid
from ecgbench.pipeline.sweep.readiness import Ready

OWN = "grid.yaml"
"""The grid itself, laid beside its pages: the mark of a folder that a sweep made and may make again."""


def check_boards(folder: Path) -> None:
    """EcgbenchError where a folder holds what no sweep has made."""
    if folder.exists() and not (folder / OWN).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise EcgbenchError(
            f"--boards {folder} holds other things than boards of a sweep, which are made anew each time: name a new folder; "
            "--add puts results on boards that are there."
        )


def make_boards(grid: Grid, done: Sequence[Ready], out: Path, folder: Path, reporter: Reporter) -> list[Path]:
    """Make the boards of these finished cells alone and the page of what each choice is worth, whole or not at all; the
    pages."""
    check_boards(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as workplace:
        made = Path(workplace, "boards")
        for each in done:
            add_run(out / each.run_id, made)
        with reporter.stage("Making the boards") as progress:
            pages = [made / PAGE, *write_pages(made, progress)]
        with reporter.stage("Measuring what each choice is worth") as progress:
            write_text(made / PAGE, effects_page(grid, done, out, progress))
        shutil.copyfile(grid.path, made / OWN)
        if folder.exists():
            folder.rename(Path(workplace, "before"))
        made.rename(folder)
    return [folder / page.relative_to(made) for page in pages]
