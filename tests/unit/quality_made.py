"""Stores of generated hearts, some made wrong on purpose, for the tests of the quality checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ecgbench.cards import DatasetCard
from ecgbench.catalogue import load_card
from ecgbench.ecg.build import build_store
from ecgbench.ecg.quality.report import Quality, check_store
from ecgbench.ecg.recording import LEADS, Entry, RawEcg
from ecgbench.ecg.sources.synth98.record import generate
from ecgbench.ecg.store import Store, open_store

Leads = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Held:
    """A record to be put into a store: its leads in mV at 500 Hz."""

    record: str
    leads: Leads
    patient: str = ""
    split: str = "train"


@dataclass(frozen=True)
class Ward:
    """A source in memory. A record without a patient is one of its own."""

    held: tuple[Held, ...]

    def fingerprint(self) -> Any:
        return "ward"

    def entries(self) -> list[Entry]:
        return [Entry(h.record, h.patient or h.record, h.split, ("normal",), f"sha-{h.record}") for h in self.held]

    def load(self, entry: Entry) -> RawEcg:
        return RawEcg(next(held.leads for held in self.held if held.record == entry.record), 500.0)


@cache
def _heart(number: int, findings: tuple[str, ...]) -> np.ndarray:
    entry = Entry(f"s{number}", f"p{number}", "train", findings, age=60.0, sex="female")
    return np.asarray(generate(entry, version=2, seed=98), float)


def heart(number: int = 1, *findings: str) -> dict[str, np.ndarray]:
    """The 12 leads of a generated record with noise, normal where no findings are named."""
    return dict(zip(LEADS, _heart(number, findings or ("normal",)).copy(), strict=True))


def made_store(folder: Path, *held: Held) -> Store:
    """The store of some records, of which half may be unreadable."""
    build_store(load_card(DatasetCard, "ptbxl"), Ward(held), folder, damaged_allowed=0.5)
    return open_store(folder)


def quality_of(folder: Path, *held: Held) -> Quality:
    return check_store(made_store(folder, *held))


def told(quality: Quality) -> dict[str, list[str]]:
    """Check -> the records it says something of, without the checks that say nothing."""
    return {check: [note.record for note in notes] for check, notes in quality.found.items() if notes}


def beside_normals(folder: Path, leads: Leads) -> Quality:
    """The checks of a store of three normal hearts and a record `x` with these leads."""
    return quality_of(folder, *(Held(f"n{k}", heart(k)) for k in (11, 12, 13)), Held("x", leads))


def with_limb_leads(leads: Leads, one: np.ndarray, two: np.ndarray) -> dict[str, np.ndarray]:
    """The leads with other I and II, and with the four limb leads that follow from them."""
    limbs = {"I": one, "II": two, "III": two - one, "aVR": -(one + two) / 2, "aVL": one - two / 2, "aVF": two - one / 2}
    return {**leads, **limbs}


def arms_swapped(leads: Leads) -> dict[str, np.ndarray]:
    """As recorded with the electrodes of the two arms exchanged."""
    return with_limb_leads(leads, -leads["I"], leads["III"])
