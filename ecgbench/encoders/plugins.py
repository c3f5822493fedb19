"""Encoders from outside this package's folders: classes that were registered in this process, and the cards of
installed packages. Nothing here imports torch, or a package that announces encoders."""

from __future__ import annotations

import ast
import inspect
import linecache
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from ecgbench.cards import EncoderCard, problems_of
from ecgbench.errors import EcgbenchError

GROUP = "ecgbench.encoders"
"""The entry point group of installed packages. An entry point's value is a package, whose folder holds cards."""
MARK = "@"
"""What the `entry_point` of a registered class's card begins with."""

T = TypeVar("T", bound=type)


@dataclass(frozen=True)
class Registered:
    """A class, its card, and the text that its identity is made of."""

    card: EncoderCard
    target: type
    source: str


_REGISTERED: dict[str, Registered] = {}


def encoder(*, name: str, dim: int, input: dict[str, Any], **fields: Any) -> Callable[[T], T]:
    """Register the class below it as an encoder of this process: `ecgbench.run(encoder=name, ...)`.

    The keywords are a card's fields: `input` as on a card; `params`, `summary`, `licence`, `reference` and `notes` may be
    left out. The class is identified by the card's fields and its own source text, so a run of a changed class is another run.
    Registering a name again replaces the class. EcgbenchError for a field that no card takes, for the name of an
    encoder that has a card file, and for a class whose source cannot be read.
    """

    def register(target: T) -> T:
        if not isinstance(target, type):
            raise EcgbenchError(f"@ecgbench.encoder(name='{name}') stands above a class, not {type(target).__name__}.")
        card = _card_of(target, {"name": name, "dim": dim, "input": input, **fields})
        _refuse_taken(name)
        _REGISTERED[name] = Registered(card, target, _source_of(target))
        return target

    return register


def registered_cards() -> dict[str, EncoderCard]:
    """Name -> card of the classes registered in this process."""
    return {name: each.card for name, each in sorted(_REGISTERED.items())}


def registered(card: EncoderCard) -> Registered:
    """What stands behind the card of a registered class."""
    found = _REGISTERED.get(card.name)
    if found is None or found.card.entry_point != card.entry_point:
        raise EcgbenchError(f"encoder '{card.name}' is not registered: run the cell with its @ecgbench.encoder again.")
    return found


def _card_of(target: type, fields: dict[str, Any]) -> EncoderCard:
    called = f"@ecgbench.encoder(name='{fields['name']}')"
    given = {"summary": _first_line(target), "licence": None, "reference": None, **fields}
    strange = sorted({"entry_point", "path"} & set(fields))
    if strange:
        raise EcgbenchError(f"{called}: {strange[0]}: leave it out, it is the class itself.")
    entry_point = f"{MARK}{fields['name']}:{target.__name__}"
    try:
        return EncoderCard.model_validate({**given, "entry_point": entry_point, "path": Path(called)})
    except ValidationError as error:
        raise EcgbenchError(f"{called}: {problems_of(error)}") from None


def _first_line(target: type) -> str:
    return (inspect.cleandoc(target.__doc__ or "").splitlines() or [""])[0]


def _refuse_taken(name: str) -> None:
    from ecgbench.catalogue import card_paths

    path = card_paths(EncoderCard).get(name)
    if path is not None:
        raise EcgbenchError(f"@ecgbench.encoder(name='{name}'): {path} is an encoder of that name: choose another.")


def _source_of(target: type) -> str:
    """The text of a class and of its decorators but `encoder`.

    Found by the code of its methods, which knows the cell that it comes from; `inspect.getsource` looks for a class in
    the file of its module, and a notebook has none.
    """
    for code, namespace in _methods(target):
        lines = linecache.getlines(code.co_filename, namespace)
        node = _class_around(lines, target.__name__, code.co_firstlineno)
        if node is not None:
            return _text(lines, node)
    raise EcgbenchError(
        f"the source of class {target.__name__} cannot be read, and a run is identified by it: write the class, with a "
        "method of its own, in a notebook's cell or a file."
    )


