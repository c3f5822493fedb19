"""The result file: one a run, written whole, validated on every read. Nothing here imports torch."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ecgbench.cards import Language, Mapping, problems_of
from ecgbench.errors import EcgbenchError
from ecgbench.files import canonical_json, hash_of, write_text

RESULT_SCHEMA = 2
PROTOCOL_VERSION = 1
"""Raised when a change to this package alters the numbers of an unchanged run."""


class Part(BaseModel):
    """A part of a result: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Metric(Part):
    """A number with its 95 % interval, the level of guessing, and the best any ranking could reach. `null` where
    the test set cannot say."""

    value: float | None
    ci: tuple[float, float] | None
    chance: float | None = None
    ceiling: float | None = None


class ClassScore(Part):
    """One class: `n` label instances, `positives` records. `null` where the test set cannot say."""

    n: int
    positives: int
    top1: float | None = None
    top1_ci: tuple[float, float] | None = None
    top5: float | None = None
    top5_ci: tuple[float, float] | None = None
    accuracy: float | None = None
    accuracy_ci: tuple[float, float] | None = None
    auroc: float | None = None
    auroc_ci: tuple[float, float] | None = None
    auprc: float | None = None
    auprc_ci: tuple[float, float] | None = None
    f1: float | None = None
    f1_ci: tuple[float, float] | None = None
    threshold: float | None = Field(
        default=None, description="a record is called positive from this score on; chosen on the validation records"
    )


class Calibration(Part):
    """The temperature of `ece` and the number of validation records that it was fitted on."""

    temperature: float
    n_validation: int


class PieceScore(Part):
    """Some of a task's test records, or of its findings. `n_classes`: the classes that are asked for in it."""

    n_records: int
    n_patients: int
    n_instances: int
    n_classes: int
    n_present: int
    metrics: dict[str, Metric]


class TaskScore(Part):
    """What a model reached on the test rows of one task."""

    version: int
    n_records: int
    n_instances: int
    n_patients: int
    n_excluded: int
    n_present: int
    absent: list[str]
    few: list[str] = Field(description="classes with fewer than 10 positive test records")
    no_threshold: list[str] | None = Field(
        default=None, description="classes without a positive validation record; null where the task has no F1"
    )
    metrics: dict[str, Metric]
    per_class: dict[str, ClassScore]
    calibration: Calibration | None = None
    confusion: list[list[float]] | None = Field(
        default=None,
        description="label instances by true class (row) and best class (column), in the order of the task card",
    )
    groups: dict[str, dict[str, PieceScore]] = Field(
        default={}, description="attribute (sex, age_band, site) -> its value -> the records of it"
    )
    parts: dict[str, PieceScore] | None = Field(
        default=None, description="seen and unseen findings on the same records, of a task that holds some out"
    )


class TaskIdentity(Part):
    """What makes two numbers of one task comparable, apart from the data."""

    version: int
    card: str
    labels: str
    mapping: Mapping
    language: Language
    prompts: str


class EncoderPart(Part):
    """Of a submission the name is a claim, card and source are null, and parameters null where they are not claimed."""

    name: str
    card: str | None
    source: str | None
    parameters: int | None = Field(ge=0)
    licence: str | None


class TextPart(Part):
    name: str
    identity: dict[str, Any]
    control: bool
    licence: str | None


class SplitCount(Part):
    records: int
    patients: int


class DataPart(Part):
    """The store a run read. `damaged` and `duplicates` are records of the source that did not enter it."""

    name: str
    version: int
    data_hash: str
    splits_hash: str
    splits: dict[str, SplitCount]
    damaged: list[dict[str, str]]
    duplicates: list[dict[str, str]]
    clipped_records: int
    resampled_records: int
    public: bool
    licence: str | None


class TrainedOn(Part):
    """The run whose model was asked, where that was trained on other data, or asked otherwise."""

    run_id: str = Field(pattern=r"^[0-9a-f]{16}$")
    data: str
    version: int
    data_hash: str


