"""`measure`: what an independent analyser reads off 12 leads. It knows nothing of how the ECG was made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tests.proof import atrium, flutter, rhythm
from tests.proof import beats as find
from tests.proof.hidden import free_p, with_hidden
from tests.proof.shapes import Families, families
from tests.proof.waves import BEFORE, LEADS, MS, Beat, lead_values, median_beat

NAN = float("nan")
WHOLE = (1, 6)
"""Leads that openecg delineates to the record's ends (II, V1); V2, V5 and I without the ends."""
INNER = (7, 10, 0)

WIDE_MS = 120.0
"""QRS from which on a P wave before it may be openecg's guess."""


@dataclass(frozen=True)
class Measured:
    """`numbers` by name (nan: not measurable), one letter a beat, QRS times (s), and wave values by lead."""

    numbers: dict[str, float]
    beats: str
    times: np.ndarray
    leads: dict[str, dict[str, float]]


def measure(leads: np.ndarray, rate: float = 500.0) -> Measured:
    """Measures 12 leads (12, n), mV, in the order I II III aVR aVL aVF V1 to V6."""
    raw = find.at_working_rate(leads, rate)
    if raw.shape[0] != 12:
        raise ValueError(f"measure() needs 12 leads, not {raw.shape[0]}")
    spikes = find.find_spikes(raw)
    clean = find.cleaned(find.without_spikes(raw, spikes))
    labels = {lead: find.delineated(clean[lead], lead in WHOLE) for lead in (*WHOLE, *INNER)}
    samples = find.qrs_samples(clean, list(labels.values()))
    if len(samples) < 3:
        return Measured({"n_beats": float(len(samples))}, "N" * len(samples), samples / find.RATE, {})
    labels = {lead: find.small_as_p(label, samples) for lead, label in labels.items()}
    found = families(clean, samples)
    beat = median_beat(clean, found, found.family == 0, labels)
    onsets = found.samples + (beat.onset - BEFORE)
    bounds = (beat.onset - BEFORE, beat.end - BEFORE)
    atrial = flutter.atrial_numbers(clean[[1, 5, 6]], found, *bounds)
    from_ventricle = rhythm.ventricular(found, clean.shape[1])
    p = _all_p(clean, labels, found, beat, from_ventricle)
    if (beat.end - beat.onset) * MS >= WIDE_MS:
        p = atrium.without_guesses(clean, p, "".join(np.where(from_ventricle, "V", "N")), onsets)
    if flutter.locked_flutter(clean[[1, 5, 6]], found, *bounds)[1] > 0:
        p = atrium.PWaves(np.zeros((0, 2)), np.full(len(onsets), -1))
    likeness = atrium.p_likeness(clean, p, ~from_ventricle)
    letter = rhythm.letters(found, clean.shape[1], p, likeness, from_ventricle)
    times = found.samples / find.RATE
    values = lead_values(beat)
    numbers = rhythm.rr_numbers(times, letter) | atrium.p_numbers(p, letter, onsets)
    atrium.refined(numbers, clean, p, letter, onsets)
    numbers["p_shapes"] = atrium.p_shapes(clean, p, letter)
    _p_amplitudes(values, clean, p, letter)
    numbers |= _intervals(beat, numbers["rate_bpm"]) | _voltages(values) | atrial
    usual = found.family == 0
    width = found.width_ms * numbers["qrs_ms"] / np.median(found.width_ms[usual])
    numbers["wide_share"] = float(np.mean(np.where(usual, numbers["qrs_ms"], width) >= 120))
    numbers["spikes_per_beat"] = len(spikes) / len(samples)
    return Measured(numbers, letter, times, values)


def beat_letters(leads: np.ndarray, rate: float) -> tuple[np.ndarray, str]:
    """QRS times (s) and letters of a record of any number of leads (k, n) and any length: what a Holter's test needs."""
    raw = find.at_working_rate(leads, rate)
    clean = find.cleaned(find.without_spikes(raw, find.find_spikes(raw)))
    labels = {0: find.delineated(clean[0]), len(clean) - 1: find.delineated(clean[-1])}
    found = families(clean, find.qrs_samples(clean, list(labels.values())))
    p = atrium.p_waves(labels, set(labels), found.samples - 22)
    from_ventricle = rhythm.ventricular(found, clean.shape[1])
    likeness = atrium.p_likeness(clean, p, ~from_ventricle)
    return found.samples / find.RATE, rhythm.letters(found, clean.shape[1], p, likeness, from_ventricle)


