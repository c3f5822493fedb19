"""What stands beside a store's signals: the index of its records, and the manifest."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from ecgbench.cards import DatasetCard
from ecgbench.ecg.pseudonyms import Pseudonyms
from ecgbench.ecg.recording import OVER_89, Entry
from ecgbench.ecg.standardise import Window
from ecgbench.ecg.store import LABEL_SEPARATOR, STORE_FORMAT, WINDOW_MARK, Manifest, data_hash_of, identifying
from ecgbench.ecg.workplace import Progressed, Row
from ecgbench.files import hash_of, write_text
from ecgbench.findings import label_bank

HELD_OUT_FIRST = {"test": 0, "validation": 1, "train": 2}
INDEX_COLUMNS = (
    "record", "patient", "split", "labels", "age", "sex", "site", "report", "lead_mask", "valid_samples", "position",
    "source_sha256", "codes",
)  # fmt: skip
TELLING = 4
"""Characters of an id from which it is taken out of a sentence; a patient 1 would take the 1 out of V1."""


class Names:
    """What a store calls records and patients. `pseudonyms`: None for ids as the source has them. A record's name says
    where its window begins, unless that is the start of a recording of which no other is taken: so that another choice
    of `window` is another data hash."""

    def __init__(self, pseudonyms: Pseudonyms | None, *, window: Window) -> None:
        self.pseudonyms = pseudonyms
        self.window = window

    def record(self, entry: Entry, start: float) -> str:
        name = self.pseudonyms.of("record", entry.record) if self.pseudonyms else entry.record
        marked = self.window == "all" or start > 0
        return f"{name}{WINDOW_MARK}{start:g}" if marked else name

    def patient(self, entry: Entry) -> str:
        return self.pseudonyms.of("patient", entry.patient) if self.pseudonyms else entry.patient

    def reason(self, reason: str, entry: Entry) -> str:
        """A reason without the ids that the store does not tell."""
        if not self.pseudonyms:
            return reason
        stem = Path(entry.record.replace("\\", "/")).stem
        told_ids = {entry.record, entry.patient, stem}
        for told in sorted((each for each in told_ids if len(each) >= TELLING), key=len, reverse=True):
            reason = reason.replace(told, "…")
        return reason


def without_duplicates(rows: Sequence[Row], entries: Sequence[Entry]) -> tuple[list[int], dict[int, int]]:
    """Of records with the very same samples the most held-out one stays (test, validation, train; then the first), so
    that no signal stands in two splits or counts twice. Which rows stay, and row -> the row that it is a copy of."""
    best: dict[bytes, int] = {}
    for number, row in enumerate(rows):
        held = best.setdefault(row.signal_sha256, number)
        if HELD_OUT_FIRST[entries[row.entry].split] < HELD_OUT_FIRST[entries[rows[held].entry].split]:
            best[row.signal_sha256] = number
    kept = sorted(best.values())
    dropped = {n: best[row.signal_sha256] for n, row in enumerate(rows) if best[row.signal_sha256] != n}
    return kept, dropped


def write_index(
    folder: Path,
    card: DatasetCard,
    entries: Sequence[Entry],
    state: Progressed,
    names: Names,
    *,
    shards: list[int],
    signals_sha256: str,
    ids: Literal["public", "kept", "keyed"],
    remarks: dict[str, Any],
) -> None:
    """Write index.csv and manifest.json into `folder`."""
    kept, dropped = without_duplicates(state.rows, entries)
    told = [(entries[state.rows[n].entry], state.rows[n], n) for n in kept]
    with (folder / "index.csv").open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(INDEX_COLUMNS)
        writer.writerows(_cells(entry, row, position, names, public=card.public) for entry, row, position in told)

    def name(number: int) -> str:
        row = state.rows[number]
        return names.record(entries[row.entry], row.start)

    def across(copy: int, original: int) -> dict[str, str]:
        one, other = entries[state.rows[copy].entry], entries[state.rows[original].entry]
        apart = [what for what in ("patient", "split") if getattr(one, what) != getattr(other, what)]
        return {"of_another": " and ".join(apart)} if apart else {}

    def hashed() -> Iterator[tuple[str, Entry, Row]]:
        for entry, row, _ in told:
            yield identifying(names.record(entry, row.start), ids), entry, row

    manifest = Manifest(
        format=STORE_FORMAT,
        name=card.name,
        version=card.version,
        params=card.params,
        labels=card.labels,
        labels_hash=label_bank(card.labels).hash,
        data_hash=data_hash_of(
            card.name, card.version, [(record, r.source_sha256, e.findings, e.split) for record, e, r in hashed()]
        ),
        splits_hash=hash_of(
            sorted([*([record, r.source_sha256] if ids == "keyed" else [record]), e.split] for record, e, r in hashed())
        ),
        signals_sha256=signals_sha256,
        records=len(kept),
        shards=shards,
        damaged=[
            {"record": names.record(entries[d.entry], d.start), "reason": names.reason(d.reason, entries[d.entry])}
            for d in state.damaged
        ],
        duplicates=[
            {"record": name(copy), "same_as": name(original), **across(copy, original)}
            for copy, original in dropped.items()
        ],
        clipped_records=sum(row.clipped for _, row, _ in told),
        resampled_records=sum(row.resampled for _, row, _ in told),
        public=card.public,
        licence=card.licence,
        remarks=remarks,
        ids=ids,
    )
    write_text(folder / "manifest.json", manifest.model_dump_json(indent=2) + "\n")


def _cells(entry: Entry, row: Row, position: int, names: Names, *, public: bool) -> list[Any]:
    """A line of the index. The report of a patient whose data are not public stays where it is."""
    age = entry.age if public or entry.age is None else min(entry.age, OVER_89)
    return [
        names.record(entry, row.start), names.patient(entry), entry.split, LABEL_SEPARATOR.join(entry.findings),
        "" if age is None else f"{age:g}", entry.sex or "", entry.site or "",
        (entry.report or "") if public else "", row.lead_mask, row.valid_samples, position, row.source_sha256,
        LABEL_SEPARATOR.join(entry.codes),
    ]  # fmt: skip
