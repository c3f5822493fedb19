"""The QRS complex of a record: a loop of `waves.yaml`, turned and sized until it has what the plan wants.

Every step measures the beat that it has made (axis, transition, voltages, Q depth, as `criteria.yaml` defines
them) and corrects it, so that findings that act on the same complex still each hold.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ecgbench.ecg.sources.synth98.criteria import Criteria, Territory
from ecgbench.ecg.sources.synth98.leads import INDEPENDENT, chest_turned
from ecgbench.ecg.sources.synth98.plan import Plan, Regional
from ecgbench.ecg.sources.synth98.wave import Wave, bells
from ecgbench.ecg.sources.synth98.waves import waves

LEAD = {name: row for row, name in enumerate(INDEPENDENT)}
CHEST = slice(2, 8)
TURNABLE = frozenset({"normal", "ivcd", "rsr", "incomplete-rbbb", "lafb", "lpfb"})
"""Shapes whose transition zone and Sokolow voltage are set; the others bring their own."""

OWN_AXIS = frozenset({"paced", "s1s2s3"})
"""Shapes whose frontal axis and limb-lead size are left as the loop has them."""

CLOSE_DEG, CLOSE_LEADS = 1.0, 0.15
"""How near the wanted axis (degrees) and transition (leads) is near enough."""

CHEST_FOLLOWS = 0.3
"""The part of a turn of the frontal axis that the chest leads see."""

FRONTAL = np.array([[0.632, -0.235], [-0.081 * 2 / np.sqrt(3), 1.184 * 2 / np.sqrt(3)]])
"""(2, 2): I and aVF * 2 / sqrt(3) from x and y (Dower's rows)."""

FRONTAL_INVERSE = np.linalg.inv(FRONTAL)

NOTHING = bells(np.zeros(0), np.zeros(0), np.zeros((0, 8)))


@dataclass(frozen=True)
class Torso:
    """How the heart lies: degrees by which the frontal and horizontal planes are turned, lead gains (8,)."""

    frontal: float
    horizontal: float
    gain: np.ndarray

    def field(self, frontal: float = 1.0, horizontal: float = 1.0) -> np.ndarray:
        """(8, 3): Dower's matrix for this torso; the arguments are the shares of the turns a wave follows."""
        matrix = chest_turned(self.horizontal * horizontal)
        matrix[:2, :2] = matrix[:2, :2] @ _frontal_turn(self.frontal * frontal)
        matrix[2:, :2] = matrix[2:, :2] @ _frontal_turn(self.frontal * frontal * CHEST_FOLLOWS)
        return matrix


def _frontal_turn(degrees: float) -> np.ndarray:
    """(2, 2), for x and y, that turns the (I, aVF) plane; positive is clockwise, as the axis is counted."""
    angle = math.radians(degrees)
    cosine, sine = math.cos(angle), math.sin(angle)
    return FRONTAL_INVERSE @ np.array([[cosine, -sine], [sine, cosine]]) @ FRONTAL


def frontal_axis(beat: np.ndarray) -> float:
    """Degrees, from the net amplitudes of I and aVF of a beat (8, n)."""
    one, foot = beat[0], beat[1] - beat[0] / 2
    return float(np.rad2deg(np.arctan2((foot.max() + foot.min()) * 2 / np.sqrt(3), one.max() + one.min())))


def limb_amplitude(beat: np.ndarray) -> float:
    """Largest peak-to-peak amplitude among the six limb leads of a beat (8, n)."""
    one, two = beat[0], beat[1]
    leads = np.stack([one, two, two - one, (one + two) / 2, one - two / 2, two - one / 2])
    return float(np.ptp(leads, axis=1).max())


def transition_zone(beat: np.ndarray) -> float:
    """Where R = S, 1 at V1 to 6 at V6 (and a little beyond by extrapolation), of a beat (8, n)."""
    highest, lowest = beat[CHEST].max(axis=1), beat[CHEST].min(axis=1)
    balance = ((highest + lowest) / np.maximum(highest - lowest, 1e-6)).tolist()
    for lead in range(5):
        if balance[lead] < 0 <= balance[lead + 1]:
            return float(lead + 1 - balance[lead] / (balance[lead + 1] - balance[lead]))
    return float(0.9 - balance[0] if balance[0] >= 0 else 6.1 - balance[5])


class Ventricle:
    """The fitted QRS: `wave`, its duration `qrs` (s) and the `torso` that P and T also use."""

    def __init__(self, plan: Plan, knowledge: Criteria, patient: np.random.Generator) -> None:
        self.plan, self.qrs = plan, plan["qrs_ms"] / 1000
        loop = waves().qrs_loop(plan.qrs_shape)
        loop[:, 2:] *= patient.normal(1.0, 0.15, size=loop[:, 2:].shape)
        loop[:, 1] *= patient.normal(1.0, 0.06, size=len(loop))
        loop[[0, -1], 2:] *= patient.lognormal(0.0, 0.35, size=(2, 1))
        self.loop = loop
        self.time = np.arange(-0.02, self.qrs + 0.03, 0.002)
        gain = np.ones(8)
        gain[CHEST] = waves().chest_gain * patient.lognormal(0.0, 0.16, size=6)
        self.torso = Torso(0.0, 0.0, gain)
        self.shape = bells(loop[:, 0] * self.qrs, loop[:, 1] * self.qrs, loop[:, 2:]).at(self.time)
        self.scale = patient.lognormal(0.0, 0.12)
        self.extra = NOTHING
        if plan.qrs_shape == "s1s2s3":
            self._deepen_limb_s()
        self._turn_transition()
        for _ in range(2):
            self._turn_axis(180.0)
            self._size_limb()
        self._turn_transition()
        self._size_chest()
        self._set_regional(knowledge)
        if plan.infarctions or "r_v1_mv" in plan.numbers:
            self._turn_axis(45.0)
            self._size_limb()
            self._size_chest()
            self._set_regional(knowledge)

    @property
    def wave(self) -> Wave:
        """The QRS components, seconds after QRS onset."""
        size = self.loop[:, 2:] @ (self.scale * self.torso.gain[:, None] * self.torso.field()).T
        return bells(self.loop[:, 0] * self.qrs, self.loop[:, 1] * self.qrs, size).joined(self.extra)

    def beat(self) -> np.ndarray:
        """(8, n) mV of the QRS as it is now."""
        dipole = self.scale * self.torso.gain[:, None] * (self.torso.field() @ self.shape)
        return dipole + self.extra.at(self.time) if len(self.extra.centre) else dipole

    def _turned(self, frontal: float | None = None, horizontal: float | None = None) -> None:
        torso = self.torso
        self.torso = Torso(
            torso.frontal if frontal is None else frontal,
            torso.horizontal if horizontal is None else horizontal,
            torso.gain,
        )

    def _turn_axis(self, most: float) -> None:
        """Turn the frontal plane until the axis is as wanted, by at most `most` degrees."""
        if self.plan.qrs_shape in OWN_AXIS:
            return
        start = best = self.torso.frontal
        least = np.inf
        for step in range(8):
            error = (self.plan["axis_deg"] - frontal_axis(self.beat()) + 180) % 360 - 180
            if abs(error) < least:
                best, least = self.torso.frontal, abs(error)
            if least < CLOSE_DEG:
                break
            damped = error if step < 2 else 0.6 * error
            self._turned(frontal=start + float(np.clip(self.torso.frontal + damped - start, -most, most)))
        self._turned(frontal=best)

    def _turn_transition(self) -> None:
        """Turn the horizontal plane until R = S where wanted: by halving, else by trying every angle."""
        if self.plan.qrs_shape not in TURNABLE:
            return
        low, high = -80.0, 110.0
        for _ in range(8):
            if self._transition_error((low + high) / 2) < 0:
                low = self.torso.horizontal
            else:
                high = self.torso.horizontal
        angles = [self.torso.horizontal]
        if abs(self._transition_error(angles[0])) > CLOSE_LEADS:
            angles += np.arange(-80.0, 111.0, 4.0).tolist()
        self._turned(horizontal=min(angles, key=lambda angle: abs(self._transition_error(angle))))

    def _transition_error(self, angle: float) -> float:
        """Leads by which the transition lies too far left when the horizontal plane is turned by an angle."""
        self._turned(horizontal=angle)
        return transition_zone(self.beat()) - self.plan["transition"]

    def _size_limb(self) -> None:
        if self.plan.qrs_shape in OWN_AXIS:
            return
        self.torso.gain[:2] *= self.plan["limb_mv"] / limb_amplitude(self.beat())

    def _size_chest(self) -> None:
        numbers, beat = self.plan.numbers, self.beat()
        if "chest_mv" in numbers:
            self.torso.gain[CHEST] *= numbers["chest_mv"] / np.ptp(beat[CHEST], axis=1).max()
        elif "katz_mv" in numbers:
            self.torso.gain[CHEST] *= numbers["katz_mv"] / np.ptp(beat[3:6], axis=1).max()
        elif self.plan.qrs_shape in TURNABLE:
            share = np.array([1.0, 0.75, 0.6, 0.8, 1.0, 1.0])
            for _ in range(2):
                beat = self.beat()
                ratio = numbers["sokolow_mv"] / max(0.3, beat[6:].max() - beat[2].min())
                self.torso.gain[CHEST] *= np.clip(ratio, 0.5, 2.0) ** share

    def _deepen_limb_s(self) -> None:
        """Grow the last component until the smallest S of I, II and III is as deep as wanted."""
        for _ in range(6):
            one, two = self.beat()[:2]
            s = -max(one.min(), two.min(), (two - one).min())
            self.loop[-1, 2:4] *= np.clip(self.plan["s123_mv"] / max(s, 0.05), 0.6, 1.6)
            rows = bells(self.loop[:, 0] * self.qrs, self.loop[:, 1] * self.qrs, self.loop[:, 2:])
            self.shape = rows.at(self.time)

    def _add(self, centre: float, width: float, change: np.ndarray) -> None:
        added = bells(np.array([centre]), np.array([width]), change[None, :])
        self.extra = self.extra.joined(added)

    def _set_regional(self, knowledge: Criteria) -> None:
        """The R and Q waves that no turn of the loop gives, set anew."""
        self.extra = NOTHING
        self._set_r_waves()
        for infarction in self.plan.infarctions:
            self._set_q(infarction, knowledge.territories[infarction.region])

    def _set_r_waves(self) -> None:
        """R in V1 (tall) and R in V3 (small), with their neighbours in proportion."""
        numbers = self.plan.numbers
        if "r_v1_mv" in numbers:
            late = 0.62 if self.plan.qrs_shape == "rvh" else 0.34
            for _ in range(3):
                change = np.zeros(8)
                missing = numbers["r_v1_mv"] - self.beat()[2].max()
                change[[2, 3, 4]] = missing * np.array([1.0, 0.8, 0.3])
                self._add(late * self.qrs, 0.13 * self.qrs, change)
        if "r_v3_mv" in numbers:
            r3 = numbers["r_v3_mv"]
            for lead, wanted in (("V1", 0.7 * r3), ("V2", 0.85 * r3), ("V3", r3)):
                for _ in range(2):
                    row = self.beat()[LEAD[lead]]
                    peak = int(row.argmax())
                    if row[peak] > wanted:
                        change = np.zeros(8)
                        change[LEAD[lead]] = wanted - row[peak]
                        self._add(float(self.time[peak]), 0.13 * self.qrs, change)

    def _set_q(self, infarction: Regional, territory: Territory) -> None:
        """A Q wave of the wanted depth and length in the leading leads of a territory."""
        if infarction.q_mv is None or infarction.q_ms is None:
            return
        centre = infarction.q_ms / 2000
        at = int(np.abs(self.time - centre).argmin())
        beat, change = self.beat(), np.zeros(8)
        if territory.limb is not None:
            lead, one, two = territory.limb.lead, territory.limb.I, territory.limb.II
            now, step = limb_lead(lead, beat[0, at], beat[1, at]), limb_lead(lead, one, two)
            change[:2] = max(0.0, (now + infarction.q_mv) / step) * np.array([-one, -two])
        for name, share in territory.chest.items():
            change[LEAD[name]] = min(0.0, -share * (beat[LEAD[name], at] + infarction.q_mv))
        self._add(centre, infarction.q_ms / 3200, change)


def limb_lead(lead: str, one: float, two: float) -> float:
    """III, aVL or aVF from I and II."""
    return {"III": two - one, "aVL": one - two / 2, "aVF": two - one / 2}[lead]
