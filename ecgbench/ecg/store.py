"""An opened store: memory-mapped signals beside an index table and a manifest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from ecgbench.cards import problems_of
from ecgbench.ecg.recording import LEADS, STORE_RATE, STORE_SAMPLES, Recording
from ecgbench.ecg.standardise import COUNTS_PER_MV
from ecgbench.errors import EcgbenchError
from ecgbench.files import hash_of

if TYPE_CHECKING:
    import pandas as pd

STORE_FORMAT = 1
SPLITS = ("train", "validation", "test")
LABEL_SEPARATOR = "|"
WINDOW_MARK = "@"
"""Between a recording's id and the second that a window of it begins at."""


class Manifest(BaseModel):
    """What a store says of itself. `damaged` and `duplicates` are source records that did not enter it (`of_another`:
    patient, split, or both, than the record that stayed); `remarks` is
    what its source had to say of them and no part of the data hash (stores built before there were any have none). `ids`:
    whether record and patient ids are the source's own (`public` data; `kept` private ones) or under a keyed hash."""

    model_config = ConfigDict(extra="forbid")

    format: int
    name: str
    version: int
    params: dict[str, Any]
    labels: str
    labels_hash: str
    data_hash: str
    splits_hash: str
    signals_sha256: str
    records: int
    shards: list[int]
    damaged: list[dict[str, str]]
    duplicates: list[dict[str, str]]
    clipped_records: int
    resampled_records: int
    public: bool
    licence: str | None
    remarks: dict[str, Any] = {}
    ids: Literal["public", "kept", "keyed"] = "public"


def data_hash_of(name: str, version: int, rows: list[tuple[str, str, tuple[str, ...], str]]) -> str:
    """sha256 over the sorted (source record id, source file sha256, finding ids, split) and the source's version."""
    return hash_of({"source": name, "version": version, "records": sorted([r, s, sorted(f), p] for r, s, f, p in rows)})


def identifying(record: str, ids: str) -> str:
    """What of a record's id takes part in a hash over the data: all of it, or, where ids are keyed, the window alone,
    so that the hash is the same whatever the key."""
    return record.partition(WINDOW_MARK)[2] if ids == "keyed" else record


def read_manifest(folder: Path) -> Manifest:
    """What a store says of itself, without its index."""
    path = folder / "manifest.json"
    if not path.is_file():
        raise EcgbenchError(f"'{folder}' is no store: it has no manifest.json.")
    try:
        manifest = Manifest.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise EcgbenchError(f"store manifest {path}: {problems_of(error)}") from None
    except ValueError as error:
        raise EcgbenchError(f"store manifest {path} is not readable as JSON: {error}.") from None
    if manifest.format != STORE_FORMAT:
        raise EcgbenchError(
            f"store '{folder}' has format {manifest.format}, this version reads {STORE_FORMAT}: build it again."
        )
    return manifest


class Store:
    """Recordings by row. Opening reads the index and maps the shards; signals are read when asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.manifest = read_manifest(self.folder)
        self._shards = [self._map_shard(number, rows) for number, rows in enumerate(self.manifest.shards)]
        self._starts = np.cumsum([0, *self.manifest.shards])
        self.records = self._read_index()
        self._check_index()

    def __len__(self) -> int:
        return len(self.records)

    @property
    def data_hash(self) -> str:
        return self.manifest.data_hash

    def rows_of(self, split: str) -> np.ndarray:
        """Row numbers of a split, ascending."""
        return np.flatnonzero(self.records["split"].to_numpy() == split)

    def findings(self) -> list[tuple[str, ...]]:
        """Finding ids of every row, in label-table order."""
        return [tuple(cell.split(LABEL_SEPARATOR)) if cell else () for cell in self.records["labels"]]

    def counts(self, rows: np.ndarray) -> np.ndarray:
        """int16 (n, 12, 5000), 1 count = 1 µV, 500 Hz."""
        positions = self.records["position"].to_numpy()[np.asarray(rows)]
        out = np.empty((len(positions), len(LEADS), STORE_SAMPLES), np.int16)
        shard_of = np.searchsorted(self._starts, positions, side="right") - 1
        for shard in np.unique(shard_of):
            mine = shard_of == shard
            out[mine] = self._shards[shard][positions[mine] - self._starts[shard]]
        return out

    def signals(self, rows: np.ndarray) -> np.ndarray:
        """float32 mV (n, 12, 5000) at 500 Hz."""
        return self.counts(rows).astype(np.float32) / np.float32(COUNTS_PER_MV)

    def lead_masks(self) -> np.ndarray:
        """bool (n, 12): which leads are real."""
        masks = [[mark == "1" for mark in cell] for cell in self.records["lead_mask"]]
        return np.array(masks, bool).reshape(len(masks), len(LEADS))

    def __getitem__(self, row: int) -> Recording:
        if not -len(self) <= row < len(self):
            raise IndexError(f"row {row} of a store with {len(self)} records")
        entry = self.records.iloc[row]
        labels = str(entry["labels"])
        return Recording(
            signal=self.signals(np.array([row % len(self)]))[0],
            rate=float(STORE_RATE),
            record=str(entry["record"]),
            patient=str(entry["patient"]),
            real_leads=tuple(mark == "1" for mark in str(entry["lead_mask"])),
            age=float(entry["age"]) if entry["age"] else None,
            sex=str(entry["sex"]) or None,
            findings=tuple(labels.split(LABEL_SEPARATOR)) if labels else (),
            report=str(entry["report"]) or None,
            source=self.manifest.name,
            source_sha256=str(entry["source_sha256"]),
        )

    def _map_shard(self, number: int, rows: int) -> np.ndarray:
        path = self.folder / shard_name(number)
        try:
            shard: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise EcgbenchError(
                f"store '{self.folder}': {path.name} is missing or cut short ({error}): build it again."
            ) from None
        if shard.shape != (rows, len(LEADS), STORE_SAMPLES) or shard.dtype != np.int16:
            raise EcgbenchError(
                f"store '{self.folder}': {path.name} has shape {shard.shape} {shard.dtype}: build it again."
            )
        return shard

    def _read_index(self) -> pd.DataFrame:
        import pandas as pd

        path = self.folder / "index.csv"
        if not path.is_file():
            raise EcgbenchError(f"store '{self.folder}' lacks index.csv: build it again.")
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
        if len(table) != self.manifest.records:
            raise EcgbenchError(
                f"store '{self.folder}': index.csv has {len(table)} rows, the manifest says {self.manifest.records}."
            )
        table["position"] = table["position"].astype(np.int64)
        table["valid_samples"] = table["valid_samples"].astype(np.int64)
        if "codes" not in table:
            table["codes"] = ""  # a store built before there were any
        return table

    def _check_index(self) -> None:
        """The index must be the one that the manifest's data hash was taken of, and keep patients apart."""
        t, about = self.records, self.manifest
        records = [identifying(record, about.ids) for record in t["record"]]
        rows = list(zip(records, t["source_sha256"], self.findings(), t["split"], strict=True))
        if data_hash_of(about.name, about.version, rows) != about.data_hash:
            raise EcgbenchError(f"store '{self.folder}': index.csv is not the one that was built: build it again.")
        in_two = t.groupby("patient")["split"].nunique()
        if (in_two > 1).any():
            patient = in_two[in_two > 1].index[0]
            raise EcgbenchError(f"store '{self.folder}': patient {patient} is in two splits: build it again.")


def shard_name(number: int) -> str:
    return f"signals-{number:05d}.npy"


def open_store(folder: Path | str) -> Store:
    """Open a built store."""
    return Store(Path(folder))
