"""One recording under several names: within a patient, across patients, across splits; and what is no copy."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import resample_poly

from ecgbench.ecg.quality.batch import Batch
from ecgbench.ecg.quality.copies import copies_in, signatures
from ecgbench.ecg.quality.report import Quality, check_store
from ecgbench.ecg.recording import LEADS
from tests.unit.quality_made import Held, arms_swapped, heart, made_store, quality_of, told, with_limb_leads

Leads = dict[str, np.ndarray]


def stored(leads: Leads) -> Leads:
    """In whole µV, as a file would have them: a copy is made of these."""
    return {lead: np.rint(x * 1000) / 1000 for lead, x in leads.items()}


def moved(leads: Leads) -> Leads:
    """The same recording with its chest leads moved by a constant: no sample of them is as it was."""
    return {lead: x + 0.05 * lead.startswith("V") for lead, x in leads.items()}


def pair(
    tmp_path: Path, copy: Leads, patients: tuple[str, str], splits: tuple[str, str] = ("train", "train")
) -> Quality:
    """The checks of a store of a heart, what was made of it, and three others."""
    others = [Held(f"n{k}", heart(k)) for k in (11, 12, 13)]
    first = Held("first", stored(heart()), patients[0], splits[0])
    return quality_of(tmp_path / "store", first, *others, Held("second", copy, patients[1], splits[1]))


@pytest.mark.parametrize(
    ("patients", "splits", "check"),
    [
        (("p1", "p1"), ("train", "train"), "copy"),
        (("p1", "p2"), ("train", "train"), "copy-across-patients"),
        (("p1", "p2"), ("train", "test"), "leak"),
        (("p1", "p2"), ("validation", "train"), "leak"),
        (("p1", "p2"), ("test", "validation"), "leak"),
    ],
)
def test_a_copy_is_told_by_whom_it_joins(
    tmp_path: Path, patients: tuple[str, str], splits: tuple[str, str], check: str
) -> None:
    quality = pair(tmp_path, moved(stored(heart())), patients, splits)
    assert told(quality) == {check: ["first", "second"]}
    assert quality.leaking is (check == "leak") and len(quality.leaks) == (check == "leak")


def test_the_sentence_on_a_leak_names_records_and_splits(tmp_path: Path) -> None:
    quality = pair(tmp_path, moved(stored(heart())), ("p1", "p2"), ("train", "test"))
    (sentence,) = quality.leaks
    assert sentence.startswith("one recording in test and train: first (train), second (test); ")
    assert sentence.endswith("the same but for a constant, the sign or the name")


HALF_DERIVED = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")


@pytest.mark.parametrize(
    "alter",
    [
        pytest.param(moved, id="a constant in the chest leads"),
        pytest.param(lambda x: {lead: -samples for lead, samples in x.items()}, id="upside down"),
        pytest.param(lambda x: stored(arms_swapped(x)), id="arm electrodes swapped"),
        pytest.param(lambda x: {lead: x[lead] for lead in ("I", "II")}, id="two leads of it"),
        pytest.param(lambda x: {lead: x[lead] for lead in ("V2",)}, id="one lead of it"),
        pytest.param(lambda x: {**x, "V1": x["V1"] + np.where(np.arange(5000) == 9, 0.3, 0)}, id="one sample changed"),
        pytest.param(lambda x: {lead: x[lead] for lead in HALF_DERIVED}, id="limb leads derived anew"),
        pytest.param(lambda x: {**x, "V1": x["V2"], "V2": x["V1"]}, id="V1 and V2 exchanged"),
        pytest.param(lambda x: {**x, **{lead: np.zeros(5000) for lead in ("V1", "V2", "V3")}}, id="leads fallen off"),
    ],
)
def test_an_altered_copy_is_found(tmp_path: Path, alter: Callable[[Leads], Leads]) -> None:
    quality = pair(tmp_path, alter(stored(heart())), ("p1", "p2"), ("train", "test"))
    assert [note.record for note in quality.found["leak"]] == ["first", "second"]


def resampled(samples: np.ndarray) -> np.ndarray:
    """To 250 Hz and back."""
    return resample_poly(resample_poly(samples, 1, 2), 2, 1)


@pytest.mark.parametrize(
    "alter",
    [
        pytest.param(lambda x: {lead: resampled(s) for lead, s in x.items()}, id="resampled"),
        pytest.param(lambda x: {lead: 1.02 * s for lead, s in x.items()}, id="scaled"),
        pytest.param(lambda x: {lead: np.convolve(s, np.ones(5) / 5, "same") for lead, s in x.items()}, id="filtered"),
        pytest.param(lambda x: {lead: np.roll(s, 1) for lead, s in x.items()}, id="shifted in time"),
        pytest.param(lambda x: {lead: s[:4000] for lead, s in x.items()}, id="cut short"),
    ],
)
def test_a_copy_with_other_samples_is_not_found(tmp_path: Path, alter: Callable[[Leads], Leads]) -> None:
    """As docs/quality.md says. Should this ever fail, more is found than is promised."""
    quality = pair(tmp_path, alter(stored(heart())), ("p1", "p2"), ("train", "test"))
    assert not quality.leaking and quality.found["copy-across-patients"] == []


def test_an_exact_copy_never_enters_the_store_and_is_told_as_left_out(tmp_path: Path) -> None:
    quality = pair(tmp_path, stored(heart()), ("p1", "p2"), ("train", "test"))
    assert told(quality) == {"left-out-copy": ["first"]} and not quality.leaking
    assert quality.found["left-out-copy"][0].text == "the same as second, which is of another patient and split"


def test_two_recordings_of_one_patient_are_no_copies(tmp_path: Path) -> None:
    held = [Held(f"r{k}", heart(k), "p1") for k in range(1, 6)]
    assert told(quality_of(tmp_path / "store", *held)) == {}


def test_several_copies_are_one_leak(tmp_path: Path) -> None:
    leads = stored(heart())
    copies = [Held(f"c{k}", {lead: x + k / 100 for lead, x in leads.items()}, f"p{k}", "train") for k in range(1, 7)]
    quality = quality_of(tmp_path / "store", *copies, Held("z", leads, "pz", "validation"), Held("n", heart(5)))
    assert sorted(told(quality)["leak"]) == ["c1", "c2", "c3", "c4", "c5", "c6", "z"]
    (sentence,) = quality.leaks
    assert "c1 (train), z (validation), c2 (train), c3 (train) and 3 more" in sentence
    assert quality.found["leak"][0].text.startswith("with c2, c3, c4 and 3 more: ")


def test_copies_that_share_different_leads_are_one_group(tmp_path: Path) -> None:
    """The first has leads I and II, the second V1, and only the third, which has all, joins them."""
    leads = stored(heart())
    held = [
        Held("limbs", {lead: leads[lead] for lead in ("I", "II")}, "p1"),
        Held("whole", leads, "p2"),
        Held("chest", {"V1": leads["V1"]}, "p3"),
    ]
    quality = quality_of(tmp_path / "store", *held)
    assert told(quality)["copy-across-patients"] == ["limbs", "whole", "chest"]


@pytest.mark.parametrize("poor", ["flat", "calibration"])
def test_a_lead_too_poor_to_be_known_again_makes_no_copy(tmp_path: Path, poor: str) -> None:
    """Every record's V3 is the same straight line, or the same ten calibration pulses."""
    shared = np.zeros(5000)
    if poor == "calibration":
        shared[np.arange(5000) % 500 < 100] = 1.0
    held = [Held(f"r{k}", {**heart(k), "V3": shared}, split=("train", "test")[k % 2]) for k in range(4)]
    quality = quality_of(tmp_path / "store", *held)
    assert not quality.leaking and quality.found["copy-across-patients"] == []


