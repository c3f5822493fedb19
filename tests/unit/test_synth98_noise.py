"""The noise of synth98: at the electrodes, of the right kinds, and as large as in real records."""

from __future__ import annotations

import csv
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy import signal as filters

from ecgbench.ecg.recording import LEADS, STORE_RATE, STORE_SAMPLES, Entry
from ecgbench.ecg.sources.synth98 import Synth98, noise
from ecgbench.ecg.sources.synth98.leads import AT_ELECTRODES, ELECTRODES, INDEPENDENT, twelve_leads
from ecgbench.ecg.sources.synth98.noise import electrode_noise
from ecgbench.ecg.sources.synth98.record import generate
from ecgbench.findings import label_bank

PTBXL = Path(__file__).resolve().parents[2].parent / "shared" / "ecg" / "ptbxl"
LEAD = {name: row for row, name in enumerate(LEADS)}


@cache
def entries() -> list[Entry]:
    return Synth98(bank=label_bank(), version=1).entries()


def drawn(number: int, samples: int = STORE_SAMPLES) -> np.ndarray:
    """(8, samples): noise by itself."""
    return electrode_noise(np.random.default_rng([3, number]), samples, STORE_RATE)


# ---- where it enters -----------------------------------------------------------------------------


def test_noise_enters_at_the_electrodes() -> None:
    """Limb-lead identities hold in the noise itself; all of it is seen by electrodes, none by a common potential."""
    for number in range(20):
        one, two, three, right, left, foot = twelve_leads(drawn(number))[:6].astype(np.float64)
        size = 4e-7 * max(1.0, np.abs([one, two]).max())
        assert np.abs(two - one - three).max() <= size
        assert np.abs(right + left + foot).max() <= size
        assert np.abs(left - (one - three) / 2).max() <= size
        assert np.abs(foot - (two + three) / 2).max() <= size


SEEN_IN = {"RA": {"I", "II"}, "LA": {"I"}, "LL": {"II"}}
"""The limb leads, of the two independent ones, that see a limb electrode; all chest leads see it through Wilson."""


@pytest.mark.parametrize("kind", range(len(noise.EVENTS)))
def test_a_moving_electrode_is_seen_where_it_should_be(kind: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise, "EVENTS", ((1.0, *noise.EVENTS[kind][1:]),))
    time, chest, moved = np.arange(STORE_SAMPLES) / STORE_RATE, set(INDEPENDENT[2:]), set()
    for number in range(60):
        ((curve, size),) = noise._events(np.random.default_rng(number), time)
        assert curve.shape == (1, STORE_SAMPLES) and np.abs(curve).max() <= 1 + 1e-9
        (electrode,) = (ELECTRODES[row] for row in np.flatnonzero(size))
        leads = {INDEPENDENT[row] for row in np.flatnonzero(np.abs(AT_ELECTRODES @ size) > 1e-9)}
        assert leads == (SEEN_IN[electrode] | chest if electrode in SEEN_IN else {electrode})
        moved.add(electrode)
    assert moved == set(ELECTRODES)


# ---- what it is like -----------------------------------------------------------------------------


def test_each_kind_of_noise_has_its_place_in_the_spectrum() -> None:
    """Over 200 records: most power below 0.5 Hz, lines at the mains, and a slope from 20 Hz on."""
    power = np.mean([np.square(np.abs(np.fft.rfft(drawn(number), axis=1))) for number in range(200)], axis=(0, 1))

    def density(low: float, high: float) -> float:
        return float(power[round(low * 10) : round(high * 10)].mean())

    assert density(0.1, 0.5) > 100 * density(1.5, 5)
    for mains in (50, 60):
        assert density(mains - 0.2, mains + 0.3) > 1.5 * density(mains + 3, mains + 6)
    falling = [density(low, low + 20) for low in (20, 70, 110, 165, 220)]
    assert all(first > 1.5 * second for first, second in pairwise(falling))


