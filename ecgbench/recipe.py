"""Recipes: every knob of a training run in one file, stated by the paper or assumed with a reason.

A recipe file (`baselines/NAME/recipe.yaml`) has two lists. `stated` holds what the paper says, with the section;
`assumed` holds what it does not say or what this recipe does otherwise, with the reason. Together they must name every
field of `Recipe` exactly once: there are no defaults in the files, so nothing that decides a number is out of sight.

A recipe may be asked for with some fields set otherwise, by name: `quick+loss=siglip+epochs=4`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, StrictInt, ValidationError, model_validator

from ecgbench.cards import Frozen, Language, problems_of
from ecgbench.catalogue import card_folders
from ecgbench.errors import EcgbenchError, unknown_name
from ecgbench.files import hash_of
from ecgbench.variations import parse_variation, variation_name
from ecgbench.yaml_files import read_yaml


class Augmentation(Frozen):
    """What is done to a training record's signal before the encoder's card normalises it, drawn anew each epoch, each up to
    the size given, in physical units; null: not done."""

    noise_uv: float | None = Field(default=None, gt=0, description="standard deviation of white noise, µV")
    wander_uv: float | None = Field(default=None, gt=0, description="amplitude of a slow sine, 0.05 to 0.5 Hz, µV")
    mains_uv: float | None = Field(default=None, gt=0, description="amplitude of a sine at mains_hz, µV")
    mains_hz: float = Field(default=50.0, gt=0, description="Hz")
    gain_percent: float | None = Field(default=None, gt=0, lt=100, description="of all leads together, up or down")
    shift_ms: float | None = Field(default=None, gt=0, description="in time, to either side")
    mask_ms: float | None = Field(
        default=None, gt=0, description="one stretch of all leads that counts as not recorded"
    )
    lead_dropout: float | None = Field(
        default=None, gt=0, lt=1, description="probability that a lead counts as missing"
    )


class Recipe(Frozen):
    """What a run does between the data and the scores. Every field is part of the run's identity; those with a default here
    came later, and at that value a run is what it was without them."""

    objective: Literal["contrastive", "supervised"] = Field(
        description="supervised: one linear layer, BCE on the labels"
    )
    train_encoder: bool = Field(description="false: the encoder stays random, only the heads learn")
    loss: Literal["clip", "siglip", "multi-positive", "soft-target"] = Field(
        description="clip and siglip as published; multi-positive: identical prompts in a batch count as positives; "
        "soft-target: pairs count by the overlap of their findings"
    )
    logit_bias: float | None = Field(default=None, description="siglip's, learned from this value on; null: none")
    augmentation: Augmentation | None = None
    sampling: Literal["uniform", "class-balanced"] = Field(
        default="uniform", description="class-balanced: records drawn by the mean of 1/count over their findings"
    )
    language: Language
    prompt_set: str
    prompt: Literal["joined", "one", "mean", "report"] = Field(
        description="how several findings become one training vector; report: the record's free-text report in their place"
    )
    text_geometry: Literal["none", "center", "standardize", "whiten"] = Field(
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
    compile: bool = Field(default=False, description="the encoder through torch.compile")
    tf32: bool = Field(default=False, description="TF32 in matrix products and convolutions on a GPU")
    deterministic: bool = Field(
        default=False, description="only algorithms that repeat themselves bit for bit, on a GPU too"
    )
    checkpoint: Literal["last", "best"] = Field(
        description="best: the epoch with the highest macro AUROC of the label prompts on the validation rows"
    )
    patience: StrictInt | None = Field(
        default=None, ge=1, description="epochs without a better validation value after which training stops"
    )

    @model_validator(mode="after")
    def _sound(self) -> Recipe:
        if (self.loss == "siglip") != (self.logit_bias is not None):
            raise ValueError("logit_bias belongs to the loss siglip, and siglip needs it (-10 as published)")
        return self

    @property
    def chooses(self) -> bool:
        """Whether the validation rows are asked after every epoch."""
        return self.checkpoint == "best" or self.patience is not None

    def identity(self) -> dict[str, Any]:
        """The fields that decide a number; one that came later is left out at the value at which it changes nothing."""
        later = {name: field for name, field in type(self).model_fields.items() if not field.is_required()}
        return {
            name: value
            for name, value in self.model_dump(mode="json").items()
            if name not in later or getattr(self, name) != later[name].default
        }

    @property
    def hash(self) -> str:
        return hash_of(self.identity())


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
    """The recipe of that name (`NAME`, or `NAME+field=value+…`) with some fields replaced (`--epochs`, `--lang`); they stay
    part of its identity."""
    return _varied(name, overrides)[0]


def recipe_name(name: str) -> str:
    """The canonical form of a recipe's name: of a varied one its settings in order, without those that change nothing."""
    return _varied(name, {})[1]


def _varied(name: str, overrides: dict[str, Any]) -> tuple[Recipe, str]:
    own, settings = parse_variation("--recipe", name)
    fields = load_recipe_file(own).resolve().model_dump(mode="json")
    unknown = sorted(set(settings) - set(fields))
    if unknown:
        raise unknown_name("recipe field", unknown[0], fields, f"ecgbench show {own}")
    varied = check_recipe(name, {**fields, **settings})
    wanted = {key: value for key, value in overrides.items() if value is not None}
    recipe = check_recipe(name, {**varied.model_dump(mode="json"), **wanted}) if wanted else varied
    changed = {key: value for key, value in settings.items() if varied.model_dump(mode="json")[key] != fields[key]}
    return recipe, variation_name(own, changed)
