"""`ecgbench leaderboard`: pages from committed result files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def leaderboard(
    folder: Annotated[Path, typer.Option("--folder", metavar="DIR", help="Where results/ and the pages lie.")] = Path(
        "leaderboards"
    ),
    add: Annotated[
        list[Path] | None,
        typer.Option(
            "--add",
            metavar="RUN",
            help="A run's folder to add first; may be repeated. Of private data, without its scores.",
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 where a page or a result is not what it should be.")
    ] = False,
) -> None:
    """Make the pages from the result files below DIR/results."""
    from ecgbench.cli.run import Terminal
    from ecgbench.errors import EcgbenchError
    from ecgbench.leaderboard.pages import check_pages, write_pages

    if check and add:
        raise EcgbenchError("--check and --add were both given: add first, then check.")
    if check:
        with Terminal().stage("Measuring the results again") as progress:
            faults = check_pages(folder, progress)
        typer.echo("\n".join(faults) if faults else "every page is fresh and every result agrees with its scores")
        if faults:
            raise typer.Exit(1)
        return
    if add:
        from ecgbench.leaderboard.adding import add_run

        for run in add:
            target = add_run(run, folder)
            private = (target / "values").is_dir()
            typer.echo(f"added {target}{', with bootstrap values in the place of scores' if private else ''}")
    with Terminal().stage("Measuring the results again") as progress:
        pages = write_pages(folder, progress)
    for page in pages:
        typer.echo(f"wrote {page}")


def add_to(app: typer.Typer) -> None:
    app.command(
        epilog="Examples: ecgbench leaderboard · ecgbench leaderboard --add runs/0123456789abcdef · ecgbench leaderboard --check"
    )(leaderboard)
