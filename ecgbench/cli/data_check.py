"""`ecgbench data check`: what is wrong with the recordings of a store, and whether its splits leak."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ecgbench.cli.run import Terminal
from ecgbench.cli.tables import table

if TYPE_CHECKING:
    from pathlib import Path

    from ecgbench.ecg.quality.report import Noted, Quality
    from ecgbench.ecg.store import Store

EPILOG = (
    "Examples: ecgbench data check store · ecgbench data check ptbxl:DIR --records · ecgbench data check store --json"
)

EXAMPLES = 3
EXAMPLES_WIDTH = 64
"""Columns of a terminal that the examples of a check may take; the first one is shown whatever its width."""
LEAKS_TOLD = 20


def check(
    source: Annotated[
        str,
        typer.Argument(
            metavar="DIR|SOURCE", help="A built store's folder, or a source, which is built into the cache."
        ),
    ],
    list_records: Annotated[
        bool, typer.Option("--records", help="Also print a line for each record that something is said of.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Say what is wrong with the recordings of a store; exit 1 where its splits leak. Nothing is changed."""
    from ecgbench.ecg.build import store_for
    from ecgbench.ecg.quality.index import patients_in_two_splits
    from ecgbench.ecg.quality.report import check_store
    from ecgbench.ecg.sources import source_path

    folder = source_path(source)
    crossing = patients_in_two_splits(folder) if (folder / "manifest.json").is_file() else []
    if crossing:  # such a store cannot be opened; this is all that there is to say of it
        typer.echo(json.dumps(_crossing(folder, crossing), ensure_ascii=False, indent=2) if as_json
                   else _crossing_text(source, crossing, list_records))  # fmt: skip
        raise typer.Exit(1)
    terminal = Terminal()
    with terminal.stage(f"Building the store of {source}") as progress:
        store = store_for(source, progress)
    with terminal.stage(f"Checking {source}") as progress:
        quality = check_store(store, progress)
    if as_json:
        typer.echo(json.dumps(as_document(store, quality), ensure_ascii=False, indent=2))
    else:
        typer.echo("\n\n".join(sections(store, quality, list_records)))
    if quality.leaking:
        raise typer.Exit(1)


def sections(store: Store, quality: Quality, list_records: bool) -> list[str]:
    """What is printed: head, table, what each finding means, the records where asked for, the verdict."""
    parts = [heading(store, quality), check_table(quality), meanings(quality)]
    if list_records:
        parts.append(record_table(quality))
    return [*filter(None, parts), verdict(quality)]


def heading(store: Store, quality: Quality) -> str:
    about = store.manifest
    lines = [
        f"{about.name}, version {about.version}: {quality.records} records of {store.records['patient'].nunique()} patients"
    ]
    if quality.amplitude_uv is not None:
        from ecgbench.ecg.quality.limits import SCALE_HIGH, SCALE_LOW

        lines.append(f"the largest lead of the median record has {quality.amplitude_uv / 1000:.2f} mV")
        if quality.scale_is_odd:
            lines[-1] += (
                f", which {SCALE_LOW / 1000:g} to {SCALE_HIGH / 1000:g} mV would be usual for: is the unit, or the gain, of "
                "the whole source as it was stated?"
            )
    return "\n".join(lines)


def check_table(quality: Quality) -> str:
    """A row for each check: how many records, their share, the first ones."""
    from ecgbench.ecg.quality.checks import CHECKS

    rows = []
    for about in CHECKS:
        notes = quality.found[about.id]
        rows.append([about.title, len(notes), _percent(share(quality, about.id)), _examples(notes)])
    return table(["check", "records", "share", "examples"], rows, right=(1, 2))


def share(quality: Quality, check_id: str) -> float:
    """Of the records of the store; of all that were read, for those that were left out."""
    notes = quality.found[check_id]
    of = quality.records
    if check_id in ("damaged", "left-out-copy"):
        of += sum(len(quality.found[name]) for name in ("damaged", "left-out-copy"))
    return len(notes) / of if of else 0.0


def _percent(value: float) -> str:
    return f"{value:.1%}" if value == 0 or value >= 0.001 else "< 0.1%"


