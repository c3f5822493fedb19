"""When each atrial and ventricular event happens within the ten seconds (and a little before and after)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ecgbench.ecg.sources.synth98.plan import Plan

START, END = -1.6, 10.4
"""Seconds between which events are listed; the record is 0 to 10."""


@dataclass
class Events:
    """Onsets in seconds. `p`: (time, kind, size) with kinds of `waves.yaml`; `qrs`: (time, kind) with kinds
    `conducted` (the record's own shape) and `ventricular`; `spikes`: (time, chamber); `flutter_hz` and
    `flutter_zero`: the saw-tooth's frequency and where one wave begins; `fibrillation`: fibrillatory waves.
    """

    p: list[tuple[float, str, float]] = field(default_factory=list)
    qrs: list[tuple[float, str]] = field(default_factory=list)
    spikes: list[tuple[float, str]] = field(default_factory=list)
    fibrillation: bool = False
    flutter_hz: float = 0.0
    flutter_zero: float = 0.0


def events_of(plan: Plan, rng: np.random.Generator) -> Events:
    """The events of a plan's rhythm."""
    return ENGINES[plan.rhythm](plan, rng)


def pr_seconds(plan: Plan) -> float:
    """The plan's PR, shortened as the rate rises (about 5 ms for 10/min over 100), never less than its P."""
    pr = plan["pr_ms"]
    if pr < 200:
        pr *= 1 - 0.003 * max(0.0, plan["rate_bpm"] - 100)
    return float(max(pr, plan["p_ms"] + 12)) / 1000


def _breathing(plan: Plan, rng: np.random.Generator) -> Callable[[float], float]:
    """RR in seconds at a time: respiratory variation of the wanted size about the mean rate."""
    mean, swing = 60 / plan["rate_bpm"], plan["rr_variation"]
    frequency, phase = rng.uniform(0.18, 0.28), rng.uniform(0, 2 * np.pi)
    return lambda time: mean * (1 + swing / 2 * np.sin(2 * np.pi * frequency * time + phase))


def _sequence(plan: Plan, rng: np.random.Generator) -> list[str]:
    """Beats in order: N conducted, A early supraventricular, V early ventricular."""
    beats = int((END - START) * plan["rate_bpm"] / 60) + 8
    sequence = ["N"] * beats
    groups: list[list[str]] = []
    for premature in plan.premature:
        letter = "A" if premature.origin == "atrial" else "V"
        if premature.pattern in ("bigeminy", "trigeminy"):
            period = 2 if premature.pattern == "bigeminy" else 3
            first = int(rng.integers(period))
            return [letter if i % period == first else "N" for i in range(2 * beats)]
        length = {"single": 1, "couplet": 2, "run": int(rng.integers(3, 6))}[premature.pattern]
        groups += [[letter] * length for _ in range(premature.count)]
    return _insert(sequence, groups, plan["rate_bpm"], rng) if groups else sequence


def _insert(sequence: list[str], groups: list[list[str]], rate: float, rng: np.random.Generator) -> list[str]:
    """Put groups of early beats at random places of the visible ten seconds, apart from each other."""
    groups = [groups[i] for i in rng.permutation(len(groups))]
    before = int(-START * rate / 60) + 2
    visible = max(len(groups) + 1, int(10 * rate / 60) - 2 - sum(len(group) for group in groups))
    slots = np.linspace(0, visible, len(groups) + 1)
    result, taken = sequence[:before], 0
    for group, low, high in zip(groups, slots[:-1], slots[1:], strict=True):
        place = int(rng.integers(int(low), max(int(low) + 1, int(high) - 1)))
        result += ["N"] * max(1, place - taken) + group
        taken = place + 1
    return result + sequence


def _step(previous: str, letter: str, rr: float, coupling: float, rng: np.random.Generator) -> float:
    """Seconds from one beat to the next."""
    if letter == "N":
        return {"N": rr, "A": rr * rng.uniform(1.04, 1.15), "V": max(2 * rr - coupling, rr)}[previous]
    if letter == "A":
        return rng.uniform(0.40, 0.48) if previous == "A" else max(0.34, rr * rng.uniform(0.58, 0.70))
    return rng.uniform(0.36, 0.42) if previous == "V" else coupling * rng.uniform(0.98, 1.02)


def _sinus(plan: Plan, rng: np.random.Generator) -> Events:
    events, rr_at, pr = Events(), _breathing(plan, rng), pr_seconds(plan)
    coupling = max(0.36, 60 / plan["rate_bpm"] * rng.uniform(0.50, 0.62))
    sequence = _sequence(plan, rng)
    tall = 1 + 0.01 * max(0.0, plan["rate_bpm"] - 100)  # P rises with the sympathetic tone of a fast rate
    time = START + rng.uniform(0, 60 / plan["rate_bpm"])
    for letter in sequence:
        if time > END:
            break
        if letter == "V":
            events.qrs.append((time, "ventricular"))
        else:
            early = letter == "A"
            own_pr = max(0.11, pr - 0.02) if early else pr + rng.normal(0, 0.002)
            events.p.append((time - own_pr, "ectopic" if early else "sinus", tall))
            events.qrs.append((time, "conducted"))
        index = len(events.qrs)
        following = sequence[index] if index < len(sequence) else "N"
        time += _step(letter, following, rr_at(time), coupling, rng) + rng.normal(0, 0.004)
    return events


def _sinoatrial_block(plan: Plan, rng: np.random.Generator) -> Events:
    """Every fourth to sixth sinus impulse leaves nothing: the pause is two cycles long."""
    events, rr, pr = Events(), 60 / plan["rate_bpm"], pr_seconds(plan)
    every, index = int(rng.integers(4, 7)), int(rng.integers(0, 4))
    for time in np.arange(START + rng.uniform(0, rr), END, rr):
        index += 1
        if index % every == 0:
            continue
        onset = float(time + rng.normal(0, 0.004))
        events.p.append((onset - pr, "sinus", 1.0))
        events.qrs.append((onset, "conducted"))
    return events


def _second_degree(plan: Plan, rng: np.random.Generator, growth: float) -> Events:
    """One P of every `ratio` is not conducted; PR grows within the group by `growth` seconds, ever less."""
    events = Events()
    ratio = int(rng.integers(4, 6))
    pp = 60 / plan["rate_bpm"] * (ratio - 1) / ratio
    beat = int(rng.integers(ratio))
    for time in np.arange(START + rng.uniform(0, pp), END, pp):
        events.p.append((float(time), "sinus", 1.0))
        place = beat % ratio
        if place < ratio - 1:
            pr = plan["pr_ms"] / 1000 + growth * (1 - 0.6**place) / 0.4
            events.qrs.append((float(time + pr + rng.normal(0, 0.001)), "conducted"))
        beat += 1
    return events


def _wenckebach(plan: Plan, rng: np.random.Generator) -> Events:
    return _second_degree(plan, rng, growth=float(rng.uniform(0.065, 0.085)))


def _mobitz(plan: Plan, rng: np.random.Generator) -> Events:
    return _second_degree(plan, rng, growth=0.0)


def _complete_block(plan: Plan, rng: np.random.Generator) -> Events:
    """Atria at their own 65 to 115 a minute, at no whole ratio to the escape rhythm (else their independence would
    not show in ten seconds); the escape is ventricular below 42 a minute, else junctional."""
    ratio = rng.uniform(1.58, 1.70) if plan["rate_bpm"] > 42 else rng.uniform(2.3, 2.7)
    events, rr = Events(), 60 / plan["rate_bpm"]
    pp = rr / ratio
    kind = "ventricular" if plan["rate_bpm"] < 42 else "conducted"
    for time in np.arange(START + rng.uniform(0, pp), END, pp):
        events.p.append((float(time + rng.normal(0, 0.006)), "sinus", 1.0))
    for time in np.arange(START + rng.uniform(0, rr), END, rr):
        events.qrs.append((float(time + rng.normal(0, 0.004)), kind))
    return events


def _fibrillation(plan: Plan, rng: np.random.Generator) -> Events:
    """RR intervals without order: lognormal, spread about a fifth of the mean (AF-2023 gives no number)."""
    events, mean = Events(fibrillation=True), 60 / plan["rate_bpm"]
    coupling = max(0.36, mean * rng.uniform(0.50, 0.60))
    sequence = _sequence(plan, rng)
    beats = len(sequence) - 1
    intervals = np.clip(mean * np.exp(rng.normal(0, 0.22, size=beats)), max(0.27, 0.6 * mean), 2.0)
    intervals *= mean / intervals.mean()
    time = START + rng.uniform(0, mean)
    for index, interval in enumerate(intervals):
        letter = sequence[index]
        events.qrs.append((float(time), "ventricular" if letter == "V" else "conducted"))
        following = sequence[index + 1]
        undisturbed = letter == following == "N"
        time += float(interval) if undisturbed else _step(letter, following, mean, coupling, rng)
        if time > END:
            break
    return events


def _flutter(plan: Plan, rng: np.random.Generator) -> Events:
    """Conduction 2:1, 3:1 or 4:1, whichever puts the atria nearest to 300 a minute."""
    ratio = int(np.clip(round(295 / plan["rate_bpm"]), 2, 4))
    rr = 60 / plan["rate_bpm"]
    first = START + rng.uniform(0, rr)
    events = Events(flutter_hz=ratio / rr, flutter_zero=first - rng.uniform(0.06, 0.14))
    events.qrs = [(float(time), "conducted") for time in np.arange(first, END, rr)]
    return events


def _supraventricular_tachycardia(plan: Plan, rng: np.random.Generator) -> Events:
    """Strictly regular; the P wave is hidden in the QRS or follows it, small and inverted, in the ST segment."""
    events, rr = Events(), 60 / plan["rate_bpm"]
    visible = rng.random() < 0.5
    after = (plan["qrs_ms"] + rng.uniform(15, 30)) / 1000
    for time in np.arange(START + rng.uniform(0, rr), END, rr):
        onset = float(time + rng.normal(0, 0.002))
        events.qrs.append((onset, "conducted"))
        if visible:
            events.p.append((onset + after, "ectopic", 0.5))
    return events


def _indeterminate(plan: Plan, rng: np.random.Generator) -> Events:
    """P waves of three shapes and all sizes, PR and RR without order."""
    events, mean = Events(), 60 / plan["rate_bpm"]
    time = START + rng.uniform(0, mean)
    while time < END:
        if rng.random() < 0.85:
            kind = str(rng.choice(["sinus", "ectopic", "left"]))
            events.p.append((time - rng.uniform(0.11, 0.24), kind, float(rng.uniform(0.6, 1.2))))
        events.qrs.append((time, "conducted"))
        time += mean * float(np.clip(np.exp(rng.normal(0, 0.22)), 0.6, 1.7))
    return events


def _ventricular(plan: Plan, rng: np.random.Generator) -> Events:
    events, rr = Events(), 60 / plan["rate_bpm"]
    for time in np.arange(START + rng.uniform(0, rr), END, rr):
        events.qrs.append((float(time + rng.normal(0, 0.006)), "ventricular"))
    return events


def _ventricular_tachycardia(plan: Plan, rng: np.random.Generator) -> Events:
    """The whole strip at a rate of 130 or more, else one run of 5 to 9 beats within sinus rhythm."""
    if plan["rate_bpm"] >= 130:
        return _ventricular(plan, rng)
    events, rr, pr = Events(), 60 / plan["rate_bpm"], pr_seconds(plan)
    start, fast = rng.uniform(2.0, 5.0), 60 / rng.uniform(140, 180)
    run = [start + i * fast + float(rng.normal(0, 0.006)) for i in range(int(rng.integers(5, 10)))]
    sinus = [*np.arange(start - 0.6 * rr, START, -rr)[::-1], *np.arange(run[-1] + 1.2 * rr, END, rr)]
    for time in sinus:
        events.p.append((float(time - pr), "sinus", 1.0))
        events.qrs.append((float(time), "conducted"))
    events.qrs += [(time, "ventricular") for time in run]
    return events


def _paced(plan: Plan, rng: np.random.Generator) -> Events:
    """VVI over fibrillation, P-synchronous, or both chambers paced; an early beat resets the timer."""
    events, rr = Events(), 60 / plan["rate_bpm"]
    mode = str(rng.choice(["ventricle", "after-p", "both"], p=[0.35, 0.35, 0.30]))
    events.fibrillation = mode == "ventricle"
    delay = rng.uniform(0.15, 0.19)
    sequence, index = _sequence(plan, rng), 0
    time = START + rng.uniform(0, rr)
    while time < END:
        if sequence[index] == "V":
            events.qrs.append((time, "ventricular"))
        else:
            events.qrs.append((time, "conducted"))
            events.spikes.append((time - 0.006, "ventricle"))
            if mode != "ventricle":
                events.p.append((time - delay, "sinus", 1.0))
            if mode == "both":
                events.spikes.append((time - delay - 0.006, "atrium"))
        index += 1
        time += rr * rng.uniform(0.52, 0.62) if sequence[index] == "V" else rr + rng.normal(0, 0.001)
    return events


ENGINES: dict[str, Callable[[Plan, np.random.Generator], Events]] = {
    "sinus": _sinus,
    "sinoatrial-block": _sinoatrial_block,
    "wenckebach": _wenckebach,
    "mobitz": _mobitz,
    "complete-block": _complete_block,
    "atrial-fibrillation": _fibrillation,
    "flutter": _flutter,
    "supraventricular-tachycardia": _supraventricular_tachycardia,
    "indeterminate": _indeterminate,
    "ventricular": _ventricular,
    "ventricular-tachycardia": _ventricular_tachycardia,
    "paced": _paced,
}
