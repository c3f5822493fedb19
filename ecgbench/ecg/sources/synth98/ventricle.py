"""The QRS complex of a record: a loop of `waves.yaml`, turned and sized until it has what the plan wants.

Every step measures the beat that it has made (axis, transition, voltages, Q depth, as `criteria.yaml` defines
them) and corrects it, so that findings that act on the same complex still each hold.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ecgbench.ecg.sources.synth98.criteria import Criteria, LimbPattern, Territory
from ecgbench.ecg.sources.synth98.leads import DOWER, INDEPENDENT, chest_turned
from ecgbench.ecg.sources.synth98.plan import Plan, Regional
from ecgbench.ecg.sources.synth98.wave import Wave, bells
from ecgbench.ecg.sources.synth98.waves import waves

LEAD = {name: row for row, name in enumerate(INDEPENDENT)}
CHEST = slice(2, 8)
TURNABLE = frozenset({"normal", "ivcd", "rsr", "incomplete-rbbb", "lafb", "lpfb"})
"""Shapes whose transition zone and Sokolow voltage are set; the others bring their own."""

OWN_AXIS = frozenset({"paced", "s1s2s3"})
"""Shapes whose frontal axis and limb-lead size are left as the loop has them."""

FIRST_AND_LAST_MV = np.array([[0.02, 0.07], [0.08, 0.08]])
"""How far the first and last vectors of normal hearts differ in x and y: some have a Q in aVL, some in III."""

R_PRIME = {"rsr": (0.6, 0.03, 0.04), "incomplete-rbbb": (1.0, 0.12, 0.18), "rbbb": (1.0, 0.15, 0.2)}
"""By shape: R' in V1 as a share of R, mV on top, both at least, and the depth of S in I and V6 (mV), at least."""

WHERE_LATE = {"rsr": (0.86, 0.060, 0.060), "incomplete-rbbb": (0.86, 0.060, 0.085), "rbbb": (0.74, 0.090, 0.110)}
"""By shape, in shares of QRS: where the late part lies, the width of R' and of S."""

LEAST_R_MV = 0.18
"""The R before an R' in V1, at least."""

SEPTUM_UP_MV = 0.003
"""By how much (for each degree beyond 40) the first vector points up in vertical hearts: aVL then begins with an R."""

OLD_Q_MS, KEPT_R_MV = 40.0, 0.13
"""From this length on a Q may be a QS; before it, an R of this height follows."""

Q_NODES = np.array([0.10, 0.28, 0.46, 0.64, 0.82, 1.0])
"""Where within a Q wave, as shares of its length, its course is set, by as many bells."""

Q_WIDTH = 0.13
Q_BELLS = np.linalg.inv(np.exp(-0.5 * ((Q_NODES[:, None] - Q_NODES) / Q_WIDTH) ** 2))
"""(6, 6): sizes of the bells from the values at the nodes."""

LEAVES = {"I": (0.0, 1.0), "III": (1.0, 1.0), "aVL": (0.5, 1.0), "aVF": (1.0, 0.5)}
"""Changes of I and II that a limb lead does not see."""

CLOSE_DEG = 1.0
"""How near the wanted axis (degrees) is near enough."""

ANGLES = np.arange(-80.0, 113.0, 4.0)
"""Degrees of turn of the horizontal plane among which the transition zone is looked for."""

ANGLE_PARTS = np.stack([np.cos(np.deg2rad(ANGLES)), np.sin(np.deg2rad(ANGLES))], axis=1)

JUMP_LEADS = 1.0
"""A transition that moves this far within one step of `ANGLES` has jumped to other leads: no crossing."""

CHEST_FOLLOWS = 0.3
"""The part of a turn of the frontal axis that the chest leads see."""

FRONTAL = np.array([[0.632, -0.235], [-0.081 * 2 / np.sqrt(3), 1.184 * 2 / np.sqrt(3)]])
"""(2, 2): I and aVF * 2 / sqrt(3) from x and y (Dower's rows)."""

QUARTER_TURN = np.linalg.inv(FRONTAL) @ np.array([[0.0, -1.0], [1.0, 0.0]]) @ FRONTAL
"""(2, 2), for x and y: a turn of the (I, aVF) plane by 90 degrees; others are its sum with the identity."""

IDENTITY = np.eye(2)
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
    return math.cos(angle) * IDENTITY + math.sin(angle) * QUARTER_TURN


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
    return float(_transitions(beat[None, CHEST])[0])


def _transitions(chest: np.ndarray) -> np.ndarray:
    """`transition_zone` of m beats at once: (m, 6, n) mV of the chest leads -> (m,)."""
    highest, lowest = chest.max(axis=2), chest.min(axis=2)
    balance = (highest + lowest) / np.maximum(highest - lowest, 1e-6)
    before, after = balance[:, :-1], balance[:, 1:]
    crosses = (before < 0) & (after >= 0)
    lead, row = crosses.argmax(axis=1), np.arange(len(chest))
    between = lead + 1 - before[row, lead] / np.where(crosses, after - before, 1.0)[row, lead]
    beyond = np.where(balance[:, 0] >= 0, 0.9 - balance[:, 0], 6.1 - balance[:, 5])
    return np.where(crosses.any(axis=1), between, beyond)


