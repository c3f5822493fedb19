"""The table of docs/synth98.md: for every finding, how many generated records meet its written criterion as measured, and
how many normal ECGs meet it too."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from ecgbench.cards import read_yaml
from ecgbench.ecg.sources.synth98.criteria import Criteria, Criterion
from tests.proof.measure import Measured
from tests.proof.meets import misses
from tests.proof.subjects import Subject

NORMAL = "normal"
MET_AT_LEAST, MET_BY_NORMALS_AT_MOST = 0.8, 0.1


@dataclass
class Row:
    """One finding: (met, looked at) among its own records, generated normals and real normals."""

    label: str
    own: tuple[int, int]
    generated_normals: tuple[int, int]
    real_normals: tuple[int, int]
    missed: Counter[str] = field(default_factory=Counter)
    """How often each condition did not hold."""

    examples: list[str] = field(default_factory=list)

    @property
    def share(self) -> float:
        return self.own[0] / self.own[1]

    @property
    def by_normals(self) -> float:
        """The larger share among the two kinds of normal ECGs; nan-free: nobody looked at counts as none."""
        return max(met / of if of else 0.0 for met, of in (self.generated_normals, self.real_normals))


@cache
def faults() -> dict[str, str]:
    """Findings whose misses are the analyser's fault, with the real ECG that shows it."""
    found = read_yaml(Path(__file__).with_name("analyser_faults.yaml"))
    return {str(label): str(why) for label, why in (found or {}).items()}


def falls_short(row: Row) -> bool:
    """Whether a finding is met too seldom by its own records, or too often by normal ones."""
    too_seldom = row.share < MET_AT_LEAST and row.label not in faults()
    return too_seldom or (row.label != NORMAL and row.by_normals > MET_BY_NORMALS_AT_MOST)


def rows(
    knowledge: Criteria,
    own: dict[str, list[Subject]],
    generated_normals: list[Subject],
    real_normals: list[Subject],
    found: dict[Subject, Measured],
) -> list[Row]:
    """A row a finding, in the order of the criteria."""
    table = []
    for label, knows in knowledge.labels.items():
        row = Row(
            label,
            (0, len(own[label])),
            _met(generated_normals, found, knows.criterion, knowledge),
            _met(real_normals, found, knows.criterion, knowledge),
        )
        met = 0
        for subject in own[label]:
            failed = misses(found[subject], knows.criterion, knowledge)
            met += not failed
            row.missed.update(part.split("=")[0].split(" in ")[0] for part in failed)
            if failed:
                row.examples.append(f"{subject.record}: {', '.join(failed)}")
        row.own = (met, len(own[label]))
        table.append(row)
    return table


def _met(
    subjects: list[Subject], found: dict[Subject, Measured], criterion: Criterion, knowledge: Criteria
) -> tuple[int, int]:
    return sum(not misses(found[subject], criterion, knowledge) for subject in subjects), len(subjects)
