"""`module:attribute` or `file.py:attribute` of a card -> the object, and the hash of the source it stands in."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

from ecgbench.cards import Card
from ecgbench.encoders.plugins import MARK, registered
from ecgbench.errors import EcgbenchError
from ecgbench.files import hash_of


def load_entry_point(card: Card, entry_point: str) -> Any:
    """Import what a card's `entry_point` names. A `file.py` is looked for beside the card, then in its overlay folder
    (the folder that holds `registry/`). Each thing that can be wrong is one sentence that names card and field."""
    where, _, attribute = entry_point.partition(":")
    if where.startswith(MARK):
        return registered(card).target
    module = _import_file(card, where) if where.endswith(".py") else _import_module(card, where)
    target: Any = module
    for part in attribute.split("."):
        if not hasattr(target, part):
            raise EcgbenchError(f"{card.KIND} card {card.path}: entry_point: '{where}' has no '{attribute}'.")
        target = getattr(target, part)
    return target


def source_hash(card: Card, entry_point: str) -> str:
    """sha256 over the source text of the entry point's file; for a module of this package or an installed one, of that
    module's file. Line endings do not count. Modules that this file imports are not looked at."""
    where, _, _ = entry_point.partition(":")
    if where.startswith(MARK):
        return hash_of(registered(card).source)
    if where.endswith(".py"):
        return hash_of(_file_of(card, where).read_text(encoding="utf-8"))
    files = [
        file
        for place in module_places(where)
        for file in (place / "__init__.py", place.with_suffix(".py"), place)
        if file.is_file()
    ]
    if not files:
        raise EcgbenchError(f"{card.KIND} card {card.path}: entry_point: there is no module '{where}'.")
    return hash_of(files[0].read_text(encoding="utf-8"))


def module_places(dotted: str) -> list[Path]:
    """Where the folder of a package would lie, or the file of a module without its `.py`; of a top-level module its file.
    Nothing is imported, no package above it either."""
    top, *below = dotted.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except Exception:  # a package's own finder may raise anything
        spec = None
    if spec is None:
        return []
    if spec.submodule_search_locations is None:
        return [Path(spec.origin)] if spec.origin and not below else []
    return [Path(folder, *below) for folder in spec.submodule_search_locations]


def _file_of(card: Card, where: str) -> Path:
    if card.path is None:
        raise EcgbenchError(f"{card.KIND} card {card.name}: entry_point: '{where}' needs a card read from a file.")
    folders = [card.path.parent, *card.path.parents[1:3]]
    for folder in folders:
        if (folder / where).is_file():
            return folder / where
    looked = " or ".join(str(folder) for folder in folders)
    raise EcgbenchError(f"{card.KIND} card {card.path}: entry_point: there is no '{where}' in {looked}.")


def _import_file(card: Card, where: str) -> Any:
    path = _file_of(card, where)
    name = f"ecgbench_overlay_{path.stem}_{hash_of(str(path.resolve()))[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise EcgbenchError(f"{card.KIND} card {card.path}: entry_point: '{path}' is no Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise EcgbenchError(
            f"{card.KIND} card {card.path}: entry_point: '{path}' does not import: {type(error).__name__}: {error}"
        ) from error
    return module


def _import_module(card: Card, where: str) -> Any:
    try:
        return importlib.import_module(where)
    except Exception as error:
        raise EcgbenchError(
            f"{card.KIND} card {card.path}: entry_point: '{where}' does not import: {type(error).__name__}: {error}"
        ) from error
