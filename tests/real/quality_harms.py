"""Harm that is done to recordings in the field, done to real ones on purpose. Harms take and give counts of a store:
int16 (n, 12, 5000), 1 µV."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ecgbench.ecg.recording import LEADS

Harm = Callable[[np.ndarray], np.ndarray]


def in_counts(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), -32767, 32767).astype(np.int16)


def arms_exchanged(c: np.ndarray) -> np.ndarray:
    """I is turned, II and III are exchanged, aVR and aVL are."""
    return np.concatenate([-c[:, [0]], c[:, [2, 1, 4, 3, 5, 6, 7, 8, 9, 10, 11]]], axis=1)


def columns_exchanged(one: str, other: str) -> Harm:
    order = [{one: other, other: one}.get(lead, lead) for lead in LEADS]
    return lambda c: c[:, [LEADS.index(lead) for lead in order]]


def with_lead(name: str, harm: Harm) -> Harm:
    def harmed(c: np.ndarray) -> np.ndarray:
        c = c.copy()
        c[:, LEADS.index(name)] = harm(c[:, LEADS.index(name)])
        return c

    return harmed


def cut_off(share: float) -> Harm:
    """Both ways at a share of the largest excursion from the median."""

    def cut(lead: np.ndarray) -> np.ndarray:
        middle = np.median(lead, axis=-1, keepdims=True)
        low, high = lead.min(-1, keepdims=True), lead.max(-1, keepdims=True)
        return in_counts(np.clip(lead, middle + share * (low - middle), middle + share * (high - middle)))

    return cut


def held_for(samples: int) -> Harm:
    return lambda lead: np.where((np.arange(5000) // samples) == 1, lead[:, [samples]], lead)


HARMS: dict[str, tuple[str, Harm]] = {
    "divided by 1000": ("unit", lambda c: in_counts(c / 1000.0)),
    "divided by 10": ("unit", lambda c: in_counts(c / 10.0)),
    "times 10": ("unit", lambda c: in_counts(c * 10.0)),
    "times 100": ("unit", lambda c: in_counts(c * 100.0)),
    "times 1000": ("unit", lambda c: in_counts(c * 1000.0)),
    "V3 off": ("flat-lead", with_lead("V3", np.zeros_like)),
    "V3 held for 0.7 s": ("flat-part", with_lead("V3", held_for(350))),
    "V3 held for 1.25 s": ("flat-part", with_lead("V3", held_for(625))),
    "V3 cut off at 60 %": ("saturated", with_lead("V3", cut_off(0.6))),
    "V3 cut off at 20 %": ("saturated", with_lead("V3", cut_off(0.2))),
    "columns II and III": ("einthoven", columns_exchanged("II", "III")),
    "columns aVR and aVL": ("einthoven", columns_exchanged("aVR", "aVL")),
    "columns V1 and V2": ("einthoven", columns_exchanged("V1", "V2")),
    "I later by 10 ms": ("einthoven", with_lead("I", lambda lead: np.roll(lead, 5, axis=-1))),
    "arm electrodes": ("inverted-lead-I", arms_exchanged),
}
"""What is done, and the check that it is a matter of."""