def _examples(notes: list[Noted]) -> str:
    """As many of the first three as fit."""
    from wcwidth import wcswidth

    told = [f"{note.record} ({_short(note.text)})" for note in notes[:EXAMPLES]]
    while len(told) > 1 and wcswidth("; ".join(told)) > EXAMPLES_WIDTH:
        told.pop()
    return "; ".join(told) or "—"


def _short(text: str, most: int = 52) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def meanings(quality: Quality) -> str:
    """What is meant by each check that found something."""
    from ecgbench.ecg.quality.checks import CHECKS

    lines = [f"{about.title}: {about.meaning}." for about in CHECKS if quality.found[about.id]]
    if quality.missing_by_lead:
        by_lead = ", ".join(f"{lead} {records}" for lead, records in quality.missing_by_lead.items())
        lines.append(f"Records without a lead: {by_lead}.")
    return "\n".join(lines)


def record_table(quality: Quality) -> str:
    """A line for each record that something is said of, in the order of the checks."""
    from ecgbench.ecg.quality.checks import CHECKS

    lines: dict[tuple[str, str], list[str]] = {}
    for about in CHECKS:
        for note in quality.found[about.id]:
            lines.setdefault((note.record, note.split), []).append(f"{about.title}: {note.text}")
    rows = [[record, split or None, "; ".join(said)] for (record, split), said in lines.items()]
    return table(["record", "split", "what"], rows) if rows else ""


def verdict(quality: Quality) -> str:
    if not quality.leaking:
        return "No leak found: no patient stands in two splits, and no recording does under two names."
    shown = [f"LEAK: {leak}." for leak in quality.leaks[:LEAKS_TOLD]]
    if len(quality.leaks) > LEAKS_TOLD:
        shown.append(f"LEAK: {len(quality.leaks) - LEAKS_TOLD} more; --records lists all their records.")
    return "\n".join(shown)


def as_document(store: Store, quality: Quality) -> dict[str, Any]:
    """All of it as JSON."""
    from ecgbench.ecg.quality.checks import CHECKS

    about = store.manifest
    return {
        "folder": str(store.folder),
        "name": about.name,
        "version": about.version,
        "data_hash": about.data_hash,
        "records": quality.records,
        "patients": int(store.records["patient"].nunique()),
        "leak": quality.leaking,
        "leaks": quality.leaks,
        "amplitude_uv": quality.amplitude_uv,
        "scale_is_odd": quality.scale_is_odd,
        "missing_by_lead": quality.missing_by_lead,
        "clipped_when_built": about.clipped_records,
        "checks": [
            {
                "id": check.id,
                "title": check.title,
                "meaning": check.meaning,
                "records": len(quality.found[check.id]),
                "share": share(quality, check.id),
                "found": [_noted(note) for note in quality.found[check.id]],
            }
            for check in CHECKS
        ],
    }


def _noted(note: Noted) -> dict[str, Any]:
    return {"record": note.record, "split": note.split or None, "text": note.text, "measured": note.measured}


def _crossing(folder: Path, notes: list[Noted]) -> dict[str, Any]:
    """The same keys as `as_document` has, as far as a store that cannot be opened can tell."""
    from ecgbench.ecg.quality.checks import CHECKS

    about = next(check for check in CHECKS if check.id == "patient-leak")
    found = [_noted(note) for note in notes]
    told = {"id": about.id, "title": about.title, "meaning": about.meaning, "records": len(notes), "found": found}
    return {"folder": str(folder), "leak": True, "leaks": _patients(notes), "checks": [told]}


def _patients(notes: list[Noted]) -> list[str]:
    return list(dict.fromkeys(note.text for note in notes))


def _crossing_text(source: str, notes: list[Noted], list_records: bool) -> str:
    sentences = _patients(notes)
    shown = [f"LEAK: {sentence}." for sentence in sentences[:LEAKS_TOLD]]
    if len(sentences) > LEAKS_TOLD:
        more = len(sentences) - LEAKS_TOLD
        shown.append(f"LEAK: {more} more {'patient' if more == 1 else 'patients'}; --records lists all their records.")
    if list_records:
        shown.insert(0, table(["record", "split", "what"], [[n.record, n.split, n.text] for n in notes]) + "\n")
    return "\n".join([*shown, f"The store '{source}' cannot be opened for this: build it again."])
