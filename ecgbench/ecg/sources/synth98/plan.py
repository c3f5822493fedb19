"""The numbers of one record: drawn from the ranges of its findings, from the defaults where none speaks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ecgbench.ecg.sources.synth98.criteria import (
    NUMBERS,
    Bounds,
    Criteria,
    Label,
    allowed,
    common,
)

AS_THE_PATIENT = 0.12
"""Spread of a repeat record about its patient's own place within a range (the range is 1)."""


@dataclass(frozen=True)
class Premature:
    """Premature beats: `count` single ones, couplets, runs or pairs."""

    origin: str
    pattern: str
    count: int


@dataclass(frozen=True)
class Regional:
    """Wanted values in the leading leads of a territory or lead group; None: left as it is."""

    region: str
    q_mv: float | None = None
    q_ms: float | None = None
    st_mv: float | None = None
    t_mv: float | None = None


@dataclass(frozen=True)
class Plan:
    """What rhythm and beat shapes are built from. `numbers` go by the names of `criteria.yaml`."""

    rhythm: str
    qrs_shape: str
    numbers: dict[str, float]
    premature: tuple[Premature, ...]
    infarctions: tuple[Regional, ...]
    repolarisations: tuple[Regional, ...]

    def __getitem__(self, name: str) -> float:
        return self.numbers[name]


def make_plan(
    findings: tuple[str, ...],
    knowledge: Criteria,
    patient: np.random.Generator,
    record: np.random.Generator,
    *,
    age: float | None = None,
    sex: str | None = None,
) -> Plan:
    """Draw a plan. `patient` gives the place within every range that the patient keeps between records."""
    labels = [knowledge.labels[name] for name in findings]
    numbers: dict[str, float] = {}
    own = patient.beta(2.2, 2.2, size=len(NUMBERS))
    own += [knowledge.people.shift(name, age, sex) for name in NUMBERS]
    places = np.abs(own + record.normal(0.0, AS_THE_PATIENT, size=len(NUMBERS)))
    for name, place in zip(NUMBERS, np.clip(np.minimum(places, 2.0 - places), 0.0, 1.0).tolist(), strict=True):
        bounds = range_of(name, labels, getattr(knowledge.defaults, name))
        if bounds is not None:
            numbers[name] = bounds[0] + place * (bounds[1] - bounds[0])
    rhythm = _choose("rhythm", labels, knowledge, record)
    return Plan(
        rhythm=rhythm,
        qrs_shape=_choose("qrs_shape", labels, knowledge, record),
        numbers=numbers,
        premature=tuple(_premature(label, record) for label in labels if label.draw.ectopy),
        infarctions=tuple(_infarction(label, record) for label in labels if label.draw.infarction),
        repolarisations=tuple(_repolarisation(label, record) for label in labels if label.draw.repolarisation),
    )


def range_of(name: str, labels: list[Label], default: Bounds | None) -> tuple[float, float] | None:
    """Where to draw a quantity from: the common part of the draws; a finding that draws outside another's
    criterion yields to it; the default (cut to the criteria) where nobody draws; None where nothing is said.
    """
    draws = [bounds for label in labels if (bounds := getattr(label.draw, name)) is not None]
    criteria = [bounds for label in labels if (bounds := getattr(label.criterion, name)) is not None]
    if default is None and not draws:
        return None
    candidates = [default]
    if draws or criteria:  # neither for most quantities of most records: a third of a plan's time is spared
        inside = [draw for draw in draws if common([draw, *criteria]) is not None]
        candidates = [common(inside)] if inside else []
        candidates += [common([draw, *criteria]) for draw in inside]
        if default is not None:
            candidates.append(common([default, *criteria]))
    for bounds in candidates:
        if bounds is not None and bounds[0] is not None and bounds[1] is not None:
            return (bounds[0], bounds[1])
    raise ValueError(f"no value of {name} suits the findings: criteria.yaml lets contradictions through")


def _choose(name: str, labels: list[Label], knowledge: Criteria, rng: np.random.Generator) -> str:
    """The rhythm or QRS shape that all findings allow; the default one where they allow it."""
    options: tuple[str, ...] | None = None
    for label in labels:
        own = allowed(label, name)
        if own is not None:
            options = own if options is None else tuple(option for option in options if option in own)
    default = getattr(knowledge.defaults, name)
    if options is None or set(default) & set(options):
        return str(default[0])
    if not options:
        raise ValueError(f"no {name} suits the findings: criteria.yaml lets contradictions through")
    return str(options[int(rng.integers(len(options)))])


def _draw(bounds: Bounds | None, rng: np.random.Generator) -> float | None:
    if bounds is None or bounds[0] is None or bounds[1] is None:
        return None
    return float(rng.uniform(bounds[0], bounds[1]))


def _premature(label: Label, rng: np.random.Generator) -> Premature:
    ectopy = label.draw.ectopy
    assert ectopy is not None and ectopy.count[0] is not None and ectopy.count[1] is not None
    count = int(rng.integers(int(ectopy.count[0]), int(ectopy.count[1]) + 1))
    return Premature(ectopy.origin, ectopy.pattern, count)


def _infarction(label: Label, rng: np.random.Generator) -> Regional:
    part = label.draw.infarction
    assert part is not None
    region = part.territory[int(rng.integers(len(part.territory)))]
    return Regional(region, *(_draw(bounds, rng) for bounds in (part.q_mv, part.q_ms, part.st_mv, part.t_mv)))


def _repolarisation(label: Label, rng: np.random.Generator) -> Regional:
    part = label.draw.repolarisation
    assert part is not None
    return Regional(part.leads, st_mv=_draw(part.st_mv, rng), t_mv=_draw(part.t_mv, rng))
