"""`ecgbench predict`: files of ECGs ranked by a finished run's model. Not a medical device."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ecgbench.cli.run import Terminal
from ecgbench.cli.tables import number, table
from ecgbench.cli.tower_options import TextDevice, TextPack, TextPath
from ecgbench.cli.words import words
from ecgbench.errors import EcgbenchError

if TYPE_CHECKING:
    from ecgbench.pipeline.asking import Ranked
    from ecgbench.pipeline.predict import Prediction, Predictor, Unusable

EPILOG = (
    "Examples: ecgbench predict runs/ID ecg.dcm · ecgbench predict runs/ID ecg.xml --lang en --plot ecg.svg · "
    "ecgbench predict runs/ID ecgs/*.xml --csv findings.csv. Exit 0: every file was ranked; 1: some could not be; 2: none "
    "could, or the request was wrong. Not a medical device."
)
CSV_HEADER = ("file", "task", "rank", "id", "name", "similarity", "probability", "notice")


def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A finished run's folder.")],
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="ECGs of any format (docs/formats.md).")],
    lang: Annotated[
        str | None,
        typer.Option(metavar="ja|en", help="Language that findings are asked and named in; the run's if left out."),
    ] = None,
    top: Annotated[int, typer.Option(metavar="N", help="How many findings of each file.")] = 5,
    tasks: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="Also rank the classes of tasks that the run scored, as superclass."),
    ] = None,
    window: Annotated[str, typer.Option(metavar="first|middle", help="Which 10 s of a longer recording.")] = "first",
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE.svg|png", help="Draw one file's 12-lead sheet, the findings beside it."),
    ] = None,
    as_csv: Annotated[
        Path | None,
        typer.Option("--csv", metavar="FILE.csv", help="Write a row a file and finding, as Excel opens it."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    rate: Annotated[float | None, typer.Option(metavar="HZ", help="Of CSV, NPY, NPZ or Parquet files.")] = None,
    unit: Annotated[str | None, typer.Option(metavar="mV|uV|V", help="Of CSV, NPY, NPZ or Parquet files.")] = None,
    leads: Annotated[
        str | None, typer.Option(metavar="I,II,…", help="Lead order of CSV, NPY, NPZ or Parquet files.")
    ] = None,
    text_path: TextPath = None,
    text_pack: TextPack = None,
    text_device: TextDevice = "auto",
) -> None:
    """Rank the findings of ECGs by a finished run's model. Not a medical device."""
    _check(files, top, window, plot, as_csv)
    from ecgbench.ecg.reading import layout_of
    from ecgbench.ecg.sheet_file import write_sheet
    from ecgbench.pipeline.loaded import load_run
    from ecgbench.pipeline.predict import NOTICE, Prediction, Predictor, prediction_sheet

    layout = layout_of(rate, unit, words(leads or ""))
    terminal = Terminal()
    with terminal.stage("Opening the run"):
        loaded = load_run(run, text_path=text_path, text_pack=text_pack, text_device=text_device)
        predictor = Predictor(loaded, lang, words(tasks or ""))
    shown: list[Prediction] = []
    unusable: list[Unusable] = []
    with terminal.stage("Reading and ranking") as progress:
        told = predictor.predict(files, window=window, layout=layout, top=top)  # type: ignore[arg-type]
        for done, each in enumerate(told, start=1):
            if isinstance(each, Prediction):
                if plot:
                    write_sheet(plot, prediction_sheet(each, loaded.result.run_id, predictor.language))
                shown.append(_without_signal(each))
            else:
                unusable.append(each)
            progress(done, len(files))
    if not shown and len(files) == 1:
        raise EcgbenchError(unusable[0].reason)
    if as_csv and shown:
        from ecgbench.csv_table import write_csv

        write_csv(as_csv, csv_rows(shown))
    if as_json:
        typer.echo(json.dumps(document(predictor, shown, unusable), indent=2, ensure_ascii=False, allow_nan=False))
    elif not as_csv and shown:
        typer.echo("\n\n".join(text_of(each) for each in shown))
    for each in unusable:
        terminal.say(f"ecgbench: {each.reason}")
    for path in filter(None, [plot, as_csv if shown else None]):
        terminal.say(f"Written: {path}")
    terminal.say(f"Probabilities: {'; '.join(_notes(predictor))}.")
    terminal.say(f"{NOTICE}.")
    if unusable:
        raise typer.Exit(1 if shown else 2)


