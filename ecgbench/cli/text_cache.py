"""`ecgbench text cache`: which towers' vectors are kept, and what of them may go."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ecgbench.cli.run import Terminal
from ecgbench.cli.tables import table
from ecgbench.errors import EcgbenchError

if TYPE_CHECKING:
    from ecgbench.text.cache_care import CachedTower

EPILOG = (
    "Examples: ecgbench text cache · ecgbench text cache --prune · ecgbench text cache --prune --older 90 · "
    "ecgbench text cache --prune --tower medllama3-jp --yes"
)
HASH_SHOWN = 12
DAY = 86400


def cache(
    tower: Annotated[str | None, typer.Option(metavar="NAME", help="This text tower alone.")] = None,
    prune: Annotated[
        bool,
        typer.Option(
            "--prune",
            help="Tidy up: damaged and unfinished files go, small files are joined. No vector goes without --older, --tower or "
            "--all.",
        ),
    ] = False,
    older: Annotated[
        float | None, typer.Option(metavar="DAYS", help="With --prune: vectors that no run used for so long.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="With --prune: all vectors.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="With --prune: remove the vectors; else it is only said which ones would go.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """List the vectors that are kept, tower by tower, and remove what is no longer wanted."""
    _check(tower, prune, older, every, yes)
    terminal = Terminal()
    from ecgbench.text.cache_care import survey

    with terminal.stage("Reading the cache") as progress:
        towers = survey(progress)
    if tower is not None:
        known = sorted({each.name for each in towers})
        towers = [each for each in towers if each.name == tower]
        if not towers:
            raise EcgbenchError(
                f"the cache has no vectors of '{tower}': there are {', '.join(known) or 'none at all'}."
            )
    told: dict[str, Any] = {"folder": _folder(), "towers": [facts(each) for each in towers]}
    if prune:
        chosen = every or older is not None or tower is not None
        told["pruned"] = _prune(towers, older if chosen else None, chosen, yes)
    if as_json:
        typer.echo(json.dumps(told, ensure_ascii=False, indent=2))
    else:
        typer.echo(pruned_text(told["pruned"]) if prune else listing(told))


def _check(tower: str | None, prune: bool, older: float | None, every: bool, yes: bool) -> None:
    if not prune and (older is not None or every or yes):
        given = "--older" if older is not None else "--all" if every else "--yes"
        raise EcgbenchError(f"{given} was given without --prune: add --prune, or leave it out.")
    if every and (tower is not None or older is not None):
        raise EcgbenchError("--all takes everything: leave out --tower and --older, or leave out --all.")
    if yes and not (every or tower is not None or older is not None):
        raise EcgbenchError("--yes was given, but no vectors to remove: add --older DAYS, --tower NAME or --all.")
    if older is not None and not 0 <= older < float("inf"):
        raise EcgbenchError(f"--older {older:g} is no number of days: write 0 or more.")


def _folder() -> str:
    from ecgbench.files import cache_folder

    return str(cache_folder("text"))


def facts(tower: CachedTower) -> dict[str, Any]:
    """What is known of a tower's vectors, as JSON."""
    return {
        "tower": tower.name,
        "weights": tower.weights,
        "used_by": used_by(tower),
        "prompts": tower.prompts,
        "dim": tower.dim,
        "files": len(tower.files),
        "bytes": tower.size,
        "last_used": None if tower.used is None else time.strftime("%Y-%m-%d", time.localtime(tower.used)),
        "damaged": [path.name for path, _ in tower.damaged],
        "folder": tower.folder.name,
    }


def used_by(tower: CachedTower) -> str:
    """Which command line finds the vectors."""
    from ecgbench.cards import TextCard
    from ecgbench.catalogue import load_card
    from ecgbench.text.cache import VectorCache
    from ecgbench.text.imported import imported_weights
    from ecgbench.text.weights import weights_here, weights_identity

    weights = tower.weights
    try:
        card = load_card(TextCard, tower.name)
        if VectorCache(card, weights).folder != tower.folder:
            return "none: its card says otherwise now"
        if weights_identity(card, None) == weights:
            imported = weights == imported_weights(card) and weights_here(card) != weights
            return "--text, imported" if imported else "--text"
    except EcgbenchError:  # no such card, or a package that is not installed
        return "none: no such tower here"
    return "--text-path" if str(weights).startswith("files:") else "none: --text means other weights"


