"""Lead I upside down: the arm electrodes swapped, or the heart on the right.

Swapping them inverts I and exchanges II with III and aVR with aVL; aVF and the chest leads stay. P, QRS complex and T of
I then point down where they should point up. Leads I and V6 normally look alike in P wave and QRS direction, so that
discordance suggests a swap (Kligfield et al. 2007, "Recommendations for the standardization and interpretation of the
electrocardiogram, part I", Circulation 115:1306-1324). The averaged beat of a record is suspected where its QRS points
down in I and either P and T do so too, or P, QRS and ST-T each are V6 (V5) upside down. It is a suspicion: nothing here
can tell a swap from dextrocardia, in which V6 points down as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ecgbench.ecg.quality.batch import Batch, Remark
from ecgbench.ecg.quality.limits import FLAT_LEAD, MIRRORED, P_OR_T_WAVE
from ecgbench.ecg.recording import LEADS, STORE_RATE

_I = LEADS.index("I")
COMPARED = tuple(LEADS.index(lead) for lead in ("I", "V6", "V5"))
"""The leads of an averaged beat."""

_INDEPENDENT = [LEADS.index(lead) for lead in ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")]
BEFORE, AFTER = 150, 250
"""Samples of a beat before and after the middle of its QRS complex."""

P_WINDOW = slice(30, 115)
PQ_WINDOW = slice(95, 118)
QRS_WINDOW = slice(120, 185)
ST_T_WINDOW = slice(190, 390)
T_WINDOW = slice(210, 390)
"""Of a beat's 400 samples: -240 to -70 ms, -110 to -64, -60 to 70, 80 to 480, 120 to 480."""

_END = 10
_STEEP = 5
_SMOOTHED = 40
_APART = 151
_OF_TYPICAL = 0.4
FEWEST_BEATS = 3


@dataclass(frozen=True)
class LeadOne:
    """The averaged beat's P, QRS and T in lead I, µV, P from the ends of its window, the others from the PQ segment: the
    larger way for P and T, highest plus lowest for QRS. `like`: correlation of P, QRS and ST-T with the lead `to`, None
    where neither V6 nor V5 is live."""

    p: float
    qrs: float
    t: float
    like: tuple[float, float, float] | None
    to: str
    to_qrs: float

    @property
    def points_down(self) -> bool:
        return self.p <= -P_OR_T_WAVE and self.qrs < 0 and self.t <= -P_OR_T_WAVE

    @property
    def mirrors(self) -> bool:
        return self.qrs < 0 and self.like is not None and max(self.like) < MIRRORED


