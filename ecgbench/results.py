"""The result file: one a run, written whole, validated on every read. Nothing here imports torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ecgbench.cards import Language, Mapping, problems_of
from ecgbench.errors import EcgbenchError
from ecgbench.files import hash_of, write_text

RESULT_SCHEMA = 1
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
    metrics: dict[str, Metric]
    per_class: dict[str, ClassScore]


class TaskIdentity(Part):
    """What makes two numbers of one task comparable, apart from the data."""

    version: int
    card: str
    labels: str
    mapping: Mapping
    language: Language
    prompts: str


class EncoderPart(Part):
    name: str
    card: str
    source: str
    parameters: int
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

    schema_version: Literal[1] = Field(alias="schema")
    run_id: str = Field(pattern=r"^[0-9a-f]{16}$")
    status: Literal["ok", "failed"]
    reason: str | None = None
    identity: dict[str, Any]
    encoder: EncoderPart
    text: TextPart
    data: DataPart
    recipe: RecipePart
    seed: int
    control: Literal["none", "frozen-random", "supervised"]
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
        if self.status == "failed" and (not self.reason or self.tasks):
            raise ValueError("a failed run needs a reason and has no scores")
        if self.status == "ok" and not self.tasks:
            raise ValueError("a run that is ok needs scores")
        return self


def run_id_of(identity: dict[str, Any]) -> str:
    """The first 16 hex digits of the sha256 over what decides the numbers."""
    return hash_of(identity)[:16]


def result_text(result: Result) -> str:
    """A result as it stands in its file: sorted keys, two spaces, Japanese kept."""
    data = result.model_dump(mode="json", by_alias=True)
    return json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def write_result(path: Path, result: Result) -> None:
    """Write a result file, whole or not at all; what is written is what `read_result` accepts."""
    Result.model_validate(result.model_dump(by_alias=True))
    write_text(path, result_text(result))


def read_result(path: Path) -> Result:
    """Read and validate a result file; an older or newer schema is refused by name."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise EcgbenchError(f"no result file at {path}.") from None
    except (ValueError, OSError) as error:
        raise EcgbenchError(f"result file {path} is not readable as JSON: {error}.") from None
    schema = data.get("schema") if isinstance(data, dict) else None
    if schema != RESULT_SCHEMA:
        raise EcgbenchError(f"result file {path} has schema {schema!r}; this version reads schema {RESULT_SCHEMA}.")
    try:
        return Result.model_validate(data)
    except ValidationError as error:
        raise EcgbenchError(f"result file {path}: {problems_of(error)}") from None


def result_schema() -> str:
    """The JSON schema of a result file, as committed in `docs/result.schema.json`."""
    return json.dumps(Result.model_json_schema(by_alias=True), indent=2, sort_keys=True) + "\n"
