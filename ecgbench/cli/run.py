"""`ecgbench run`: the main job."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING, Annotated

import typer

from ecgbench.cli.tables import interval, number, table
from ecgbench.errors import EcgbenchError

if TYPE_CHECKING:
    from ecgbench.results import Result, TaskScore

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


def result_tables(result: Result) -> str:
    """One table a task with its controls, and for zero-shot sets one of its classes."""
    trained = result.recipe.fields["language"]
    asked = {identity.language for identity in result.comparable.values()} - {trained}
    head = (
        f"Run {result.run_id}: {result.encoder.name} x {result.text.name} on {result.data.name}, recipe "
        f"{result.recipe.name}, language {trained}{', asked in ' + ' '.join(asked) if asked else ''}, seed {result.seed}"
        f"{'' if result.control == 'none' else ', control ' + result.control}"
        f"{f'; trained on {result.trained_on.data} (run {result.trained_on.run_id})' if result.trained_on else ''}"
    )
    return "\n\n".join([head, *(task_table(name, task, result) for name, task in result.tasks.items())])


def task_table(name: str, task: TaskScore, result: Result) -> str:
    classes = len(task.per_class)
    head = (
        f"{name}: {task.n_records} test records of {task.n_patients} patients, {task.n_instances} label instances; "
        f"{task.n_present} of {classes} classes present, {len(task.few)} of them with under 10 positives (†)"
    )
    references = result.references
    rows = []
    for metric, value in task.metrics.items():
        controls = (
            [getattr(references, which)[name].metrics[metric].value for which in ("majority", "untrained")]
            if references
            else [None, None]
        )
        rows.append(
            [metric, number(value.value), interval(value.ci), *map(number, [value.chance, *controls, value.ceiling])]
        )
    headers = ["metric", "value", "95 % interval", "chance", "majority", "untrained", "ceiling"]
    text = f"{head}\n\n{table(headers, rows, right=range(1, 7))}"
    return f"{text}\n\n{class_table(task)}" if classes <= 30 else text


def class_table(task: TaskScore) -> str:
    rows = [
        [f"{name}{' †' if name in task.few else ''}", score.n, number(score.accuracy), interval(score.accuracy_ci),
         number(score.auroc), interval(score.auroc_ci)]
        for name, score in task.per_class.items()
    ]  # fmt: skip
    headers = ["class", "n", "accuracy", "95 % interval", "AUROC", "95 % interval"]
    return table(headers, rows, right=range(1, 6))


def run(
    encoder: Annotated[str, typer.Option(help="An encoder of `ecgbench ls encoders`.")],
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
    text_path: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A folder with the text tower's weights.")
    ] = None,
    text_pack: Annotated[Path | None, typer.Option(metavar="FILE", help="An embedding pack of the text tower.")] = None,
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
        tasks=None if tasks is None else tuple(filter(None, map(str.strip, tasks.split(",")))),
        language=lang, mapping=mapping, prompts=prompts,
        epochs=epochs, seed=seed, control=control, text_path=text_path, text_pack=text_pack,
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
    typer.echo(result_text(result) if as_json else result_tables(result), nl=not as_json)
    terminal.say(f"Result: {out / result.run_id / 'result.json'}")


def add_to(app: typer.Typer) -> None:
    app.command(epilog=_EXAMPLES)(run)
