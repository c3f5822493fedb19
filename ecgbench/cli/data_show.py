"""`ecgbench data show`: a 12-lead sheet of one record, or of one file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecgbench.cli.words import words
from ecgbench.errors import EcgbenchError

if TYPE_CHECKING:
    from ecgbench.ecg.lookup import Found
    from ecgbench.ecg.recording import Recording

EPILOG = (
    "Examples: ecgbench data show synth98 s00001 · ecgbench data show store s00001 --out sheet.svg · "
    "ecgbench data show ecg.dcm · ecgbench data show ecg.csv --rate 500 --unit uV"
)


def show(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE|FILE", help="A store's folder, a source, or a file of any format.")
    ],
    record: Annotated[
        str | None, typer.Argument(metavar="RECORD", help="A record's name, as in the store's index.csv.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.svg", help="Where to draw it; RECORD.svg here where left out.")
    ] = None,
    with_signals: Annotated[
        bool,
        typer.Option(
            "--with-signals", help="Draw a record of a store that is not public: the sheet shows a patient's ECG."
        ),
    ] = False,
    rate: Annotated[float | None, typer.Option(metavar="HZ", help="Of a CSV, NPY, NPZ or Parquet file.")] = None,
    unit: Annotated[str | None, typer.Option(metavar="mV|uV|V", help="Of a CSV, NPY, NPZ or Parquet file.")] = None,
    leads: Annotated[
        str | None, typer.Option(metavar="I,II,…", help="Lead order of a CSV, NPY, NPZ or Parquet file.")
    ] = None,
) -> None:
    """Draw ten seconds of one record as a 12-lead sheet (SVG, 25 mm/s, 10 mm/mV)."""
    from ecgbench.ecg.sheet import sheet
    from ecgbench.files import write_text

    if record is None:
        recording, lines = _of_file(source, rate, unit, leads)
        name = Path(source).stem
    else:
        if rate is not None or unit is not None or leads is not None:
            raise EcgbenchError("--rate, --unit and --leads are for a file: leave them out for a record of a source.")
        recording, lines = _of_source(source, record, with_signals)
        name = recording.record
    path = out or Path(f"{_file_name(name)}.svg")
    if path.suffix.lower() != ".svg":
        raise EcgbenchError(f"--out {path} is no SVG file: write a name that ends in .svg.")
    write_text(path, sheet(recording, lines))
    typer.echo(str(path))


def _of_source(source: str, record: str, with_signals: bool) -> tuple[Recording, list[str]]:
    from ecgbench.ecg.lookup import find_record

    found = find_record(source, record)
    if not found.public and not with_signals:
        raise EcgbenchError(
            f"{source} is not public, and a sheet shows a patient's ECG: add --with-signals where you may keep it."
        )
    return found.recording, heading(found)


def _of_file(name: str, rate: float | None, unit: str | None, leads: str | None) -> tuple[Recording, list[str]]:
    """The file's first 10 s, and what it says of itself; its name is not on the sheet."""
    from ecgbench.ecg.reading import layout_of, read_window
    from ecgbench.ecg.sources import source_path

    path = source_path(name)
    if not path.is_file():
        raise EcgbenchError(
            f"'{name}' is no file: write a file of an ECG, or a store's folder or source with the name of a record."
        )
    order = words(leads or "")
    recording, _, remarks = read_window(path, layout_of(rate, unit, order))
    about = [recording.source, *_person(recording)]
    unnamed = replace(recording, record=recording.source)
    return unnamed, [" · ".join(filter(None, about)), *_not_recorded(recording), *remarks]


def heading(found: Found) -> list[str]:
    """Record, age, sex and source; then the findings in Japanese and in English."""
    from ecgbench.findings import label_bank

    r, bank = found.recording, label_bank(found.labels)
    lines = [" · ".join(filter(None, [r.record, *_person(r), found.source]))]
    for language, joiner in (("ja", "、"), ("en", ", ")):
        lines.append(joiner.join(bank[name].names[language] for name in r.findings) or "—")
    return [*lines, *_not_recorded(r)]


def _person(recording: Recording) -> list[str | None]:
    return [None if recording.age is None else f"{recording.age:g} y", recording.sex]


def _not_recorded(recording: Recording) -> list[str]:
    from ecgbench.ecg.recording import LEADS

    missing = [lead for lead, real in zip(LEADS, recording.real_leads, strict=True) if not real]
    return [f"Not recorded: {', '.join(missing)}"] if missing else []


def _file_name(record: str) -> str:
    """A record's name as a file name: a folder in it becomes part of the name."""
    return record.replace("/", "-").replace("\\", "-")
