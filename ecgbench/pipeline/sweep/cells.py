"""A cell: one `ecgbench run`, in words that a command line and `make_request` both understand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ecgbench.variations import parse_variation, variation_name

AXES = ("data", "encoder", "text", "recipe", "language", "control", "mapping", "prompts", "epochs", "tasks", "seed")
"""What a cell may differ in, in the order in which a grid is gone through: the last moves fastest."""

OPTIONS = {"language": "lang"}
"""Axes whose option of `run` has another name."""


@dataclass(frozen=True)
class Cell:
    """One run. None: as `run` does without that option. `recipe` holds the recipe options of the grid already, as
    `NAME+field=value`; `options` are these by themselves: option -> the recipe fields that it sets."""

    data: str
    encoder: str
    text: str
    recipe: str
    language: str | None = None
    control: str = "none"
    mapping: str = "paper"
    prompts: str | None = None
    epochs: int | None = None
    tasks: tuple[str, ...] | None = None
    seed: int = 0
    text_path: str | None = None
    text_pack: str | None = None
    options: dict[str, dict[str, Any]] = field(default_factory=dict, compare=False, hash=False)

    @property
    def settings(self) -> dict[str, Any]:
        """All recipe fields that options set, for `exclude` and for the cell's name."""
        return {name: value for each in self.options.values() for name, value in each.items()}

    def keywords(self) -> dict[str, Any]:
        """For `make_request`."""
        paths = {name: Path(given) if (given := getattr(self, name)) else None for name in ("text_path", "text_pack")}
        return {axis: getattr(self, axis) for axis in AXES} | paths

    def arguments(self) -> list[str]:
        """For `ecgbench run`, what is left to its defaults left out."""
        words: list[str] = []
        for name in (*AXES, "text_path", "text_pack"):
            value = getattr(self, name)
            if value is not None:
                option = OPTIONS.get(name, name).replace("_", "-")
                words += [f"--{option}", said(value)]
        return words


def said(value: Any) -> str:
    """A value of an axis as it is typed."""
    return ",".join(value) if isinstance(value, tuple) else str(value)


def names_of(cells: Sequence[Cell]) -> list[str]:
    """A short name for each cell: its values on the axes and recipe options in which the cells differ, on the chief axes
    where they differ in none."""
    axes = [axis for axis in AXES if len({getattr(cell, axis) for cell in cells}) > 1] or ["encoder", "text", "seed"]
    fields = sorted({field for cell in cells for field in cell.settings})
    told = [field for field in fields if len({str(cell.settings.get(field)) for cell in cells}) > 1]
    if "recipe" in axes and told:  # what of the recipe's name is the same in all cells is not said
        axes.remove("recipe")
        if len({cell.recipe.split("+")[0] for cell in cells}) > 1:
            return [_name(cell, [*axes, "recipe"], []) for cell in cells]
    return [_name(cell, axes, told) for cell in cells]


NO_CHOICES = ("data", "tasks", "seed")
"""Axes that ask for more of the same."""


def choices_of(cell: Cell) -> dict[str, str]:
    """What was chosen for a cell: axis, or option of the recipe -> its value in words."""
    chosen = {axis: said_on(axis, getattr(cell, axis)) for axis in AXES if axis not in NO_CHOICES}
    own, named = parse_variation("recipe", cell.recipe)
    settings = cell.settings
    chosen["recipe"] = variation_name(own, {name: value for name, value in named.items() if name not in settings})
    for option, fields in cell.options.items():
        others = [f"{name}={value}" for name, value in fields.items() if name != option]
        chosen[option] = ", ".join([str(fields[option]), *others])
    return chosen


def said_on(axis: str, value: Any) -> str:
    """A value of an axis in words; None is what a run does without that option."""
    return f"usual {axis}" if value is None else said(value)


def _name(cell: Cell, axes: Sequence[str], fields: Sequence[str]) -> str:
    """Numbers, and what a cell leaves to its defaults, do not speak for themselves."""
    words = []
    for axis in sorted(axes, key=AXES.index):
        value = getattr(cell, axis)
        words.append(f"{axis} {value}" if axis in ("seed", "epochs") and value is not None else said_on(axis, value))
    options = [f"{field}={cell.settings[field]}" for field in fields if field in cell.settings]
    return " · ".join([*words[:-1], *options, *words[-1:]])
