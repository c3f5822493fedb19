"""How many records should carry each finding, split by split.

The counts follow the paper's test counts (`n_test` of the label table) and never fall below a floor of patients; a
balanced data set has the same count for every finding instead.
"""

from __future__ import annotations

import numpy as np

from ecgbench.errors import EcgbenchError
from ecgbench.findings import LabelBank

SPLITS = ("train", "validation", "test")
SHARES = (0.7, 0.1, 0.2)
FLOOR = {"train": 3, "validation": 1, "test": 2}
"""Patients with a finding, at least, by split."""

LEAST = sum(FLOOR.values())
NORMAL = "normal"
MOST_NORMAL = 0.148
FINDINGS_A_SICK_RECORD = 2.17
"""With the normal records, which hold one, two findings a record over all."""

ROOMS = {1: 0.18, 2: 0.25, 3: 0.27, 4: 0.20, 5: 0.10}
"""How many findings a record that is not normal has room for; about a quarter of the room stays free."""

Wanted = dict[str, dict[str, int]]
"""Finding -> split -> records."""


def paper_counts(bank: LabelBank) -> dict[str, int]:
    """Finding -> `n_test`. EcgbenchError where a cell is no count."""
    column = bank.column("n_test")
    for finding in bank.ids:
        cell = column.get(finding, "")
        if not (cell.isascii() and cell.isdigit()):
            raise EcgbenchError(
                f"label table {bank.table}: n_test of {finding} is '{cell}', and synth98 follows these counts: "
                "write a whole number."
            )
    return {finding: int(column[finding]) for finding in bank.ids}


def proportional_records(bank: LabelBank, records: int) -> dict[str, float]:
    """Finding -> the records that it would have in `records` by its share in the paper's test counts alone."""
    paper = paper_counts(bank)
    normal = records * min(MOST_NORMAL, paper[NORMAL] / (sum(paper.values()) / 2))
    others = sum(paper.values()) - paper[NORMAL]
    scale = FINDINGS_A_SICK_RECORD * (records - normal) / max(1, others)
    return {finding: normal if finding == NORMAL else count * scale for finding, count in paper.items()}


def by_prevalence(bank: LabelBank, records: int) -> Wanted:
    """Counts that follow the paper's, raised to the floor; what the floor takes, the common findings give."""
    shares = proportional_records(bank, records)
    others = np.array([share for finding, share in shares.items() if finding != NORMAL])
    instances = others.sum()
    low, high = 0.0, 1.0
    for _ in range(50):  # the sum grows with the scale, so halving finds it
        scale = (low + high) / 2
        low, high = (scale, high) if np.maximum(LEAST, others * scale).sum() < instances else (low, scale)
    totals = {finding: max(LEAST, round(share * scale)) for finding, share in shares.items()}
    totals[NORMAL] = round(shares[NORMAL])
    return {finding: by_split(total) for finding, total in totals.items()}


def balanced(bank: LabelBank, each: int, chosen: tuple[str, ...]) -> Wanted:
    """`each` records for every chosen finding and for normal, none for the others; all findings where none is chosen."""
    names = {*chosen, NORMAL} if chosen else set(bank.ids)
    none = dict.fromkeys(SPLITS, 0)
    return {finding: by_split(each) if finding in names else none for finding in bank.ids}


def by_split(total: int) -> dict[str, int]:
    """A total as train, validation and test records, none below its floor."""
    validation = max(FLOOR["validation"], round(total * SHARES[1]))
    test = max(FLOOR["test"], round(total * SHARES[2]))
    return {"train": max(FLOOR["train"], total - validation - test), "validation": validation, "test": test}
