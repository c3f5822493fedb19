"""`ecgbench compare`: is one run better than another, on the same patients?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ecgbench.cli.tables import interval, number, table
from ecgbench.errors import EcgbenchError

if TYPE_CHECKING:
    from ecgbench.evaluation.per_class import Pair, TaskComparison

_EXAMPLES = "Examples: ecgbench compare runs/A runs/B · ecgbench compare runs/A runs/B --task superclass --per-class"


def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="A run's folder, its result.json, or a scores file (.npz).")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Another one on the same test records.")],
    task: Annotated[str | None, typer.Option(help="Only this task; all that both have where left out.")] = None,
    per_class: Annotated[
        bool, typer.Option("--per-class", help="Every class too, with Holm's correction over the classes.")
    ] = False,
    replicates: Annotated[int, typer.Option(min=1, help="Resamples of the patients.")] = 1000,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Every metric of every task that A and B both have: A, B, A - B with its 95 % interval over paired resamples of
    the patients, and a two-sided bootstrap p."""
    found = comparisons(a, b, task, replicates)
    if as_json:
        typer.echo(json.dumps(document(a, b, found, replicates, per_class), indent=2, ensure_ascii=False))
    else:
        head = f"A: {a}\nB: {b}\nIntervals and p from {replicates} paired resamples of the test patients."
        typer.echo("\n\n".join([head, *(task_text(each, replicates, per_class) for each in found)]))


def comparisons(a: Path, b: Path, task: str | None, replicates: int) -> list[TaskComparison]:
    """The tasks that both have, in A's order."""
    from ecgbench.evaluation.per_class import compare_task
    from ecgbench.evaluation.scores import Scores
    from ecgbench.leaderboard.rescore import card_of, scores_files

    files_a, files_b = scores_files(a), scores_files(b)
    shared = [name for name in files_a if name in files_b]
    if not shared:
        raise EcgbenchError(
            f"{a} has {', '.join(files_a)} and {b} has {', '.join(files_b)}: give two runs with a task in common."
        )
    if task is not None and task not in shared:
        raise EcgbenchError(f"--task {task} is no task that {a} and {b} both have: choose from {', '.join(shared)}.")
    found = []
    for name in [task] if task is not None else shared:
        first, second = Scores.load(files_a[name]), Scores.load(files_b[name])
        for file, scores in ((files_a[name], first), (files_b[name], second)):
            if scores.task != name:
                raise EcgbenchError(f"scores file {file} is of task {scores.task}, {name} belongs there: put it back.")
        found.append(compare_task(first, second, card_of(first), replicates=replicates))
    return found


def task_text(found: TaskComparison, replicates: int, per_class: bool) -> str:
    """The overall table of a task, and one table a metric of its classes where asked for."""
    from ecgbench.evaluation.metrics import metric_named

    head = f"{found.task}: {found.n_records} test records of {found.n_patients} patients"
    rows: list[list[object]] = [[title(name), *cells(pair)] for name, pair in found.overall.items()]
    texts = [head, table(["metric", "A", "B", "A - B", "95 % interval", "p"], rows, right=range(1, 6))]
    for metric, classes in found.per_class.items() if per_class else ():
        rows = [[name, found.instances[name], *cells(pair), p_text(pair.p_holm)] for name, pair in classes.items()]
        headers = [
            f"class ({metric_named(metric).per_class})",
            "n",
            "A",
            "B",
            "A - B",
            "95 % interval",
            "p",
            "p (Holm)",
        ]
        texts.append(table(headers, rows, right=range(1, 8)))
    return "\n\n".join(texts + (resolution(found, replicates) if per_class else []))


def title(metric: str) -> str:
    """The metric's name, and a word where a positive difference is no praise."""
    from ecgbench.evaluation.metrics import metric_named

    return metric if metric_named(metric).higher_is_better else f"{metric} (lower is better)"


def resolution(found: TaskComparison, replicates: int) -> list[str]:
    """A warning where so few replicates can show no class to differ, whatever the data."""
    from ecgbench.evaluation.per_class import least_p

    present = sum(n > 0 for n in found.instances.values())
    least = least_p(replicates, present)
    if least <= 0.05:
        return []
    return [
        f"With {replicates} replicates no p (Holm) of {present} classes can be under {least:.3f}: "
        f"give --replicates {present * 40} or more."
    ]


def cells(pair: Pair) -> list[str]:
    """A, B, the difference, its interval and p of one number."""
    difference = pair.difference
    bounds = known(difference.low), known(difference.high)
    shown = interval(None if bounds[0] is None or bounds[1] is None else (bounds[0], bounds[1]))
    return [*(number(known(value)) for value in (pair.a, pair.b, difference.value)), shown, p_text(pair.p)]


def p_text(p: float | None) -> str:
    return number(known(p), 4)


def known(value: float | None) -> float | None:
    """None for what is undefined."""
    from ecgbench.evaluation.scoring import number as rounded

    return None if value is None else rounded(value)


def document(a: Path, b: Path, found: list[TaskComparison], replicates: int, per_class: bool) -> dict[str, Any]:
    """What `--json` prints."""
    from ecgbench.evaluation.bootstrap import LEVEL, SEED
    from ecgbench.evaluation.metrics import metric_named

    tasks: dict[str, Any] = {}
    for each in found:
        tasks[each.task] = {
            "version": each.version,
            "n_records": each.n_records,
            "n_patients": each.n_patients,
            "metrics": {
                name: {"higher_is_better": metric_named(name).higher_is_better, **pair_json(pair)}
                for name, pair in each.overall.items()
            },
        }
        if per_class:
            tasks[each.task]["per_class"] = {
                metric: {
                    name: {"n": each.instances[name], **pair_json(pair), "p_holm": known(pair.p_holm)}
                    for name, pair in classes.items()
                }
                for metric, classes in each.per_class.items()
            }
    bootstrap = {"unit": "patient", "replicates": replicates, "seed": SEED, "level": LEVEL}
    return {"a": str(a), "b": str(b), "bootstrap": bootstrap, "tasks": tasks}


def pair_json(pair: Pair) -> dict[str, Any]:
    ends = [known(pair.difference.low), known(pair.difference.high)]
    return {
        "a": known(pair.a),
        "b": known(pair.b),
        "difference": known(pair.difference.value),
        "ci": None if None in ends else ends,
        "p": known(pair.p),
    }


def add_to(app: typer.Typer) -> None:
    app.command(epilog=_EXAMPLES)(compare)
