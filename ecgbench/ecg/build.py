"""Source -> store, written whole or not at all, and taken up again where it was broken off."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecgbench.cards import DatasetCard
from ecgbench.ecg.formats.wfdb_plain import library_only
from ecgbench.ecg.index import Names, write_index
from ecgbench.ecg.parallel import Loaded, load_one, loaded_by_workers, loaded_here, workers_for
from ecgbench.ecg.pseudonyms import Pseudonyms, new_key, write_key
from ecgbench.ecg.recording import Entry
from ecgbench.ecg.sources import Source, open_source, source_path
from ecgbench.ecg.sources.options import DEFAULT, SourceOptions
from ecgbench.ecg.splits import with_splits
from ecgbench.ecg.store import SPLITS, STORE_FORMAT, Store, read_manifest
from ecgbench.ecg.workplace import Damage, Row, Workplace
from ecgbench.entry_points import source_hash
from ecgbench.errors import EcgbenchError, RunFailedError
from ecgbench.files import cache_folder, hash_of
from ecgbench.findings import label_bank

MAX_DAMAGED = 0.01
"""The share of damaged records that a build puts up with unless it is told otherwise."""
HELD_AGAINST_LIBRARY = 8
"""Records of every build that were read directly and are read again through the library, spread over the data set."""

Progress = Callable[[int, int], None]
"""Called with (records done, records in all)."""


@dataclass(frozen=True)
class Damaged:
    """A record that did not enter the store, by the name its source has for it, and why."""

    record: str
    reason: str


def store_for(
    spec: str, progress: Progress | None = None, workers: int | None = None, options: SourceOptions = DEFAULT
) -> Store:
    """The store of a SOURCE: a built store's folder is opened; else the store is built once into the cache, under the
    fingerprint of its source, and opened from there. `workers`: see `build_store`."""
    folder, made_from = _store_folder(spec, options)
    if made_from and not (folder / "manifest.json").is_file():
        build_store(*made_from, folder, progress, spec=spec, options=options, workers=workers)
    return Store(folder)


def store_is_built(spec: str) -> bool:
    """Whether `store_for` would only have to open a folder."""
    return (_store_folder(spec)[0] / "manifest.json").is_file()


def built_store(spec: str) -> Store | None:
    """The store of a SOURCE where it is built already."""
    folder, _ = _store_folder(spec)
    return Store(folder) if (folder / "manifest.json").is_file() else None


def labels_of(spec: str) -> str:
    """The label table of a SOURCE: a built store's, else its card's."""
    folder = source_path(spec)
    if (folder / "manifest.json").is_file():
        return read_manifest(folder).labels
    return open_source(spec)[0].labels


def _store_folder(spec: str, options: SourceOptions = DEFAULT) -> tuple[Path, tuple[DatasetCard, Source] | None]:
    """The folder of a SOURCE's store, and what it is made from where it is not a built store itself."""
    folder = source_path(spec)
    if (folder / "manifest.json").is_file():
        return folder, None
    card, source = open_source(spec, options)
    code = [source_hash(card, card.entry_point), _reading_code()]
    key = hash_of(
        [STORE_FORMAT, card.hash, label_bank(card.labels).hash, source.fingerprint(), code, options.identity()]
    )
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
    options: SourceOptions = DEFAULT,
    workers: int | None = None,
    damaged_allowed: float = MAX_DAMAGED,
    key: str | None = None,
) -> list[Damaged]:
    """Build into a folder beside `target` and rename it there at the end: half a store is never opened. What a killed
    build has done is kept there, and the same build goes on behind it.

    `spec` is the SOURCE by which worker processes open `source` for themselves; without it this process works alone.
    `workers`: how many, one for each core where None. The store is the same whatever their number. `damaged_allowed`: the
    share of records that may be unreadable. `key`: of the pseudonyms of a source that is not public, a new one where None.
    The records that could not be read are returned.
    """
    entries, dealt = with_splits(source.entries(), options.split_by, options.split_seed)
    _check_splits(entries)
    if options.window == "all":
        workers = 1  # a long recording has many windows: they are written as they come
    workers = workers_for(len(entries), workers)
    place = Workplace(target, _identity(card, source, entries, options))
    done = place.state.done
    left = entries[done:]
    by_workers = spec is not None and workers > 1
    records = (
        loaded_by_workers(spec, options, left, workers)
        if spec and by_workers
        else loaded_here(source, left, options.window)
    )
    try:
        _fill(place, entries, records, damaged_allowed, progress)
        shards, signals_sha256 = place.finish()
        checked = _hold_against_library(place.state.rows, source, entries, options)
        ids, names = _names(card, options, place.folder, key)
        remarks = {**remarks_of(source), **dealt, **place.state.told, **checked}
        write_index(
            place.folder, card, entries, place.state, names,
            shards=shards, signals_sha256=signals_sha256, ids=ids, remarks=remarks,
        )  # fmt: skip
    except EcgbenchError:
        records.close()
        place.discard()
        raise
    except BaseException:
        records.close()
        place.leave()
        raise
    damaged = [Damaged(entries[each.entry].record, each.reason) for each in place.state.damaged]
    place.become()
    return damaged