def _methods(target: type) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Code and globals of each function in the class's own body."""
    for each in vars(target).values():
        function = inspect.unwrap(getattr(each, "__func__", None) or getattr(each, "fget", None) or each)
        if inspect.isfunction(function):
            yield function.__code__, function.__globals__


def _class_around(lines: list[str], name: str, line: int) -> ast.ClassDef | None:
    """The innermost class of that name whose body holds the line."""
    try:
        tree = ast.parse("".join(lines))
    except SyntaxError:
        return None
    found = [each for each in ast.walk(tree) if isinstance(each, ast.ClassDef) and each.name == name]
    holding = [each for each in found if each.lineno <= line <= (each.end_lineno or 0)]
    return max(holding, key=lambda each: each.lineno, default=None)


def _text(lines: list[str], node: ast.ClassDef) -> str:
    def is_encoder(decorator: ast.expr) -> bool:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        return ast.unparse(called).rpartition(".")[2] == "encoder"

    parts: list[ast.expr | ast.ClassDef] = [each for each in node.decorator_list if not is_encoder(each)]
    text = "".join(line for part in [*parts, node] for line in lines[part.lineno - 1 : part.end_lineno])
    return textwrap.dedent(text).rstrip() + "\n"


@dataclass(frozen=True)
class BrokenPlugin:
    """An entry point, or a card of its folder, that cannot be used."""

    name: str
    path: Path
    reason: str


def packaged_cards(taken: frozenset[str]) -> tuple[dict[str, Path], list[BrokenPlugin]]:
    """Name -> file of the cards of installed packages, and those that cannot be used. `taken`: names of the cards that
    came with ecgbench, which no package may replace."""
    found: dict[str, Path] = {}
    folders, broken = _folders(tuple(sys.path))
    broken = [*broken]
    for package, folder in folders:
        for path in sorted(folder.glob("*.yaml")):
            if path.stem in taken or path.stem in found:
                other = found.get(path.stem, "ecgbench itself")
                reason = f"{package} brings an encoder '{path.stem}', and {other} has that name: uninstall one of them."
                broken.append(BrokenPlugin(path.stem, path, reason))
            else:
                found[path.stem] = path
    return found, broken


@cache
def _folders(search_path: tuple[str, ...]) -> tuple[list[tuple[str, Path]], list[BrokenPlugin]]:
    """The card folders that installed packages announce, in the order of their packages' names. Looked up once, as
    long as `sys.path` (given only for that) stays what it is."""
    folders: list[tuple[str, Path]] = []
    broken: list[BrokenPlugin] = []
    for point in sorted(entry_points(group=GROUP), key=lambda each: (_package(each), each.name)):
        found = _folder(point)
        if isinstance(found, Path):
            folders.append((_package(point), found))
        else:
            where = Path(str(point.dist.locate_file(""))) if point.dist else Path(point.value)
            whose = f"package {_package(point)}, entry point {point.name} = {point.value} of {GROUP}"
            broken.append(BrokenPlugin(point.name, where, f"{whose}: {found}: mend or uninstall the package."))
    return folders, broken


def _package(point: EntryPoint) -> str:
    return str(point.dist.name) if point.dist else point.name


def _folder(point: EntryPoint) -> Path | str:
    """The folder that an entry point names, or what is wrong with it."""
    from ecgbench.entry_points import module_places

    if not all(part.isidentifier() for part in point.value.split(".")):
        return "a package whose folder holds card files is wanted, written with dots and no colon"
    folders = [place for place in module_places(point.value) if place.is_dir()]
    if not folders:
        return f"there is no folder of a package '{point.value}'"
    holding = [folder for folder in folders if any(folder.glob("*.yaml"))]
    return holding[0] if holding else f"there is no card (*.yaml) in {folders[0]}"