class Ventricle:
    """The fitted QRS: `wave`, its duration `qrs` (s) and the `torso` that P and T also use."""

    def __init__(self, plan: Plan, knowledge: Criteria, patient: np.random.Generator) -> None:
        self.plan, self.qrs = plan, plan["qrs_ms"] / 1000
        loop = waves().qrs_loop(plan.qrs_shape)
        loop[:, 2:] *= patient.normal(1.0, 0.15, size=loop[:, 2:].shape)
        loop[:, 1] *= patient.normal(1.0, 0.06, size=len(loop))
        loop[[0, -1], 2:] *= patient.lognormal(0.0, 0.35, size=(2, 1))
        if plan.qrs_shape == "normal":
            loop[[0, -1], 2:4] += patient.normal(0.0, FIRST_AND_LAST_MV, size=(2, 2))
            loop[0, 3] -= SEPTUM_UP_MV * max(0.0, plan["axis_deg"] - 40)
        self.loop = loop
        self.time = np.arange(-0.02, self.qrs + 0.03, 0.002)
        gain = np.ones(8)
        gain[CHEST] = waves().chest_gain * np.clip(patient.lognormal(0.0, 0.22, size=6), 0.65, 1.5)
        self.torso = Torso(0.0, 0.0, gain)
        self.shape = bells(loop[:, 0] * self.qrs, loop[:, 1] * self.qrs, loop[:, 2:]).at(self.time)
        self.scale = patient.lognormal(0.0, 0.12)
        self.extra, self.added = NOTHING, np.zeros((8, len(self.time)))
        if plan.qrs_shape == "s1s2s3":
            self._deepen_limb_s()
        self._turn_transition()
        for _ in range(2):
            self._turn_axis(180.0)
            self._size_limb()
        self._turn_transition()
        self._size_chest()
        self._set_regional(knowledge)
        if plan.infarctions or "r_v1_mv" in plan.numbers or plan.qrs_shape in R_PRIME:
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
        return self.scale * self.torso.gain[:, None] * (self.torso.field() @ self.shape) + self.added

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
        # I and II at any angle are the sum of three curves: a step costs a sum, not a beat (an eighth of its time).
        gain = self.scale * self.torso.gain[:2, None]
        along, across = (gain * (DOWER[:2, :2] @ turn @ self.shape[:2]) for turn in (IDENTITY, QUARTER_TURN))
        still = gain * (DOWER[:2, 2:] @ self.shape[2:]) + self.added[:2]
        start = best = now = self.torso.frontal
        least = math.inf
        for step in range(8):
            angle = math.radians(now)
            limb = math.cos(angle) * along + math.sin(angle) * across + still
            error = (self.plan["axis_deg"] - frontal_axis(limb) + 180) % 360 - 180
            if abs(error) < least:
                best, least = now, abs(error)
            if least < CLOSE_DEG:
                break
            damped = error if step < 2 else 0.6 * error
            now = start + min(max(now + damped - start, -most), most)
        self._turned(frontal=best)

    def _turn_transition(self) -> None:
        """Turn the horizontal plane, as little as does it, until R = S where wanted, or as near as it goes."""
        if self.plan.qrs_shape not in TURNABLE:
            return
        error = _transitions(self._chest_turned_by_all_angles()) - self.plan["transition"]
        step = np.diff(error)
        crosses = (error[:-1] < 0) != (error[1:] < 0)
        at = np.flatnonzero(crosses & (np.abs(step) < JUMP_LEADS))
        if len(at):
            angles = ANGLES[at] - error[at] / step[at] * np.diff(ANGLES)[at]
            self._turned(horizontal=float(angles[np.abs(angles).argmin()]))
        else:
            self._turned(horizontal=float(ANGLES[np.abs(error).argmin()]))

    def _chest_turned_by_all_angles(self) -> np.ndarray:
        """(angles, 6, n): the chest leads for every turn of the horizontal plane, as sums of three curves."""
        gain = self.scale * self.torso.gain[CHEST, None]
        x, y = _frontal_turn(self.torso.frontal * CHEST_FOLLOWS) @ self.shape[:2]
        z = self.shape[2]
        to_x, to_y, to_z = (DOWER[CHEST, column, None] for column in range(3))
        turning = np.stack([gain * (to_x * x + to_z * z), gain * (to_z * x - to_x * z)])
        still = gain * (to_y * y) + self.added[CHEST]
        chest = (ANGLE_PARTS @ turning.reshape(2, -1)).reshape(len(ANGLES), *still.shape)
        return np.asarray(chest + still)

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
            left = np.ptp(self.beat()[6:], axis=1)
            self.torso.gain[6:] *= np.minimum(1.0, 0.9 * numbers["katz_mv"] / left)
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
        self.added += added.at(self.time)

    def _set_regional(self, knowledge: Criteria) -> None:
        """The R and Q waves that no turn of the loop gives, set anew."""
        self.extra, self.added = NOTHING, np.zeros_like(self.added)
        self._set_r_waves()
        if self.plan.qrs_shape in R_PRIME:
            self._set_r_prime(self.plan.qrs_shape)
        for infarction in self.plan.infarctions:
            self._set_q(infarction, knowledge.territories[infarction.region], knowledge)

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
                        self._add(float(self.time[peak]), self._width_before(row, peak), change)

    def _set_r_prime(self, shape: str) -> None:
        """R, S and R' in V1, and the S of I and V6 that goes with them."""
        share, more, depth = R_PRIME[shape]
        late_at, r_width, s_width = WHERE_LATE[shape]
        rise = int(np.abs(self.time - 0.2 * self.qrs).argmin())
        early = np.zeros(8)
        early[2] = max(0.0, LEAST_R_MV - self.beat()[2, rise])
        self._add(0.2 * self.qrs, 0.07 * self.qrs, early)
        beat, late = self.beat(), self.time > (late_at - 0.16) * self.qrs
        change = np.zeros(8)
        change[2] = share * beat[2, self.time < 0.5 * self.qrs].max() + more - beat[2, late].max()
        if shape == "rbbb":
            change[2] = max(0.0, change[2])
        change[3] = 0.5 * change[2]
        self._add(late_at * self.qrs, r_width * self.qrs, change)
        s_wave = np.zeros(8)
        for row in (LEAD["V6"],) if shape == "rsr" else (LEAD["I"], LEAD["V6"]):
            s_wave[row] = min(0.0, -depth - beat[row, late].min())
        self._add(late_at * self.qrs, s_width * self.qrs, s_wave)

    def _width_before(self, row: np.ndarray, peak: int) -> float:
        """Width (s) of a bell that is a little narrower than the rise to a peak, so that taking it away leaves no Q."""
        below = np.flatnonzero(row[:peak] < row[peak] / 2)
        half = float(self.time[peak] - self.time[below[-1]]) if len(below) else 0.13 * self.qrs
        return 0.8 * half / math.sqrt(2 * math.log(2))

    def _set_q(self, infarction: Regional, territory: Territory, knowledge: Criteria) -> None:
        """A Q wave of the wanted depth and length in the leading leads of a territory: what the beat does in that time
        is replaced by half a sine, so that neither a steep R nor a missing one changes depth or length."""
        if infarction.q_mv is None or infarction.q_ms is None:
            return
        q = infarction.q_ms / 1000
        wanted = -infarction.q_mv * np.sin(np.pi * Q_NODES)
        beat = self.beat()[:, [int(np.abs(self.time - moment).argmin()) for moment in q * Q_NODES]]
        change = np.zeros((len(Q_NODES), 8))
        if territory.limb is not None:
            pattern, lead = self.limb_pattern(territory.limb, knowledge), territory.limb.lead
            missing = (wanted - limb_lead(lead, beat[0], beat[1])) / limb_lead(lead, *pattern)
            change[:, :2] = (Q_BELLS @ missing)[:, None] * pattern
        for name, share in territory.chest.items():
            change[:, LEAD[name]] = share * (Q_BELLS @ (wanted - beat[LEAD[name]]))
        for node, size in zip(Q_NODES, change, strict=True):
            self._add(float(node * q), Q_WIDTH * q, size)
        if infarction.q_ms < OLD_Q_MS:
            self._keep_r(q, territory, knowledge)

    def _keep_r(self, q: float, territory: Territory, knowledge: Criteria) -> None:
        """A small R after a Q that is no QS: where the Q takes the place of the whole R."""
        beat = self.beat()[:, int(np.abs(self.time - q - 0.014).argmin())]
        change = np.zeros(8)
        if territory.limb is not None:
            pattern, lead = self.limb_pattern(territory.limb, knowledge), territory.limb.lead
            missing = KEPT_R_MV - limb_lead(lead, beat[0], beat[1])
            change[:2] = max(0.0, missing / limb_lead(lead, *pattern)) * pattern
        rows = [LEAD[name] for name in territory.chest]
        change[rows] = np.maximum(0.0, KEPT_R_MV - beat[rows])
        self._add(q + 0.014, 0.007, change)

    def limb_pattern(self, limb: LimbPattern, knowledge: Criteria) -> np.ndarray:
        """(2,) the shares of I and II in a change of one limb lead: the territory's own, or, where another infarction
        of the record is seen in another limb lead, those that leave that lead as it is."""
        territories = [knowledge.territories[other.region] for other in self.plan.infarctions]
        others = {other.limb.lead for other in territories if other.limb is not None} - {limb.lead}
        return np.array(LEAVES[others.pop()] if others else (limb.I, limb.II))


def limb_lead(lead: str, one: Any, two: Any) -> Any:
    """A limb lead from I and II, numbers or arrays."""
    return {"I": one, "III": two - one, "aVL": one - two / 2, "aVF": two - one / 2}[lead]
