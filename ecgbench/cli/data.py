"""`ecgbench data`: build a store, say what is in one, draw a record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ecgbench.cli.run import Terminal
from ecgbench.cli.tables import table
from ecgbench.errors import EcgbenchError

if TYPE_CHECKING:
    from ecgbench.ecg.lookup import Found
    from ecgbench.ecg.store import Store

SPLITS = ("train", "validation", "test")
_SOURCE = "synth98, synth98:M, ptbxl:PATH, or a built store's folder."

data = typer.Typer(
    help="Build stores of ECGs, say what is in them, draw records.",
    epilog="First steps: ecgbench data build synth98 --out store · ecgbench data info store · ecgbench data show store s00001",
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@data.command(
    epilog="Examples: ecgbench data build synth98:M --out store · ecgbench data build synth98 --balanced 20 --out store · "
    "ecgbench data build ptbxl:DIR --out store --workers 4"
)
def build(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="synth98, synth98:M, synth98:S,seed=3, ptbxl:PATH.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The store's folder; it must not be there, or be empty.")],
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", help="Processes; one for each core where left out. The store is the same."),
    ] = None,
    balanced: Annotated[
        int | None, typer.Option(metavar="N", help="synth98 only: N records for every finding, at least.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="synth98 only: another seed is another hospital.")
    ] = None,
) -> None:
    """Read a source once and keep it as a store, which opens at once."""
    from ecgbench.ecg.build import build_store
    from ecgbench.ecg.sources import open_source, source_path
    from ecgbench.ecg.store import open_store

    spec = with_options(source, balanced=balanced, seed=seed)
    folder = source_path(str(out))
    if (source_path(source) / "manifest.json").is_file():
        raise EcgbenchError(f"'{source}' is a built store already: give the source that it was built from.")
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise EcgbenchError(f"'{folder}' is there already and not an empty folder: name another one with --out.")
    card, opened = open_source(spec)
    terminal = Terminal()
    try:
        with terminal.stage(f"Building the store of {spec}") as progress:
            build_store(card, opened, folder, progress, spec=spec, workers=workers)
    except KeyboardInterrupt:
        terminal.say("ecgbench: stopped; the same command goes on where this one ended.")
        raise typer.Exit(130) from None
    store = open_store(folder)
    typer.echo(summary(store, facts(store)))
    terminal.say(f"Store: {folder}")


@data.command(epilog="Examples: ecgbench data info store · ecgbench data info synth98 --json")
def info(
    source: Annotated[str, typer.Argument(metavar="DIR|SOURCE", help=f"{_SOURCE} A source is built into the cache.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Say what is in a store: records and patients by split and by finding."""
    from ecgbench.ecg.build import store_for

    terminal = Terminal()
    with terminal.stage(f"Building the store of {source}") as progress:
        store = store_for(source, progress)
    told = facts(store)
    typer.echo(
        json.dumps(told, ensure_ascii=False, indent=2) if as_json else f"{summary(store, told)}\n\n{label_table(told)}"
    )


@data.command(epilog="Examples: ecgbench data show synth98 s00001 · ecgbench data show store s00001 --out sheet.svg")
def show(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help=_SOURCE)],
    record: Annotated[str, typer.Argument(metavar="RECORD", help="A record's name, as in the store's index.csv.")],
    out: Annotated[Path | None, typer.Option(metavar="FILE.svg", help="Where to draw it; RECORD.svg here.")] = None,
    with_signals: Annotated[
        bool,
        typer.Option(
            "--with-signals", help="Draw a record of a store that is not public: the file shows a patient's ECG."
        ),
    ] = False,
) -> None:
    """Draw one record as a 12-lead sheet (SVG, 25 mm/s, 10 mm/mV)."""
    from ecgbench.ecg.lookup import find_record
    from ecgbench.ecg.sheet import sheet
    from ecgbench.files import write_text

    found = find_record(source, record)
    if not found.public and not with_signals:
        raise EcgbenchError(
            f"{source} is not public, and a sheet shows a patient's ECG: add --with-signals where you may keep it."
        )
    path = out or Path(f"{_file_name(found.recording.record)}.svg")
    if path.suffix.lower() != ".svg":
        raise EcgbenchError(f"--out {path} is no SVG file: write a name that ends in .svg.")
    write_text(path, sheet(found.recording, heading(found)))
    typer.echo(str(path))


