"""What each finding means, read from `criteria.yaml`, and which findings contradict each other."""

from __future__ import annotations

from functools import cached_property, lru_cache
from itertools import combinations
from pathlib import Path
from typing import Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ecgbench.cards import problems_of, read_yaml
from ecgbench.errors import EcgbenchError

Rhythm = Literal[
    "sinus", "atrial-fibrillation", "flutter", "supraventricular-tachycardia", "indeterminate",
    "sinoatrial-block", "wenckebach", "mobitz", "complete-block", "paced", "ventricular",
    "ventricular-tachycardia",
]  # fmt: skip
QrsShape = Literal[
    "normal", "ivcd", "lbbb", "rbbb", "incomplete-rbbb", "rsr", "lafb", "lpfb", "rvh", "biventricular",
    "s1s2s3", "paced", "ventricular-left", "ventricular-right",
]  # fmt: skip
IndependentLead = Literal["I", "II", "V1", "V2", "V3", "V4", "V5", "V6"]
Lead = Literal["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"]
LIMB = frozenset({"I", "II", "III", "aVL", "aVF"})
"""Leads that move together: a change of one shows in the others."""

Bounds = tuple[float | None, float | None]


class Part(BaseModel):
    """A part of the file: no unknown keys, no change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Table = TypeVar("Table", bound=Part)


class Ectopy(Part):
    """Premature beats. `count`: single beats, couplets, runs or pairs in 10 s."""

    origin: Literal["atrial", "ventricular"]
    pattern: Literal["single", "couplet", "bigeminy", "trigeminy", "run"]
    count: Bounds


class Infarction(Part):
    """Q wave, ST and T (mV, ms) in the leading leads of one of the territories."""

    territory: tuple[str, ...] = Field(min_length=1)
    q_mv: Bounds | None = None
    q_ms: Bounds | None = None
    st_mv: Bounds | None = None
    t_mv: Bounds | None = None


class Repolarisation(Part):
    """ST and T (mV) in the leading leads of a lead group."""

    leads: str
    st_mv: Bounds | None = None
    t_mv: Bounds | None = None


class Ranges(Part):
    """Ranges of the quantities that the head of `criteria.yaml` defines; None: nothing is said about it."""

    rhythm: tuple[Rhythm, ...] | None = None
    qrs_shape: tuple[QrsShape, ...] | None = None
    rate_bpm: Bounds | None = None
    rr_variation: Bounds | None = None
    pr_ms: Bounds | None = None
    qrs_ms: Bounds | None = None
    qtc_ms: Bounds | None = None
    axis_deg: Bounds | None = None
    transition: Bounds | None = None
    sokolow_mv: Bounds | None = None
    katz_mv: Bounds | None = None
    limb_mv: Bounds | None = None
    chest_mv: Bounds | None = None
    r_v1_mv: Bounds | None = None
    r_v3_mv: Bounds | None = None
    s123_mv: Bounds | None = None
    p_ms: Bounds | None = None
    p_ii_mv: Bounds | None = None
    p_v1_terminal_mv: Bounds | None = None
    ectopy: Ectopy | None = None
    infarction: Infarction | None = None
    repolarisation: Repolarisation | None = None


class LeadWaves(Part):
    """Waves of one lead of the median beat, mV and ms; depths of Q and S are positive."""

    q_mv: Bounds | None = None
    q_ms: Bounds | None = None
    r_mv: Bounds | None = None
    s_mv: Bounds | None = None
    s_ms: Bounds | None = None
    r2_mv: Bounds | None = None
    net_mv: Bounds | None = None
    st_mv: Bounds | None = None
    t_mv: Bounds | None = None


class Criterion(Ranges):
    """What an analyser has to measure; with what only a criterion speaks of."""

    rr_irregularity: Bounds | None = None
    rr_irregularity_all: Bounds | None = None
    longest_rr: Bounds | None = None
    p_per_beat: Bounds | None = None
    p_per_qrs: Bounds | None = None
    pr_spread_ms: Bounds | None = None
    pr_growth_ms: Bounds | None = None
    p_shapes: Bounds | None = None
    r2_over_r_v1_mv: Bounds | None = None
    v_rate_bpm: Bounds | None = None
    atrial_rate_bpm: Bounds | None = None
    atrial_regularity: Bounds | None = None
    spikes_per_beat: Bounds | None = None
    leads: dict[Lead, LeadWaves] = {}
    not_shape: tuple[QrsShape, ...] = ()


class Sign(Part):
    """What a rhythm or a QRS shape means in measured quantities: one of the alternatives holds."""

    any_of: tuple[Criterion, ...] = Field(min_length=1)
    source: tuple[str, ...] = Field(min_length=1)


CHOICES = ("rhythm", "qrs_shape")
NUMBERS = tuple(
    name for name in Ranges.model_fields if name not in (*CHOICES, "ectopy", "infarction", "repolarisation")
)


class Label(Part):
    """One finding; the head of `criteria.yaml` says what each field means."""

    says: str
    criterion: Criterion
    draw: Ranges
    source: tuple[str, ...] = Field(min_length=1)
    one_of: tuple[str, ...] = ()
    not_with: tuple[str, ...] = ()
    only_with: tuple[str, ...] | None = None
    implies: tuple[str, ...] = ()
    with_one_of: dict[str, float] = {}

    @model_validator(mode="after")
    def _draws_what_it_means(self) -> Self:
        for name in NUMBERS:
            criterion, draw = getattr(self.criterion, name), getattr(self.draw, name)
            if draw is None:
                continue
            if None in draw or draw[0] > draw[1]:
                raise ValueError(f"draw.{name} must be two rising numbers")
            if criterion is not None and common([criterion, draw]) != draw:
                raise ValueError(f"draw.{name} leaves the criterion")
        for part in ("infarction", "repolarisation"):
            criterion, draw = getattr(self.criterion, part), getattr(self.draw, part)
            for name in ("q_mv", "q_ms", "st_mv", "t_mv"):
                bounds, drawn = getattr(criterion, name, None), getattr(draw, name, None)
                if bounds is not None and drawn is not None and common([bounds, drawn]) != drawn:
                    raise ValueError(f"draw.{part}.{name} leaves the criterion")
        return self


class LimbPattern(Part):
    """How I and II move together until `lead` has the wanted value."""

    lead: Literal["I", "III", "aVL", "aVF"]
    I: float  # noqa: E741 - the lead's name
    II: float


class Territory(Part):
    """The shares of a regional change by lead, and where it is measured."""

    measured_in: tuple[Lead, ...] = Field(min_length=1)
    limb: LimbPattern | None
    chest: dict[IndependentLead, float]
    reciprocal: dict[IndependentLead, float]


class LeadGroup(Part):
    """The shares of a change of ST and T by lead, and where it is measured."""

    measured_in: tuple[Lead, ...] = Field(min_length=1)
    shares: dict[IndependentLead, float]


class People(Part):
    """Shifts of a patient's place within the range of a quantity (a share of the range) by sex and age."""

    female: dict[str, float]
    male: dict[str, float]
    ten_years: dict[str, float]
    source: tuple[str, ...] = Field(min_length=1)

    def shift(self, name: str, age: float | None, sex: str | None) -> float:
        """The shift of one quantity; nothing is known of a patient without age or sex."""
        by_sex = {"female": self.female, "male": self.male}.get(sex or "", {}).get(name, 0.0)
        return by_sex + (0.0 if age is None else self.ten_years.get(name, 0.0) * (age - 55) / 10)