def test_one_lead_in_two_patients_is_told_by_its_name(tmp_path: Path) -> None:
    foreign = {**heart(2), "V6": heart(1)["V6"]}
    quality = quality_of(tmp_path / "store", Held("a", heart(1)), Held("b", foreign), Held("c", heart(3)))
    assert told(quality) == {"copy-across-patients": ["a", "b"]}
    assert quality.found["copy-across-patients"][0].text == "with b: V6 the same"


def test_hashes_that_meet_by_chance_make_no_copy(tmp_path: Path) -> None:
    store = made_store(tmp_path / "store", *(Held(f"r{k}", heart(k)) for k in range(1, 5)))
    met = np.arange(1, 1 + 4 * len(LEADS), dtype=np.uint64).reshape(4, len(LEADS))
    met[2] = met[0]
    assert copies_in(store, met) == []


def test_a_signature_is_of_the_steps_alone() -> None:
    """Held against a twin in plain Python integers."""
    counts = np.random.default_rng(0).integers(-32767, 32768, (1, 12, 1500)).astype(np.int16)
    turned = Batch(-counts, np.ones((1, 12), bool), np.array([0]))
    plain = signatures(Batch(counts, np.ones((1, 12), bool), np.array([0])))[0]
    twins = []
    for lead in counts[0].tolist():
        steps = [(b - a) % 65536 for a, b in pairwise(lead)]
        first = next(step for step in steps if step)
        twins.append(tuple(steps if first < 32768 else [-step % 65536 for step in steps]))
    assert len(set(plain.tolist())) == len(set(twins)) == 12
    np.testing.assert_array_equal(signatures(turned)[0], plain)


def test_a_group_is_found_however_the_shards_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ecgbench.ecg.workplace.SHARD_RECORDS", 2)
    monkeypatch.setattr("ecgbench.ecg.quality.batch.CHUNK", 3)
    leads = stored(heart())
    held = [
        Held("a", leads, "p1"),
        *(Held(f"n{k}", heart(k)) for k in range(2, 9)),
        Held("b", moved(leads), "p2", "test"),
    ]
    store = made_store(tmp_path / "store", *held)
    assert len(store.manifest.shards) == 5
    assert told(check_store(store)) == {"leak": ["a", "b"]}


def test_progress_goes_from_some_to_all(tmp_path: Path) -> None:
    store = made_store(tmp_path / "store", *(Held(f"r{k}", heart(k)) for k in range(1, 8)))
    seen: list[tuple[int, int]] = []
    check_store(store, lambda done, of: seen.append((done, of)))
    assert seen and seen[-1] == (7, 7)


def test_limb_leads_recomputed_from_a_copy_are_told_so(tmp_path: Path) -> None:
    leads = stored(heart())
    quality = pair(tmp_path, with_limb_leads({**leads}, leads["I"], leads["II"]), ("p1", "p2"))
    (note, _) = quality.found["copy-across-patients"]
    assert note.text == "with second: the same in I, II and V1 to V6"
