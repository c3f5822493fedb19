"""Who has what: patients, splits and findings of every record, without any signal.

The wanted number of records with a finding follows the paper's test counts (`n_test` of the label table) and
never falls below the floor, split by split. Findings are then dealt to records so that no record holds a
contradiction; repeat records of one patient share a finding and contradict each other in nothing.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from ecgbench.ecg.sources.synth98.criteria import Criteria
from ecgbench.errors import EcgbenchError
from ecgbench.findings import LabelBank

SPLITS = ("train", "validation", "test")
SHARES = (0.7, 0.1, 0.2)
FLOOR = {"train": 3, "validation": 1, "test": 2}
"""Patients with a finding, at least, by split."""

NORMAL = "normal"
MOST_NORMAL = 0.148
FINDINGS_PER_RECORD = {1: 0.30, 2: 0.40, 3: 0.22, 4: 0.08}
"""How many findings a record that is not normal is meant to hold."""

REPEATS = {1: 0.80, 2: 0.15, 3: 0.05}
"""How many records a patient has."""


@dataclass
class Admission:
    """One record before it has a number."""

    split: str
    room: int
    findings: set[str] = field(default_factory=set)
    patient: int = -1
    age: float = 0.0
    sex: str = ""


def admit(bank: LabelBank, knowledge: Criteria, records: int, rng: np.random.Generator) -> list[Admission]:
    """Every record of a hospital of about `records` records, in random order, patients numbered from 0."""
    differing = sorted(set(bank.ids) ^ set(knowledge.labels))
    if differing:
        raise EcgbenchError(
            f"label table {bank.table} and synth98's criteria differ in {', '.join(differing[:5])}: "
            "use the label table labels98.csv."
        )
    wanted = wanted_records(bank, records)
    admissions: list[Admission] = []
    for split in ("validation", "test", "train"):
        ward = _Ward(split, knowledge, {label: counts[split] for label, counts in wanted.items()}, rng)
        admissions += ward.admissions
        if split != "train":
            admissions += ward.normals(wanted[NORMAL][split])
    admissions += ward.normals(records - len(admissions))
    _name_patients(admissions, knowledge, rng)
    order = rng.permutation(len(admissions))
    return [admissions[i] for i in order]


def wanted_records(bank: LabelBank, records: int) -> dict[str, dict[str, int]]:
    """finding -> split -> number of records that should carry it."""
    paper = {label: int(cell) for label, cell in bank.column("n_test").items()}
    least = sum(FLOOR.values())
    normal = round(records * min(MOST_NORMAL, paper[NORMAL] / (sum(paper.values()) / 2)))
    mean = sum(count * share for count, share in FINDINGS_PER_RECORD.items())
    instances = 0.95 * mean * (records - normal)
    others = np.array([count for label, count in paper.items() if label != NORMAL], dtype=float)
    low, high = 0.0, instances / others.sum()
    for _ in range(50):
        scale = (low + high) / 2
        low, high = (scale, high) if np.maximum(least, others * scale).sum() < instances else (low, scale)
    totals = {label: max(least, round(count * scale)) for label, count in paper.items()}
    totals[NORMAL] = normal
    return {label: _by_split(total) for label, total in totals.items()}


def _by_split(total: int) -> dict[str, int]:
    validation = max(FLOOR["validation"], round(total * SHARES[1]))
    test = max(FLOOR["test"], round(total * SHARES[2]))
    return {"train": max(FLOOR["train"], total - validation - test), "validation": validation, "test": test}


class _Ward:
    """The records of one split, being filled."""

    def __init__(self, split: str, knowledge: Criteria, wanted: dict[str, int], rng: np.random.Generator) -> None:
        self.split, self.knowledge, self.rng = split, knowledge, rng
        self.labels = list(knowledge.labels)
        self.column = {label: i for i, label in enumerate(self.labels)}
        self.clash = np.zeros((len(self.labels), len(self.labels)), dtype=bool)
        for pair in knowledge.contradictions:
            a, b = (self.column[label] for label in pair)
            self.clash[a, b] = self.clash[b, a] = True
        self.left = Counter(wanted)
        del self.left[NORMAL]
        sick = round(sum(self.left.values()) / (0.95 * sum(n * p for n, p in FINDINGS_PER_RECORD.items())))
        rooms = rng.choice(list(FINDINGS_PER_RECORD), size=sick, p=list(FINDINGS_PER_RECORD.values()))
        self.admissions = [Admission(split, int(room)) for room in rooms]
        self.barred = np.zeros((sick, len(self.labels)), dtype=bool)
        self._first_findings()
        self._further_findings()

    def normals(self, count: int) -> list[Admission]:
        """That many normal records of this split."""
        return [Admission(self.split, 1, {NORMAL}) for _ in range(count)]

    def _first_findings(self) -> None:
        """One finding for every record; first those that bring others along or stand nearly alone."""
        bound = [name for name in self.left if self._is_bound(name)]
        next_record = 0
        for name in bound:
            for _ in range(self.left[name]):
                self._add(next_record, name)
                next_record += 1
        pool = [name for name, count in self.left.items() if name not in bound for _ in range(max(0, count))]
        self.rng.shuffle(pool)
        for record in range(next_record, len(self.admissions)):
            self._add(record, pool.pop())

    def _is_bound(self, name: str) -> bool:
        label = self.knowledge.labels[name]
        return bool(label.implies or label.with_one_of or label.only_with is not None)

    def _further_findings(self) -> None:
        """The rest, rarest first, to random records that have room and hold nothing against it."""
        for name, count in sorted(self.left.items(), key=lambda item: (item[1], item[0])):
            if count <= 0:
                continue
            open_to = ~self.barred[:, self.column[name]]
            room = np.array([len(a.findings) < a.room for a in self.admissions])
            chosen = self._some(np.flatnonzero(open_to & room), count)
            if len(chosen) < count:
                chosen += self._some(np.flatnonzero(open_to & ~room), count - len(chosen))
            for record in chosen:
                self._add(record, name)

    def _some(self, candidates: np.ndarray, count: int) -> list[int]:
        taken = self.rng.permutation(candidates)[:count]
        return [int(record) for record in taken]

    def _add(self, record: int, name: str) -> None:
        """Add a finding and everything it brings along."""
        findings = self.admissions[record].findings
        if name in findings:
            return
        findings.add(name)
        self.left[name] -= 1
        self.barred[record] |= self.clash[self.column[name]]
        self.barred[record, self.column[name]] = True
        label = self.knowledge.labels[name]
        for implied in label.implies:
            self._add(record, implied)
        choices = label.with_one_of
        if choices and not findings & set(choices):
            fitting = [other for other in choices if not self.barred[record, self.column[other]]]
            weights = np.array([choices[other] for other in fitting])
            self._add(record, fitting[int(self.rng.choice(len(fitting), p=weights / weights.sum()))])


def _name_patients(admissions: list[Admission], knowledge: Criteria, rng: np.random.Generator) -> None:
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
            for other in own[position + 1 : position + 61]:
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
    healthy = all(a.findings == {NORMAL} for a in group)
    age = float(np.clip(np.rint(rng.normal(52 if healthy else 63, 15)), 18, 95))
    sex = "male" if rng.random() < 0.54 else "female"
    for later, admission in enumerate(group):
        admission.patient, admission.sex = patient, sex
        admission.age = age + later