def _identity(card: DatasetCard, source: Source, entries: Sequence[Entry], options: SourceOptions) -> str:
    """Of a build that may be taken up again: the same records from the same files by the same code."""
    listed = [[e.record, e.patient, e.split, e.findings, e.source_sha256] for e in entries]
    bank = label_bank(card.labels)
    return hash_of(
        [STORE_FORMAT, card.hash, bank.hash, source.fingerprint(), listed, options.identity(), _reading_code()]
    )


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


def _fill(
    place: Workplace, entries: list[Entry], records: Iterator[Loaded], damaged_allowed: float, progress: Progress | None
) -> None:
    """Bring the entries that are still to come into the workplace."""
    for number in range(place.state.done, len(entries)):
        loaded = next(records)
        for window in loaded.windows:
            if window.signal is None:
                place.add_damage(Damage(number, window.start, window.damage))
                _check_damaged(place.state.damaged, entries, damaged_allowed)
                continue
            signal = window.signal
            mask = "".join("1" if real else "0" for real in signal.lead_mask)
            row = Row(
                number, window.start, mask, signal.valid_samples, signal.clipped, signal.resampled, window.sha256,
                loaded.source_sha256, loaded.direct,
            )  # fmt: skip
            place.add(row, signal.counts)
        told = [("formats", loaded.format)] if loaded.format else []
        place.settle(number + 1, told + [("treated", remark) for remark in loaded.remarks])
        if progress:
            progress(number + 1, len(entries))
    if not place.state.rows:
        raise EcgbenchError(
            f"none of the {len(entries)} records could be read; the first: {place.state.damaged[0].reason}."
        )


def _check_damaged(damaged: list[Damage], entries: list[Entry], allowed: float) -> None:
    if len(damaged) <= int(allowed * len(entries)):
        return
    names = ", ".join(f"{entries[d.entry].record} ({d.reason})" for d in damaged[:3])
    raise EcgbenchError(
        f"{len(damaged)} of {len(entries)} records are damaged, more than {100 * allowed:g} %, so nothing was built: "
        f"{names}{' …' if len(damaged) > 3 else ''}; mend or fetch these files again, or allow more with "
        "--damaged-allowed PERCENT."
    )


def _hold_against_library(
    rows: Sequence[Row], source: Source, entries: Sequence[Entry], options: SourceOptions
) -> dict[str, Any]:
    """Read a sample of the records that were read directly once more, through the library. RunFailedError where it finds
    other samples: then the direct reading is wrong, and no store is made by it."""
    direct = [row for row in rows if row.direct]
    sample = [
        direct[place * len(direct) // HELD_AGAINST_LIBRARY] for place in range(min(len(direct), HELD_AGAINST_LIBRARY))
    ]
    for row in sample:
        with library_only():
            windows = list(load_one(source, entries[row.entry], options.window).windows)
        again = next((window for window in windows if window.start == row.start), None)
        if again is None or again.sha256 != row.signal_sha256:
            raise RunFailedError(
                f"record {entries[row.entry].record} read directly and through wfdb gives two signals"
                f"{f' ({again.damage})' if again and again.damage else ''}: please report this with the record's header"
            )
    return {"read_directly": {"records": len(direct), "held_against_wfdb": len(sample)}} if direct else {}


def _names(card: DatasetCard, options: SourceOptions, folder: Path, key: str | None) -> tuple[Any, Names]:
    """How ids are kept, and the names by it; a key goes into the private folder."""
    if card.public or options.keep_ids:
        return "public" if card.public else "kept", Names(None, window=options.window)
    key = key or new_key()
    write_key(folder, key)
    return "keyed", Names(Pseudonyms(key), window=options.window)


def remarks_of(source: Source) -> dict[str, Any]:
    """What a source has to say of its records, `{}` where it has no `remarks`."""
    remarks: Callable[[], dict[str, Any]] | None = getattr(source, "remarks", None)
    return remarks() if remarks else {}
