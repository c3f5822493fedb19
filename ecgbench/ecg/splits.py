"""Splits dealt out where a source has none: by patient, stratified over findings, the same for the same records and seed.

Iterative stratification (Sechidis, Tsoumakas and Vlahavas 2011, by the package iterative-stratification) puts groups of
records into ten folds with as even a share of every finding as the groups allow; one tests, one validates, the others
train. Which ones do is chosen so that as many findings as can stand in all three: a finding of three patients is in three
of the ten. A group is a patient or, split by site, a site with all patients who were ever there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np

from ecgbench.ecg.recording import Entry
from ecgbench.ecg.sources.options import SplitBy
from ecgbench.errors import EcgbenchError

FOLDS = 10
FEWEST_GROUPS = 3


def with_splits(entries: Sequence[Entry], by: SplitBy, seed: int) -> tuple[list[Entry], dict[str, Any]]:
    """The entries, each with a split, and what is to be said of how that came about (`{}` where the source had them).

    EcgbenchError where only some records have a split, where a source with splits of its own is asked for others, and
    where there are too few patients or sites.
    """
    without = [entry for entry in entries if not entry.split]
    if not without:
        if (by, seed) != ("patient", 0):
            raise EcgbenchError("this data set brings splits of its own: leave out --split-by and --seed.")
        return list(entries), {}
    if len(without) < len(entries):
        raise EcgbenchError(f"record {without[0].record} has no split while others have one: give all or none of them.")
    groups = _groups(entries, by)
    split_of = _dealt(_findings_by_group(entries, groups), seed, by)
    dealt = [replace(entry, split=split_of[group]) for entry, group in zip(entries, groups, strict=True)]
    said = {"by": by, "seed": seed, "folds": min(FOLDS, len(split_of)), "groups": dict(Counter(split_of))}
    return dealt, {"splits": said}


def _groups(entries: Sequence[Entry], by: SplitBy) -> np.ndarray:
    """The group of each entry, groups numbered in the order of their first patient id."""
    patients = sorted({entry.patient for entry in entries})
    number = {patient: place for place, patient in enumerate(patients)}
    of_entry = np.array([number[entry.patient] for entry in entries])
    if by == "patient":
        return of_entry
    lacking = next((entry for entry in entries if not entry.site), None)
    if lacking is not None:
        raise EcgbenchError(f"--split-by site: record {lacking.record} has no site; give every record one.")
    return _joined(of_entry, [str(entry.site) for entry in entries], len(patients))[of_entry]


def _joined(patient_of: np.ndarray, sites: list[str], patients: int) -> np.ndarray:
    """The group of each patient: patients who share a site, directly or through others, are one group."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    names = {name: place for place, name in enumerate(sorted(set(sites)))}
    site_of = np.array([names[site] for site in sites]) + patients
    nodes = patients + len(names)
    links = coo_array((np.ones(len(sites)), (patient_of, site_of)), shape=(nodes, nodes))
    return np.asarray(connected_components(links, directed=False)[1][:patients])


def _findings_by_group(entries: Sequence[Entry], groups: np.ndarray) -> np.ndarray:
    """bool (groups, findings + 1): which findings a group has; the last column stands for none at all. Two columns at
    least, which is what makes it multilabel."""
    names = sorted({finding for entry in entries for finding in entry.findings})
    column = {name: place for place, name in enumerate(names)}
    held = np.zeros((int(groups.max()) + 1, max(2, len(names) + 1)), bool)
    for entry, group in zip(entries, groups, strict=True):
        held[group, [column[finding] for finding in entry.findings]] = True
    held[:, -1] = ~held.any(axis=1)
    return held


def _dealt(held: np.ndarray, seed: int, by: SplitBy) -> list[str]:
    """The split of each group."""
    from iterstrat.ml_stratifiers import MultilabelStratifiedKFold

    folds = min(FOLDS, len(held))
    if folds < FEWEST_GROUPS:
        what = "patient" if by == "patient" else "site (patients seen at several sites join them)"
        raise EcgbenchError(
            f"splits need {FEWEST_GROUPS} groups or more, one {what} each, and there are {len(held)}: give the splits "
            "yourself."
        )
    maker = MultilabelStratifiedKFold(n_splits=folds, shuffle=True, random_state=seed)
    made = [rows for _, rows in maker.split(np.zeros((len(held), 1)), held.astype(int))]
    validation, test = _held_out(np.stack([held[rows].any(axis=0) for rows in made]))
    split_of = np.full(len(held), "train", dtype="<U10")
    split_of[made[validation]], split_of[made[test]] = "validation", "test"
    return [str(split) for split in split_of]


def _held_out(present: np.ndarray) -> tuple[int, int]:
    """The folds that validate and test: of all pairs the first one with the most findings in all three splits; among
    these, in the test split. `present`: bool (folds, findings)."""
    folds = present.sum(axis=0)

    def reached(pair: tuple[int, int]) -> tuple[int, int]:
        validation, test = present[pair[0]], present[pair[1]]
        return int((validation & test & (folds > 2)).sum()), int((test & (folds > 1)).sum())

    return max(permutations(range(len(present)), 2), key=reached)