def _all_p(
    clean: np.ndarray,
    labels: dict[int, np.ndarray],
    found: Families,
    beat: Beat,
    from_ventricle: np.ndarray,
) -> atrium.PWaves:
    """openecg's P waves, and where it finds few those of the averaged beat."""
    onsets = found.samples + (beat.onset - BEFORE)
    p = atrium.p_waves(labels, set(WHOLE), onsets)
    letter = "".join(np.where(from_ventricle, "V", "N"))
    qt = beat.t_end - beat.onset
    if (p.of_beat[~from_ventricle] >= 0).mean() <= 0.7 and len(p.spans) <= 0.7 * len(onsets):
        free = free_p(clean, onsets, int(qt) if np.isfinite(qt) else 230)
        if len(free) > len(p.spans):
            p = atrium.PWaves(free, atrium.of_beats(free, onsets))
            return with_hidden(clean, p, onsets, letter, beat.end - beat.onset, int(qt) if np.isfinite(qt) else 230)
        mean = atrium.averaged_p(clean, onsets, letter, qt)
        if mean is not None:
            there = onsets + mean[0] > 0
            guess = np.column_stack([onsets + mean[0], onsets + mean[1]])
            trial = atrium.PWaves(guess, np.where(there, np.arange(len(onsets)), -1))
            p = atrium.with_averaged(p, mean, onsets, atrium.p_likeness(clean, trial, ~from_ventricle))
    return with_hidden(clean, p, onsets, letter, beat.end - beat.onset, int(qt) if np.isfinite(qt) else 200)


def _intervals(beat: Beat, rate: float) -> dict[str, float]:
    qt = (beat.t_end - beat.onset) * MS
    return {"qrs_ms": (beat.end - beat.onset) * MS, "qt_ms": qt, "qtc_ms": qt / (60 / rate) ** (1 / 3)}


def _p_amplitudes(values: dict[str, dict[str, float]], clean: np.ndarray, p: atrium.PWaves, letter: str) -> None:
    """Adds p_mv and p_terminal_mv, from the median P of the N beats against the line from its onset to its end."""
    usable = [index for index, name in zip(p.of_beat, letter, strict=True) if name == "N" and index >= 0]
    for lead in LEADS:
        values[lead] |= {"p_mv": NAN, "p_terminal_mv": NAN}
    if len(usable) < 2:
        return
    length = round(float(np.median(np.diff(p.spans[usable], axis=1))))
    starts = p.spans[usable, 0].astype(int)
    wave = find.middle(find.windows(clean, starts, 15, length + 15))
    wave = find.smoothed(np.nan_to_num(wave), 40)
    first, last = 8, wave.shape[1] - 8
    levels = wave[:, first - 6 : first + 4].mean(axis=1), wave[:, last - 4 : last + 6].mean(axis=1)
    share = np.linspace(0, 1, last - first)
    part = wave[:, first:last] - levels[0][:, None] * (1 - share) - levels[1][:, None] * share
    for index, lead in enumerate(LEADS):
        values[lead]["p_mv"] = float(part[index, np.abs(part[index]).argmax()])
        values[lead]["p_terminal_mv"] = float(max(0.0, -part[index, part.shape[1] // 2 :].min()))


def _voltages(values: dict[str, dict[str, float]]) -> dict[str, float]:
    """Axis, transition and the voltage sums."""
    depth = {lead: value["s_mv"] or (value["q_mv"] if value["r_mv"] == 0 else 0.0) for lead, value in values.items()}
    net = {lead: value["net_mv"] for lead, value in values.items()}
    size = {lead: value["qrs_pp_mv"] for lead, value in values.items()}
    v1 = values["V1"]
    return {
        "axis_deg": float(np.degrees(np.arctan2(net["aVF"] * 2 / np.sqrt(3), net["I"]))),
        "transition": transition([net[f"V{i}"] / max(size[f"V{i}"], 1e-6) for i in range(1, 7)]),
        "sokolow_mv": max(depth["V1"], values["V1"]["q_mv"]) + max(values["V5"]["r_mv"], values["V6"]["r_mv"]),
        "katz_mv": max(size["V2"], size["V3"], size["V4"]),
        "limb_mv": max(size[lead] for lead in LEADS[:6]),
        "chest_mv": max(size[lead] for lead in LEADS[6:]),
        "r_v1_mv": max(v1["r_mv"], v1["r2_mv"]),
        "r_v3_mv": values["V3"]["r_mv"],
        "s123_mv": min(values[lead]["s_mv"] for lead in ("I", "II", "III")),
        "p_ii_mv": values["II"]["p_mv"],
        "p_v1_terminal_mv": v1["p_terminal_mv"],
    }


def transition(balance: list[float]) -> float:
    """Where R = S between V1 (1) and V6 (6), of the balances (R - S) / (R + S) of the six chest leads."""
    for lead in range(5):
        if balance[lead] < 0 <= balance[lead + 1]:
            return lead + 1 - balance[lead] / (balance[lead + 1] - balance[lead])
    return 0.9 - balance[0] if balance[0] >= 0 else 6.1 - balance[5]