def with_options(source: str, *, balanced: int | None, seed: int | None) -> str:
    """SOURCE with the options of synth98 written into it."""
    options = [f"{name}={value}" for name, value in (("balanced", balanced), ("seed", seed)) if value is not None]
    if not options:
        return source
    name, _, argument = source.partition(":")
    if name != "synth98":
        raise EcgbenchError(f"--balanced and --seed belong to the source synth98, not to '{source}': leave them out.")
    return f"synth98:{','.join([*filter(None, [argument]), *options])}"


def heading(found: Found) -> list[str]:
    """Record, age, sex and source; then the findings in Japanese and in English."""
    from ecgbench.findings import label_bank

    r, bank = found.recording, label_bank(found.labels)
    about = [r.record, None if r.age is None else f"{r.age:g} y", r.sex, found.source]
    missing = [lead for lead, real in zip(_leads(), r.real_leads, strict=True) if not real]
    lines = [" · ".join(filter(None, about))]
    for language, joiner in (("ja", "、"), ("en", ", ")):
        lines.append(joiner.join(bank[name].names[language] for name in r.findings) or "—")
    return [*lines, *([f"Not recorded: {', '.join(missing)}"] if missing else [])]


def _leads() -> tuple[str, ...]:
    from ecgbench.ecg.recording import LEADS

    return LEADS


def _file_name(record: str) -> str:
    """A record's name as a file name: a folder in it becomes part of the name."""
    return record.replace("/", "-").replace("\\", "-")


def facts(store: Store) -> dict[str, Any]:
    """The manifest, and records and patients by split and by finding, as JSON."""
    from ecgbench.findings import label_bank

    bank = label_bank(store.manifest.labels)
    counts = _counts(store)
    labels = [
        {"id": finding.id, "en": finding.names["en"], "ja": finding.names["ja"], **counts[finding.id]}
        for finding in bank.findings if finding.id in counts
    ]  # fmt: skip
    return {
        "folder": str(store.folder),
        **store.manifest.model_dump(mode="json"),
        "patients": int(store.records["patient"].nunique()),
        "splits": {split: _of(store.records[store.records["split"] == split]) for split in SPLITS},
        "findings": labels,
    }


def _of(rows: Any) -> dict[str, int]:
    return {"records": len(rows), "patients": int(rows["patient"].nunique())}


def _counts(store: Store) -> dict[str, dict[str, dict[str, int]]]:
    """Finding -> split (and `all`) -> records and patients."""
    held = store.records[["patient", "split"]].copy()
    held["finding"] = store.findings()
    held = held.explode("finding").dropna()
    found: dict[str, dict[str, dict[str, int]]] = {}
    for finding, rows in held.groupby("finding"):
        splits = {split: _of(rows[rows["split"] == split]) for split in SPLITS}
        found[str(finding)] = {**splits, "all": _of(rows)}
    return found


def summary(store: Store, told: dict[str, Any]) -> str:
    """A store in a few lines; `told` are its `facts`."""
    about = store.manifest
    splits = ", ".join(f"{split} {n['records']} of {n['patients']} patients" for split, n in told["splits"].items())
    lines = [
        f"{about.name}, version {about.version}: {about.records} records of {told['patients']} patients",
        f"splits: {splits}",
        f"findings: {len(told['findings'])} of the {_bank_size(store)} in {about.labels}, "
        f"{sum(row['all']['records'] for row in told['findings']) / max(1, about.records):.2f} a record",
        f"data hash: {about.data_hash}",
        f"left out: {len(about.damaged)} damaged, {len(about.duplicates)} duplicates; "
        f"clipped: {about.clipped_records}; resampled: {about.resampled_records}",
        f"public: {'yes' if about.public else 'no'}; licence: {about.licence or 'not stated'}",
    ]
    raised = about.remarks.get("raised_by_floor")
    if raised:
        lines.append(
            f"{len(raised)} findings have more records than their share, {about.remarks['excess_records']:g} in all, so "
            f"that each has {about.remarks['floor_patients']} patients or more"
        )
    return "\n".join(lines)


def _bank_size(store: Store) -> int:
    from ecgbench.findings import label_bank

    return len(label_bank(store.manifest.labels))


def label_table(told: dict[str, Any]) -> str:
    """Records (patients) of every finding there is, by split, from a store's `facts`."""
    columns = (*SPLITS, "all")
    rows = [
        [row["en"], row["ja"], *(f"{row[split]['records']} ({row[split]['patients']})" for split in columns)]
        for row in told["findings"]
    ]
    head = "Records (patients) by finding"
    return f"{head}\n\n{table(['finding', '所見', *columns], rows, right=range(2, 6))}"


def add_to(app: typer.Typer) -> None:
    app.add_typer(data, name="data")