def listing(told: dict[str, Any]) -> str:
    rows = [
        [
            each["tower"], short(each["weights"]), each["used_by"], f"{each['prompts']:,}", each["files"],
            f"{each['bytes'] / 1e6:.1f}", each["last_used"], len(each["damaged"]),
        ]
        for each in told["towers"]
    ]  # fmt: skip
    if not rows:
        return f"{told['folder']} holds no vectors."
    total = sum(each["bytes"] for each in told["towers"]) / 1e6
    headers = ["tower", "weights", "used by", "prompts", "files", "MB", "last used", "damaged"]
    hint = "\n`ecgbench text cache --prune` removes the damaged files." if any(row[-1] for row in rows) else ""
    return f"{table(headers, rows, right=(3, 4, 5, 7))}\n\n{total:.1f} MB in {told['folder']}{hint}"


def short(weights: str | None) -> str | None:
    """A commit or a hash by its first letters."""
    if weights is None:
        return None
    for mark in ("@", "files:"):
        head, found, tail = weights.rpartition(mark)
        if found and len(tail) in (40, 64):
            return f"{head}{mark}{tail[:HASH_SHOWN]}"
    return weights


def _prune(towers: list[CachedTower], older: float | None, chosen: bool, yes: bool) -> dict[str, Any]:
    """Tidy up, and with `yes` remove what was chosen; where vectors were chosen without `yes`, nothing is touched. What was
    done or would be done, as JSON."""
    from ecgbench.text.cache_care import join_small, remove, survey, unfinished_files
    from ecgbench.text.imported import forget_imports

    before = time.time() - older * DAY if older is not None else float("inf")
    going = [(tower, [each for each in tower.files if each.state.st_mtime < before]) for tower in towers if chosen]
    told = {"vectors": [_going(tower, files) for tower, files in going if files], "removed": yes}
    if chosen and not yes:
        return told
    files_removed = sum(remove([(each.path, each.state) for each in files]) for _, files in going)
    damaged = remove([each for tower in towers for each in tower.damaged])
    unfinished = remove(unfinished_files())
    joined = [join_small(tower.folder) for tower in towers if tower.folder.is_dir()]
    return told | {
        "files_removed": files_removed,
        "damaged": damaged,
        "unfinished": unfinished,
        "joined": [sum(pair[0] for pair in joined), sum(pair[1] for pair in joined)],
        "forgotten_imports": forget_imports({str(tower.weights) for tower in survey()}),
    }


def _going(tower: CachedTower, files: list[Any]) -> dict[str, Any]:
    """What goes of a tower, and whether its model is here to make it again."""
    from ecgbench.cards import TextCard
    from ecgbench.catalogue import load_card
    from ecgbench.text.weights import weights_here

    try:
        again = tower.weights is None or weights_here(load_card(TextCard, tower.name)) == tower.weights
    except EcgbenchError:
        again = False
    return {
        "tower": tower.name,
        "weights": tower.weights,
        "prompts": len({key for each in files for key in each.keys}),
        "bytes": sum(each.state.st_size for each in files),
        "model_is_here": again,
    }


def pruned_text(pruned: dict[str, Any]) -> str:
    """What was removed, or would be."""
    parts = []
    if pruned["vectors"]:
        rows = [
            [each["tower"], short(each["weights"]), f"{each['prompts']:,}", f"{each['bytes'] / 1e6:.1f}",
             "yes" if each["model_is_here"] else "no: cannot be embedded again here"]
            for each in pruned["vectors"]
        ]  # fmt: skip
        shown = table(["tower", "weights", "prompts", "MB", "model is here"], rows, right=(2, 3))
        said = (
            "Removed:"
            if pruned["removed"]
            else "Nothing was removed. The same command with --yes removes these vectors:"
        )
        parts.append(f"{said}\n\n{shown}")
    else:
        parts.append("No vectors to remove." if "damaged" not in pruned else "No vectors were removed.")
    if "damaged" in pruned:
        before, after = pruned["joined"]
        lines = [
            f"Removed {pruned['damaged']} damaged and {pruned['unfinished']} unfinished files; joined {before} small files to "
            f"{after}."
        ]
        for each in pruned["forgotten_imports"]:
            lines.append(f"Forgot the import of vectors made by {short(each)}: they are gone.")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)
