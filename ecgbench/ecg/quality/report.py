"""All checks of a store put together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ecgbench.ecg.quality.amplitude import largest_amplitude
from ecgbench.ecg.quality.batch import batches
from ecgbench.ecg.quality.checks import CHECKS, LEAKS, SIGNAL_CHECKS
from ecgbench.ecg.quality.copies import Copies, copies_in, repeated_leads, signatures
from ecgbench.ecg.quality.limits import SCALE_HIGH, SCALE_LOW, SCALE_RECORDS
from ecgbench.ecg.recording import LEADS
from ecgbench.ecg.store import Store

Progress = Callable[[int, int], None]
"""Called with (records done, records in all)."""


TOLD = 3
"""Other records that are named beside one that has copies."""


@dataclass(frozen=True, slots=True)
class Noted:
    """What is said of one record, in the store or left out of it (then without a split)."""

    record: str
    split: str
    text: str
    measured: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Quality:
    """What the checks found: check id -> notes, every check there. `amplitude_uv`: of the median record's largest lead,
    None in an empty store. `leaks`: a sentence for each."""

    records: int
    found: dict[str, list[Noted]]
    amplitude_uv: float | None
    missing_by_lead: dict[str, int]
    leaks: list[str]

    @property
    def leaking(self) -> bool:
        return any(self.found[check] for check in LEAKS)

    @property
    def scale_is_odd(self) -> bool:
        """Whether the store as a whole is in another unit, or has another gain, than it says."""
        within = self.amplitude_uv is None or SCALE_LOW <= self.amplitude_uv <= SCALE_HIGH
        return self.records >= SCALE_RECORDS and not within


def check_store(store: Store, progress: Progress | None = None) -> Quality:
    """Hold every record of a store to every check. Nothing is changed. Memory: 64 records, and 100 bytes for each."""
    found: dict[str, list[Noted]] = {check.id: [] for check in CHECKS}
    hashes = np.zeros((len(store), len(LEADS)), np.uint64)
    largest = np.zeros(len(store))
    records, splits = list(store.records["record"]), list(store.records["split"])
    done = 0
    for batch in batches(store):
        hashes[batch.rows] = signatures(batch)
        largest[batch.rows] = largest_amplitude(batch)
        remarks = {name: check(batch) for name, check in SIGNAL_CHECKS.items()}
        remarks["repeated-lead"] = repeated_leads(batch, hashes[batch.rows])
        for name, some in remarks.items():
            found[name] += [Noted(records[r.row], splits[r.row], r.text, r.measured) for r in some]
        done += len(batch.rows)
        if progress:
            progress(done, len(store))
    found["damaged"] = [Noted(item["record"], "", item["reason"]) for item in store.manifest.damaged]
    found["left-out-copy"] = [Noted(item["record"], "", _same_as(item)) for item in store.manifest.duplicates]
    leaks = []
    for copies in copies_in(store, hashes):
        name, notes = _copies(store, copies)
        found[name] += notes
        leaks += [_leak_sentence(notes, copies)] if name in LEAKS else []
    missing = Counter(lead for note in found["missing-lead"] for lead in note.measured["leads"])
    return Quality(
        records=len(store),
        found=found,
        amplitude_uv=float(np.median(largest)) if len(store) else None,
        missing_by_lead={lead: missing[lead] for lead in LEADS if missing[lead]},
        leaks=leaks,
    )


def _same_as(item: dict[str, str]) -> str:
    other = item.get("of_another")
    return f"the same as {item['same_as']}" + (f", which is of another {other}" if other else "")


def _copies(store: Store, copies: Copies) -> tuple[str, list[Noted]]:
    """Under which check a group of copies falls, and a note for each of its records."""
    rows = store.records.iloc[list(copies.rows)]
    records, splits = list(rows["record"]), list(rows["split"])
    name = "copy-across-patients" if rows["patient"].nunique() > 1 else "copy"
    if len(set(splits)) > 1:
        name = "leak"
    notes = []
    for place, record in enumerate(records):
        others = [other for other in records[: TOLD + 1] if other != record][:TOLD]
        more = len(records) - 1 - len(others)
        told = ", ".join(others) + (f" and {more} more" if more else "")
        notes.append(
            Noted(
                record,
                splits[place],
                f"with {told}: {copies.how}",
                {"with": others, "copies": len(records), "how": copies.how},
            )
        )
    return name, notes


def _leak_sentence(notes: list[Noted], copies: Copies) -> str:
    first = {note.split: note for note in reversed(notes)}
    shown = sorted(notes, key=lambda note: note is not first[note.split])[:4]  # one of each split before the others
    told = ", ".join(f"{note.record} ({note.split})" for note in shown)
    more = f" and {len(notes) - 4} more" if len(notes) > 4 else ""
    return f"one recording in {' and '.join(sorted(first))}: {told}{more}; {copies.how}"
