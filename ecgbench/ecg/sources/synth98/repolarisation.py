"""ST segment and T wave of the record's own beats, and the whole of an ectopic ventricular beat."""

from __future__ import annotations

import numpy as np

from ecgbench.ecg.sources.synth98.criteria import Criteria, Territory
from ecgbench.ecg.sources.synth98.leads import DOWER
from ecgbench.ecg.sources.synth98.plan import Plan, Regional
from ecgbench.ecg.sources.synth98.ventricle import CHEST, LEAD, Ventricle, limb_lead
from ecgbench.ecg.sources.synth98.wave import Wave, bells
from ecgbench.ecg.sources.synth98.waves import waves

SECONDARY = frozenset({"lbbb", "paced"})
"""Shapes whose whole T wave follows from the QRS (discordant), not from the patient's T vector."""

T_FOLLOWS = (0.4, 0.1)
"""The part of the QRS's frontal and horizontal turns that a healthy T wave takes part in."""

DISCORDANT_T, DISCORDANT_ST = -4.2, -0.9
"""mV of T and of ST for each mV·s of QRS area, in beats of abnormal activation."""


def own_repolarisation(plan: Plan, ventricle: Ventricle, knowledge: Criteria, patient: np.random.Generator) -> Wave:
    """ST and T of the conducted beats, with every regional change of the plan."""
    t_size, st_size = _healthy(plan, ventricle, patient)
    for change in plan.infarctions:
        territory = knowledge.territories[change.region]
        pattern = ventricle.limb_pattern(territory.limb, knowledge) if territory.limb is not None else None
        _change_territory(change, territory, pattern, t_size, st_size)
    limb_before = t_size[:2].copy(), st_size[:2].copy()
    for change in plan.repolarisations:
        for name, share in knowledge.lead_groups[change.region].shares.items():
            row = LEAD[name]
            if change.st_mv is not None:
                st_size[row] += share * (change.st_mv - st_size[row])
            if change.t_mv is not None:
                t_size[row] = change.t_mv * share
    if any(knowledge.territories[change.region].limb is not None for change in plan.infarctions):
        _leave_foot_lead(t_size, limb_before[0])
        _leave_foot_lead(st_size, limb_before[1])
    return st_and_t(ventricle.qrs, qt_seconds(plan), st_size, t_size)


def qt_seconds(plan: Plan) -> float:
    """QT for the plan's rate by Fridericia's formula."""
    return float(plan["qtc_ms"] / 1000 * (60 / plan["rate_bpm"]) ** (1 / 3))


def st_and_t(qrs: float, qt: float, st_size: np.ndarray, t_size: np.ndarray) -> Wave:
    """A plateau from J towards T, and T: its end is two standard deviations after its peak (the tangent)."""
    fall = 0.088 * qt
    peak = max(qt - 2 * fall, qrs + 0.08)
    start, end = qrs + 0.004, max(peak - 1.6 * fall, qrs + 0.03)
    return Wave(
        centre=np.array([(start + end) / 2, peak]),
        rise=np.array([0.010, min(1.55 * fall, (peak - qrs) / 2.2)]),
        fall=np.array([0.7 * fall, fall]),
        flat=np.array([(end - start) / 2, 0.0]),
        size=np.stack([st_size, t_size]),
    )


def _healthy(plan: Plan, ventricle: Ventricle, patient: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """T and ST amplitudes (8,) before any regional change."""
    vector = np.array(waves().t["normal"]) * patient.normal(1.0, 0.15, size=3)
    vector += patient.normal(0.0, [0.03, 0.04, 0.10])
    strength, early = patient.lognormal(-0.12, 0.33), min(patient.lognormal(-2.9, 0.75), 0.17)
    gain = np.sqrt(np.clip(ventricle.torso.gain * ventricle.scale, 0.2, 2.0))
    t_size = strength * gain * (ventricle.torso.field(*T_FOLLOWS) @ vector)
    t_size[CHEST] *= waves().t_chest_gain
    st_size = early * gain * np.array([0.3, 0.4, 0.4, 1.0, 1.0, 0.6, 0.4, 0.2]) + patient.normal(0.0, 0.012, size=8)
    if plan.qrs_shape in SECONDARY:
        area = qrs_area(ventricle.wave)
        t_size, st_size = DISCORDANT_T * area, DISCORDANT_ST * area
    return t_size, st_size


def qrs_area(wave: Wave) -> np.ndarray:
    """(8,) mV·s under a QRS of symmetric bells."""
    return np.sqrt(2 * np.pi) * (wave.rise @ wave.size)


def _leave_foot_lead(size: np.ndarray, before: np.ndarray) -> None:
    """Where I alone was changed, let II follow so that aVF, which an infarction has set, stays as it was; in place."""
    if size[1] == before[1]:
        size[1] += (size[0] - before[0]) / 2


def _change_territory(
    change: Regional, territory: Territory, pattern: np.ndarray | None, t_size: np.ndarray, st_size: np.ndarray
) -> None:
    """Bring T and ST of a territory's leading leads to the wanted values, in place; `pattern`: the shares of I and II."""
    for sizes, wanted in ((t_size, change.t_mv), (st_size, change.st_mv)):
        if wanted is None:
            continue
        if territory.limb is not None and pattern is not None:
            now, step = limb_lead(territory.limb.lead, *sizes[:2]), limb_lead(territory.limb.lead, *pattern)
            sizes[:2] += (wanted - now) / step * pattern
        for name, share in territory.chest.items():
            sizes[LEAD[name]] += share * (wanted - sizes[LEAD[name]])
    for name, share in territory.reciprocal.items():
        st_size[LEAD[name]] += share * (change.st_mv or 0.0)


def ectopic_beat(plan: Plan, rng: np.random.Generator) -> Wave:
    """One ventricular focus: a wide QRS of random origin with its discordant ST and T."""
    shape = str(rng.choice(["ventricular-left", "ventricular-right"]))
    loop = waves().qrs_loop(shape)
    loop[:, 2:] *= rng.normal(1.0, 0.15, size=loop[:, 2:].shape)
    if rng.random() < 0.4:
        loop[:, 3] *= -1
    qrs = rng.uniform(0.136, 0.172)
    size = rng.lognormal(0.15, 0.2) * loop[:, 2:] @ DOWER.T
    wave = bells(loop[:, 0] * qrs, loop[:, 1] * qrs, size)
    area = qrs_area(wave)
    qt = min(0.46, max(0.36, 1.08 * qt_seconds(plan)))
    if plan.rhythm == "ventricular-tachycardia":  # as short as the fastest beats need it
        qt = rng.uniform(0.29, 0.32)
    return wave.joined(st_and_t(qrs, qt, DISCORDANT_ST * area, DISCORDANT_T * area))
