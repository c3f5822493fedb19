"""`ecgbench data ids`: which record of a store with hidden ids is which of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ecgbench.errors import EcgbenchError

EPILOG = "Example: ecgbench data ids store manifest:ecg.csv --out ids.csv"
HEADER = ("record", "patient", "own record", "own patient")


def ids(
    folder: Annotated[str, typer.Argument(metavar="DIR", help="A built store with its folder private/.")],
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="What it was built from, as manifest:FILE.csv.")],
    out: Annotated[Path, typer.Option(metavar="FILE.csv", help="Where the list is written; it names your patients.")],
    key: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The key, where it is kept elsewhere; DIR/private/key if left out."),
    ] = None,
) -> None:
    """List a store's hidden record and patient ids beside your own, for whoever has its key."""
    from ecgbench.ecg.pseudonyms import KEY_FILE, PRIVATE, Pseudonyms, read_key
    from ecgbench.ecg.sources import open_source, source_path
    from ecgbench.ecg.sources.options import SourceOptions
    from ecgbench.ecg.store import WINDOW_MARK, open_store

    store = open_store(source_path(folder))
    if store.manifest.ids != "keyed":
        raise EcgbenchError(f"the ids of '{folder}' are not hidden: its index.csv has your own.")
    pseudonyms = Pseudonyms(read_key(key or store.folder / PRIVATE / KEY_FILE))
    _, opened = open_source(source, SourceOptions(unknown="drop", labels=store.manifest.labels))
    own = {pseudonyms.of("record", entry.record): entry for entry in opened.entries()}
    rows = []
    for record, patient in zip(store.records["record"], store.records["patient"], strict=True):
        entry = own.get(str(record).partition(WINDOW_MARK)[0])
        if entry is not None:
            rows.append((str(record), str(patient), entry.record, entry.patient))
    if not rows:
        raise EcgbenchError(
            f"no record of '{folder}' is of {source}: give the source and the key that it was built with."
        )
    write_ids(out, rows)
    missing = len(store) - len(rows)
    said = f"{out}: {len(rows)} records" + (f"; {missing} of the store are not of {source}" if missing else "")
    typer.echo(f"{said}. It names your patients: keep it as you keep them.")


def write_ids(out: Path, rows: list[tuple[str, str, str, str]]) -> None:
    """As CSV that Excel opens."""
    from ecgbench.csv_table import write_csv

    if out.exists():
        raise EcgbenchError(f"'{out}' is there already: name another file with --out.")
    write_csv(out, [HEADER, *rows])
    out.chmod(0o600)
