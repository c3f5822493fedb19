"""GRID.yaml -> cells. Every axis is a value or a list, and the grid is their product; `parts` are products of their own."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, StrictInt, StrictStr, ValidationError

from ecgbench.cards import Frozen, read_yaml
from ecgbench.errors import EcgbenchError, unknown_name
from ecgbench.pipeline.sweep.cells import AXES, Cell
from ecgbench.variations import parse_variation, variation_name

NEEDED = ("encoder", "text")
DEFAULTS: dict[str, Any] = {"data": "synth98", "recipe": "quick", "control": "none", "mapping": "paper", "seed": 0}
"""As those of `ecgbench run`."""

MOST_CELLS = 100_000

Words = StrictStr | list[StrictStr]


class Part(Frozen):
    """A product of axes. `options`: recipe field -> its values; a mapping that names the field itself sets several fields
    together, `{loss: siglip, logit_bias: -10}`."""

    data: Words | None = None
    encoder: Words | None = None
    text: Words | None = None
    recipe: Words | None = None
    language: StrictStr | list[StrictStr | None] | None = None
    control: Words | None = None
    mapping: Words | None = None
    prompts: StrictStr | list[StrictStr | None] | None = None
    epochs: StrictInt | list[StrictInt | None] | None = None
    tasks: StrictStr | list[StrictStr | list[StrictStr]] | None = None
    seed: StrictInt | list[StrictInt] | None = None
    options: dict[str, Any] = Field(default={})


class Exclusion(Part):
    """Cells that have one of the values on each of these axes are left out."""


class GridFile(Part):
    """GRID.yaml as it is written."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    summary: str = Field(min_length=1)
    parts: tuple[Part, ...] = ()
    exclude: tuple[Exclusion, ...] = ()
    text_path: dict[str, StrictStr] = Field(default={})
    text_pack: dict[str, StrictStr] = Field(default={})


@dataclass(frozen=True)
class Grid:
    """A grid with its cells, in order. `faults`: what is wrong with it already, told together with what else is found."""

    name: str
    summary: str
    path: Path
    cells: tuple[Cell, ...]
    faults: tuple[str, ...] = ()


def load_grid(path: Path, data: Sequence[str] = ()) -> Grid:
    """Read a grid; `data` takes the place of its own data. EcgbenchError where no cells can be made of it: unknown keys,
    values of another kind, axes that are missing. A value that stands there twice and an exclusion that excludes nothing are
    among its `faults`."""
    given = read_yaml(path)
    _refuse_unknown(path, given)
    try:
        file = GridFile.model_validate(given)
    except ValidationError as error:
        raise EcgbenchError(f"grid {path}: {_plain_problems(error)}") from None
    if data:
        parts = tuple(part.model_copy(update={"data": None}) for part in file.parts)
        file = file.model_copy(update={"data": list(data), "parts": parts})
    faults: list[str] = []
    cells = list(_cells(file, faults))
    kept = [cell for cell in cells if not any(_excluded(cell, each) for each in file.exclude)]
    for each in file.exclude:
        if not any(_excluded(cell, each) for cell in cells):
            shown = each.model_dump(exclude_unset=True)
            faults.append(f"exclude {shown} fits no cell: take it out, or mend its values.")
    for kind in ("text_path", "text_pack"):
        strange = sorted(set(getattr(file, kind)) - {cell.text for cell in cells})
        faults += [f"{kind} names '{name}', which is on no axis text: take it out, or mend it." for name in strange]
    if not kept and not faults:
        faults.append("it has no cells.")
    if not kept:
        refuse(path, faults)
    return Grid(file.name, file.summary, path, tuple(kept), tuple(faults))


def refuse(path: Path, faults: Iterable[str]) -> None:
    """EcgbenchError that lists all faults, one a line; nothing where there is none."""
    found = list(dict.fromkeys(faults))
    if len(found) == 1:
        raise EcgbenchError(f"grid {path}, nothing was run: {found[0]}")
    if found:
        lines = "".join(f"\n  - {fault}" for fault in found)
        raise EcgbenchError(f"grid {path}: {len(found)} things are wrong, and nothing was run:{lines}")


def _refuse_unknown(path: Path, given: Mapping[str, Any]) -> None:
    for where, mapping, known in [
        ("", given, GridFile.model_fields),
        *(("parts: ", part, Part.model_fields) for part in _mappings(given, "parts")),
        *(("exclude: ", part, Part.model_fields) for part in _mappings(given, "exclude")),
    ]:
        strange = next((str(key) for key in mapping if key not in known), None)
        if strange is not None:
            raise EcgbenchError(f"grid {path}: {where}{unknown_name('key', strange, known, 'docs/sweep.md')}")


def _mappings(given: Mapping[str, Any], key: str) -> Iterator[Mapping[str, Any]]:
    parts = given.get(key)
    yield from (part for part in (parts if isinstance(parts, list) else []) if isinstance(part, Mapping))


