"""`ecgbench run`: the main job."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import Annotated

import typer

from ecgbench.cli.result_tables import result_tables
from ecgbench.cli.tower_options import TextDevice, TextPack, TextPath
from ecgbench.cli.words import words
from ecgbench.errors import EcgbenchError
from ecgbench.processes import rank

_EXAMPLES = (
    "Examples: ecgbench run --encoder resnet1d18 --text use-multilingual · "
    "ecgbench run --encoder resnet1d18 --text medllama3-jp --text-path DIR --data ptbxl:DIR --recipe paper"
)


PATIENCE = 1.5
"""Seconds without a word after which a stage shows that it is alive."""


class Terminal:
    """Progress on stderr: a bar with rate and time left for whatever takes longer than a moment."""

    quiet = False

    @contextmanager
    def stage(self, name: str) -> Iterator[Callable[[int, int], None]]:
        """A bar from the first thing that is told on; one that only moves, where nothing is told for `PATIENCE` seconds:
        sources list their records before the first of them is read."""
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        rate = TextColumn("{task.fields[rate]}")
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), rate, TimeRemainingColumn())
        bar = Progress(*columns, console=Console(stderr=True))
        job = bar.add_task(name, total=None, rate="", start=False)
        waiting = Timer(PATIENCE, bar.start)
        waiting.daemon = True
        waiting.start()

        def update(done: int, total: int) -> None:
            if not bar.tasks[0].started:  # nothing is drawn for a stage that had nothing to do
                waiting.cancel()
                bar.start_task(job)
                bar.start()
            speed = bar.tasks[0].speed
            bar.update(job, completed=done, total=total, rate=f"{speed:.0f}/s" if speed else "")

        try:
            yield update
        finally:
            waiting.cancel()
            waiting.join()
            if bar.live.is_started:
                bar.stop()

    def say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)


def run(
    encoder: Annotated[str, typer.Option(help="An encoder of `ecgbench ls encoders`, or timm:NAME, or hf:ID.")],
    text: Annotated[str, typer.Option(help="A text tower of `ecgbench ls texts`.")],
    data: Annotated[
        str,
        typer.Option(
            metavar="SOURCE", help="synth98, ptbxl:PATH, … (`ecgbench ls datasets`), or a built store's folder."
        ),
    ] = "synth98",
    recipe: Annotated[str, typer.Option(help="A recipe of `ecgbench ls recipes`.")] = "quick",
    tasks: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="Tasks of `ecgbench ls tasks`; all of the data's label table where left out."),
    ] = None,
    lang: Annotated[
        str | None, typer.Option(metavar="ja|en", help="Language of the prompts; the recipe's where left out.")
    ] = None,
    mapping: Annotated[
        str, typer.Option(metavar="paper|clinical", help="Which findings make up a zero-shot class.")
    ] = "paper",
    prompts: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The prompt set that classes are asked by (`ecgbench ls prompts`), not a task's own."
        ),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Instead of the recipe's.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of initialisation and order.")] = 0,
    control: Annotated[
        str, typer.Option(metavar="none|frozen-random|supervised", help="Run a control instead.")
    ] = "none",
    text_path: TextPath = None,
    text_pack: TextPack = None,
    text_device: TextDevice = "auto",
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where runs lie.")] = Path("runs"),
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the stopped run of this very request.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Repeat a run that is done.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")] = False,
) -> None:
    """Train an ECG encoder against a frozen text tower and score it on the tasks."""
    terminal = Terminal()
    from ecgbench.pipeline.request import make_request

    request = make_request(
        encoder=encoder, text=text, data=data, recipe=recipe,
        tasks=None if tasks is None else words(tasks),
        language=lang, mapping=mapping, prompts=prompts,
        epochs=epochs, seed=seed, control=control, text_path=text_path, text_pack=text_pack, text_device=text_device,
    )  # fmt: skip
    if resume and again:
        raise EcgbenchError("--resume and --again were both given: go on with a run, or start it anew, not both.")
    from ecgbench.contrastive.stopping import StoppedError
    from ecgbench.pipeline.run import execute
    from ecgbench.results import result_text

    try:
        result = execute(request, out, again=again, resume=resume, reporter=terminal)
    except StoppedError as stop:
        instead = " in place of --again" if again else ""
        terminal.say(f"ecgbench: {stop}; a checkpoint is kept: the same command with --resume{instead} goes on.")
        raise typer.Exit(130) from None
    if rank() > 0:  # of several processes the leading one speaks
        return
    typer.echo(result_text(result) if as_json else result_tables(result), nl=not as_json)
    terminal.say(f"Result: {out / result.run_id / 'result.json'}")


def add_to(app: typer.Typer) -> None:
    app.command(epilog=_EXAMPLES)(run)
