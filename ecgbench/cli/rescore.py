"""`ecgbench rescore`: the numbers again, from the scores files alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ecgbench.cli.tables import interval, number, table
from ecgbench.errors import EcgbenchError

if TYPE_CHECKING:
    from ecgbench.evaluation.scores import Scores
    from ecgbench.leaderboard.rescore import Verdict
    from ecgbench.results import Result, TaskScore

_EXAMPLES = (
    "Examples: ecgbench rescore runs/0123456789abcdef · "
    "ecgbench rescore runs/0123456789abcdef/scores/retrieval98.npz --per-class"
)
DIGITS = 4
"""A share to four digits is a percentage to two, as papers print it."""

FEW_CLASSES = 30
"""A task with more classes than this has its table of classes printed only when asked for."""


def rescore(
    results: Annotated[
        list[Path],
        typer.Argument(metavar="RESULT...", help="A run's folder, its result.json, or a scores file (.npz)."),
    ],
    per_class: Annotated[
        bool, typer.Option("--per-class", help="Of a scores file, print every class, however many there are.")
    ] = False,
    data: Annotated[
        str | None,
        typer.Option(metavar="SOURCE", help="Hold scores files against this store: records, splits, patients, labels."),
    ] = None,
    bootstrap_out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Of a run, write bootstrap values to stand for its scores on a board, which hold no record ids.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Recompute every number from the scores: of a run, say whether its result is reproduced (exit 1 where it is
    not); of a scores file, print its tables."""
    from ecgbench.leaderboard.rescore import rescore_result, rescore_scores

    if data is not None:
        hold_against(data, results)
    texts: list[str] = []
    documents: list[dict[str, Any]] = []
    wrong: list[str] = []
    for path in results:
        if path.suffix == ".npz":
            scores, score = rescore_scores(path)
            texts.append(f"{path}\n{scores_text(scores, score, every_class=per_class)}")
            documents.append(scores_document(path, scores, score))
            continue
        if per_class:
            raise EcgbenchError(f"--per-class is for scores files and {path} is none: give {path}/scores/TASK.npz.")
        result, verdicts = rescore_result(path)
        texts.append(run_text(path, result, verdicts))
        documents.append(run_document(path, result, verdicts))
        wrong += [f"{path}: {verdict.first}." for verdict in verdicts if verdict.first][:1]
    typer.echo(json.dumps({"rescored": documents}, indent=2, ensure_ascii=False) if as_json else "\n\n".join(texts))
    for sentence in wrong:
        typer.echo(f"ecgbench: {sentence}", err=True)
    if wrong:
        raise typer.Exit(1)
    if bootstrap_out is not None:
        write_bootstrap(results, bootstrap_out)


def write_bootstrap(results: list[Path], folder: Path) -> None:
    """The bootstrap values of one run's scores into a folder; what was written on stderr."""
    from ecgbench.leaderboard.adding import write_values
    from ecgbench.leaderboard.rescore import finished_result

    if len(results) > 1 or results[0].suffix == ".npz":
        raise EcgbenchError(f"--bootstrap-out was given {', '.join(map(str, results))}: give one run's folder.")
    result, run = finished_result(results[0])
    for path in write_values(run / "scores", result.data.data_hash, folder):
        typer.echo(f"wrote {path}", err=True)


def hold_against(data: str, results: list[Path]) -> None:
    """EcgbenchError for the first scores file that is not of the data."""
    from ecgbench.cli.run import Terminal
    from ecgbench.ecg.build import store_for
    from ecgbench.evaluation.against_store import check_against_store
    from ecgbench.evaluation.scores import Scores
    from ecgbench.leaderboard.rescore import card_of, scores_files

    with Terminal().stage(f"Building the store of {data}") as progress:
        store = store_for(data, progress)
    for path in results:
        for file in scores_files(path).values():
            scores = Scores.load(file)
            try:
                check_against_store(scores, card_of(scores), store)
            except EcgbenchError as error:
                raise EcgbenchError(f"{file}: {error}") from None


def run_text(path: Path, result: Result, verdicts: list[Verdict]) -> str:
    """One line a part of the result: is it reproduced?"""
    from ecgbench.leaderboard.verify import TOLERANCE

    said = {
        "exact": "reproduced to the last digit",
        "rounded": f"reproduced within {TOLERANCE} of what half-precision scores leave open",
        "differs": "NOT reproduced",
    }
    rows = [[verdict.where, verdict.n_numbers, said[verdict.agreement]] for verdict in verdicts]
    head = f"{path}: run {result.run_id}, {result.encoder.name} x {result.text.name} on {result.data.name}"
    return f"{head}\n\n{table(['part', 'numbers', ''], rows, right=[1])}"


def run_document(path: Path, result: Result, verdicts: list[Verdict]) -> dict[str, Any]:
    parts = [
        {"part": each.where, "agreement": each.agreement, "numbers": each.n_numbers, "first_difference": each.first,
         "scores_give": each.scores}
        for each in verdicts
    ]  # fmt: skip
    reproduced = all(verdict.first is None for verdict in verdicts)
    return {"path": str(path), "run_id": result.run_id, "reproduced": reproduced, "parts": parts}


def scores_text(scores: Scores, score: TaskScore, *, every_class: bool) -> str:
    """The tables of a scores file: overall, then class by class."""
    classes = len(score.per_class)
    head = (
        f"{scores.task} version {score.version}: {score.n_records} test records of {score.n_patients} patients, "
        f"{score.n_instances} label instances; {score.n_present} of {classes} classes present, "
        f"{len(score.few)} of them with under 10 positives (†)"
    )
    rows = [
        [name, number(each.value, DIGITS), interval(each.ci, DIGITS), number(each.chance, DIGITS),
         number(each.ceiling, DIGITS)]
        for name, each in score.metrics.items()
    ]  # fmt: skip
    text = f"{head}\n\n{table(['metric', 'value', '95 % interval', 'chance', 'ceiling'], rows, right=range(1, 5))}"
    return f"{text}\n\n{class_table(score)}" if every_class or classes <= FEW_CLASSES else text


def class_table(score: TaskScore) -> str:
    """Label instances of each class, and its numbers with their intervals, those that the task has."""
    from ecgbench.evaluation.metrics import metric_named

    columns = [key for key in (metric_named(name).per_class for name in score.metrics) if key]
    rows = []
    for name, each in score.per_class.items():
        cells: list[object] = [f"{name}{' †' if name in score.few else ''}", each.n]
        for key in columns:
            cells += [number(getattr(each, key), DIGITS), interval(getattr(each, f"{key}_ci"), DIGITS)]
        rows.append(cells)
    headers = ["class", "n", *(title for key in columns for title in (key, "95 % interval"))]
    return table(headers, rows, right=range(1, len(headers)))


def scores_document(path: Path, scores: Scores, score: TaskScore) -> dict[str, Any]:
    """As under `tasks` in a result file, without `n_excluded`, which a scores file does not know."""
    numbers = score.model_dump(mode="json", exclude={"n_excluded"})
    return {"path": str(path), "task": scores.task, **numbers}


def add_to(app: typer.Typer) -> None:
    app.command(epilog=_EXAMPLES)(rescore)