def _check(files: list[str], top: int, window: str, plot: Path | None, as_csv: Path | None) -> None:
    """EcgbenchError for what can be known to be wrong before anything is loaded."""
    if top < 1:
        raise EcgbenchError(f"--top {top}: write a number from 1.")
    if window not in ("first", "middle"):
        raise EcgbenchError(f"--window {window} is not known: write first or middle.")
    if as_csv and as_csv.suffix.lower() != ".csv":
        raise EcgbenchError(f"--csv {as_csv} is no CSV file: write a name that ends in .csv.")
    if plot is None:
        return
    if len(files) > 1:
        raise EcgbenchError(f"--plot draws one file and {len(files)} were given: name one, or leave out --plot.")
    from ecgbench.ecg.sheet_file import check_sheet_file

    check_sheet_file(plot)


def _without_signal(each: Prediction) -> Prediction:
    """So that thousands of files need no memory for signals that nobody looks at any more."""
    return replace(each, recording=replace(each.recording, signal=each.recording.signal[:, :0]))


def text_of(each: Prediction) -> str:
    """A file's rankings as tables for a terminal, under what is to be known of its recording."""
    head = [each.file, *_about(each)]
    parts = [
        table([name, "similarity", "probability"], [_cells(ranked) for ranked in rankings], right=[1, 2])
        for name, rankings in each.rankings.items()
    ]
    return "\n".join(head) + "\n\n" + "\n\n".join(parts)


def _about(each: Prediction) -> Iterator[str]:
    if each.lacking:
        yield f"  not recorded, fed as zeros, so that there is no probability: {', '.join(each.lacking)}"
    yield from (f"  {remark}" for remark in each.remarks)


def _cells(ranked: Ranked) -> list[str]:
    return [ranked.name, number(ranked.similarity), number(ranked.probability)]


def _notes(predictor: Predictor) -> Iterator[str]:
    for name, asked in predictor.asked.items():
        yield f"{name}: {asked.note}"


def csv_rows(shown: list[Prediction]) -> Iterator[tuple[str, ...]]:
    """A row a file, task and finding under a header; what has no probability has an empty cell."""
    from ecgbench.pipeline.predict import NOTICE

    yield CSV_HEADER
    for each in shown:
        for task, rankings in each.rankings.items():
            for rank, ranked in enumerate(rankings, start=1):
                probability = "" if ranked.probability is None else f"{ranked.probability:.4f}"
                yield (
                    each.file, task, str(rank), ranked.finding, ranked.name, f"{ranked.similarity:.4f}", probability, NOTICE
                )  # fmt: skip


def document(predictor: Predictor, shown: list[Prediction], unusable: list[Unusable]) -> dict[str, Any]:
    """What `--json` prints. A probability that was not calibrated is null."""
    from ecgbench.pipeline.predict import NOTICE

    result = predictor.run.result
    return {
        "notice": NOTICE,
        "run": {"run_id": result.run_id, "encoder": result.encoder.name, "text": result.text.name, "data": result.data.name},
        "probabilities": {name: asked.note for name, asked in predictor.asked.items()},
        "files": [
            {
                "file": each.file,
                "format": each.recording.source,
                "not_recorded": list(each.lacking),
                "remarks": list(each.remarks),
                "rankings": {
                    name: [
                        {"rank": rank, "id": ranked.finding, "name": ranked.name, "similarity": round(ranked.similarity, 6),
                         "probability": None if ranked.probability is None else round(ranked.probability, 6)}
                        for rank, ranked in enumerate(rankings, start=1)
                    ]
                    for name, rankings in each.rankings.items()
                },
            }
            for each in shown
        ],
        "not_ranked": [{"file": each.file, "reason": each.reason} for each in unusable],
    }  # fmt: skip


def add_to(app: typer.Typer) -> None:
    app.command(epilog=EPILOG)(predict)