def mainly_down(batch: Batch) -> np.ndarray:
    """bool (n,): lead I is real, live, and goes further down than up from its middle in the typical second. A cheap first
    look: the averaged beat is made of these alone."""
    live = batch.real[:, _I] & (batch.amplitudes[:, _I] >= FLAT_LEAD)
    lead = batch.counts[:, _I, : batch.samples // STORE_RATE * STORE_RATE]
    seconds = lead.reshape(len(lead), -1, STORE_RATE)
    up = np.median(seconds.max(-1), axis=-1)
    down = np.median(seconds.min(-1), axis=-1)
    return live & (up + down < 2 * np.median(lead, axis=-1))


def beats(counts: np.ndarray, leads: list[int]) -> np.ndarray:
    """The middles of the QRS complexes of a record (12, samples): where its leads are steepest together, 0.3 s apart."""
    from scipy.ndimage import maximum_filter1d, uniform_filter1d

    chosen = counts[leads].astype(np.float32)
    steep = np.abs(chosen[:, _STEEP:] - chosen[:, :-_STEEP]).sum(0)
    energy = uniform_filter1d(np.pad(steep, (_STEEP // 2, _STEEP - _STEEP // 2)), _SMOOTHED)
    whole = len(energy) // STORE_RATE * STORE_RATE
    typical = np.median(energy[:whole].reshape(-1, STORE_RATE).max(-1))
    peaks = np.flatnonzero((energy == maximum_filter1d(energy, _APART)) & (energy > _OF_TYPICAL * typical))
    return peaks[(peaks >= BEFORE) & (peaks < counts.shape[-1] - AFTER)]


def averaged_beat(counts: np.ndarray, middles: np.ndarray) -> np.ndarray:
    """The median of the beats of a record: float32 (3, 400), leads I, V6 and V5 in µV from the PQ segment. `counts`:
    (12, samples); `middles`: of its QRS complexes, one or more."""
    each = np.stack([counts[COMPARED, middle - BEFORE : middle + AFTER] for middle in middles]).astype(np.float32)
    beat = np.median(each - np.median(each, axis=-1, keepdims=True), axis=0)
    return np.asarray(beat - np.median(beat[:, PQ_WINDOW], axis=-1, keepdims=True))


def lead_one(beat: np.ndarray, live: np.ndarray) -> LeadOne:
    """What an averaged beat (3, 400) says of lead I. `live`: bool (12,), which leads may be compared with."""
    one = beat[0]
    to = next((place for place in (1, 2) if live[COMPARED[place]]), None)
    like, to_qrs = None, 0.0
    if to is not None:
        p, qrs, st_t = (_alike(one[part], beat[to][part]) for part in (P_WINDOW, QRS_WINDOW, ST_T_WINDOW))
        like, to_qrs = (p, qrs, st_t), _net(beat[to][QRS_WINDOW])
    name = "" if to is None else LEADS[COMPARED[to]]
    return LeadOne(
        _larger(_from_its_ends(one[P_WINDOW])), _net(one[QRS_WINDOW]), _larger(one[T_WINDOW]), like, name, to_qrs
    )


def inverted_lead_one(batch: Batch) -> list[Remark]:
    """Records whose lead I seems upside down."""
    remarks = []
    live = batch.real & (batch.amplitudes >= FLAT_LEAD)
    for place in np.flatnonzero(mainly_down(batch)):
        middles = beats(batch.counts[place], [lead for lead in _INDEPENDENT if live[place, lead]])
        if len(middles) < FEWEST_BEATS:
            continue
        found = lead_one(averaged_beat(batch.counts[place], middles), live[place])
        if found.points_down or found.mirrors:
            remarks.append(Remark(int(batch.rows[place]), _text(found), _measured(found)))
    return remarks


def _text(found: LeadOne) -> str:
    waves = f"in I P {found.p:.0f}, QRS {found.qrs:.0f}, T {found.t:.0f} µV"
    if found.like is None:
        return waves
    alike = ", ".join(f"{value:.1f}" for value in found.like)
    return f"{waves}; likeness to {found.to} {alike}{'' if found.to_qrs > 0 else f', {found.to} points down too'}"


def _measured(found: LeadOne) -> dict[str, object]:
    return {
        "p_uv": round(found.p),
        "qrs_uv": round(found.qrs),
        "t_uv": round(found.t),
        "compared_with": found.to or None,
        "likeness": [round(value, 2) for value in found.like] if found.like else None,
    }


def _from_its_ends(wave: np.ndarray) -> np.ndarray:
    """A wave from the level at the ends of its window: where PR is short, a P wave reaches into the PQ segment, and nothing
    can be measured from there."""
    return np.asarray(wave - (np.median(wave[:_END]) + np.median(wave[-_END:])) / 2)


def _larger(wave: np.ndarray) -> float:
    return float(wave.max() if wave.max() > -wave.min() else wave.min())


def _net(wave: np.ndarray) -> float:
    return float(wave.max() + wave.min())


def _alike(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's correlation; 0 where one of them does not move."""
    one, other = one - one.mean(), other - other.mean()
    norm = float(np.sqrt((one * one).sum() * (other * other).sum()))
    return float((one * other).sum()) / norm if norm > 0 else 0.0
