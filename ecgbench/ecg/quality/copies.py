"""The same recording twice, found by hashes of its leads.

A lead is known again by the hash of its steps from sample to sample, turned so that the first step goes up: so a copy is
found though its baseline was moved by a constant, though it was turned upside down, though its limb leads were derived
anew, though arm electrodes were swapped back, and though it has fewer leads. What the hash suspects is compared sample
by sample before it is told. A copy that was resampled, filtered, scaled, cut or shifted in time has other samples, and is
not found.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ecgbench.ecg.quality.batch import Batch, Remark
from ecgbench.ecg.quality.limits import INFORMATIVE_CHANGES
from ecgbench.ecg.recording import LEADS
from ecgbench.ecg.store import Store

INDEPENDENT = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
NONE = np.uint64(0)
"""In place of a signature: the lead is not real, or too poor to be known again."""


@dataclass(frozen=True)
class Copies:
    """Rows of a store, ascending, that are one recording. `how`: what the least alike of them share, for a person."""

    rows: tuple[int, ...]
    how: str


def steps(counts: np.ndarray) -> np.ndarray:
    """int16 (..., samples) -> int16 (..., samples - 1): the change from each sample to the next, modulo 65536, its sign
    such that the first change is upward. Equal for two leads that differ by a constant or the sign alone."""
    change = counts[..., 1:] - counts[..., :-1]
    first = np.take_along_axis(change, (change != 0).argmax(-1)[..., None], -1)
    return np.asarray(change * np.where(first < 0, -1, 1).astype(np.int16))


def signatures(batch: Batch) -> np.ndarray:
    """uint64 (n, 12): each lead's hash, `NONE` for leads that are not real or hardly change."""
    change = steps(batch.counts)
    told = batch.real & (np.count_nonzero(change, axis=-1) >= INFORMATIVE_CHANGES)
    found = np.full(told.shape, NONE)
    for place, lead in np.argwhere(told):
        digest = hashlib.sha256(np.ascontiguousarray(change[place, lead]).data).digest()
        found[place, lead] = np.frombuffer(digest[:8], np.uint64)[0] or 1
    return found


def linked_rows(hashes: np.ndarray) -> list[list[int]]:
    """Rows of `signatures` (rows, 12) that share one, directly or by way of others; each group ascending."""
    flat = hashes.ravel()
    order = np.argsort(flat, kind="stable")
    ordered = flat[order]
    same = np.flatnonzero((ordered[1:] == ordered[:-1]) & (ordered[1:] != NONE))
    leader: dict[int, int] = {}

    def root(row: int) -> int:
        while leader.setdefault(row, row) != row:
            row = leader[row]
        return row

    for place in same:
        one, other = sorted((root(int(order[place]) // len(LEADS)), root(int(order[place + 1]) // len(LEADS))))
        leader[other] = one
    groups: dict[int, list[int]] = {}
    for row in sorted(leader):
        groups.setdefault(root(row), []).append(row)
    return [group for group in groups.values() if len(group) > 1]


def shared_leads(one: Batch, other: Batch) -> tuple[str, ...]:
    """The leads of the first record that stand, sample by sample, in some lead of the second, up to a constant and the
    sign; both batches hold one record."""
    hashes = signatures(other)[0]
    mine, theirs = steps(one.counts)[0], steps(other.counts)[0]
    found = []
    for lead, mark in enumerate(signatures(one)[0]):
        places = np.flatnonzero(hashes == mark) if mark != NONE else ()
        if any(np.array_equal(mine[lead], theirs[place]) for place in places):
            found.append(LEADS[lead])
    return tuple(found)


def repeated_leads(batch: Batch, hashes: np.ndarray) -> list[Remark]:
    """Records that hold one signal in two of the leads I, II, V1 to V6, up to a constant and the sign. `hashes`: the
    `signatures` of the batch."""
    columns = np.array([LEADS.index(lead) for lead in INDEPENDENT])
    ordered = np.sort(hashes[:, columns], axis=-1)
    remarks = []
    for place in np.flatnonzero(((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] != NONE)).any(-1)):
        own = hashes[place, columns]
        twice = [lead for lead, mark in zip(INDEPENDENT, own, strict=True) if mark != NONE and (own == mark).sum() > 1]
        remarks.append(Remark(int(batch.rows[place]), ", ".join(twice), {"leads": twice}))
    return remarks


def copies_in(store: Store, hashes: np.ndarray) -> list[Copies]:
    """The groups of rows that are one recording. `hashes`: `signatures` of every row, (rows, 12)."""
    record = _reader(store)
    found = []
    for group in linked_rows(hashes):
        held: list[int] = []
        first_with: dict[int, int] = {}
        weakest: tuple[int, str] = (len(LEADS) + 3, "")
        for row in group:
            marks = [int(mark) for mark in hashes[row] if mark != NONE]
            earlier = Counter(first_with[mark] for mark in marks if mark in first_with).most_common(1)
            link = _link(record(earlier[0][0]), record(row)) if earlier else None
            if link and link[0]:
                weakest = min(weakest, link)
            if not held or (link and link[0]):
                held.append(row)
                for mark in marks:
                    first_with.setdefault(mark, row)
        if len(held) > 1:
            found.append(Copies(tuple(held), weakest[1]))
    return found


def _reader(store: Store) -> Callable[[int], Batch]:
    masks, valid = store.lead_masks(), store.records["valid_samples"].to_numpy()

    def record(row: int) -> Batch:
        rows = np.array([row])
        return Batch(store.counts(rows)[..., : valid[row]], masks[rows], rows)

    return record


def _link(one: Batch, other: Batch) -> tuple[int, str]:
    """How many leads two records share, with two more where every sample is the same and one where the independent leads
    are; and how that is said."""
    if np.array_equal(one.counts, other.counts) and np.array_equal(one.real, other.real):
        return len(LEADS) + 2, "the same in every sample"
    columns = [LEADS.index(lead) for lead in INDEPENDENT]
    real = one.real[:, columns].all() and other.real[:, columns].all()
    if real and np.array_equal(one.counts[:, columns], other.counts[:, columns]):
        return len(LEADS) + 1, "the same in I, II and V1 to V6"
    leads = shared_leads(one, other)
    same = all(np.array_equal(one.counts[:, k], other.counts[:, k]) for k in map(LEADS.index, leads))
    return len(leads), f"{', '.join(leads)} the same{'' if same else ' but for a constant, the sign or the name'}"
