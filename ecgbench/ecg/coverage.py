"""Which findings of a label table a store can test, and why the others cannot be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ecgbench.cards import DatasetCard
from ecgbench.catalogue import card_paths, load_card
from ecgbench.ecg.store import SPLITS, Store
from ecgbench.errors import EcgbenchError
from ecgbench.findings import LabelBank, label_bank

FEW = 10
"""Test records under which a number of a finding is marked, here as on the boards."""

State = Literal["tested", "not in test", "no record", "near code", "no code"]
"""`tested`: a test record has it. `not in test`: only other records have it. The others have none: though the data set has
a code for it (`no record`), because its nearest code says something else and is never used (`near code`), or because it
has no word for it (`no code`)."""


@dataclass(frozen=True)
class Covered:
    """One finding: records and patients by split and over `all`, and what that means."""

    id: str
    records: Mapping[str, int]
    patients: Mapping[str, int]
    state: State

    @property
    def few(self) -> bool:
        return 0 < self.records["test"] < FEW

    @property
    def untrained(self) -> bool:
        return self.state == "tested" and not self.records["train"]


def coverage(store: Store) -> list[Covered]:
    """Every finding of the store's label table, in its order."""
    bank = label_bank(store.manifest.labels)
    codes = _codes(store, bank)
    counts = _counts(store)
    none = dict.fromkeys((*SPLITS, "all"), 0)
    found = []
    for finding in bank.ids:
        records, patients = counts.get(finding, (none, none))
        found.append(Covered(finding, records, patients, _state(records, codes, finding)))
    return found


def _counts(store: Store) -> dict[str, tuple[dict[str, int], dict[str, int]]]:
    """Finding -> records and patients by split and over all."""
    held = store.records[["patient", "split"]].copy()
    held["finding"] = store.findings()
    held = held.explode("finding").dropna(subset="finding")
    found: dict[str, tuple[dict[str, int], dict[str, int]]] = {}
    for finding, rows in held.groupby("finding"):
        by_split = {split: rows[rows["split"] == split] for split in SPLITS} | {"all": rows}
        records = {split: len(part) for split, part in by_split.items()}
        patients = {split: int(part["patient"].nunique()) for split, part in by_split.items()}
        found[str(finding)] = (records, patients)
    return found


def _codes(store: Store, bank: LabelBank) -> dict[str, str] | None:
    """Finding -> its cell in the code column of the store's data set; None where findings do not come from codes, or
    the data set's card is not at hand."""
    name = store.manifest.name
    if name not in card_paths(DatasetCard):
        return None
    column = load_card(DatasetCard, name).label_column
    try:
        return bank.column(column) if column else None
    except EcgbenchError:  # a table of the user's own
        return None


def _state(records: Mapping[str, int], codes: dict[str, str] | None, finding: str) -> State:
    if records["test"]:
        return "tested"
    if records["all"]:
        return "not in test"
    if codes is None:
        return "no record"
    cell = codes.get(finding, "")
    if not cell:
        return "no code"
    return "near code" if cell.startswith("~") else "no record"
