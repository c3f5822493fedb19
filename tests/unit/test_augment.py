"""Augmentation in physical units: what is added is as large as the recipe says, and follows from seed, epoch and record."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgbench.cards import InputContract
from ecgbench.catalogue import shipped_folder
from ecgbench.contrastive.augment import Augmenter, augmented
from ecgbench.ecg.inputs import Batch, convert
from ecgbench.ecg.recording import LEADS
from ecgbench.errors import EcgbenchError
from ecgbench.pipeline.request import make_request
from ecgbench.recipe import Augmentation, load_recipe

RATE = 100


def contract(**changes: object) -> InputContract:
    fields = {
        "leads": LEADS,
        "rates": (RATE,),
        "seconds": 10,
        "unit": "mV",
        "normalisation": "none",
        "missing_lead": "zero",
    }
    return InputContract.model_validate({**fields, **changes})


def augmenter(asked: Augmentation, card: InputContract | None = None, seed: int = 0) -> Augmenter:
    source = np.random.default_rng(1)
    card = card or contract()
    inputs = source.normal(size=(6, 12, 1000)).astype(np.float32) * (1000 if card.unit == "uV" else 1)
    real, ends = np.ones((6, 12), bool), np.full(6, 1000)
    real[2, 5], ends[3] = False, 700
    inputs[2, 5], inputs[3, :, 700:] = 0, 0
    return Augmenter(inputs, real, ends, card, RATE, asked, seed)


def added(asked: Augmentation, rows: int = 200) -> np.ndarray:
    """What is added to a flat signal, (rows, 12, 1000) mV."""
    flat, valid = np.zeros((12, 1000)), np.ones((12, 1000), bool)
    return np.stack([augmented(flat, valid, asked, RATE, 1e-3, np.random.default_rng(row))[0] for row in range(rows)])


def test_sizes_are_those_of_the_recipe() -> None:
    noise = added(Augmentation(noise_uv=20)).std((1, 2))
    assert noise.min() >= 0 and noise.max() == pytest.approx(0.020, rel=0.05)
    assert noise.mean() == pytest.approx(0.010, rel=0.15)  # uniform up to 20 µV
    wander = np.abs(added(Augmentation(wander_uv=300))).max((1, 2))
    assert 0.25 < wander.max() <= 0.3
    mains = added(Augmentation(mains_uv=100, mains_hz=20))
    spectrum = np.abs(np.fft.rfft(mains, axis=2)).mean((0, 1))
    assert spectrum.argmax() == 200  # 20 Hz in 10 s
    assert np.abs(mains).max() <= 0.1


def test_gain_and_shift_are_within_what_is_asked() -> None:
    signal, valid = np.random.default_rng(0).normal(size=(12, 1000)), np.ones((12, 1000), bool)
    gains = [augmented(signal, valid, Augmentation(gain_percent=10), RATE, 1e-3, np.random.default_rng(i))[0] / signal
             for i in range(100)]  # fmt: skip
    assert all(np.ptp(gain) < 1e-9 for gain in gains)
    assert 0.9 <= np.min(gains) < 0.92 and 1.08 < np.max(gains) <= 1.1
    for i in range(50):
        moved, counts = augmented(signal, valid, Augmentation(shift_ms=200), RATE, 1e-3, np.random.default_rng(i))
        by = int(np.argmax([np.array_equal(moved[0, max(k, 0): 1000 + min(k, 0)], signal[0, max(-k, 0): 1000 + min(-k, 0)])
                            for k in range(-20, 21)])) - 20  # fmt: skip
        assert counts.sum() == 12 * (1000 - abs(by)) and (moved[~counts] == 0).all()


def test_what_is_masked_or_dropped_is_zero_and_takes_no_part_in_normalising() -> None:
    card = contract(normalisation="zscore-lead")
    made = augmenter(Augmentation(mask_ms=2000), card)
    found = made.batch(np.arange(6), 3)
    plain = augmenter(Augmentation(gain_percent=1e-9), card).batch(np.arange(6), 3)
    for row in range(6):
        hidden = (found[row] == 0).all(0) & ~(plain[row] == 0).all(0)
        assert hidden.sum() <= 200 and (row == 3 or np.ptp(np.flatnonzero(hidden)) == hidden.sum() - 1)
        kept = ~(found[row] == 0).all(0)
        lead = found[row, 0, kept].astype(np.float64)
        assert lead.mean() == pytest.approx(0, abs=1e-5) and lead.std() == pytest.approx(1, abs=1e-5)
    dropped = augmenter(Augmentation(lead_dropout=0.5), card)
    missing = [(dropped.batch(np.arange(6), epoch) == 0).all(2) for epoch in range(40)]
    assert np.mean(missing) == pytest.approx(0.5, abs=0.06)
    assert all((~each).any(1).all() for each in missing)  # a record keeps one lead at least


def test_nothing_asked_is_the_encoders_own_input() -> None:
    """With sizes that vanish: what `convert` gives, missing leads and padding as well."""
    source = np.random.default_rng(0)
    signals = source.normal(size=(4, 12, 5000)).astype(np.float32)
    real, valid = np.ones((4, 12), bool), np.array([5000, 5000, 3500, 5000])
    real[1, 4] = False
    signals[1, 4], signals[2, :, 3500:] = 0, 0
    card = contract(normalisation="zscore-record")
    batch = Batch(signals, real, valid, list("abcd"))
    raw = convert(batch, card.model_copy(update={"normalisation": "none"}), RATE)
    made = Augmenter(raw, real, -(-valid * RATE // 500), card, RATE, Augmentation(gain_percent=1e-12), 0)
    np.testing.assert_allclose(made.batch(np.arange(4), 0), convert(batch, card, RATE), atol=2e-6)


@given(epoch=st.integers(0, 100), rows=st.permutations(range(6)))
@settings(deadline=None, max_examples=20)
def test_a_record_is_the_same_in_any_batch(epoch: int, rows: list[int]) -> None:
    made = augmenter(Augmentation(noise_uv=20, shift_ms=50, lead_dropout=0.2, wander_uv=100))
    together = made.batch(np.array(rows), epoch)
    for place, row in enumerate(rows):
        assert np.array_equal(made.batch(np.array([row]), epoch)[0], together[place])


def test_epochs_and_seeds_draw_differently() -> None:
    made = augmenter(Augmentation(noise_uv=20))
    first = made.batch(np.array([0]), 0)
    assert not np.array_equal(first, made.batch(np.array([0]), 1))
    assert not np.array_equal(first, augmenter(Augmentation(noise_uv=20), seed=1).batch(np.array([0]), 0))


def test_one_option_does_not_change_what_another_draws() -> None:
    alone, both = Augmentation(gain_percent=10), Augmentation(gain_percent=10, wander_uv=50)
    signal, valid = np.ones((12, 1000)), np.ones((12, 1000), bool)
    gain = augmented(signal, valid, alone, RATE, 1e-3, np.random.default_rng(4))[0][0, 0]
    wandering = augmented(signal, valid, both, RATE, 1e-3, np.random.default_rng(4))[0]
    assert abs(wandering.mean() - gain) < 0.05


def test_microvolt_cards_are_served_in_microvolt() -> None:
    plain = augmenter(Augmentation(gain_percent=1e-9), contract(unit="uV")).batch(np.arange(6), 0)
    noisy = augmenter(Augmentation(noise_uv=20), contract(unit="uV")).batch(np.arange(6), 0)
    spread = (noisy - plain)[0].std()
    assert 0.1 < spread <= 21


def test_a_card_that_forbids_missing_leads_refuses_their_dropout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = (shipped_folder() / "registry" / "encoders" / "stats.yaml").read_text(encoding="utf-8")
    assert "missing_lead: zero" in card and "name: stats" in card
    (tmp_path / "registry" / "encoders").mkdir(parents=True)
    strict = card.replace("missing_lead: zero", "missing_lead: refuse").replace("name: stats", "name: strict")
    (tmp_path / "registry" / "encoders" / "strict.yaml").write_text(strict, encoding="utf-8")
    monkeypatch.setenv("ECGBENCH_PATH", str(tmp_path))
    with pytest.raises(EcgbenchError, match="encoder strict does not allow: leave lead_dropout out"):
        make_request(encoder="strict", text="random", recipe="quick+augmentation={lead_dropout: 0.1}")


def test_augmentation_is_part_of_a_recipe_s_identity_and_its_name() -> None:
    plain = load_recipe("quick")
    noisy = load_recipe("quick+augmentation={noise_uv: 20}")
    assert "augmentation" not in plain.identity() and noisy.identity()["augmentation"]["noise_uv"] == 20
    assert noisy.hash != plain.hash
    with pytest.raises(EcgbenchError, match="noise_uv"):
        load_recipe("quick+augmentation={noise_uv: -3}")
