"""Whether a measured ECG meets a finding's written criterion, condition by condition."""

from __future__ import annotations

import math
import re
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from ecgbench.ecg.sources.synth98.criteria import Bounds, Criteria, Criterion, Ectopy, Infarction, Repolarisation

if TYPE_CHECKING:
    from tests.proof.measure import Measured

LETTER = {"atrial": "A", "ventricular": "V"}
LEAST_R_PRIME_MV = 0.1
"""The R of a qR complex in V1 counts as R' from this height on."""

RUN = (3, 6)
"""Beats of a short run."""

JUDGED_ELSEWHERE = frozenset({"rhythm", "qrs_shape", "ectopy", "infarction", "repolarisation", "leads", "not_shape"})
NUMBERS = tuple(name for name in Criterion.model_fields if name not in JUDGED_ELSEWHERE)


def misses(measured: Measured, criterion: Criterion, knowledge: Criteria) -> list[str]:
    """The conditions of a criterion that do not hold, as `name=value`; an empty list: it is met. What could not be
    measured does not hold."""
    if not measured.leads:
        return ["too few beats"]
    found = []
    numbers = {
        **measured.numbers,
        "r2_over_r_v1_mv": _r2_over_r(measured),
        "rr_irregularity_all": _irregularity_of_all(measured),
    }
    for name in NUMBERS:
        found += _outside(name, numbers.get(name, math.nan), getattr(criterion, name))
    for choices, signs, name in (
        (criterion.rhythm, knowledge.rhythms, "rhythm"),
        (criterion.qrs_shape, knowledge.qrs_shapes, "qrs_shape"),
    ):
        if choices is not None:
            tried = [misses(measured, one, knowledge) for choice in choices for one in signs[choice].any_of]
            if all(tried):
                found.append(f"{name}: {' or '.join('+'.join(parts) for parts in tried)}")
    for shape in criterion.not_shape:
        if any(not misses(measured, one, knowledge) for one in knowledge.qrs_shapes[shape].any_of):
            found.append(f"shape {shape}")
    if criterion.ectopy:
        count = premature_count(measured.beats, criterion.ectopy)
        found += _outside(f"{criterion.ectopy.pattern} in {measured.beats}", count, criterion.ectopy.count)
    if criterion.infarction:
        regions = [knowledge.territories[name].measured_in for name in criterion.infarction.territory]
        tried = [_region(measured, leads, criterion.infarction) for leads in regions]
        if all(tried):
            found += min(tried, key=len)
    if criterion.repolarisation:
        leads = knowledge.lead_groups[criterion.repolarisation.leads].measured_in
        found += _region(measured, leads, criterion.repolarisation)
    for lead, waves in criterion.leads.items():
        for name in type(waves).model_fields:
            found += _outside(f"{lead} {name}", measured.leads[lead][name], getattr(waves, name))
    return found


def _outside(name: str, value: float, bounds: Bounds | None) -> list[str]:
    if bounds is None:
        return []
    low = -math.inf if bounds[0] is None else bounds[0]
    high = math.inf if bounds[1] is None else bounds[1]
    return [] if low <= value <= high else [f"{name}={value:.3g}"]


def _r2_over_r(measured: Measured) -> float:
    """R' - R in V1; an R after a Q is the R'; without an R' it is as far below as R is high."""
    v1 = measured.leads["V1"]
    if v1["r2_mv"] > 0:
        return v1["r2_mv"] - v1["r_mv"]
    return v1["r_mv"] - LEAST_R_PRIME_MV if v1["q_mv"] > 0.05 else -max(v1["r_mv"], 0.01)


def _irregularity_of_all(measured: Measured) -> float:
    """Mean change from one RR to the next / mean RR, premature beats and all."""
    rr = np.diff(measured.times)
    return float(np.abs(np.diff(rr)).mean() / rr.mean()) if len(rr) > 2 else math.nan


def _region(measured: Measured, leads: tuple[str, ...], wanted: Infarction | Repolarisation) -> list[str]:
    found = []
    for name in ("q_mv", "q_ms", "st_mv", "t_mv"):
        value = float(np.median([measured.leads[lead][name] for lead in leads]))
        found += _outside(f"{'+'.join(leads)} {name}", value, getattr(wanted, name, None))
    return found


def premature_count(beats: str, ectopy: Ectopy) -> int:
    """How often a pattern stands in a strip: single beats, couplets, short runs, or turns of bi- or trigeminy."""
    letter = LETTER[ectopy.origin]
    if ectopy.pattern in ("bigeminy", "trigeminy"):
        turn = "N" * (1 if ectopy.pattern == "bigeminy" else 2) + letter
        return max((len(found.group()) // len(turn) for found in re.finditer(f"(?:{turn})+", beats)), default=0)
    lengths = [len(list(run)) for kind, run in groupby(beats) if kind == letter]
    if ectopy.pattern == "single":
        return sum(length == 1 for length in lengths)
    if ectopy.pattern == "couplet":
        return sum(length == 2 for length in lengths)
    return sum(RUN[0] <= length <= RUN[1] for length in lengths)
