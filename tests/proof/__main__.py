"""`make proof`: measure synth98 with tools that did not make it, and write the pages of docs/synth98/.

About 1,350 ECGs are measured; ten minutes on two cores. Exit 1 where a finding falls short.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ecgbench.cli.data import heading
from ecgbench.ecg.lookup import find_record
from ecgbench.ecg.sheet import sheet
from ecgbench.ecg.sources.synth98.criteria import Criteria, criteria
from tests.proof import normals
from tests.proof.page import normals_page, proof_page
from tests.proof.subjects import Subject, measure_all, opened, real_normals, with_finding
from tests.proof.table import Row, falls_short, faults, rows

OWN = "synth98:balanced=20"
NORMALS = "synth98:M"
PER_LABEL, NORMAL_RECORDS = 20, 200
PAGES = Path(__file__).resolve().parents[2] / "docs" / "synth98"


def main() -> int:
    """Measure, write, and say what falls short."""
    options = argparse.ArgumentParser(prog="python -m tests.proof", description=__doc__)
    options.add_argument("--out", type=Path, default=PAGES, help="the folder of the pages")
    out: Path = options.parse_args().out
    knowledge = criteria()
    own = {label: with_finding(label, PER_LABEL, OWN) for label in knowledge.labels}
    ours, real = with_finding("normal", NORMAL_RECORDS, NORMALS), real_normals()
    found = measure_all([*(subject for subjects in own.values() for subject in subjects), *ours, *real])
    table = rows(knowledge, own, ours, real, found)
    out.mkdir(parents=True, exist_ok=True)
    (out / "proof.md").write_text(proof_page(table, knowledge), encoding="utf-8")
    compared = normals.compared([found[subject] for subject in ours], [found[subject] for subject in real])
    (out / "normals.md").write_text(normals_page(compared, len(ours), len(real)), encoding="utf-8")
    normals.draw([found[subject] for subject in ours], [found[subject] for subject in real], out / "normals.svg")
    sheets(knowledge, out)
    return say(table)


def say(table: list[Row]) -> int:
    """Print what falls short with the first records that do; the exit code."""
    short = [row for row in table if falls_short(row)]
    for row in short:
        print(
            f"{row.label}: {row.own}, normals {row.generated_normals} {row.real_normals}; {'; '.join(row.examples[:4])}"
        )
    met = sum(row.own[0] for row in table) / sum(row.own[1] for row in table)
    print(
        f"{len(table) - len(short)} of {len(table)} findings hold, {len(faults())} of them by an explained fault; {met:.1%} met"
    )
    return 1 if short else 0


def sheets(knowledge: Criteria, out: Path) -> None:
    """One 12-lead sheet a group: the first record that holds its first finding with as few others as there are."""
    for group, labels in knowledge.groups.items():
        subject = typical(labels[0])
        found = find_record(subject.source, subject.record)
        (out / f"{group}.svg").write_text(sheet(found.recording, heading(found)), encoding="utf-8")


def typical(label: str) -> Subject:
    """The record of a finding that says least else."""
    _, entries = opened(OWN)
    having = [entry for entry in entries.values() if label in entry.findings]
    return Subject(OWN, min(having, key=lambda entry: (len(entry.findings), entry.record)).record)


if __name__ == "__main__":
    sys.exit(main())