def _plain_problems(error: ValidationError) -> str:
    """pydantic's findings, each axis once and without the types that were tried for its value."""
    told: dict[str, str] = {}
    for item in error.errors():
        words = [str(part) for part in item["loc"]]
        words = words[: 3 if words[0] in ("parts", "exclude") else 1]
        kind = "a whole number" if words[-1] in ("seed", "epochs") else "a word"
        expected = f"write {kind}, or a list of them" if words[-1] in AXES else item["msg"]
        told.setdefault(".".join(words), f"{'.'.join(words)}: {expected}")
    return "; ".join(told.values())


def _cells(file: GridFile, faults: list[str]) -> Iterator[Cell]:
    """The cells of all parts, one after the other; a part has what it leaves out from the whole grid."""
    whole = {axis: getattr(file, axis) for axis in AXES}
    for number, part in enumerate(file.parts or (file,), 1):
        own = {axis: getattr(part, axis) for axis in AXES if getattr(part, axis) is not None}
        axes = {**DEFAULTS, **{axis: value for axis, value in whole.items() if value is not None}, **own}
        where = f"part {number}: " if file.parts else ""
        absent = [axis for axis in NEEDED if axes.get(axis) is None]
        if absent:
            faults += [f"{where}{axis} is missing: name one, or a list." for axis in absent]
            continue
        yield from _product(file, axes, {**file.options, **part.options}, where, faults)


def _product(
    file: GridFile, axes: dict[str, Any], options: dict[str, Any], where: str, faults: list[str]
) -> Iterator[Cell]:
    values = {axis: _values(axis, axes.get(axis)) for axis in AXES}
    settings = [_settings(field, _listed(given)) for field, given in options.items()]
    for name, each in [*values.items(), *zip(options, settings, strict=True)]:
        faults += [f"{where}{name}: {value} stands there twice, keep it once." for value in _taken_out_twice(each)]
    count = 1
    for each in [*values.values(), *settings]:
        count *= len(each)
    if not count or count > MOST_CELLS:
        empty = [name for name, each in [*values.items(), *zip(options, settings, strict=True)] if not each]
        wrong = f"{empty[0]} is an empty list" if empty else f"its {count} cells are more than {MOST_CELLS}"
        faults.append(f"{where}{wrong}.")
        return
    for chosen in itertools.product(*(values[axis] for axis in AXES[:4]), *settings, *(values[a] for a in AXES[4:])):
        fixed = dict(zip(AXES[:4], chosen[:4], strict=True))
        fixed |= zip(AXES[4:], chosen[4 + len(settings) :], strict=True)
        try:
            own = dict(zip(options, chosen[4 : 4 + len(settings)], strict=True))
            recipe = with_options(fixed["recipe"], own.values())
        except EcgbenchError as error:
            faults.append(str(error))
            continue
        paths = {"text_path": file.text_path.get(fixed["text"]), "text_pack": file.text_pack.get(fixed["text"])}
        yield Cell(**{**fixed, **paths, "recipe": recipe, "options": own})


def _taken_out_twice(values: list[Any]) -> list[Any]:
    """Take out what stands in a list a second time; these values."""
    kept: dict[str, Any] = {}
    twice = []
    for value in values:
        if repr(value) in kept:
            twice.append(value)
        kept.setdefault(repr(value), value)
    values[:] = kept.values()
    return twice


def _listed(given: Any) -> list[Any]:
    return list(given) if isinstance(given, list) else [given]


def _values(axis: str, given: Any) -> list[Any]:
    """An axis as a list. `tasks` are those of one run: only a list of lists is an axis."""
    if axis != "tasks" or given is None:
        return _listed(given)
    if isinstance(given, str):
        return [(given,)]
    if given and not any(isinstance(each, list) for each in given):
        return [tuple(given)]
    return [tuple(_listed(each)) for each in given]


def _settings(field: str, values: list[Any]) -> list[dict[str, Any]]:
    """What each value of an option sets."""
    return [value if isinstance(value, dict) and field in value else {field: value} for value in values]


def with_options(recipe: str, settings: Iterable[Mapping[str, Any]]) -> str:
    """A recipe's name with options put into it. EcgbenchError where a field is set twice."""
    own, named = parse_variation("recipe", recipe)
    together: dict[str, Any] = {}
    for each in settings:
        twice = sorted(set(each) & {*together, *named})
        if twice:
            raise EcgbenchError(f"recipe {recipe}: {twice[0]} is set twice, by options or by the name: set it once.")
        together.update(each)
    return variation_name(own, {**named, **together}) if together else recipe


def _excluded(cell: Cell, exclusion: Exclusion) -> bool:
    """Whether a cell has one of the values on every axis that is named."""
    for axis in exclusion.model_fields_set - {"options"}:
        wanted = _values(axis, getattr(exclusion, axis))
        own = getattr(cell, axis)
        if own not in wanted and not (axis == "recipe" and own.split("+")[0] in wanted):
            return False
    return all(
        any(each.items() <= cell.settings.items() for each in _settings(field, _listed(given)))
        for field, given in exclusion.options.items()
    )