class Submitted(Part):
    """What somebody who ran no run here says of a system. All of it is their claim but `sha256`: task -> hash over what
    was submitted, scores or bootstrap values."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    evidence: Literal["scores", "bootstrap values"]
    sha256: dict[str, str]
    trained_on: str = Field(min_length=1)
    reference: str | None = None


class RecipePart(Part):
    name: str
    hash: str
    fields: dict[str, Any]


class References(Part):
    """The controls that need no run of their own."""

    chance: dict[str, dict[str, float]]
    majority: dict[str, TaskScore]
    untrained: dict[str, TaskScore]


class Provenance(Part):
    """Where a number came from; no part of its identity."""

    version: str
    git_commit: str | None
    git_dirty: bool | None
    python: str
    platform: str
    processor: str
    device: str
    packages: dict[str, str]
    seconds: dict[str, float]
    finished: str


class Result(Part):
    """A run's result. `run_id` is the hash of `identity`, which holds all that decides the numbers."""

    schema_version: Literal[2] = Field(alias="schema")
    run_id: str = Field(pattern=r"^[0-9a-f]{16}$")
    status: Literal["ok", "failed"]
    reason: str | None = None
    identity: dict[str, Any]
    encoder: EncoderPart
    text: TextPart
    data: DataPart
    recipe: RecipePart
    seed: int | None
    control: Literal["none", "frozen-random", "supervised"]
    trained_on: TrainedOn | None = None
    submitted: Submitted | None = None
    comparable: dict[str, TaskIdentity]
    tasks: dict[str, TaskScore] = {}
    references: References | None = None
    settings: dict[str, Any] = {}
    provenance: Provenance

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, populate_by_name=True)

    @model_validator(mode="after")
    def _sound(self) -> Result:
        if self.run_id != run_id_of(self.identity):
            raise ValueError("run_id is not the hash of identity: the file was edited")
        for field, told, decided in self._told_twice():
            if canonical_json(told) != canonical_json(decided):
                raise ValueError(f"{field} and identity differ: the file was edited")
        if self.status == "failed" and (not self.reason or self.tasks):
            raise ValueError("a failed run needs a reason and has no scores")
        if self.status == "ok" and not self.tasks:
            raise ValueError("a run that is ok needs scores")
        made = (self.seed, self.encoder.card, self.encoder.source, self.encoder.parameters)
        if self.submitted is None and None in made:
            raise ValueError("a run needs a seed, and the card, source and parameters of its encoder")
        return self

    def _told_twice(self) -> list[tuple[str, Any, Any]]:
        """The fields that follow from `identity`: name, value, and what identity makes it."""
        identity = self.identity
        encoder, text, recipe = (_fields(identity.get(name)) for name in ("encoder", "text", "recipe"))
        return [
            ("seed", self.seed, identity.get("seed")),
            ("encoder.card", self.encoder.card, encoder.get("card")),
            ("encoder.source", self.encoder.source, encoder.get("source")),
            ("text.identity", self.text.identity, text),
            ("text.name", self.text.name, text.get("name")),
            ("data.data_hash", self.data.data_hash, identity.get("data_hash")),
            ("data.splits_hash", self.data.splits_hash, identity.get("splits_hash")),
            ("recipe.fields", self.recipe.fields, recipe),
            ("recipe.hash", self.recipe.hash, hash_of(recipe)),
            ("control", self.control, control_of(recipe)),
            ("trained_on", self.trained_on and self.trained_on.model_dump(mode="json"), identity.get("trained_on")),
            (
                "comparable",
                {task: each.model_dump(mode="json") for task, each in self.comparable.items()},
                identity.get("tasks"),
            ),
            ('settings["prompts_hash"]', self.settings.get("prompts_hash"), identity.get("prompts")),
            ("submitted", self.submitted and self.submitted.model_dump(mode="json"), identity.get("submitted")),
            *self._claimed_twice(encoder, text),
        ]

    def _claimed_twice(self, encoder: dict[str, Any], text: dict[str, Any]) -> list[tuple[str, Any, Any]]:
        """Of a submission every claim decides its identity, so that none can be changed afterwards."""
        if self.submitted is None:
            return []
        return [
            ("encoder", self.encoder.model_dump(mode="json"), encoder),
            ("text.licence", self.text.licence, text.get("licence")),
        ]


def control_of(recipe: dict[str, Any]) -> Literal["none", "frozen-random", "supervised"]:
    """Which control a run with these recipe fields is: `objective` says supervised, `train_encoder` false says
    frozen-random, all others are none."""
    if recipe.get("objective") == "supervised":
        return "supervised"
    return "frozen-random" if recipe.get("train_encoder") is False else "none"


def _fields(part: Any) -> dict[str, Any]:
    return part if isinstance(part, dict) else {}


def run_id_of(identity: dict[str, Any]) -> str:
    """The first 16 hex digits of the sha256 over what decides the numbers."""
    return hash_of(identity)[:16]


def result_text(result: Result) -> str:
    """A result as it stands in its file: sorted keys, two spaces, Japanese kept. Only a submission names `submitted`."""
    data = result.model_dump(mode="json", by_alias=True, exclude=None if result.submitted else {"submitted"})
    return json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def write_result(path: Path, result: Result) -> None:
    """Write a result file, whole or not at all; what is written is what `read_result` accepts."""
    Result.model_validate(result.model_dump(by_alias=True))
    write_text(path, result_text(result))


def read_result(path: Path) -> Result:
    """Read and validate a result file; an older schema is migrated, a newer one refused by name."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise EcgbenchError(f"no result file at {path}.") from None
    except (ValueError, OSError) as error:
        raise EcgbenchError(f"result file {path} is not readable as JSON: {error}.") from None
    schema = data.get("schema") if isinstance(data, dict) else None
    if schema in MIGRATIONS:
        data = MIGRATIONS[schema](data)
    elif schema != RESULT_SCHEMA:
        known = ", ".join(map(str, [*MIGRATIONS, RESULT_SCHEMA]))
        raise EcgbenchError(f"result file {path} has schema {schema!r}; this version reads schema {known}.")
    try:
        return Result.model_validate(data)
    except ValidationError as error:
        raise EcgbenchError(f"result file {path}: {problems_of(error)}") from None


def _from_schema_1(data: dict[str, Any]) -> dict[str, Any]:
    """Schema 2 added what may be left out: the data a model was trained on, and more numbers a task."""
    return {**data, "schema": 2}


MIGRATIONS: dict[Any, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _from_schema_1}
"""Older schema -> a function that makes the current one of it."""


def result_schema() -> str:
    """The JSON schema of a result file, as committed in `docs/result.schema.json`."""
    return json.dumps(Result.model_json_schema(by_alias=True), indent=2, sort_keys=True) + "\n"
