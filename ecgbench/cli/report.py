"""`ecgbench report`: a run's own page, made again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ecgbench.cli.run import Terminal

EPILOG = (
    "Examples: ecgbench report runs/ID · ecgbench report runs/ID --data ptbxl:DIR · ecgbench report runs/ID --with-signals. "
    "`ecgbench run` writes the page too. Not a medical device."
)


def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run, or of an evaluation.")],
    data: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE", help="What it was scored on; found in the cache where left out and built there."
        ),
    ] = None,
    with_signals: Annotated[
        bool,
        typer.Option("--with-signals", help="Draw records of data that are not public: the page shows patients' ECGs."),
    ] = False,
) -> None:
    """Write RUN/report.html: curves, every table, and the surest and the worst test ECGs as 12-lead sheets."""
    from ecgbench.pipeline.report import write_report
    from ecgbench.results import read_result

    terminal = Terminal()
    folder = run.parent if run.name == "result.json" else run
    result = read_result(folder / "result.json")
    store = None
    if data is not None:
        from ecgbench.ecg.build import store_for

        with terminal.stage(f"Building the store of {data}") as progress:
            store = store_for(data, progress)
    path = write_report(folder, store, with_signals=with_signals)
    if with_signals and not result.data.public:
        terminal.say(
            "This page shows ECGs of a data set that is not public: keep it as you keep the recordings, and do not publish it."
        )
    typer.echo(str(path))


def add_to(app: typer.Typer) -> None:
    app.command(epilog=EPILOG)(report)
