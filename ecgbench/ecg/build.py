"""Source -> store, written whole or not at all."""

from __future__ import annotations

import csv
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ecgbench.cards import DatasetCard
from ecgbench.ecg.parallel import Loaded, loaded_by_workers, loaded_here, workers_for
from ecgbench.ecg.recording import LEADS, STORE_SAMPLES, Entry
from ecgbench.ecg.sources import Source, open_source, source_path
from ecgbench.ecg.standardise import StoredSignal
from ecgbench.ecg.store import LABEL_SEPARATOR, SPLITS, STORE_FORMAT, Manifest, Store, data_hash_of, shard_name
from ecgbench.entry_points import source_hash
from ecgbench.errors import EcgbenchError
from ecgbench.files import cache_folder, hash_of, process_umask, write_text
from ecgbench.findings import label_bank

SHARD_RECORDS = 2048
MAX_DAMAGED = 0.01
HELD_OUT_FIRST = {"test": 0, "validation": 1, "train": 2}
INDEX_COLUMNS = (
    "record", "patient", "split", "labels", "age", "sex", "site", "report", "lead_mask", "valid_samples", "position",
    "source_sha256",
)  # fmt: skip

Progress = Callable[[int, int], None]
"""Called with (records done, records in all)."""


@dataclass
class _Tally:
    """What the build learns about the records as it goes."""

    kept: list[tuple[Entry, StoredSignal, int]] = field(default_factory=list)
    signal_hashes: list[str] = field(default_factory=list)
    damaged: list[dict[str, str]] = field(default_factory=list)


def store_for(spec: str, progress: Progress | None = None, workers: int | None = None) -> Store:
    """The store of a SOURCE: a built store's folder is opened; else the store is built once into the cache, under the
    fingerprint of its source, and opened from there. `workers`: see `build_store`."""
    folder, made_from = _store_folder(spec)
    if made_from and not (folder / "manifest.json").is_file():
        build_store(*made_from, folder, progress, spec=spec, workers=workers)
    return Store(folder)


def store_is_built(spec: str) -> bool:
    """Whether `store_for` would only have to open a folder."""
    return (_store_folder(spec)[0] / "manifest.json").is_file()


def built_store(spec: str) -> Store | None:
    """The store of a SOURCE where it is built already."""
    folder, _ = _store_folder(spec)
    return Store(folder) if (folder / "manifest.json").is_file() else None


def _store_folder(spec: str) -> tuple[Path, tuple[DatasetCard, Source] | None]:
    """The folder of a SOURCE's store, and what it is made from where it is not a built store itself."""
    folder = source_path(spec)
    if (folder / "manifest.json").is_file():
        return folder, None
    card, source = open_source(spec)
    code = [source_hash(card, card.entry_point), _reading_code()]
    key = hash_of([STORE_FORMAT, card.hash, label_bank(card.labels).hash, source.fingerprint(), code])
    return cache_folder("stores", f"{card.name}-{key[:16]}"), (card, source)


def _reading_code() -> str:
    """The hash of all that turns sources into stores here: while it is worked on, no store of yesterday's is served."""
    room = Path(__file__).parent
    files = sorted([*room.rglob("*.py"), *room.rglob("*.yaml")])
    return hash_of([[str(path.relative_to(room)), path.read_text(encoding="utf-8")] for path in files])


def build_store(
    card: DatasetCard,
    source: Source,
    target: Path,
    progress: Progress | None = None,
    *,
    spec: str | None = None,
    workers: int | None = None,
) -> None:
    """Build into a folder beside `target` and rename it there at the end: half a store is never opened.

    `spec` is the SOURCE by which worker processes open `source` for themselves; without it this process works alone.
    `workers`: how many, one for each core where None. The store is the same whatever their number.
    """
    entries = source.entries()
    _check_splits(entries)
    workers = workers_for(len(entries), workers)
    records = loaded_by_workers(spec, entries, workers) if spec and workers > 1 else loaded_here(source, entries)
    target.parent.mkdir(parents=True, exist_ok=True)
    workplace = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
    try:
        tally, shards, signals_sha256 = _write_signals(entries, records, workplace, progress)
        kept, duplicates = _drop_duplicates(tally)
        _write_index(workplace / "index.csv", kept)
        manifest = _manifest(card, source, kept, tally, duplicates, shards, signals_sha256)
        write_text(workplace / "manifest.json", manifest.model_dump_json(indent=2) + "\n")
        workplace.chmod(0o777 & ~process_umask())
        try:
            workplace.rename(target)
        except OSError:
            if not (target / "manifest.json").is_file():  # else another process was first, with the same content
                raise
    finally:
        records.close()
        shutil.rmtree(workplace, ignore_errors=True)


def _check_splits(entries: list[Entry]) -> None:
    split_of: dict[str, str] = {}
    for entry in entries:
        if entry.split not in SPLITS:
            raise EcgbenchError(f"record {entry.record} is in split '{entry.split}'; valid are {', '.join(SPLITS)}.")
        if split_of.setdefault(entry.patient, entry.split) != entry.split:
            raise EcgbenchError(
                f"patient {entry.patient} is in two splits, {split_of[entry.patient]} and {entry.split}."
            )
    if not entries:
        raise EcgbenchError("the source has no records.")


