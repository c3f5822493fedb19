"""Voltages that cannot be: wrong units, leads that stand still, leads cut off; and normal hearts, of which nothing is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ecgbench.ecg.quality.report import check_store
from tests.unit.quality_made import Held, beside_normals, heart, made_store, quality_of, told

SOUND = (
    "normal", "atrial-fibrillation", "complete-left-bundle-branch-block", "complete-right-bundle-branch-block",
    "left-ventricular-hypertrophy", "low-voltage-limb-leads", "low-voltage-chest-leads", "severe-tachycardia",
    "sinus-bradycardia", "ventricular-premature-contractions", "left-axis-deviation", "flat-t-wave",
)  # fmt: skip


def scaled(factor: float) -> dict[str, np.ndarray]:
    return {lead: samples * factor for lead, samples in heart().items()}


def test_of_sound_hearts_nothing_is_said(tmp_path: Path) -> None:
    held = [Held(f"r{k}", heart(k, SOUND[k % len(SOUND)])) for k in range(36)]
    quality = quality_of(tmp_path / "store", *held)
    assert quality.records == len(held) and told(quality) == {} and not quality.scale_is_odd


@pytest.mark.parametrize(
    ("factor", "text"),
    [
        (0.001, "about 1000 times too small?"),
        (100, "100 times too large?"),
        (1000, "of the samples at the store's limit: about 1000 times too large?"),
    ],
)
def test_a_wrong_unit_in_one_record_is_told(tmp_path: Path, factor: float, text: str) -> None:
    quality = beside_normals(tmp_path / "store", scaled(factor))
    assert [note.record for note in quality.found["unit"]] == ["x"]
    assert text in quality.found["unit"][0].text


def test_a_record_that_never_leaves_the_limit_of_the_store_is_told_as_too_large(tmp_path: Path) -> None:
    """Volts taken for millivolts, with a baseline that is off by 5 mV: hardly a sample moves."""
    leads = {lead: 1000 * (x + 5) for lead, x in heart().items()}
    (note,) = beside_normals(tmp_path / "store", leads).found["unit"]
    assert note.record == "x" and note.text == "100% of the samples at the store's limit: about 1000 times too large?"


def test_a_record_that_is_too_small_is_not_told_as_flat_too(tmp_path: Path) -> None:
    assert told(beside_normals(tmp_path / "store", scaled(0.001))) == {"unit": ["x"]}


@pytest.mark.parametrize("factor", [0.25, 4])
def test_a_heart_four_times_as_large_or_small_may_be_one(tmp_path: Path, factor: float) -> None:
    assert told(beside_normals(tmp_path / "store", scaled(factor))) == {}


def test_pacemaker_spikes_are_no_wrong_unit(tmp_path: Path) -> None:
    leads = heart()
    for samples in leads.values():
        samples[50::400] += 15
    quality = beside_normals(tmp_path / "store", leads)
    assert "unit" not in told(quality) and "clipped" not in told(quality)


@pytest.mark.parametrize(("factor", "odd"), [(1, False), (4.88, True), (1 / 4.88, True)])
def test_a_wrong_gain_of_a_whole_source_is_told(tmp_path: Path, factor: float, odd: bool) -> None:
    """4.88 µV is the digital step of many recorders: taken for 1 µV, no single record is beyond what a heart can do."""
    held = [Held(f"r{k}", {lead: x * factor for lead, x in heart(k).items()}) for k in range(1, 21)]
    quality = quality_of(tmp_path / "store", *held)
    assert quality.scale_is_odd is odd and quality.found["unit"] == []


def test_few_records_say_nothing_of_a_whole_source(tmp_path: Path) -> None:
    held = [Held(f"r{k}", {lead: x * 4.88 for lead, x in heart(k).items()}) for k in range(1, 20)]
    assert not quality_of(tmp_path / "store", *held).scale_is_odd


def test_the_largest_lead_of_the_median_record_is_as_worked_out_by_hand(tmp_path: Path) -> None:
    store = made_store(tmp_path / "store", *(Held(f"r{k}", heart(k)) for k in range(1, 6)))
    largest = []
    for row in range(len(store)):
        seconds = store[row].signal.reshape(12, 10, 500)
        largest.append(max(float(np.median(lead.max(-1) - lead.min(-1))) for lead in seconds))
    assert check_store(store).amplitude_uv == pytest.approx(1000 * sorted(largest)[2], abs=0.01)


@pytest.mark.parametrize("level", [0.0, 0.35, -1.2])
def test_a_lead_that_stands_still_is_flat(tmp_path: Path, level: float) -> None:
    quality = beside_normals(tmp_path / "store", {**heart(), "V3": np.full(5000, level)})
    assert told(quality) == {"flat-lead": ["x"]}
    assert quality.found["flat-lead"][0].measured == {"leads": "V3", "amplitude_uv": 0.0}


def test_a_lead_of_recorder_noise_alone_is_flat(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).uniform(-0.01, 0.01, 5000)
    assert told(beside_normals(tmp_path / "store", {**heart(), "V3": noise})) == {"flat-lead": ["x"]}


def test_a_record_without_any_signal_is_flat_in_every_lead(tmp_path: Path) -> None:
    quality = beside_normals(tmp_path / "store", {lead: np.zeros(5000) for lead in heart()})
    assert told(quality) == {"flat-lead": ["x"]}
    assert quality.found["flat-lead"][0].text.startswith("I, II, III, aVR, aVL, aVF, V1, V2, V3, V4, V5, V6 ")


def test_a_small_lead_is_not_flat(tmp_path: Path) -> None:
    leads = heart()
    small = leads["V3"] * (0.1 / np.ptp(leads["V3"]))
    assert told(beside_normals(tmp_path / "store", {**leads, "V3": small})) == {}


@pytest.mark.parametrize("start", [0, 1250, 1313, 2001, 4375])
def test_a_lead_that_stands_still_for_a_second_and_a_quarter_is_told(tmp_path: Path, start: int) -> None:
    leads = heart()
    leads["V5"][start : start + 625] = leads["V5"][start]
    quality = beside_normals(tmp_path / "store", leads)
    assert told(quality) == {"flat-part": ["x"]}
    assert quality.found["flat-part"][0].measured["seconds"] in (1.0, 1.25)


def test_a_lead_held_for_less_than_a_second_is_not_told(tmp_path: Path) -> None:
    leads = heart()
    leads["V5"][1000:1490] = leads["V5"][1000]
    assert told(beside_normals(tmp_path / "store", leads)) == {}


def test_leads_recorded_one_after_another_are_flat_in_part(tmp_path: Path) -> None:
    """A paper of 3 by 4 leads that was scanned: each lead has 2.5 s of its 10."""
    shown = {lead: np.zeros(5000) for lead in heart()}
    for place, (lead, samples) in enumerate(heart().items()):
        window = slice(place // 3 * 1250, place // 3 * 1250 + 1250)
        shown[lead][window] = samples[window]
    assert [note.record for note in beside_normals(tmp_path / "store", shown).found["flat-lead"]] == ["x"]


@pytest.mark.parametrize(("cut", "upper"), [("V5", True), ("V2", False)])
def test_a_lead_cut_off_by_the_recorder_is_saturated(tmp_path: Path, cut: str, upper: bool) -> None:
    leads = heart()
    samples = leads[cut]
    limit = 0.5 * (samples.max() if upper else samples.min())
    leads[cut] = np.minimum(samples, limit) if upper else np.maximum(samples, limit)
    quality = beside_normals(tmp_path / "store", leads)
    assert told(quality) == {"saturated": ["x"]}
    (lead, about), *others = quality.found["saturated"][0].measured.items()
    held = np.rint(leads[cut] * 1000) == np.rint(limit * 1000)
    runs = "".join("1" if one else "0" for one in held).split("0")
    assert (lead, others) == (cut, []) and about["mv"] == pytest.approx(limit, abs=0.0005)
    assert about["samples"] == sum(len(run) for run in runs if len(run) >= 5)


def test_a_held_last_sample_is_no_saturation(tmp_path: Path) -> None:
    """All of PTB-XL's records end so."""
    leads = heart()
    for chest in ("V1", "V5", "V6"):
        leads[chest][4950:] = leads[chest].max()
    assert told(beside_normals(tmp_path / "store", leads)) == {}


def test_the_coarse_steps_of_a_small_lead_are_no_saturation(tmp_path: Path) -> None:
    """0.3 mV in steps of 0.1: its T waves come to the same highest step, and stay there for some samples."""
    leads = heart()
    small = leads["V3"] * (0.3 / np.ptp(leads["V3"]))
    assert told(beside_normals(tmp_path / "store", {**leads, "V3": np.round(small, 1)})) == {}


def test_what_goes_beyond_a_store_is_told_with_lead_and_samples(tmp_path: Path) -> None:
    leads = heart()
    leads["V4"][1000:1003] = 40
    quality = beside_normals(tmp_path / "store", leads)
    assert told(quality) == {"clipped": ["x"]}
    assert quality.found["clipped"][0].measured == {"leads": "V4", "samples": 3}
