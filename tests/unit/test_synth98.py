"""The synthetic data set: who has what by construction, and signals that show what the findings say."""

from __future__ import annotations

import csv
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import signal as filters

from ecgbench.ecg.recording import LEADS, Entry
from ecgbench.ecg.sources.synth98 import Synth98
from ecgbench.ecg.sources.synth98.criteria import Label, criteria
from ecgbench.ecg.sources.synth98.leads import AT_ELECTRODES, DOWER, chest_turned, twelve_leads
from ecgbench.ecg.sources.synth98.plan import make_plan
from ecgbench.ecg.sources.synth98.record import generate
from ecgbench.ecg.sources.synth98.rhythm import events_of
from ecgbench.ecg.sources.synth98.ventricle import Ventricle, frontal_axis, limb_amplitude, transition_zone
from ecgbench.ecg.sources.synth98.wave import Wave, lay_out
from ecgbench.findings import label_bank

PTBXL = Path(__file__).resolve().parents[2].parent / "shared" / "ecg" / "ptbxl"
RATE = 500
SEEDS = (0, 1, 2)
BAND = filters.butter(2, [6, 24], "bandpass", fs=RATE, output="sos")
LEAD = {name: row for row, name in enumerate(LEADS)}


@cache
def source(seed: int = 0) -> Synth98:
    return Synth98(bank=label_bank(), version=1, seed=seed)


def records_with(label: str, count: int = 6) -> list[Entry]:
    """The records with a finding, those with the fewest others first."""
    entries = [entry for entry in source().entries() if label in entry.findings]
    assert len(entries) >= 6, label
    return sorted(entries, key=lambda entry: (len(entry.findings), entry.record))[:count]


@cache
def clean(record: str) -> np.ndarray:
    """(12, 5000): a record of seed 0 without noise."""
    entry = next(entry for entry in source().entries() if entry.record == record)
    return generate(entry, version=1, seed=0, noise=False)


def peaks_of(signal: np.ndarray) -> np.ndarray:
    """Samples of the QRS complexes: where all leads together hold most power between 6 and 24 Hz."""
    power = np.square(filters.sosfiltfilt(BAND, signal, axis=1)).sum(axis=0)
    smooth = np.convolve(power, np.ones(60) / 60, "same") ** 0.5
    peaks, _ = filters.find_peaks(smooth, distance=130, height=0.35 * np.percentile(smooth, 99))
    return peaks


def median_beat(signal: np.ndarray) -> np.ndarray:
    """(12, 500): the median over beats from 200 samples before to 300 after, against the level before QRS."""
    peaks = [peak for peak in peaks_of(signal) if 200 <= peak < 4700]
    beat = np.median([signal[:, peak - 200 : peak + 300] for peak in peaks], axis=0)
    return beat - np.median(beat[:, 150:165], axis=1, keepdims=True)


def rate_of(signal: np.ndarray) -> float:
    return 60 * RATE / float(np.mean(np.diff(peaks_of(signal))))


def qrs_width(signal: np.ndarray) -> float:
    """ms during which any lead of the median beat is steep."""
    steep = np.abs(np.gradient(median_beat(signal), axis=1)).max(axis=0)[130:290]
    return float(2 * np.ptp(np.flatnonzero(steep > 0.12 * steep.max())))


# ---- what the findings mean ----------------------------------------------------------------------


def test_criteria_cover_the_label_table_and_all_sources_are_cited() -> None:
    knowledge = criteria()
    assert set(knowledge.labels) == set(label_bank().ids)
    cited = [*knowledge.labels.values(), *knowledge.rhythms.values(), *knowledge.qrs_shapes.values(), knowledge.people]
    assert {key for part in cited for key in part.source} == set(knowledge.sources)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("normal", "flat-t-wave"),
        ("atrial-fibrillation", "sinus-arrhythmia"),
        ("atrial-fibrillation", "left-atrial-enlargement"),
        ("atrial-fibrillation", "supraventricular-premature-contractions"),
        ("atrial-fibrillation", "pacemaker-rhythm"),
        ("left-axis-deviation", "right-axis-deviation"),
        ("left-anterior-fascicular-block", "mild-left-axis-deviation"),
        ("right-ventricular-hypertrophy", "left-axis-deviation"),
        ("sinus-tachycardia", "bradycardia"),
        ("tachycardia", "severe-tachycardia"),
        ("low-voltage-chest-leads", "left-ventricular-hypertrophy"),
        ("complete-left-bundle-branch-block", "complete-right-bundle-branch-block"),
        ("inferior-wall-infarction", "possible-inferior-wall-infarction"),
        ("anterior-wall-infarction", "suspected-anteroseptal-infarction"),
        ("short-pr-interval", "first-degree-atrioventricular-block"),
    ],
)
def test_contradictions(one: str, other: str) -> None:
    assert frozenset((one, other)) in criteria().contradictions


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("sinus-bradycardia", "severe-bradycardia"),
        ("left-anterior-fascicular-block", "left-axis-deviation"),
        ("atrial-fibrillation", "left-ventricular-hypertrophy"),
        ("inferior-wall-infarction", "lateral-wall-infarction"),
        ("complete-right-bundle-branch-block", "first-degree-atrioventricular-block"),
    ],
)
def test_what_may_stand_together(one: str, other: str) -> None:
    assert frozenset((one, other)) not in criteria().contradictions


