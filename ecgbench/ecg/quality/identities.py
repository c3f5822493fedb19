"""The limb leads are tied to each other: Einthoven's law (1913) and Goldberger's leads (1942)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ecgbench.ecg.quality.batch import Batch, Remark
from ecgbench.ecg.quality.limits import EINTHOVEN
from ecgbench.ecg.recording import LEADS
from ecgbench.ecg.standardise import CLIP


@dataclass(frozen=True)
class Identity:
    """`terms`: lead -> whole factor; the sum of them is 0 at every sample. `scale`: how many times the voltage that is
    told stands in the sum. `unless`: it says nothing new where these leads are all there."""

    text: str
    terms: dict[str, int]
    scale: int
    unless: tuple[str, ...] = ()


IDENTITIES = (
    Identity("I + III = II", {"I": 1, "III": 1, "II": -1}, 1),
    Identity("aVR = -(I + II)/2", {"aVR": 2, "I": 1, "II": 1}, 2),
    Identity("aVL = I - II/2", {"aVL": 2, "I": -2, "II": 1}, 2),
    Identity("aVF = II - I/2", {"aVF": 2, "II": -2, "I": 1}, 2),
    Identity("aVR + aVL + aVF = 0", {"aVR": 1, "aVL": 1, "aVF": 1}, 1, unless=("I", "II")),
)


def residuals(batch: Batch, identity: Identity) -> np.ndarray:
    """float32 (n, samples), µV: by how much the identity does not hold; 0 where one of its leads is not real, or is cut
    off at the store's limit."""
    total = np.zeros((len(batch.counts), batch.samples), np.int32)
    told = ~batch.real[:, [LEADS.index(lead) for lead in identity.unless]].all(-1) | (not identity.unless)
    for lead, factor in identity.terms.items():
        column = LEADS.index(lead)
        total += factor * batch.counts[:, column].astype(np.int32)
        told &= batch.real[:, column]
    total[~told] = 0
    for row in np.flatnonzero(np.abs(total).max(-1) > EINTHOVEN * identity.scale):
        for lead in identity.terms:
            samples = batch.counts[row, LEADS.index(lead)]
            total[row][(samples <= -CLIP) | (samples >= CLIP)] = 0
    return total.astype(np.float32) / np.float32(identity.scale)


def broken_identities(batch: Batch) -> list[Remark]:
    """Records whose limb leads do not belong together by more than rounding explains: leads that are mixed up, recorded
    one after another, or harmed one by one."""
    worst: dict[int, list[tuple[str, float, int]]] = {}
    for identity in IDENTITIES:
        off = np.abs(residuals(batch, identity))
        for place in np.flatnonzero(off.max(-1) > EINTHOVEN):
            samples = int((off[place] > EINTHOVEN).sum())
            worst.setdefault(int(place), []).append((identity.text, float(off[place].max()), samples))
    remarks = []
    for row, broken in sorted(worst.items()):
        text, most, samples = max(broken, key=lambda item: item[1])
        measured = {name: {"most_uv": uv, "samples": count} for name, uv, count in broken}
        remarks.append(Remark(int(batch.rows[row]), f"{text}: off by up to {most:g} µV, {samples} samples", measured))
    return remarks
