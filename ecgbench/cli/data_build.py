"""`ecgbench data build`: a source read once and kept as a store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from ecgbench.cli.run import Terminal
from ecgbench.cli.words import words
from ecgbench.errors import EcgbenchError

if TYPE_CHECKING:
    from ecgbench.ecg.build import Damaged
    from ecgbench.ecg.sources.options import SourceOptions

EPILOG = (
    "Examples: ecgbench data build synth98:M --out store · ecgbench data build ptbxl:DIR --out store --workers 4 · "
    "ecgbench data build manifest:ecg.csv --out store --aliases aliases.csv"
)
MOST_DAMAGED_TOLD = 5


def build(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="synth98, synth98:M, ptbxl:PATH, manifest:FILE.csv, … (`ecgbench ls datasets`)."
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The store's folder; it must not be there, or be empty.")],
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", help="Processes; one for each core where left out. The store is the same."),
    ] = None,
    aliases: Annotated[
        Path | None, typer.Option(metavar="FILE.csv", help="Your wordings and the labels they stand for.")
    ] = None,
    unknown: Annotated[
        str | None,
        typer.Option(
            metavar="error|drop|keep",
            help="What becomes of findings that no label knows; the source's habit if left out.",
        ),
    ] = None,
    labels: Annotated[
        str | None, typer.Option(metavar="TABLE.csv", help="Your own label table, of the folder tasks/ of --path.")
    ] = None,
    split_by: Annotated[
        str, typer.Option(metavar="patient|site", help="Who stays together where the source has no splits of its own.")
    ] = "patient",
    seed: Annotated[
        int | None,
        typer.Option(metavar="N", help="How splits are dealt out; for synth98 another seed is another hospital."),
    ] = None,
    window: Annotated[str, typer.Option(metavar="first|middle|all", help="Which 10 s of longer recordings.")] = "first",
    rate: Annotated[float | None, typer.Option(metavar="HZ", help="Of CSV, NPY, NPZ and Parquet files.")] = None,
    unit: Annotated[str | None, typer.Option(metavar="mV|uV|V", help="Of CSV, NPY, NPZ and Parquet files.")] = None,
    leads: Annotated[
        str | None, typer.Option(metavar="I,II,…", help="Lead order of CSV, NPY, NPZ and Parquet files without names.")
    ] = None,
    keep_ids: Annotated[
        bool, typer.Option("--keep-ids", help="Keep patient and record ids of private data as they are.")
    ] = False,
    key: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="STORE/private/key of an earlier store: the same ids become the same again."),
    ] = None,
    damaged_allowed: Annotated[
        float, typer.Option(metavar="PERCENT", help="The share of unreadable records that is put up with.")
    ] = 1.0,
    balanced: Annotated[
        int | None, typer.Option(metavar="N", help="synth98 only: N records for every finding, at least.")
    ] = None,
) -> None:
    """Read a source once and keep it as a store, which opens at once."""
    from ecgbench.cli.data_info import facts, report
    from ecgbench.ecg.build import build_store
    from ecgbench.ecg.pseudonyms import read_key
    from ecgbench.ecg.sources import open_source, source_path
    from ecgbench.ecg.store import open_store

    spec = with_options(source, balanced=balanced, seed=seed)
    options = source_options(
        source, aliases=aliases, unknown=unknown, labels=labels, split_by=split_by, seed=seed, window=window,
        rate=rate, unit=unit, leads=leads, keep_ids=keep_ids,
    )  # fmt: skip
    folder = source_path(str(out))
    if (source_path(source) / "manifest.json").is_file():
        raise EcgbenchError(f"'{source}' is a built store already: give the source that it was built from.")
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise EcgbenchError(f"'{folder}' is there already and not an empty folder: name another one with --out.")
    if not 0 <= damaged_allowed <= 100:
        raise EcgbenchError(f"--damaged-allowed {damaged_allowed:g} is no share: write percent from 0 to 100.")
    card, opened = open_source(spec, options)
    if card.public and (keep_ids or key):
        raise EcgbenchError(f"{card.name} is public and keeps its public ids: leave out --keep-ids and --key.")
    if card.public and options.layout:
        raise EcgbenchError(
            f"--rate, --unit and --leads have no use for {card.name}, whose files say them: leave them out."
        )
    if keep_ids and key:
        raise EcgbenchError("--keep-ids keeps ids as they are and --key hides them: leave one of them out.")
    secret = read_key(key) if key else None
    terminal = Terminal()
    try:
        with terminal.stage(f"Building the store of {spec}") as progress:
            damaged = build_store(
                card, opened, folder, progress, spec=spec, options=options, workers=workers,
                damaged_allowed=damaged_allowed / 100, key=secret,
            )  # fmt: skip
    except KeyboardInterrupt:
        terminal.say("ecgbench: stopped; the same command goes on where this one ended.")
        raise typer.Exit(130) from None
    store = open_store(folder)
    typer.echo(report(store, facts(store), brief=True))
    _say_damaged(terminal, damaged)
    if store.manifest.ids == "keyed":
        terminal.say(
            f"Ids are hidden under the key in {folder / 'private'}: keep that folder, and leave it out of what you pass on."
        )
    terminal.say(f"Store: {folder}")


def _say_damaged(terminal: Terminal, damaged: list[Damaged]) -> None:
    """Which of the user's own files could not be read: here by their own names, in the store by those that it tells."""
    for each in damaged[:MOST_DAMAGED_TOLD]:
        terminal.say(f"Left out: {each.record}: {each.reason}.")
    if len(damaged) > MOST_DAMAGED_TOLD:
        terminal.say(f"Left out: {len(damaged) - MOST_DAMAGED_TOLD} more damaged records; manifest.json lists all.")