def test_a_label_that_draws_outside_its_criterion_is_refused() -> None:
    good = {
        "says": "fast",
        "criterion": {"rate_bpm": [100, None]},
        "draw": {"rate_bpm": [104, 120]},
        "source": ["x"],
    }
    assert Label.model_validate(good).draw.rate_bpm == (104, 120)
    with pytest.raises(ValidationError, match="leaves the criterion"):
        Label.model_validate({**good, "draw": {"rate_bpm": [95, 120]}})
    with pytest.raises(ValidationError, match="two rising numbers"):
        Label.model_validate({**good, "draw": {"rate_bpm": [104, None]}})
    with pytest.raises(ValidationError, match="Extra inputs"):
        Label.model_validate({**good, "colour": "red"})


# ---- leads and waves -----------------------------------------------------------------------------


def test_limb_lead_identities_hold_before_and_after_noise() -> None:
    for entry in source().entries()[:30]:
        for signal in (clean(entry.record), source().load(entry)):
            one, two, three, right, left, foot = signal[:6].astype(np.float64)
            size = 4e-7 * max(1.0, np.abs(signal).max())
            assert np.abs(two - one - three).max() <= size
            assert np.abs(right + left + foot).max() <= size
            assert np.abs(left - (one - three) / 2).max() <= size
            assert np.abs(foot - (two + three) / 2).max() <= size


def test_a_common_potential_of_all_electrodes_is_not_seen() -> None:
    assert np.abs(AT_ELECTRODES @ np.ones(9)).max() < 1e-12


def test_dowers_matrix_gives_the_published_derived_leads() -> None:
    """The rows that Dower's table prints for the four leads that follow from I and II, rounded as printed."""
    printed = {"III": (-0.397, 1.301, -0.191), "aVR": (-0.434, -0.415, 0.037), "aVF": (-0.081, 1.184, -0.162)}
    derived = twelve_leads(DOWER)
    for lead, row in printed.items():
        assert derived[LEAD[lead]] == pytest.approx(row, abs=0.0011)


def test_turning_the_chest_leaves_the_limb_leads_and_undoes_itself() -> None:
    assert np.array_equal(chest_turned(30)[:2], DOWER[:2])
    assert np.linalg.norm(chest_turned(30), axis=1) == pytest.approx(np.linalg.norm(DOWER, axis=1))
    assert chest_turned(0) == pytest.approx(DOWER)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(-1, 11), st.floats(-2, 2)), min_size=1, max_size=6), st.floats(0, 0.05))
def test_lay_out_is_the_sum_of_the_waves(beats: list[tuple[float, float]], flat: float) -> None:
    wave = Wave(
        centre=np.array([0.05, 0.3]), rise=np.array([0.01, 0.06]), fall=np.array([0.012, 0.04]),
        flat=np.array([0.0, flat]), size=np.arange(16.0).reshape(2, 8) / 16,
    )  # fmt: skip
    laid = lay_out([(onset, factor, wave) for onset, factor in beats], 5000, 500.0)
    time = np.arange(5000) / 500
    naive = sum((factor * wave.at(time - onset) for onset, factor in beats), np.zeros((8, 5000)))
    assert np.abs(laid - naive).max() < 0.002 * len(beats)


# ---- signals -------------------------------------------------------------------------------------


def test_load_depends_on_the_entry_alone() -> None:
    entries = source().entries()[:8]
    forward = [source().load(entry) for entry in entries]
    other = Synth98(bank=label_bank(), version=1)
    backward = [other.load(entry) for entry in reversed(entries)][::-1]
    for first, second in zip(forward, backward, strict=True):
        assert first.shape == (12, 5000) and first.dtype == np.float32 and np.isfinite(first).all()
        assert np.array_equal(first, second)
    assert not np.array_equal(forward[0], forward[1])


