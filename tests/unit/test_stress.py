"""Stresses do to a recording what they say, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from ecgbench.ecg.build import store_for
from ecgbench.ecg.inputs import Batch
from ecgbench.ecg.recording import LEADS
from ecgbench.evaluation.stress import MAINS_MV, MUSCLE_MV, WANDER_MV, stresses

BY_NAME = {stress.name: stress for stress in stresses()}
ROW = {lead: row for row, lead in enumerate(LEADS)}


@pytest.fixture(scope="module")
def batch() -> Batch:
    """Three records of synth98: whole, without V2, and 7 s long."""
    store = store_for("synth98:balanced=6,labels=normal")
    signals = store.signals(np.arange(3))
    real, valid = np.ones((3, 12), bool), np.array([5000, 5000, 3500])
    real[1, ROW["V2"]] = False
    signals[1, ROW["V2"]] = 0
    signals[2, :, 3500:] = 0
    return Batch(signals, real, valid, ["a", "b", "c"])


def test_there_are_twelve_leads_two_swaps_three_noises_at_three_levels_and_a_low_rate() -> None:
    assert len(BY_NAME) == 12 + 2 + 9 + 1
    assert [stress.removes for stress in stresses()][:12] == list(LEADS)


@pytest.mark.parametrize("name", BY_NAME)
def test_padding_and_missing_leads_stay_zero_and_shapes_stay(name: str, batch: Batch) -> None:
    before = batch.signals.copy()
    out = BY_NAME[name].apply(batch)
    assert out.signals.shape == before.shape and out.signals.dtype == np.float32 and np.isfinite(out.signals).all()
    assert not out.signals[~out.real_leads].any()
    assert not out.signals[2, :, 3500:].any()
    assert np.array_equal(batch.signals, before)  # the batch itself is not touched
    assert not np.array_equal(out.signals, before)


@pytest.mark.parametrize("lead", LEADS)
def test_a_lost_lead_is_lost_alone(lead: str, batch: Batch) -> None:
    out = BY_NAME[f"without lead {lead}"].apply(batch)
    others = [row for row in range(12) if row != ROW[lead]]
    assert np.array_equal(out.signals[:, others], batch.signals[:, others])
    assert not out.real_leads[:, ROW[lead]].any()
    assert np.array_equal(out.real_leads[:, others], batch.real_leads[:, others])


def test_swapped_cables_follow_from_electrode_potentials() -> None:
    """Potentials RA, LA, LL by hand, cables exchanged, leads computed again."""
    rng = np.random.default_rng(1)
    potential = dict(zip(("RA", "LA", "LL"), rng.normal(size=(3, 5000)), strict=True))

    def limb(p: dict[str, np.ndarray]) -> np.ndarray:
        ra, la, ll = p["RA"], p["LA"], p["LL"]
        return np.stack([la - ra, ll - ra, ll - la, ra - (la + ll) / 2, la - (ra + ll) / 2, ll - (ra + la) / 2])

    signals = np.concatenate([limb(potential), np.zeros((6, 5000))])[None].astype(np.float32)
    whole = Batch(signals, np.ones((1, 12), bool), np.array([5000]), ["x"])
    for name, (one, other) in {
        "arm electrodes swapped": ("RA", "LA"),
        "left arm and leg swapped": ("LA", "LL"),
    }.items():
        exchanged = {**potential, one: potential[other], other: potential[one]}
        assert np.allclose(BY_NAME[name].apply(whole).signals[0, :6], limb(exchanged), atol=1e-5), name


@pytest.mark.parametrize("kind", ["mains", "wander", "muscle"])
def test_noise_keeps_einthoven_and_grows_with_its_level(kind: str, batch: Batch) -> None:
    sizes = []
    for level in {"mains": MAINS_MV, "wander": WANDER_MV, "muscle": MUSCLE_MV}[kind]:
        added = BY_NAME[f"{kind}, {level:g} mV"].apply(batch).signals - batch.signals
        assert np.abs(added[:, ROW["I"]] + added[:, ROW["III"]] - added[:, ROW["II"]]).max() < 1e-5
        assert np.abs(added[:, 3:6].sum(axis=1)).max() < 1e-5
        sizes.append(added[0, ROW["I"]].std())
        if kind == "muscle":  # lead I is the difference of two independent electrodes
            assert sizes[-1] == pytest.approx(level * np.sqrt(2), rel=0.1)
    assert sizes[0] < sizes[1] < sizes[2]


@pytest.mark.parametrize(("kind", "low", "high"), [("mains", 49, 51), ("wander", 0.05, 0.5), ("muscle", 19, 151)])
def test_noise_lies_in_its_band(kind: str, low: float, high: float, batch: Batch) -> None:
    name = next(name for name in BY_NAME if name.startswith(kind))
    added = (BY_NAME[name].apply(batch).signals - batch.signals)[0, ROW["V3"]]
    power = np.abs(np.fft.rfft(added * np.hanning(5000))) ** 2
    frequency = np.fft.rfftfreq(5000, 1 / 500)
    inside = (frequency >= low - 0.2) & (frequency <= high + 0.2)
    assert power[inside].sum() > 0.99 * power.sum()


def test_noise_follows_from_the_name_alone(batch: Batch) -> None:
    stress = BY_NAME["muscle, 0.05 mV"]
    whole = stress.apply(batch).signals
    alone = stress.apply(Batch(batch.signals[1:2], batch.real_leads[1:2], batch.valid_samples[1:2], ["b"])).signals
    assert np.array_equal(alone[0], whole[1])
    other = stress.apply(Batch(batch.signals[1:2], batch.real_leads[1:2], batch.valid_samples[1:2], ["z"])).signals
    assert not np.array_equal(other[0], whole[1])


def test_a_low_rate_takes_what_is_above_its_half(batch: Batch) -> None:
    time = np.arange(5000) / 500
    signals = np.tile(np.sin(2 * np.pi * 10 * time) + np.sin(2 * np.pi * 80 * time), (1, 12, 1)).astype(np.float32)
    out = BY_NAME["recorded at 100 Hz"].apply(Batch(signals, np.ones((1, 12), bool), np.array([5000]), ["x"]))
    middle = slice(500, 4500)
    assert np.abs(out.signals[0, 0, middle] - np.sin(2 * np.pi * 10 * time)[middle]).max() < 0.02
