"""synth98 measured by tools that did not make it: a short form here, all 98 findings in the slow suite."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("openecg", reason="openecg is not installed: it belongs to the extra `dev`")

from ecgbench.ecg.sources.synth98.criteria import Ectopy, criteria
from tests.proof.measure import Measured
from tests.proof.meets import misses, premature_count
from tests.proof.normals import overlap
from tests.proof.subjects import PTBXL, measure_all, measured, real_normals, with_finding
from tests.proof.table import Row, falls_short, faults, rows

SHORT = (
    "sinus-tachycardia", "atrial-fibrillation", "ventricular-bigeminy", "prolonged-qt-interval",
    "complete-left-bundle-branch-block", "left-axis-deviation", "right-atrial-enlargement", "left-ventricular-hypertrophy",
    "negative-t-wave", "suspected-inferior-wall-infarction", "acute-anterior-wall-infarction",
)  # fmt: skip


def test_a_record_of_each_kind_meets_its_criterion_as_measured() -> None:
    knowledge = criteria()
    met = {
        label: [
            not misses(measured(subject), knowledge.labels[label].criterion, knowledge)
            for subject in with_finding(label, 3, "synth98:balanced=20")
        ]
        for label in SHORT
    }
    assert all(any(held) for held in met.values()), met
    assert np.mean([held for helds in met.values() for held in helds]) >= 0.8, met


def test_normal_records_meet_no_other_criterion_often() -> None:
    knowledge = criteria()
    found = [measured(subject) for subject in with_finding("normal", 8, "synth98:M")]
    others = [label for label in knowledge.labels if label != "normal"]
    held = [[not misses(one, knowledge.labels[label].criterion, knowledge) for label in others] for one in found]
    assert np.mean(held) < 0.03
    assert np.mean([not misses(one, knowledge.labels["normal"].criterion, knowledge) for one in found]) > 0.6


@pytest.mark.slow
@pytest.mark.skipif(not PTBXL.is_dir(), reason="the PTB-XL records are not beside the project")
def test_every_finding_holds_and_normal_ecgs_do_not_show_it() -> None:
    """`make proof` writes the same table; here about 1,350 ECGs are measured anew."""
    knowledge = criteria()
    own = {label: with_finding(label, 20, "synth98:balanced=20") for label in knowledge.labels}
    assert all(len(subjects) >= 20 for subjects in own.values())
    ours, real = with_finding("normal", 200, "synth98:M"), real_normals()
    assert len(ours) == 200 and len(real) >= 200
    found = measure_all([*(subject for subjects in own.values() for subject in subjects), *ours, *real])
    short = [row for row in rows(knowledge, own, ours, real, found) if falls_short(row)]
    assert not short, [(row.label, row.own, row.generated_normals, row.real_normals, row.examples[:3]) for row in short]


def test_at_most_ten_findings_are_excused_and_all_exist() -> None:
    assert len(faults()) <= 10
    assert set(faults()) <= set(criteria().labels)


@pytest.mark.parametrize(
    ("beats", "origin", "pattern", "count"),
    [
        ("NNANNNAN", "atrial", "single", 2),
        ("NNAANNAN", "atrial", "single", 1),
        ("NNAANNAAN", "atrial", "couplet", 2),
        ("NNAAANVVVN", "ventricular", "run", 1),
        ("NVVVVVVVN", "ventricular", "run", 0),
        ("NVNVNVNV", "ventricular", "bigeminy", 4),
        ("NNVNNVNNVN", "ventricular", "trigeminy", 3),
        ("NNNNNN", "atrial", "bigeminy", 0),
    ],
)
def test_patterns_of_premature_beats_are_counted(beats: str, origin: str, pattern: str, count: int) -> None:
    assert premature_count(beats, Ectopy(origin=origin, pattern=pattern, count=(1, None))) == count


def flat(**numbers: float) -> Measured:
    """An ECG of which only some numbers are known; every lead flat."""
    wave = dict.fromkeys(("q_mv", "q_ms", "r_mv", "s_mv", "s_ms", "r2_mv", "net_mv", "st_mv", "t_mv"), 0.0)
    leads = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
    return Measured(numbers, "NNNN", np.arange(4.0), {lead: dict(wave) for lead in leads})


def test_a_criterion_holds_only_where_everything_was_measured_within_it() -> None:
    knowledge = criteria()
    tachycardia = knowledge.labels["sinus-tachycardia"].criterion
    assert misses(flat(rate_bpm=110, p_per_beat=1.0, pr_spread_ms=10), tachycardia, knowledge) == []
    assert misses(flat(rate_bpm=90, p_per_beat=1.0, pr_spread_ms=10), tachycardia, knowledge) == ["rate_bpm=90"]
    (said,) = misses(flat(rate_bpm=110, p_per_beat=0.2, pr_spread_ms=10), tachycardia, knowledge)
    assert said.startswith("rhythm: p_per_beat=0.2 or ")  # one alternative after the other
    assert len(misses(flat(rate_bpm=float("nan"), p_per_beat=1.0, pr_spread_ms=9), tachycardia, knowledge)) == 1


def test_an_ecg_with_too_few_beats_meets_nothing() -> None:
    nothing = Measured({"n_beats": 1.0}, "N", np.zeros(1), {})
    knowledge = criteria()
    assert all(misses(nothing, label.criterion, knowledge) for label in knowledge.labels.values())


def test_a_finding_falls_short_by_its_own_records_or_by_normal_ones() -> None:
    assert falls_short(Row("flat-t-wave", (15, 20), (0, 200), (0, 231)))
    assert falls_short(Row("flat-t-wave", (20, 20), (21, 200), (0, 231)))
    assert falls_short(Row("flat-t-wave", (20, 20), (0, 200), (24, 231)))
    assert not falls_short(Row("flat-t-wave", (16, 20), (20, 200), (23, 231)))
    assert not falls_short(Row("normal", (20, 20), (190, 200), (204, 231)))


def test_overlap_of_two_samples() -> None:
    values = np.arange(10.0)
    assert overlap(values, values) == 1
    assert overlap(values, values + 100) == 0
    assert overlap(values, values + 5) == pytest.approx(0.5)