def test_every_finding_gives_a_signal_of_clinical_size() -> None:
    for finding in label_bank().ids:
        signal = source().load(records_with(finding)[0])
        assert np.isfinite(signal).all(), finding
        assert 0.2 < np.ptp(signal, axis=1).max() < 9.0, finding


@pytest.mark.parametrize(
    ("finding", "low", "high"),
    [
        ("normal", 47, 100),
        ("sinus-tachycardia", 99, 170),
        ("severe-tachycardia", 125, 210),
        ("tachycardia", 96, 134),
        ("sinus-bradycardia", 28, 52),
        ("bradycardia", 35, 56),
        ("severe-bradycardia", 25, 42),
        ("supraventricular-tachycardia", 138, 210),
    ],
)
def test_rates(finding: str, low: float, high: float) -> None:
    for entry in records_with(finding, 12):
        if not any("premature" in other or "geminy" in other or "couplet" in other for other in entry.findings):
            assert low <= rate_of(source().load(entry)) <= high, entry


def test_fibrillation_is_irregular_and_has_no_p_wave() -> None:
    def spread_and_p(entry: Entry) -> tuple[float, float]:
        signal = clean(entry.record)
        gaps = np.diff(peaks_of(signal))
        peaks = [peak for peak in peaks_of(signal) if peak > 200]
        before = np.mean([signal[LEAD["II"], peak - 120 : peak - 25] for peak in peaks], axis=0)
        return float(gaps.std() / gaps.mean()), float(before.max() - np.median(before))

    fibrillating = np.array([spread_and_p(entry) for entry in records_with("atrial-fibrillation", 12)])
    sinus = np.array([spread_and_p(entry) for entry in records_with("normal", 12)])
    assert fibrillating[:, 0].min() > 0.09 > sinus[:, 0].max()
    assert (fibrillating[:, 1] < sinus[:, 1].min()).sum() >= 11
    assert 4 * np.median(fibrillating[:, 1]) < np.median(sinus[:, 1])


def test_flutter_waves_beat_at_240_to_340_a_minute_in_aVF() -> None:
    for entry in records_with("atrial-flutter"):
        plan = make_plan(entry.findings, criteria(), np.random.default_rng(1), np.random.default_rng(2))
        assert 4.0 <= events_of(plan, np.random.default_rng(3)).flutter_hz <= 340 / 60
        signal = clean(entry.record)
        quiet = signal[LEAD["aVF"]].copy()
        for peak in peaks_of(signal):
            quiet[max(0, peak - 40) : peak + 40] = 0
        power = np.abs(np.fft.rfft(quiet - quiet.mean())) ** 2
        hertz = np.fft.rfftfreq(5000, 1 / RATE)
        band = (hertz > 3.9) & (hertz < 5.8)
        assert power[band].max() > 3 * np.median(power[(hertz > 1) & (hertz < 12)]), entry


def test_wide_complexes_are_wide() -> None:
    widths = {
        finding: np.median([qrs_width(clean(entry.record)) for entry in records_with(finding)])
        for finding in ("normal", "complete-left-bundle-branch-block", "complete-right-bundle-branch-block",
                        "intraventricular-conduction-delay", "pacemaker-rhythm")
    }  # fmt: skip
    normal = widths.pop("normal")
    assert 55 <= normal <= 112
    assert min(widths.values()) >= normal + 15, widths
    assert widths["complete-left-bundle-branch-block"] >= normal + 35


def test_bundle_branch_blocks_point_where_they_should() -> None:
    for entry in records_with("complete-right-bundle-branch-block"):
        beat = median_beat(clean(entry.record))[:, 160:260]
        assert beat[LEAD["V1"]].max() > 0.25 and beat[LEAD["V6"]].min() < -0.1, entry
    for entry in records_with("complete-left-bundle-branch-block"):
        beat = median_beat(clean(entry.record))[:, 150:225]
        assert -beat[LEAD["V1"]].min() > 2 * beat[LEAD["V1"]].max(), entry
        assert r_width(beat[LEAD["V6"]]) >= 50, entry
    for entry in records_with("normal"):
        assert r_width(median_beat(clean(entry.record))[LEAD["V6"], 150:225]) <= 45, entry


def r_width(row: np.ndarray) -> float:
    """ms during which a lead is above half of its R wave."""
    return 2.0 * int((row > row.max() / 2).sum())


TERRITORIES = {
    "inferior": ("II", "III", "aVF"),
    "lateral": ("I", "aVL", "V5", "V6"),
    "anterior": ("V2", "V3", "V4"),
}