class Criteria(Part):
    """The whole of `criteria.yaml`."""

    sources: dict[str, str]
    defaults: Ranges
    people: People
    territories: dict[str, Territory]
    lead_groups: dict[str, LeadGroup]
    rhythms: dict[Rhythm, Sign]
    qrs_shapes: dict[QrsShape, Sign]
    groups: dict[str, tuple[str, ...]]
    labels: dict[str, Label]

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        for name, label in self.labels.items():
            others = {*label.not_with, *(label.only_with or ()), *label.implies, *label.with_one_of}
            unknown = (others - set(self.labels)) | (set(label.source) - set(self.sources))
            for ranges in (label.criterion, label.draw):
                if ranges.infarction:
                    unknown |= set(ranges.infarction.territory) - set(self.territories)
                if ranges.repolarisation:
                    unknown |= {ranges.repolarisation.leads} - set(self.lead_groups)
            unknown |= set(label.criterion.rhythm or ()) - set(self.rhythms)
            unknown |= set(label.criterion.qrs_shape or ()) - set(self.qrs_shapes)
            if unknown:
                raise ValueError(f"{name} names what is not in the file: {', '.join(sorted(unknown))}")
        grouped = [name for names in self.groups.values() for name in names]
        if sorted(grouped) != sorted(self.labels):
            raise ValueError("groups must hold every label once")
        return self

    @cached_property
    def contradictions(self) -> frozenset[frozenset[str]]:
        """Every pair of findings that may not stand in one record, implied findings included."""
        direct = {frozenset(pair) for pair in combinations(self.labels, 2) if self._contradict(pair[0], pair[1])}
        found = set(direct)
        for first, second in combinations(self.labels, 2):
            reached = ({first, *self.labels[first].implies}, {second, *self.labels[second].implies})
            if any(frozenset((a, b)) in direct for a in reached[0] for b in reached[1]):
                found.add(frozenset((first, second)))
        return frozenset(found)

    def _contradict(self, first: str, second: str) -> bool:
        a, b = self.labels[first], self.labels[second]
        if second in a.implies or first in b.implies:
            return False
        if second in a.not_with or first in b.not_with:
            return True
        if set(a.one_of) & set(b.one_of) or not can_agree(a, b) or self._regions_clash(a, b):
            return True
        barred = (a.only_with is not None and second not in a.only_with) or (
            b.only_with is not None and first not in b.only_with
        )
        return barred

    def _regions_clash(self, a: Label, b: Label) -> bool:
        """Whether one finding draws a Q wave, ST or T of leads that they share outside the other's criterion."""
        for one, other in ((a, b), (b, a)):
            for leads, draw in self._regions(one.draw):
                for judged_in, criterion in self._regions(other.criterion):
                    shared = set(leads) & set(judged_in)
                    if 2 * len(shared) < min(len(leads), len(judged_in)) and not shared & LIMB:
                        continue
                    for name in ("q_mv", "q_ms", "st_mv", "t_mv"):
                        drawn, bounds = getattr(draw, name, None), getattr(criterion, name, None)
                        if drawn is not None and bounds is not None and common([drawn, bounds]) != drawn:
                            return True
        return False

    def _regions(self, ranges: Ranges) -> list[tuple[tuple[str, ...], Infarction | Repolarisation]]:
        """The leads in which the regional changes of a finding are measured, with their ranges."""
        found: list[tuple[tuple[str, ...], Infarction | Repolarisation]] = []
        if ranges.infarction:
            found += [(self.territories[name].measured_in, ranges.infarction) for name in ranges.infarction.territory]
        if ranges.repolarisation:
            found.append((self.lead_groups[ranges.repolarisation.leads].measured_in, ranges.repolarisation))
        return found


