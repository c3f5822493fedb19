"""Who the records belong to: repeat records of one patient, ages and sexes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ecgbench.ecg.sources.synth98.affinity import affinity
from ecgbench.ecg.sources.synth98.criteria import Criteria
from ecgbench.ecg.sources.synth98.prevalence import FLOOR, NORMAL, SPLITS

REPEATS = {1: 0.80, 2: 0.15, 3: 0.05}
"""How many records a patient has."""

LOOKED_THROUGH = 60
"""Among how many of the records that follow a further one of the same patient is looked for."""

HEALTHY_AGE, SICK_AGE, AGE_SPREAD = 50.0, 59.0, 14.0
YOUNGEST, OLDEST = 18, 95
MALE_ODDS = 0.54 / 0.46


@dataclass
class Admission:
    """One record before it has a number."""

    split: str
    findings: set[str] = field(default_factory=set)
    patient: int = -1
    age: float = 0.0
    sex: str = ""


def name_patients(admissions: Sequence[Admission], knowledge: Criteria, rng: np.random.Generator) -> None:
    """Give every record a patient, an age and a sex; a patient stays in one split and keeps every floor."""
    patient = 0
    for split in SPLITS:
        own = [a for a in admissions if a.split == split]
        own = [own[i] for i in rng.permutation(len(own))]
        patients_with = Counter(label for a in own for label in a.findings)
        for position, first in enumerate(own):
            if first.patient >= 0:
                continue
            group = [first]
            wanted = int(rng.choice(list(REPEATS), p=list(REPEATS.values())))
            for other in own[position + 1 : position + 1 + LOOKED_THROUGH]:
                if len(group) == wanted:
                    break
                if other.patient < 0 and _same_patient(group, other, knowledge, patients_with, split):
                    patients_with.subtract(set().union(*(a.findings for a in group)) & other.findings)
                    group.append(other)
            _describe(group, patient, rng)
            patient += 1


def _same_patient(
    group: list[Admission], other: Admission, knowledge: Criteria, patients_with: Counter[str], split: str
) -> bool:
    """Whether a record can be a further one of this patient: something shared, nothing contradictory, and no
    finding that would then have fewer patients than its floor."""
    so_far = set().union(*(a.findings for a in group))
    shared = so_far & other.findings
    if not shared or any(patients_with[label] <= FLOOR[split] for label in shared):
        return False
    pairs = (frozenset((a, b)) for a in so_far for b in other.findings if a != b)
    return not any(pair in knowledge.contradictions for pair in pairs)


def _describe(group: list[Admission], patient: int, rng: np.random.Generator) -> None:
    """One patient: the age of the first record, a year more for each later one, and a sex, as the findings suggest."""
    everything = set().union(*(a.findings for a in group))
    middle = HEALTHY_AGE if everything == {NORMAL} else SICK_AGE + affinity().years(everything)
    age = float(np.clip(np.rint(rng.normal(middle, AGE_SPREAD)), YOUNGEST, OLDEST))
    odds = MALE_ODDS * affinity().odds(everything)
    sex = "male" if rng.random() < odds / (1 + odds) else "female"
    for later, admission in enumerate(group):
        admission.patient, admission.sex, admission.age = patient, sex, age + later
