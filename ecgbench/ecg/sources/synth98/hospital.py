"""Who has what: split and findings of every record, without any signal.

`prevalence` says how many records should carry a finding. Every record is dealt a first finding; the others go to
records by chance, weighted by how well a finding keeps company with those already there (`affinity.yaml`). No record
holds a contradiction, and what a finding implies comes with it.
"""

from __future__ import annotations

import numpy as np

from ecgbench.ecg.sources.synth98.affinity import affinity
from ecgbench.ecg.sources.synth98.criteria import CHOICES, Criteria, allowed
from ecgbench.ecg.sources.synth98.patients import Admission, name_patients
from ecgbench.ecg.sources.synth98.prevalence import (
    FINDINGS_A_SICK_RECORD,
    FLOOR,
    NORMAL,
    ROOMS,
    SPLITS,
    Wanted,
    balanced,
    by_prevalence,
)
from ecgbench.ecg.sources.synth98.request import SIZES, Request
from ecgbench.errors import EcgbenchError
from ecgbench.findings import LabelBank

ROUNDS = 8
"""In how many rounds the further findings are dealt."""


def admit(bank: LabelBank, knowledge: Criteria, request: Request, rng: np.random.Generator) -> list[Admission]:
    """Every record of the hospital that is asked for, in random order, patients numbered from 0."""
    differing = sorted(set(bank.ids) ^ set(knowledge.labels))
    if differing:
        raise EcgbenchError(
            f"label table {bank.table} and synth98's criteria differ in {', '.join(differing[:5])}: "
            "use the label table labels98.csv."
        )
    records, wanted = SIZES[request.size], by_prevalence(bank, SIZES[request.size])
    if request.balanced is not None:
        wanted = balanced(bank, request.balanced, request.labels)
    admissions: list[Admission] = []
    for split in ("validation", "test", "train"):
        admissions += _Ward(
            split, knowledge, {finding: counts[split] for finding, counts in wanted.items()}, rng
        ).deal()
        fills_up = split == "train" and request.balanced is None
        normals = records - len(admissions) if fills_up else wanted[NORMAL][split]
        admissions += [Admission(split, {NORMAL}) for _ in range(normals)]
    name_patients(admissions, knowledge, rng)
    _check_floors(admissions, wanted)
    order = rng.permutation(len(admissions))
    return [admissions[i] for i in order]


def _check_floors(admissions: list[Admission], wanted: Wanted) -> None:
    patients: dict[tuple[str, str], set[int]] = {}
    for admission in admissions:
        for finding in admission.findings:
            patients.setdefault((finding, admission.split), set()).add(admission.patient)
    for finding, counts in wanted.items():
        for split in SPLITS:
            there = len(patients.get((finding, split), ()))
            if counts[split] and there < FLOOR[split]:
                raise EcgbenchError(
                    f"synth98 found {there} patients with {finding} for the {split} split, which needs {FLOOR[split]}: "
                    "take another seed."
                )


class _Ward:
    """The records of one split that are not normal.

    Arrays have a row a record and a column a finding. `barred`: what a record cannot take (any more). `liking`: the
    weight of each finding there. `free`: how many findings more a record has room for.
    """

    def __init__(self, split: str, knowledge: Criteria, wanted: dict[str, int], rng: np.random.Generator) -> None:
        self.split, self.knowledge, self.rng = split, knowledge, rng
        self.labels = list(knowledge.labels)
        self.column = {label: i for i, label in enumerate(self.labels)}
        self.clash = np.zeros((len(self.labels), len(self.labels)), dtype=bool)
        for pair in knowledge.contradictions:
            a, b = (self.column[label] for label in pair)
            self.clash[a, b] = self.clash[b, a] = True
        self.weights = affinity().matrix(self.labels)
        self.left = np.array([0 if label == NORMAL else wanted[label] for label in self.labels])
        self.findings: list[set[str]] = []
        most = int(self.left.sum())  # each record takes one of these at least
        self.barred = np.zeros((most, len(self.labels)), dtype=bool)
        self.liking = np.ones((most, len(self.labels)), dtype=np.float32)
        self.free = np.zeros(most, dtype=np.int64)

    def deal(self) -> list[Admission]:
        """All wanted findings, dealt."""
        self._first_findings()
        self._further_findings()
        self._leftovers()
        return [Admission(self.split, findings) for findings in self.findings]

    def _first_findings(self) -> None:
        """One finding for every record; first those that bring others along or stand nearly alone."""
        records = round(int(self.left.sum()) / FINDINGS_A_SICK_RECORD)
        for name in self.labels:
            label = self.knowledge.labels[name]
            if label.implies or label.with_one_of or label.only_with is not None:
                while self.left[self.column[name]] > 0:
                    self._open(name)
        pool = np.repeat(np.arange(len(self.labels)), np.maximum(self.left, 0))
        for column in self.rng.permutation(pool)[: max(0, records - len(self.findings))]:
            self._open(self.labels[column])

    def _further_findings(self) -> None:
        """The rest, in rounds so that no finding has only the room that others left: each to records that have room and
        hold nothing against it, drawn by weight."""
        for rounds_left in range(ROUNDS, 0, -1):
            for column in self.rng.permutation(len(self.labels)):
                count = -(-self.left[column] // rounds_left)
                takers = np.flatnonzero((self.free > 0) & ~self.barred[:, column])
                # The largest of log weight + Gumbel noise are a sample by weight without replacement (Vieira 2014).
                keys = np.log(self.liking[takers, column]) + self.rng.gumbel(size=len(takers))
                for record in takers[np.argsort(-keys)[: max(0, count)]]:
                    self._add(int(record), self.labels[column])

    def _leftovers(self) -> None:
        """What found no place, rarest first: to records that are full but hold nothing against it, else to new ones."""
        for column in np.argsort(self.left, kind="stable"):
            if self.left[column] > 0:
                takers = np.flatnonzero(~self.barred[: len(self.findings), column])
                for record in self.rng.permutation(takers)[: self.left[column]]:
                    self._add(int(record), self.labels[column])
            while self.left[column] > 0:
                self._open(self.labels[column])

    def _open(self, name: str) -> None:
        """A new record with this finding."""
        self.findings.append(set())
        self.free[len(self.findings) - 1] = self.rng.choice(list(ROOMS), p=list(ROOMS.values()))
        self._add(len(self.findings) - 1, name)

    def _add(self, record: int, name: str) -> None:
        """Add a finding and everything it brings along; or bar it where all findings at once leave no rhythm or shape."""
        column, findings = self.column[name], self.findings[record]
        if name in findings:
            return
        self.barred[record, column] = True
        if not self._agree({*findings, name}):
            return
        findings.add(name)
        self.free[record] -= 1
        self.left[column] -= 1
        self.barred[record] |= self.clash[column]
        self.liking[record] *= self.weights[column]
        label = self.knowledge.labels[name]
        for implied in label.implies:
            self._add(record, implied)
        if label.with_one_of and not findings & set(label.with_one_of):
            fitting = [other for other in label.with_one_of if not self.barred[record, self.column[other]]]
            weights = np.array([label.with_one_of[other] for other in fitting])
            self._add(record, fitting[int(self.rng.choice(len(fitting), p=weights / weights.sum()))])

    def _agree(self, findings: set[str]) -> bool:
        """Whether one rhythm and one QRS shape suit all of them (any two agree, or they would contradict)."""
        for name in CHOICES:
            options = [set(own) for finding in findings if (own := allowed(self.knowledge.labels[finding], name))]
            if options and not set.intersection(*options):
                return False
        return True