def common(bounds: list[Bounds]) -> Bounds | None:
    """The intersection of ranges (None is open), or None where it is empty or a single point."""
    lows = [low for low, _ in bounds if low is not None]
    highs = [high for _, high in bounds if high is not None]
    low, high = max(lows, default=None), min(highs, default=None)
    if low is not None and high is not None and low >= high:
        return None
    return (low, high)


def allowed(label: Label, name: str) -> tuple[str, ...] | None:
    """What a finding leaves open of `rhythm` or `qrs_shape`: its draw where it has one, or its criterion."""
    return getattr(label.draw, name) or getattr(label.criterion, name)


def can_agree(a: Label, b: Label) -> bool:
    """Whether some rhythm, QRS shape and value of every quantity suits both findings."""
    for name in CHOICES:
        ours, theirs = allowed(a, name), allowed(b, name)
        if ours is not None and theirs is not None and not set(ours) & set(theirs):
            return False
    for name in NUMBERS:
        criteria = [bounds for bounds in (getattr(a.criterion, name), getattr(b.criterion, name)) if bounds]
        if len(criteria) == 2 and common(criteria) is None:
            return False
        for one, other in ((a, b), (b, a)):
            draw, bounds = getattr(one.draw, name), getattr(other.criterion, name)
            if draw and bounds and common([draw, bounds]) is None and not _yields(one, other, name):
                return False
    return True


def _yields(one: Label, other: Label, name: str) -> bool:
    """Where a broad finding draws outside a narrow one's criterion, the narrow one's draw must suit both."""
    draw, bounds = getattr(other.draw, name), getattr(one.criterion, name)
    return draw is not None and (bounds is None or common([draw, bounds]) == draw)


def own_table(name: str, kind: type[Table]) -> Table:
    """A file that lies beside this module, validated. EcgbenchError, with the file's path, where it does not hold."""
    path = Path(__file__).with_name(name)
    try:
        return kind.model_validate(read_yaml(path))
    except ValidationError as error:
        raise EcgbenchError(f"{path}: {problems_of(error)}.") from None


@lru_cache
def criteria() -> Criteria:
    """The criteria that belong to this package, validated."""
    return own_table("criteria.yaml", Criteria)
