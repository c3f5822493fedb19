"""Test records to look at: where the run was surest and right, and where it was wrong by most."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from markupsafe import Markup

from ecgbench.ecg.recording import Recording
from ecgbench.ecg.sheet import sheet
from ecgbench.ecg.store import Store
from ecgbench.evaluation.probability import Curves
from ecgbench.evaluation.scores import Scores

SHOWN = 3
"""Records of each kind."""

LISTED = 5
"""Findings of each record."""


@dataclass(frozen=True)
class Said:
    """A finding of one record: its rank among all, its similarity, its probability where it has one, whether it is true."""

    name: Markup
    rank: int
    similarity: float
    probability: float | None
    true: bool


@dataclass(frozen=True)
class Example:
    """A record's sheet, its best-ranked findings and all its true ones. `record` is None where it may not be named."""

    svg: Markup
    record: str | None
    age: float | None
    sex: str | None
    best: tuple[Said, ...]
    true: tuple[Said, ...]


@dataclass(frozen=True)
class Examples:
    right: tuple[Example, ...]
    wrong: tuple[Example, ...]


def gaps(scores: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """(n,): how far the best true class of a record stands above its best false one; below 0 the record is wrong. NaN for
    a record without a true class, or without a false one."""
    true = np.where(positive, scores, -np.inf).max(axis=1, initial=-np.inf)
    false = np.where(positive, -np.inf, scores).max(axis=1, initial=-np.inf)
    known = np.isfinite(true) & np.isfinite(false)
    return np.where(known, np.where(known, true, 0) - np.where(known, false, 0), np.nan)


def chosen(test: Scores, most: int = SHOWN) -> tuple[list[int], list[int]]:
    """Rows of the surest right and of the worst wrong records, the extremes first. Each of another patient, and of another
    best finding while there are such."""
    gap = gaps(test.scores, test.labels > 0)
    best = test.scores.argmax(axis=1)
    right = [int(row) for row in np.argsort(-gap, kind="stable") if gap[row] > 0]
    wrong = [int(row) for row in np.argsort(gap, kind="stable") if gap[row] < 0]
    return _varied(right, best, test.patient_id, most), _varied(wrong, best, test.patient_id, most)


def _varied(rows: list[int], best: np.ndarray, patients: np.ndarray, most: int) -> list[int]:
    of_patients: dict[str, int] = {}
    for row in rows:
        of_patients.setdefault(str(patients[row]), row)
    mine = list(of_patients.values())
    first: dict[int, int] = {}
    for row in mine:
        first.setdefault(int(best[row]), row)
    chosen_rows = [*first.values(), *(row for row in mine if row not in set(first.values()))][:most]
    return sorted(chosen_rows, key=rows.index)


def examples(
    scores: Scores, curves: Curves | None, names: dict[str, Markup], store: Store, *, name_records: bool
) -> Examples:
    """The examples of a scores file, drawn from its store. `names`: class id -> what it is called."""
    test = scores.rows("test")
    place = {str(record): row for row, record in enumerate(store.records["record"])}
    probability = curves.probabilities(test.scores) if curves else np.full(test.scores.shape, np.nan)

    def drawn(rows: list[int], kind: str) -> tuple[Example, ...]:
        found = []
        for number, row in enumerate(rows):
            said = _sayer(test, row, probability[row], names)
            order = np.argsort(-test.scores[row], kind="stable")
            record = str(test.record_id[row])
            recording = store[place[record]]
            valid = int(store.records["valid_samples"].iloc[place[record]])
            found.append(
                Example(
                    _sheet(recording, valid, f"{kind}{number}"),
                    record if name_records else None,
                    recording.age,
                    recording.sex,
                    tuple(said(int(i)) for i in order[:LISTED]),
                    tuple(said(int(i)) for i in order if test.labels[row, i] > 0),
                )
            )
        return tuple(found)

    right, wrong = chosen(test)
    return Examples(drawn(right, "right"), drawn(wrong, "wrong"))


def _sayer(test: Scores, row: int, probability: np.ndarray, names: dict[str, Markup]) -> Callable[[int], Said]:
    own = test.scores[row]

    def said(i: int) -> Said:
        known = None if np.isnan(probability[i]) else float(probability[i])
        rank = int((own > own[i]).sum()) + 1
        return Said(names[str(test.class_id[i])], rank, float(own[i]), known, bool(test.labels[row, i] > 0))

    return said


def _sheet(recording: Recording, valid_samples: int, name: str) -> Markup:
    """The sheet as SVG for a page. `name` keeps its ids apart from another sheet's."""
    svg = sheet(replace(recording, record="12-lead ECG"), [], samples=valid_samples)
    for start in ('id="', "url(#"):
        svg = svg.replace(f"{start}ecg-", f"{start}{name}-ecg-")
    return Markup(svg)  # drawn by us; what text is in it was escaped on the way