def test_muscle_noise_waxes_and_wanes() -> None:
    """Its power over half seconds varies several times as much as that of steady noise of the same colour."""
    high_pass = filters.butter(4, 25, "highpass", fs=STORE_RATE, output="sos")

    def unrest(signal: np.ndarray) -> float:
        pieces = filters.sosfiltfilt(high_pass, signal, axis=1)[:, 250:-250].reshape(8, 18, 250)
        return float(np.log(pieces.var(axis=2)).var(axis=1).mean())

    rng = np.random.default_rng(0)
    ours = np.mean([unrest(drawn(number)) for number in range(20)])
    colour = np.abs(np.fft.rfft([drawn(number)[3] for number in range(40)], axis=1)).mean(axis=0)
    steady = [
        np.fft.irfft(colour * np.fft.rfft(rng.normal(size=(8, STORE_SAMPLES)), axis=1), axis=1) for _ in range(10)
    ]
    assert ours > 2.5 * np.mean([unrest(signal) for signal in steady])


def test_things_happen_to_electrodes_as_often_as_stated() -> None:
    time, trials = np.arange(50) / 5.0, 3000
    happened = sum(len(noise._events(np.random.default_rng(number), time)) for number in range(trials))
    assert happened / trials == pytest.approx(sum(event[0] for event in noise.EVENTS), abs=0.04)


BAND = filters.butter(2, [6, 24], "bandpass", fs=STORE_RATE, output="sos")
MUSCLE = {band: filters.butter(3, band, "bandpass", fs=STORE_RATE, output="sos") for band in ((20, 45), (55, 145))}


def measured(signal: np.ndarray) -> dict[str, np.ndarray]:
    """µV by lead (12,): between T and QRS, in the level before QRS, and in the spectrum between T and QRS."""
    power = np.convolve(np.square(filters.sosfiltfilt(BAND, signal, axis=1)).sum(axis=0), np.ones(60) / 60, "same")
    peaks, _ = filters.find_peaks(np.sqrt(power), distance=130, height=0.35 * np.percentile(np.sqrt(power), 99))
    quiet = np.zeros(STORE_SAMPLES, dtype=bool)
    for peak, following in pairwise(peaks):
        quiet[peak + min(210, int(0.62 * (following - peak))) : following - 40] = True
    level = np.array([np.median(signal[:, peak - 36 : peak - 28], axis=1) for peak in peaks if peak >= 36])
    found = {f"{low}-{high} Hz": 1000 * filters.sosfiltfilt(sos, signal, axis=1)[:, quiet].std(axis=1)
             for (low, high), sos in MUSCLE.items()}  # fmt: skip
    return {**found, "wander": 1000 * level.std(axis=0), "beat to beat": 1000 * np.diff(level, axis=0).std(axis=0)}


@pytest.mark.skipif(not PTBXL.is_dir(), reason="the PTB-XL records are not beside the project")
def test_noise_is_as_large_as_in_real_normal_records() -> None:
    """PTB-XL stores what lies between T and QRS coarsely, which takes noise above about 60 Hz away: there ours may be
    three times as large (it is as large as in records stored as they were)."""
    import wfdb

    with (PTBXL / "ptbxl_database.csv").open(encoding="utf-8") as handle:
        files = [row["filename_hr"] for row in csv.DictReader(handle) if "'NORM': 100.0" in row["scp_codes"]][:80]
    real = [measured(wfdb.rdsamp(str(PTBXL / file))[0].T) for file in files]
    normal = [entry for entry in entries() if entry.findings == ("normal",)][:80]
    ours = [measured(generate(entry, version=1, seed=0)) for entry in normal]
    assert len(real) == len(ours) == 80
    print("\nµV, 5, 25, 50, 75 and 95 of a hundred leads, real | synthetic; medians of I, II, V1, V6")
    for name, most in (("20-45 Hz", 1.4), ("55-145 Hz", 3.0), ("wander", 1.4), ("beat to beat", 1.4)):
        both_sides = [np.stack([found[name] for found in side]) for side in (real, ours)]
        by_lead = [np.median(side, axis=0)[[LEAD[lead] for lead in ("I", "II", "V1", "V6")]] for side in both_sides]
        percentiles = [np.percentile(side, (5, 25, 50, 75, 95)) for side in both_sides]
        print(f"{name:13}", *(side.round(1) for side in percentiles), *(side.round(1) for side in by_lead), sep=" | ")
        assert (percentiles[1][1:4] / percentiles[0][1:4] > 1 / 1.4).all()
        assert (percentiles[1][1:4] / percentiles[0][1:4] < most).all()
        assert percentiles[1][4] < most * 1.2 * percentiles[0][4]