def _write_signals(
    entries: list[Entry], records: Iterator[Loaded], folder: Path, progress: Progress | None
) -> tuple[_Tally, list[int], str]:
    """Write the shards one after another; memory holds one shard."""
    tally, digest = _Tally(), hashlib.sha256()
    shards: list[int] = []
    shard = np.empty((min(SHARD_RECORDS, len(entries)), len(LEADS), STORE_SAMPLES), np.int16)
    filled = 0
    for done, (entry, loaded) in enumerate(zip(entries, records, strict=True), start=1):
        if loaded.signal is not None:
            tally.kept.append((entry, StoredSignal(_NO_SAMPLES, *_facts(loaded.signal)), len(tally.kept)))
            tally.signal_hashes.append(loaded.sha256)
            shard[filled] = loaded.signal.counts
            filled += 1
        else:
            _count_damaged(tally, entry, loaded.damage, len(entries))
        if filled == SHARD_RECORDS or (filled and done == len(entries)):
            digest.update(shard[:filled].data)
            np.save(folder / shard_name(len(shards)), shard[:filled])
            shards.append(filled)
            filled = 0
        if progress:
            progress(done, len(entries))
    if not shards:
        raise EcgbenchError(
            f"none of the {len(entries)} records could be read; the first: {tally.damaged[0]['reason']}."
        )
    return tally, shards, digest.hexdigest()


_NO_SAMPLES = np.zeros((len(LEADS), 0), np.int16)


def _facts(signal: StoredSignal) -> tuple[tuple[bool, ...], int, bool, bool]:
    return signal.lead_mask, signal.valid_samples, signal.clipped, signal.resampled


def _count_damaged(tally: _Tally, entry: Entry, reason: str, records: int) -> None:
    """Note a damaged record; more than 1 % of them stop the build."""
    tally.damaged.append({"record": entry.record, "reason": reason})
    if len(tally.damaged) > int(MAX_DAMAGED * records):
        names = ", ".join(f"{d['record']} ({d['reason']})" for d in tally.damaged[:3])
        raise EcgbenchError(
            f"{len(tally.damaged)} of {records} records are damaged, more than 1 %, so nothing was built: "
            f"{names}{' …' if len(tally.damaged) > 3 else ''}; mend or fetch these files again."
        )


def _drop_duplicates(tally: _Tally) -> tuple[list[tuple[Entry, StoredSignal, int]], list[dict[str, str]]]:
    """Of records with the very same samples the most held-out one stays (test, validation, train; then the first), so
    that no signal stands in two splits or counts twice."""
    groups: dict[str, list[int]] = {}
    for row, signal_hash in enumerate(tally.signal_hashes):
        groups.setdefault(signal_hash, []).append(row)
    dropped: dict[int, int] = {}
    for rows in groups.values():
        best = min(rows, key=lambda row: (HELD_OUT_FIRST[tally.kept[row][0].split], row))
        dropped.update({row: best for row in rows if row != best})
    duplicates = [
        {"record": tally.kept[row][0].record, "same_as": tally.kept[best][0].record}
        for row, best in sorted(dropped.items())
    ]
    return [item for row, item in enumerate(tally.kept) if row not in dropped], duplicates


def _write_index(path: Path, kept: list[tuple[Entry, StoredSignal, int]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(INDEX_COLUMNS)
        for entry, signal, position in kept:
            mask = "".join("1" if real else "0" for real in signal.lead_mask)
            writer.writerow([
                entry.record, entry.patient, entry.split, LABEL_SEPARATOR.join(entry.findings),
                "" if entry.age is None else f"{entry.age:g}", entry.sex or "", entry.site or "", entry.report or "",
                mask, signal.valid_samples, position, entry.source_sha256,
            ])  # fmt: skip


def _manifest(
    card: DatasetCard,
    source: Source,
    kept: list[tuple[Entry, StoredSignal, int]],
    tally: _Tally,
    duplicates: list[dict[str, str]],
    shards: list[int],
    signals_sha256: str,
) -> Manifest:
    entries = [entry for entry, _, _ in kept]
    bank = label_bank(card.labels)
    return Manifest(
        format=STORE_FORMAT,
        name=card.name,
        version=card.version,
        params=card.params,
        labels=card.labels,
        labels_hash=bank.hash,
        data_hash=data_hash_of(
            card.name, card.version, [(e.record, e.source_sha256, e.findings, e.split) for e in entries]
        ),
        splits_hash=hash_of(sorted([e.record, e.split] for e in entries)),
        signals_sha256=signals_sha256,
        records=len(kept),
        shards=shards,
        damaged=tally.damaged,
        duplicates=duplicates,
        clipped_records=sum(signal.clipped for _, signal, _ in kept),
        resampled_records=sum(signal.resampled for _, signal, _ in kept),
        public=card.public,
        licence=card.licence,
        remarks=remarks_of(source),
    )


def remarks_of(source: Source) -> dict[str, Any]:
    """What a source has to say of its records, `{}` where it has no `remarks`."""
    remarks: Callable[[], dict[str, Any]] | None = getattr(source, "remarks", None)
    return remarks() if remarks else {}
