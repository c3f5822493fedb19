"""Leads that are missing, do not belong together, are upside down or stand twice; records that are short or unreadable."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ecgbench.ecg.recording import LEADS
from tests.unit.quality_made import Held, arms_swapped, beside_normals, heart, quality_of, told, with_limb_leads

EIGHT = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")


def only(*names: str) -> dict[str, np.ndarray]:
    return {name: heart()[name] for name in names}


@pytest.mark.parametrize(
    ("recorded", "missing"),
    [
        (EIGHT, []),
        (("I", "II", "V1"), ["V2", "V3", "V4", "V5", "V6"]),
        (("II", "V5"), ["I", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V6"]),
        (LEADS[:11], ["V6"]),
    ],
)
def test_leads_that_do_not_follow_from_others_are_missing(
    tmp_path: Path, recorded: tuple[str, ...], missing: list[str]
) -> None:
    quality = beside_normals(tmp_path / "store", only(*recorded))
    assert told(quality) == ({"missing-lead": ["x"]} if missing else {})
    assert quality.missing_by_lead == dict.fromkeys(missing, 1)
    assert [note.measured["leads"] for note in quality.found["missing-lead"]] == [missing][: len(missing)]


def test_a_missing_lead_is_not_told_as_flat(tmp_path: Path) -> None:
    assert "flat-lead" not in told(beside_normals(tmp_path / "store", only("II")))


def swapped(one: str, other: str) -> dict[str, np.ndarray]:
    leads = heart()
    return {**leads, one: leads[other], other: leads[one]}


def delayed(lead: str, samples: int) -> dict[str, np.ndarray]:
    return {**heart(), lead: np.roll(heart()[lead], samples)}


def one_sample_off(lead: str, millivolts: float) -> dict[str, np.ndarray]:
    leads = heart()
    leads[lead][2000] += millivolts
    return leads


@pytest.mark.parametrize(
    "leads",
    [
        pytest.param(swapped("II", "III"), id="columns II and III"),
        pytest.param(swapped("aVR", "aVL"), id="columns aVR and aVL"),
        pytest.param(swapped("aVF", "V1"), id="columns aVF and V1"),
        pytest.param(delayed("I", 5), id="I later by 10 ms"),
        pytest.param({**heart(), "aVF": 1.2 * heart()["aVF"]}, id="gain of aVF"),
        pytest.param({**heart(), "III": heart()["III"] + 0.1}, id="baseline of III"),
        pytest.param(one_sample_off("aVL", 0.05), id="one sample"),
        pytest.param({**heart(), "aVR": -heart()["aVR"]}, id="aVR upside down"),
    ],
)
def test_limb_leads_that_do_not_belong_together_are_told(tmp_path: Path, leads: dict[str, np.ndarray]) -> None:
    assert told(beside_normals(tmp_path / "store", leads)) == {"einthoven": ["x"]}


def test_how_far_an_identity_is_off_is_as_put_in(tmp_path: Path) -> None:
    (note,) = beside_normals(tmp_path / "store", one_sample_off("aVL", 0.05)).found["einthoven"]
    assert set(note.measured) == {"aVL = I - II/2"} and note.measured["aVL = I - II/2"]["samples"] == 1
    assert note.measured["aVL = I - II/2"]["most_uv"] == pytest.approx(50, abs=2)  # three leads rounded to 1 µV


def test_leads_of_ten_microvolt_steps_still_belong_together(tmp_path: Path) -> None:
    """Each channel with an offset of its own, as a recorder has: three half steps, 15 µV, come together."""
    offsets = np.random.default_rng(0).uniform(0, 0.01, len(LEADS))
    coarse = {lead: np.round(x - o, 2) + o for (lead, x), o in zip(heart().items(), offsets, strict=True)}
    assert np.abs(coarse["I"] + coarse["III"] - coarse["II"]).max() > 0.012
    assert told(beside_normals(tmp_path / "store", coarse)) == {}


def test_the_augmented_leads_are_held_together_where_i_and_ii_are_missing(tmp_path: Path) -> None:
    sound, harmed = only("aVR", "aVL", "aVF"), only("aVR", "aVL", "aVF")
    harmed["aVF"] = -harmed["aVF"]
    quality = quality_of(tmp_path / "store", Held("sound", sound), Held("harmed", harmed))
    assert [note.record for note in quality.found["einthoven"]] == ["harmed"]
    assert list(quality.found["einthoven"][0].measured) == ["aVR + aVL + aVF = 0"]


def test_samples_cut_off_by_the_store_break_no_identity(tmp_path: Path) -> None:
    leads = heart()
    one, two = leads["I"], leads["II"].copy()
    two[1000:1003] = 45
    assert told(beside_normals(tmp_path / "store", with_limb_leads(leads, one, two))) == {"clipped": ["x"]}


def test_swapped_arm_electrodes_are_suspected(tmp_path: Path) -> None:
    """On three normal hearts, each next to itself as it was: nothing else is said, for all identities hold."""
    hearts = [heart(k) for k in (1, 2, 3)]
    held = [Held(f"r{k}", leads) for k, leads in enumerate(hearts)]
    quality = quality_of(tmp_path / "sound", *held)
    assert told(quality) == {}
    quality = quality_of(tmp_path / "store", *(Held(f"r{k}", arms_swapped(leads)) for k, leads in enumerate(hearts)))
    assert told(quality) == {"inverted-lead-I": ["r0", "r1", "r2"]}
    for note in quality.found["inverted-lead-I"]:
        assert note.measured["qrs_uv"] < 0 and note.measured["compared_with"] == "V6"


def test_lead_i_alone_upside_down_is_suspected_and_breaks_the_identities(tmp_path: Path) -> None:
    assert told(beside_normals(tmp_path / "store", {**heart(), "I": -heart()["I"]})) == {
        "einthoven": ["x"],
        "inverted-lead-I": ["x"],
    }


@pytest.mark.parametrize(("lacking", "compared_with"), [(("V6",), "V5"), (("V5", "V6"), None)])
def test_lead_i_is_compared_with_what_there_is(
    tmp_path: Path, lacking: tuple[str, ...], compared_with: str | None
) -> None:
    leads = {lead: x for lead, x in arms_swapped(heart()).items() if lead not in lacking}
    (note,) = beside_normals(tmp_path / "store", leads).found["inverted-lead-I"]
    assert note.measured["compared_with"] == compared_with


def test_hearts_whose_axis_points_right_are_hardly_ever_suspected(tmp_path: Path) -> None:
    """The QRS complex of lead I points down, the P and T waves do not. Of a hundred such hearts one is suspected wrongly."""
    quality = quality_of(tmp_path / "store", *(Held(f"r{k}", heart(k, "right-axis-deviation")) for k in range(50)))
    assert told(quality) == {}


def test_left_arm_and_foot_swapped_is_not_taken_for_it(tmp_path: Path) -> None:
    """I and II are exchanged and III is turned: no lead I upside down, and all identities hold."""
    leads = heart()
    assert told(beside_normals(tmp_path / "store", with_limb_leads(leads, leads["II"], leads["I"]))) == {}


@pytest.mark.parametrize(("sign", "shift"), [(1, 0.0), (-1, 0.0), (1, 0.2), (-1, -0.1)])
def test_one_signal_in_two_leads_is_told_whatever_its_sign_and_baseline(
    tmp_path: Path, sign: int, shift: float
) -> None:
    leads = {lead: np.round(x, 3) for lead, x in heart().items()}
    leads["V4"] = sign * leads["V3"] + shift
    quality = beside_normals(tmp_path / "store", leads)
    assert told(quality) == {"repeated-lead": ["x"]}
    assert quality.found["repeated-lead"][0].measured == {"leads": ["V3", "V4"]}


def test_two_flat_leads_are_not_one_signal_in_two(tmp_path: Path) -> None:
    leads = {**heart(), "V3": np.zeros(5000), "V4": np.zeros(5000)}
    assert told(beside_normals(tmp_path / "store", leads)) == {"flat-lead": ["x"]}


@pytest.mark.parametrize(("samples", "seconds"), [(2500, 5.0), (3550, 7.1), (4999, 9.998)])
def test_a_record_under_ten_seconds_is_told_and_its_padding_is_not_taken_for_signal(
    tmp_path: Path, samples: int, seconds: float
) -> None:
    quality = beside_normals(tmp_path / "store", {lead: x[:samples] for lead, x in heart().items()})
    assert told(quality) == {"short": ["x"]}
    assert quality.found["short"][0].measured == {"seconds": seconds}


def one_value(value: float) -> dict[str, np.ndarray]:
    leads = heart()
    leads["V1"][77] = value
    return leads


@pytest.mark.parametrize(
    ("leads", "reason"),
    [
        pytest.param(one_value(np.nan), "it holds NaN or infinite samples", id="NaN"),
        pytest.param(one_value(np.inf), "it holds NaN or infinite samples", id="infinite"),
        pytest.param({lead: x[:2450] for lead, x in heart().items()}, "it is 4.9 s long", id="under 5 s"),
        pytest.param({**heart(), "V1": heart()["V1"][:4000]}, "its leads have 4000 to 5000 samples", id="lengths"),
    ],
)
def test_what_did_not_enter_the_store_is_told_with_its_reason(
    tmp_path: Path, leads: dict[str, np.ndarray], reason: str
) -> None:
    quality = beside_normals(tmp_path / "store", leads)
    assert told(quality) == {"damaged": ["x"]} and quality.records == 3
    (note,) = quality.found["damaged"]
    assert note.text.startswith(reason) and note.split == ""
