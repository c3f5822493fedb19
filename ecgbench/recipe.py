"""Recipes: every knob of a training run in one file, stated by the paper or assumed with a reason.

A recipe file (`baselines/NAME/recipe.yaml`) has two lists. `stated` holds what the paper says, with the section;
`assumed` holds what it does not say or what this recipe does otherwise, with the reason. Together they must name every
field of `Recipe` exactly once: there are no defaults in the code, so nothing that decides a number is out of sight.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, StrictInt, ValidationError

from ecgbench.cards import Frozen, Language, problems_of, read_yaml
from ecgbench.catalogue import card_folders
from ecgbench.errors import EcgbenchError, unknown_name
from ecgbench.files import hash_of


class Recipe(Frozen):
    """What a run does between the data and the scores. Every field is part of the run's identity."""

    objective: Literal["contrastive", "supervised"] = Field(
        description="supervised: one linear layer, BCE on the labels"
    )
    train_encoder: bool = Field(description="false: the encoder stays random, only the heads learn")
    loss: Literal["clip"]
    language: Language
    prompt_set: str
    prompt: Literal["joined", "one", "mean"] = Field(description="how several findings become one training vector")
    text_geometry: Literal["none", "center", "standardize"] = Field(
        description="what is done to the tower's vectors, fitted on the training prompts"
    )
    rate: StrictInt | None = Field(description="Hz fed to the encoder; null: the first rate of its card", gt=0)
    head_dim: StrictInt = Field(gt=0, description="the common dimension of both heads")
    head_bias: bool
    temperature: float = Field(gt=0)
    temperature_learned: bool
    temperature_floor: float = Field(gt=0)
    epochs: StrictInt = Field(ge=1)
    batch_size: StrictInt = Field(ge=2)
    drop_last: bool
    optimizer: Literal["adamw"]
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    weight_decay_excludes: Literal["bias, normalisation and temperature", "bias and layer normalisation"] = Field(
        description="the second is the Trainer's own choice: batch normalisation and temperature are decayed"
    )
    beta1: float = Field(ge=0, lt=1)
    beta2: float = Field(ge=0, lt=1)
    epsilon: float = Field(gt=0)
    schedule: Literal["linear", "cosine", "constant"]
    warmup_fraction: float = Field(ge=0, lt=1)
    gradient_clip: float = Field(gt=0)
    precision: Literal["fp32", "bf16"]
    memory_format: Literal["contiguous", "channels_last"]
    threads: StrictInt = Field(ge=1)
    checkpoint: Literal["last"]

    @property
    def hash(self) -> str:
        return hash_of(self.model_dump(mode="json"))


class Stated(Frozen):
    """A field whose value the paper gives."""

    field: str
    value: Any
    source: str = Field(min_length=1)


class Assumed(Frozen):
    """A field whose value is ours, and why."""

    field: str
    value: Any
    reason: str = Field(min_length=1)


class RecipeFile(Frozen):
    """A recipe with where each value comes from."""

    name: str
    version: StrictInt = Field(gt=0)
    summary: str
    stated: tuple[Stated, ...]
    assumed: tuple[Assumed, ...]

    def resolve(self) -> Recipe:
        """The recipe itself; a field named twice, unknown or left out is an error."""
        lines: list[Stated | Assumed] = [*self.stated, *self.assumed]
        names = [line.field for line in lines]
        twice = sorted({name for name in names if names.count(name) > 1})
        left_out = sorted(set(Recipe.model_fields) - set(names))
        if twice or left_out:
            raise EcgbenchError(
                f"recipe {self.name}: named twice: {', '.join(twice) or 'none'}; left out: {', '.join(left_out) or 'none'}."
            )
        return check_recipe(self.name, {line.field: line.value for line in lines})


def check_recipe(name: str, fields: dict[str, Any]) -> Recipe:
    """Validate recipe fields; an error names each offending field."""
    try:
        return Recipe.model_validate(fields)
    except ValidationError as error:
        raise EcgbenchError(f"recipe {name}: {problems_of(error)}") from None


def recipe_paths() -> dict[str, Path]:
    """Name -> recipe file, overlays last and winning."""
    found: dict[str, Path] = {}
    for folder in card_folders():
        for path in sorted(folder.glob("baselines/*/recipe.yaml")):
            found[path.parent.name] = path
    return dict(sorted(found.items()))


def load_recipe_file(name: str) -> RecipeFile:
    """The recipe file of that name."""
    paths = recipe_paths()
    if name not in paths:
        raise unknown_name("recipe", name, paths)
    path = paths[name]
    try:
        recipe = RecipeFile.model_validate(read_yaml(path))
    except ValidationError as error:
        raise EcgbenchError(f"recipe {path}: {problems_of(error)}") from None
    if recipe.name != path.parent.name:
        raise EcgbenchError(f"recipe {path}: name is '{recipe.name}', but its folder is '{path.parent.name}'.")
    return recipe


def load_recipe(name: str, **overrides: Any) -> Recipe:
    """The recipe of that name with some fields replaced (`--epochs`, `--lang`); they stay part of its identity."""
    fields = load_recipe_file(name).resolve().model_dump(mode="json")
    return check_recipe(name, {**fields, **{key: value for key, value in overrides.items() if value is not None}})