@pytest.mark.parametrize("territory", TERRITORIES)
def test_acute_infarctions_raise_st_in_their_leads_by_grade(territory: str) -> None:
    def st_level(finding: str) -> float:
        rows = [LEAD[lead] for lead in TERRITORIES[territory]]
        # 60 to 80 ms after the end of a QRS of at most 60 ms after the peak of steepness
        return float(
            np.median([median_beat(clean(entry.record))[rows, 255:265].mean() for entry in records_with(finding)])
        )

    suspected = st_level(f"suspected-acute-{territory}-wall-infarction")
    assert 0.06 < suspected < 0.35
    normal = st_level("normal")
    assert normal < suspected
    name = f"acute-{territory}-wall-infarction"
    if name in criteria().labels:
        assert st_level(name) > suspected + 0.05


@pytest.mark.parametrize("territory", ["inferior-wall", "lateral-wall", "anterior-wall"])
def test_q_waves_deepen_from_possible_to_definite(territory: str) -> None:
    lead = {"inferior-wall": "aVF", "lateral-wall": "V6", "anterior-wall": "V3"}[territory]

    def q_depth(finding: str) -> float:
        beats = [median_beat(clean(entry.record))[LEAD[lead], 165:200] for entry in records_with(finding)]
        early = [beat[: int(np.abs(beat).argmax()) + 1] if beat.max() > 0.15 else beat for beat in beats]
        return float(np.median([-beat.min() for beat in early]))

    possible, suspected, definite = (
        q_depth(f"{grade}{territory}-infarction") for grade in ("possible-", "suspected-", "")
    )
    assert possible < definite and suspected < definite


def plan_of(finding: str, trial: int) -> tuple[list[float], list[tuple[float, str]], list[tuple[float, str, float]]]:
    """(P onsets, QRS, P with kinds) of a record with one finding, from the rhythm engine."""
    plan = make_plan((finding,), criteria(), np.random.default_rng([7, trial]), np.random.default_rng([8, trial]))
    events = events_of(plan, np.random.default_rng([9, trial]))
    return [time for time, _, _ in events.p], events.qrs, events.p


@pytest.mark.parametrize("trial", range(10))
def test_second_degree_blocks(trial: int) -> None:
    for finding, grows in (("wenckebach", True), ("mobitz", False)):
        p, qrs, _ = plan_of(f"second-degree-atrioventricular-block-{finding}", trial)
        assert len(p) > len(qrs) >= 8
        intervals = []
        for onset in p[:-1]:
            after = [time - onset for time, _ in qrs if 0.1 < time - onset < 0.5]
            intervals.append(min(after) if after else None)
        groups = "".join("-" if pr is None else "c" for pr in intervals).strip("-").split("-")
        assert len(groups) >= 3 and all(1 <= len(group) <= 4 for group in groups)
        pairs = [(a, b) for a, b in pairwise(intervals) if a and b]
        assert pairs
        assert all((b - a > 0.02) if grows else (abs(b - a) < 0.012) for a, b in pairs)


@pytest.mark.parametrize("trial", range(5))
def test_other_rhythms_keep_their_rules(trial: int) -> None:
    p, qrs, _ = plan_of("sinoatrial-block", trial)
    gaps = np.diff([time for time, _ in qrs])
    pauses = gaps[gaps > 1.5 * np.median(gaps)]
    assert len(p) == len(qrs) and len(pauses) >= 1
    assert pauses == pytest.approx(2 * np.median(gaps), rel=0.05)

    p, qrs, _ = plan_of("complete-atrioventricular-block", trial)
    assert np.diff(p).std() < 0.02 and np.diff([time for time, _ in qrs]).std() < 0.02
    assert np.diff(p).mean() < 0.95 < np.diff([time for time, _ in qrs]).mean()

    _, qrs, _ = plan_of("ventricular-bigeminy", trial)
    kinds = [kind for _, kind in qrs]
    assert all(a != b for a, b in pairwise(kinds))

    _, qrs, p_waves = plan_of("supraventricular-trigeminy", trial)
    early = [kind == "ectopic" for _, kind, _ in p_waves]
    assert set(np.diff(np.flatnonzero(early)).tolist()) == {3}

    _, qrs, _ = plan_of("ventricular-couplet", trial)
    runs = "".join(kind[0] for _, kind in qrs).replace("c", " ").split()
    assert runs and set(runs) == {"vv"}

    _, qrs, _ = plan_of("ventricular-tachycardia", trial)
    runs = "".join(kind[0] for _, kind in sorted(qrs)).replace("c", " ").split()
    assert len(runs) == 1 and 5 <= len(runs[0]) <= 9


