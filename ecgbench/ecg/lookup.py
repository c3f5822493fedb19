"""One record of a SOURCE, without building a store for its sake."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ecgbench.ecg.build import built_store
from ecgbench.ecg.recording import STORE_RATE, DamagedRecordError, Entry, Recording
from ecgbench.ecg.sources import open_source
from ecgbench.ecg.standardise import COUNTS_PER_MV, to_store
from ecgbench.errors import EcgbenchError, near_names


@dataclass(frozen=True)
class Found:
    """A recording, the source that it is from (name and version), its label table, and whether it may be shown to anybody."""

    recording: Recording
    source: str
    labels: str
    public: bool


def find_record(spec: str, record: str) -> Found:
    """The record of that name, from the store where one is built, else read from the source. EcgbenchError where there
    is none, with near names, or where it is damaged."""
    store = built_store(spec)
    if store is not None:
        about = store.manifest
        rows = list(store.records["record"])
        row = _place(record, rows, spec)
        return Found(store[row], f"{about.name} version {about.version}", about.labels, about.public)
    card, source = open_source(spec)
    if not card.public:
        raise EcgbenchError(
            f"{spec} is not public: build its store, where ids are hidden (`ecgbench data build`), and name a record of that."
        )
    entries = source.entries()
    entry = entries[_place(record, [e.record for e in entries], spec)]
    try:
        raw = source.load(entry)
        stored = to_store(raw.leads, raw.rate)
    except DamagedRecordError as error:
        raise EcgbenchError(f"record '{record}' of {spec} is damaged: {error}.") from None
    entry = replace(entry, source_sha256=entry.source_sha256 or raw.source_sha256)
    recording = _as_recording(entry, stored.counts, stored.lead_mask, card.name)
    return Found(recording, f"{card.name} version {card.version}", card.labels, card.public)


def _place(record: str, records: Sequence[str], spec: str) -> int:
    """Where a record stands in the list."""
    if record in records:
        return records.index(record)
    near = near_names(record, records)
    known = f"did you mean {' or '.join(near)}?" if near else f"it has records such as {', '.join(records[:3])}."
    raise EcgbenchError(f"{spec} has no record '{record}': {known}")


def _as_recording(entry: Entry, counts: np.ndarray, real_leads: tuple[bool, ...], source: str) -> Recording:
    return Recording(
        signal=counts.astype(np.float32) / np.float32(COUNTS_PER_MV),
        rate=float(STORE_RATE),
        record=entry.record,
        patient=entry.patient,
        real_leads=real_leads,
        age=entry.age,
        sex=entry.sex,
        findings=entry.findings,
        report=entry.report,
        source=source,
        source_sha256=entry.source_sha256,
    )
