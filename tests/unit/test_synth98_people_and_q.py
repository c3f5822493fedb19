"""What follows from sex and age, Q waves as planned, and regional findings that cannot stand together."""

from __future__ import annotations

import numpy as np
import pytest

from ecgbench.ecg.sources.synth98.criteria import criteria
from ecgbench.ecg.sources.synth98.plan import make_plan
from ecgbench.ecg.sources.synth98.ventricle import LEAD, LEAVES, Ventricle, limb_lead


def plans(sex: str | None, age: float | None, count: int = 150) -> list[dict[str, float]]:
    return [
        make_plan(
            ("normal",), criteria(), np.random.default_rng([1, i]), np.random.default_rng([2, i]), age=age, sex=sex
        ).numbers
        for i in range(count)
    ]


def test_women_have_shorter_qrs_lower_voltage_and_longer_qtc() -> None:
    women, men = plans("female", 50), plans("male", 50)
    for name, sign in (("qrs_ms", -1), ("sokolow_mv", -1), ("qtc_ms", 1)):
        low, high = getattr(criteria().defaults, name)
        apart = np.mean([w[name] - m[name] for w, m in zip(women, men, strict=True)]) / (high - low)
        assert sign * apart > 0.1, name


def test_pr_lengthens_and_the_axis_turns_left_with_age() -> None:
    young, old = plans(None, 25), plans(None, 85)
    assert np.mean([o["pr_ms"] - y["pr_ms"] for o, y in zip(old, young, strict=True)]) > 5
    assert np.mean([o["axis_deg"] - y["axis_deg"] for o, y in zip(old, young, strict=True)]) < -5


def test_nothing_is_shifted_where_age_and_sex_are_unknown() -> None:
    assert criteria().people.shift("qrs_ms", None, None) == 0
    assert criteria().people.shift("transition", 90, "female") == 0


@pytest.mark.parametrize("lead", LEAVES)
def test_changes_that_a_limb_lead_does_not_see(lead: str) -> None:
    assert limb_lead(lead, *LEAVES[lead]) == pytest.approx(0)
    assert any(LEAVES[lead])


@pytest.mark.parametrize("grade", ["possible", "suspected"])
@pytest.mark.parametrize(("where", "row"), [("anterior-wall", "V3"), ("anteroseptal", "V2"), ("lateral-wall", "V6")])
def test_q_waves_are_about_as_deep_and_long_as_planned(grade: str, where: str, row: str) -> None:
    for trial in range(8):
        patient, record = np.random.default_rng([3, trial]), np.random.default_rng([4, trial])
        plan = make_plan((f"{grade}-{where}-infarction",), criteria(), patient, record)
        ventricle = Ventricle(plan, criteria(), patient)
        (wanted,) = plan.infarctions
        assert wanted.q_mv is not None and wanted.q_ms is not None
        beat, time = ventricle.beat()[LEAD[row]], ventricle.time
        during = (time >= 0) & (time <= wanted.q_ms / 1000)
        assert -beat[during].min() == pytest.approx(wanted.q_mv, rel=0.5, abs=0.02)
        after = (time > wanted.q_ms / 1000 + 0.004) & (time < wanted.q_ms / 1000 + 0.030)
        assert beat[after].max() > 0.05  # an R follows: no QS


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("lateral-wall-infarction", "flat-t-wave"),
        ("lateral-wall-infarction", "high-voltage-leads-corresponding-to-left-ventricle"),
        ("inferior-wall-infarction", "flat-t-wave"),
        ("anteroseptal-infarction", "rsr-pattern"),
        ("complete-left-bundle-branch-block", "severe-right-axis-deviation"),
    ],
)
def test_findings_that_would_undo_each_other_contradict(one: str, other: str) -> None:
    assert frozenset((one, other)) in criteria().contradictions