@pytest.mark.parametrize("trial", range(8))
def test_single_premature_beats_fall_within_the_ten_seconds(trial: int) -> None:
    for finding in ("ventricular-premature-contractions", "frequent-ventricular-premature-contractions"):
        _, qrs, _ = plan_of(finding, trial)
        visible = [time for time, kind in qrs if kind == "ventricular" and 0.1 < time < 9.8]
        wanted = (1, 2) if finding.startswith("ventricular") else (3, 4)
        assert wanted[0] <= len(visible) <= wanted[1]


def test_pacing_spikes_are_there_and_only_there() -> None:
    def sharpest(entry: Entry) -> float:
        """mV by which one sample leaves the line between its neighbours."""
        signal = clean(entry.record)
        return float(np.abs(signal[:, 1:-1] - (signal[:, 2:] + signal[:, :-2]) / 2).max())

    assert min(sharpest(entry) for entry in records_with("pacemaker-rhythm", 30)) > 0.2
    for finding in ("normal", "left-ventricular-hypertrophy", "ventricular-bigeminy"):
        assert max(sharpest(entry) for entry in records_with(finding, 30)) < 0.2


MEASURES = {
    "axis_deg": frontal_axis,
    "limb_mv": limb_amplitude,
    "transition": transition_zone,
    "sokolow_mv": lambda beat: beat[6:].max() - beat[2].min(),
    "katz_mv": lambda beat: np.ptp(beat[3:6], axis=1).max(),
    "chest_mv": lambda beat: np.ptp(beat[2:], axis=1).max(),
    "r_v1_mv": lambda beat: beat[2].max(),
    "r_v3_mv": lambda beat: beat[4].max(),
    "s123_mv": lambda beat: -max(beat[0].min(), beat[1].min(), (beat[1] - beat[0]).min()),
}


def test_fitted_complexes_meet_the_criteria_of_all_their_findings() -> None:
    """Axis, transition and voltages act on one complex; at most one in fifty may miss a criterion."""
    missed, checked = [], 0
    for entry in source().entries()[:400]:
        patient, record = np.random.default_rng([5, int(entry.patient[1:])]), np.random.default_rng(6)
        plan = make_plan(entry.findings, criteria(), patient, record)
        beat = Ventricle(plan, criteria(), patient).beat()
        for finding in entry.findings:
            for name, measure in MEASURES.items():
                bounds = getattr(criteria().labels[finding].criterion, name)
                if bounds is None:
                    continue
                checked += 1
                low = -np.inf if bounds[0] is None else bounds[0]
                high = np.inf if bounds[1] is None else bounds[1]
                if not low <= measure(beat) <= high:
                    missed.append((entry.record, finding, name, measure(beat)))
    assert checked > 200
    assert len(missed) <= checked / 50, missed


@pytest.mark.skipif(not PTBXL.is_dir(), reason="the PTB-XL records are not beside the project")
def test_normal_records_are_sized_like_real_ones() -> None:
    """Median R, S and T of the synthetic normals against PTB-XL's, measured alike."""
    import wfdb

    with (PTBXL / "ptbxl_database.csv").open(encoding="utf-8") as handle:
        rows = [row for row in csv.DictReader(handle) if "'NORM': 100.0" in row["scp_codes"]][:40]
    assert len(rows) == 40
    high_pass = filters.butter(2, 0.6, "highpass", fs=RATE, output="sos")

    def sizes(signal: np.ndarray) -> np.ndarray:
        beat = median_beat(filters.sosfiltfilt(high_pass, signal, axis=1))
        return np.stack([beat[:, 165:240].max(axis=1), -beat[:, 165:240].min(axis=1), beat[:, 280:430].max(axis=1)])

    real = np.median([sizes(wfdb.rdsamp(str(PTBXL / row["filename_hr"]))[0].T) for row in rows], axis=0)
    ours = np.median([sizes(source().load(entry)) for entry in records_with("normal", 40)], axis=0)
    for wave, lead in (
        (0, "I"),
        (0, "II"),
        (0, "V1"),
        (0, "V5"),
        (1, "V1"),
        (1, "V2"),
        (2, "II"),
        (2, "V3"),
        (2, "V5"),
    ):
        ratio = ours[wave, LEAD[lead]] / real[wave, LEAD[lead]]
        assert 0.6 < ratio < 1.7, ("RST"[wave], lead, ratio)
