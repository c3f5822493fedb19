"""One record: plan, beats, rhythm and noise become twelve leads."""

from __future__ import annotations

import numpy as np

from ecgbench.ecg.recording import STORE_RATE, STORE_SAMPLES, Entry
from ecgbench.ecg.sources.synth98.atria import atrial_activity, p_wave, spikes
from ecgbench.ecg.sources.synth98.criteria import criteria
from ecgbench.ecg.sources.synth98.leads import twelve_leads
from ecgbench.ecg.sources.synth98.noise import electrode_noise
from ecgbench.ecg.sources.synth98.plan import Plan, make_plan
from ecgbench.ecg.sources.synth98.repolarisation import ectopic_beat, own_repolarisation
from ecgbench.ecg.sources.synth98.rhythm import Events, events_of
from ecgbench.ecg.sources.synth98.ventricle import Ventricle
from ecgbench.ecg.sources.synth98.wave import Wave, lay_out

PATIENT_STREAM, RECORD_STREAM, NOISE_STREAM = 1, 2, 3
"""What keeps the random streams of patients, records and noise apart."""


def generate(entry: Entry, *, version: int, seed: int, noise: bool = True) -> np.ndarray:
    """float32 (12, 5000), mV, 500 Hz; the same for the same entry, version and seed, in whatever order."""
    number = int(entry.record[1:])
    record = np.random.default_rng([version, seed, RECORD_STREAM, number])
    patient = np.random.default_rng([version, seed, PATIENT_STREAM, int(entry.patient[1:])])
    plan = make_plan(entry.findings, criteria(), patient, record, age=entry.age, sex=entry.sex)
    signal = heart_signal(plan, patient, record)
    if noise:
        electrodes = np.random.default_rng([version, seed, NOISE_STREAM, number])
        signal += electrode_noise(electrodes, STORE_SAMPLES, STORE_RATE)
    return twelve_leads(signal)


def heart_signal(plan: Plan, patient: np.random.Generator, record: np.random.Generator) -> np.ndarray:
    """float32 (8, 5000), mV: the independent leads without noise."""
    knowledge = criteria()
    ventricle = Ventricle(plan, knowledge, patient)
    repolarisation = own_repolarisation(plan, ventricle, knowledge, patient)
    shapes: dict[str, Wave] = {"conducted": ventricle.wave.joined(repolarisation)}
    events = events_of(plan, record)
    if any(kind == "ventricular" for _, kind in events.qrs):
        shapes["ventricular"] = ectopic_beat(plan, record)
    placed = _beats(events, shapes, record)
    for kind in sorted({kind for _, kind, _ in events.p}):
        wave = p_wave(plan, kind, patient)
        placed += [(time, size, wave) for time, own, size in events.p if own == kind]
    signal = lay_out(placed, STORE_SAMPLES, STORE_RATE)
    if events.fibrillation or events.flutter_hz:
        signal += atrial_activity(events, STORE_SAMPLES, STORE_RATE, record)
    return spikes(signal, events, STORE_RATE, record)


def _beats(events: Events, shapes: dict[str, Wave], rng: np.random.Generator) -> list[tuple[float, float, Wave]]:
    """Every QRS-T at its place; breathing changes its size by a few per cent."""
    depth, frequency, phase = rng.uniform(0.01, 0.05), rng.uniform(0.18, 0.30), rng.uniform(0, 2 * np.pi)
    return [
        (time, 1 + depth * np.sin(2 * np.pi * frequency * time + phase) + rng.normal(0, 0.01), shapes[kind])
        for time, kind in events.qrs
    ]