def with_options(source: str, *, balanced: int | None, seed: int | None) -> str:
    """SOURCE with the options of synth98 written into it; other sources take the seed for their splits."""
    name, _, argument = source.partition(":")
    if name != "synth98":
        if balanced is not None:
            raise EcgbenchError(f"--balanced belongs to the source synth98, not to '{source}': leave it out.")
        return source
    options = [f"{name}={value}" for name, value in (("balanced", balanced), ("seed", seed)) if value is not None]
    return f"synth98:{','.join([*filter(None, [argument]), *options])}" if options else source


def source_options(
    source: str, *, aliases: Path | None, unknown: str | None, labels: str | None, split_by: str, seed: int | None,
    window: str, rate: float | None, unit: str | None, leads: str | None, keep_ids: bool,
) -> SourceOptions:  # fmt: skip
    """What was asked of the source, each word checked. EcgbenchError with the valid ones."""
    from ecgbench.catalogue import table_path
    from ecgbench.ecg.reading import layout_of
    from ecgbench.ecg.sources.options import SourceOptions, SplitBy, Unknown
    from ecgbench.ecg.standardise import Window

    for option, value, valid in (
        ("unknown", unknown, get_args(Unknown)),
        ("split-by", split_by, get_args(SplitBy)),
        ("window", window, get_args(Window)),
    ):
        if value is not None and value not in valid:
            raise EcgbenchError(f"--{option} {value} is not known: write {', '.join(valid)}.")
    if labels:
        table_path(labels)  # a table that is not there ends here
    generated = source.partition(":")[0] == "synth98"
    if seed is not None and not generated and not 0 <= seed < 2**32:
        raise EcgbenchError(f"--seed {seed} is out of range: write a whole number from 0 to 4294967295.")
    order = words(leads or "")
    return SourceOptions(
        aliases=aliases,
        unknown=unknown,  # type: ignore[arg-type]
        labels=labels,
        split_by=split_by,  # type: ignore[arg-type]
        split_seed=0 if seed is None or generated else seed,
        window=window,  # type: ignore[arg-type]
        keep_ids=keep_ids,
        layout=layout_of(rate, unit, order),
    )
