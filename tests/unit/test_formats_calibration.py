"""Calibration pulses are left out, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgbench.ecg.formats.calibration import without_calibration
from ecgbench.ecg.recording import LEADS, DamagedRecordError

RATE = 500
Leads = dict[str, np.ndarray]


def ecg(seconds: float = 6.0, rate: int = RATE, seed: int = 0, leads: tuple[str, ...] = LEADS) -> Leads:
    """Beats over baseline wander and noise, no two leads alike; never at rest where it begins and ends."""
    time = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(seed)
    beat = np.exp(-((((time + 0.37) % 0.8 - 0.4) / 0.015) ** 2))
    made = {}
    for number, lead in enumerate(leads):
        wander = 0.2 * np.sin(2 * np.pi * 0.4 * time + number)
        made[lead] = (1.2 - 0.2 * number) * beat + wander + noise.normal(0, 0.01, len(time))
        made[lead][[0, -1]] += 0.1 * (-1) ** number
    return made


def pulses(count: int, width: float = 0.2, rest: float = 0.2, rate: int = RATE, height: float = 1.0) -> np.ndarray:
    """`count` rectangular pulses, a rest before, between and after them."""
    one = np.concatenate([np.zeros(round(rest * rate)), np.full(round(width * rate), height)])
    return np.concatenate([np.tile(one, count), np.zeros(round(rest * rate))])


def joined(before: np.ndarray | None, leads: Leads, after: np.ndarray | None = None) -> Leads:
    parts = {lead: [before, samples, after] for lead, samples in leads.items()}
    return {lead: np.concatenate([part for part in each if part is not None]) for lead, each in parts.items()}


def assert_same(given: Leads, wanted: Leads, spared: int = 0) -> None:
    """Equal but for at most `spared` samples at either end, which lay at rest by chance."""
    assert list(given) == list(wanted)
    for lead, samples in wanted.items():
        missing = len(samples) - len(given[lead])
        assert 0 <= missing <= spared
        if spared:
            assert any(np.array_equal(given[lead], samples[cut : cut + len(given[lead])]) for cut in range(missing + 1))
        else:
            np.testing.assert_array_equal(given[lead], samples)


@pytest.mark.parametrize("rate", [125, 250, 500, 1000])
@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("where", ["start", "end", "both"])
def test_pulses_are_cut_off(where: str, count: int, rate: int) -> None:
    train, leads = pulses(count, rate=rate), ecg(rate=rate)
    before, after = (train if where in (side, "both") else None for side in ("start", "end"))
    cut = without_calibration(joined(before, leads, after), rate)
    assert_same(dict(cut.leads), leads)
    seconds = len(train) / rate
    assert cut.start == (seconds if before is not None else 0) and cut.end == (seconds if after is not None else 0)
    said = [f"{seconds:.3g} s of calibration pulses at the {side} are left out" for side in ("start", "end")]
    assert cut.remarks() == [remark for remark in said if where in remark or where == "both"]


@pytest.mark.parametrize("level", [-0.12, 0.0, 3.0])
def test_the_level_between_pulses_may_be_any(level: float) -> None:
    assert_same(dict(without_calibration(joined(pulses(2) + level, ecg()), RATE).leads), ecg())


def test_pulses_that_go_down_are_no_calibration() -> None:
    leads = joined(pulses(2, height=-1.0), ecg())
    assert_same(dict(without_calibration(leads, RATE).leads), leads)


def test_a_flat_lead_is_no_obstacle() -> None:
    leads = ecg()
    with_dead = joined(pulses(2), leads) | {"V6": np.zeros(len(leads["I"]) + len(pulses(2)))}
    cut = without_calibration(with_dead, RATE)
    assert cut.start == len(pulses(2)) / RATE and len(cut.leads["V6"]) == len(leads["I"])


def test_computed_limb_leads_show_what_follows_from_the_pulses() -> None:
    leads = ecg()
    train = pulses(2)
    shape = {"III": 0.0, "aVR": -1.0, "aVL": 0.5, "aVF": 0.5}
    calibrated = {lead: np.concatenate([train * shape.get(lead, 1.0), samples]) for lead, samples in leads.items()}
    assert_same(dict(without_calibration(calibrated, RATE).leads), leads)


@pytest.mark.parametrize(
    "train",
    [
        pulses(3, width=0.002), pulses(3, width=0.02), pulses(1, width=1.5), pulses(2, height=0.5), pulses(2, height=2.0),
        pulses(2, height=1.1), pulses(2, rest=2.0), np.zeros(RATE), np.concatenate([np.zeros(300), np.ones(20)]),
    ],
    ids=["pacing spikes of 2 ms", "20 ms", "a level of 1.5 s", "0.5 mV", "2 mV", "1.1 mV", "2 s apart", "a flat line",
         "a step that never falls"],
)  # fmt: skip
def test_what_only_resembles_pulses_is_kept(train: np.ndarray) -> None:
    leads = joined(train, ecg())
    assert_same(dict(without_calibration(leads, RATE).leads), leads)


def test_pulses_in_some_leads_alone_are_kept() -> None:
    leads = ecg()
    odd = joined(pulses(2), leads) | {"V3": ecg(6 + len(pulses(2)) / RATE)["V3"]}
    assert_same(dict(without_calibration(odd, RATE).leads), odd)


def test_pulses_in_the_only_lead_are_kept() -> None:
    leads = joined(pulses(2), ecg(leads=("II",)))
    assert_same(dict(without_calibration(leads, RATE).leads), leads)


def test_paced_beats_at_the_start_are_kept() -> None:
    """Spikes of 2 ms on a still baseline, the same in every lead."""
    time = np.arange(3000)
    spikes = np.where(time % 400 == 200, 1.0, 0.0)
    leads = {lead: spikes + 0.001 * number * np.sin(time / 50) for number, lead in enumerate(LEADS)}
    assert_same(dict(without_calibration(leads, RATE).leads), leads)


def test_nothing_but_pulses_is_damage() -> None:
    leads = dict.fromkeys(LEADS, pulses(10))
    with pytest.raises(DamagedRecordError, match="nothing but calibration pulses"):
        without_calibration(leads, RATE)


def test_flat_leads_alone_are_left_to_the_checks_of_quality() -> None:
    leads = dict.fromkeys(LEADS, np.zeros(5000))
    assert without_calibration(leads, RATE).leads is leads


@pytest.mark.parametrize("samples", [1, 2, 5, 20])
def test_a_recording_of_a_few_samples(samples: int) -> None:
    leads = dict.fromkeys(LEADS[:2], np.linspace(0, 1, samples))
    assert_same(dict(without_calibration(leads, RATE).leads), leads)


def test_the_recorder_may_lead_over_to_the_electrodes() -> None:
    """Counts that change by one step at most, as a Holter does before it is switched to the patient."""
    drift = np.repeat(np.arange(10), 20)[:200] * 0.02
    leads = ecg()
    counts = {lead: np.rint(samples / 0.02) * 0.02 for lead, samples in leads.items()}
    whole = joined(np.concatenate([pulses(3), drift]), counts)
    cut = without_calibration(whole, RATE)
    assert_same(dict(cut.leads), counts, spared=2)


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1), rate=st.sampled_from([125, 250, 500, 1000]), before=st.integers(0, 4),
    after=st.integers(0, 4), width=st.floats(0.06, 0.5), rest=st.floats(0.05, 1.2), level=st.floats(-0.5, 0.5),
    noise=st.sampled_from([0.0, 0.002]),
)  # fmt: skip
def test_what_is_cut_is_what_was_put_there(
    seed: int, rate: int, before: int, after: int, width: float, rest: float, level: float, noise: float
) -> None:
    leads = ecg(rate=rate, seed=seed)
    train = [pulses(count, width, rest, rate) + level if count else None for count in (before, after)]
    whole = joined(train[0], leads, train[1])
    jitter = np.random.default_rng(seed).uniform(-noise, noise, len(whole["I"]))
    for samples in whole.values():
        samples += jitter
    cut = without_calibration(whole, rate)
    lengths = [0 if each is None else len(each) for each in train]
    # Noise blurs where the rest that borders on the ECG ends: a part of it may stay, no pulse and no more than the first
    # still samples of the ECG may not.
    blurred = round(rest * rate) if noise else 0
    for cut_off, length in zip((cut.start, cut.end), lengths, strict=True):
        assert length - blurred <= round(cut_off * rate) <= length + (rate // 20 if noise else 0)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), rate=st.sampled_from([125, 500]), still=st.integers(0, 800))
def test_an_ecg_without_pulses_is_never_cut(seed: int, rate: int, still: int) -> None:
    leads = ecg(rate=rate, seed=seed)
    for samples in leads.values():
        samples[:still] = samples[0]
    assert without_calibration(leads, rate).leads is leads
