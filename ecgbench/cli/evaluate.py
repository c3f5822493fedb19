"""`ecgbench evaluate`: a finished run's model on other data, in another language, or under stress."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecgbench.cli.result_tables import result_tables
from ecgbench.cli.run import Terminal
from ecgbench.cli.tables import interval, number, table
from ecgbench.cli.tower_options import TextDevice, TextPack, TextPath
from ecgbench.cli.words import words

if TYPE_CHECKING:
    from ecgbench.pipeline.stress import Cost

EPILOG = (
    "Examples: ecgbench evaluate runs/ID --data cinc:DIR · ecgbench evaluate runs/ID --data store --lang en · "
    "ecgbench evaluate runs/ID --data synth98 --stress"
)


def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A finished run's folder.")],
    data: Annotated[str, typer.Option(metavar="SOURCE", help="What to test on: a SOURCE or a built store's folder.")],
    tasks: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="Tasks of `ecgbench ls tasks`; all of the data's label table where left out."),
    ] = None,
    lang: Annotated[
        str | None,
        typer.Option(metavar="ja|en", help="Language that classes are asked in; the trained one if left out."),
    ] = None,
    mapping: Annotated[
        str, typer.Option(metavar="paper|clinical", help="Which findings make up a zero-shot class.")
    ] = "paper",
    prompts: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The prompt set that classes are asked by (`ecgbench ls prompts`)."),
    ] = None,
    stress: Annotated[
        bool, typer.Option("--stress", help="Also lose and swap leads, add noise, lower the rate: what does each cost?")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where results go; RUN/evaluations where left out.")
    ] = None,
    text_path: TextPath = None,
    text_pack: TextPack = None,
    text_device: TextDevice = "auto",
    again: Annotated[bool, typer.Option("--again", help="Repeat an evaluation that is done.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result (with --stress: the costs) as JSON.")
    ] = False,
) -> None:
    """Score a finished run's model on the test rows of other data; nothing is trained."""
    from ecgbench.pipeline.evaluate import evaluate as evaluate_run
    from ecgbench.pipeline.evaluate import stress_run
    from ecgbench.results import result_text

    terminal = Terminal()
    asked = {
        "data": data, "tasks": None if tasks is None else words(tasks),
        "language": lang, "mapping": mapping, "prompts": prompts, "text_path": text_path, "text_pack": text_pack,
        "text_device": text_device, "out": out, "again": again, "reporter": terminal,
    }  # fmt: skip
    result = evaluate_run(run, **asked)  # type: ignore[arg-type]
    costs = stress_run(run, **asked) if stress else None  # type: ignore[arg-type]
    if as_json:
        typer.echo(
            json.dumps([asdict(cost) for cost in costs], indent=2) if costs else result_text(result), nl=bool(costs)
        )
        return
    typer.echo(result_tables(result))
    if costs:
        typer.echo(f"\n{stress_table(costs)}")


def stress_table(costs: list[Cost]) -> str:
    """A row a stress; for each task the primary metric and its difference to the unharmed recordings."""
    tasks = list(dict.fromkeys(cost.task for cost in costs))
    metric = {cost.task: cost.metric for cost in costs}
    by_stress: dict[str, dict[str, Cost]] = {}
    for cost in costs:
        by_stress.setdefault(cost.stress, {})[cost.task] = cost
    headers = ["stress", *(title for task in tasks for title in (f"{task} {metric[task]}", "cost", "95 % interval"))]
    rows = [[name, *(cell for task in tasks for cell in _cells(each[task]))] for name, each in by_stress.items()]
    text = "What each stress costs: the primary metric, and its difference to the recordings as they are"
    return f"{text}\n\n{table(headers, rows, right=range(1, len(headers)))}"


def _cells(cost: Cost) -> list[str]:
    if cost.refused:
        return ["refused", "", ""]
    difference = "" if cost.difference is None or not cost.ci else f"{cost.difference:+.3f}"
    return [number(cost.value), difference, interval(cost.ci) if difference else ""]


def add_to(app: typer.Typer) -> None:
    app.command(epilog=EPILOG)(evaluate)
