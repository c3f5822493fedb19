"""Any signal into the store's form, and from the store into an encoder's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ecgbench.cards import EncoderCard, InputContract
from ecgbench.catalogue import load_card
from ecgbench.ecg.inputs import Batch, convert, input_rate
from ecgbench.ecg.recording import LEADS, DamagedRecordError
from ecgbench.ecg.standardise import derive_limb_leads, resample, to_store
from ecgbench.errors import EcgbenchError


def sine(frequency: float, rate: float, seconds: float = 10.0) -> np.ndarray:
    return np.sin(2 * np.pi * frequency * np.arange(round(rate * seconds)) / rate)


def contract(**changes: object) -> InputContract:
    return InputContract(**{**load_card(EncoderCard, "resnet1d18").input.model_dump(), **changes})


def batch(signals: np.ndarray, real: np.ndarray | None = None, valid: list[int] | None = None) -> Batch:
    n = len(signals)
    masks = np.ones((n, 12), bool) if real is None else real
    return Batch(signals, masks, np.array(valid or [5000] * n), [f"r{i}" for i in range(n)])


def test_limb_leads_follow_from_one_and_two() -> None:
    rng = np.random.default_rng(0)
    right, left, foot = rng.normal(size=(3, 100))
    full = derive_limb_leads({"I": left - right, "II": foot - right})
    np.testing.assert_allclose(full["III"], foot - left)
    np.testing.assert_allclose(full["aVR"], right - (left + foot) / 2)
    np.testing.assert_allclose(full["aVL"], left - (right + foot) / 2)
    np.testing.assert_allclose(full["aVF"], foot - (right + left) / 2)


def test_a_recorded_lead_is_not_replaced() -> None:
    given = {"I": np.ones(3), "II": np.ones(3), "III": np.full(3, 7.0)}
    assert derive_limb_leads(given)["III"][0] == 7.0


@pytest.mark.parametrize("rate", [250, 360, 500, 1000, 257.0, 359.5])
def test_resampling_keeps_what_both_rates_can_hold(rate: float) -> None:
    stored = to_store({"II": sine(10, rate)}, rate)
    middle = slice(500, 4500)
    np.testing.assert_allclose(stored.counts[1, middle] / 1000, sine(10, 500)[middle], atol=0.01)
    assert stored.resampled == (rate != 500) and stored.valid_samples == 5000


def test_resampling_does_not_alias() -> None:
    """90 Hz cannot be held at 100 Hz; slicing every fifth sample would make 10 Hz of it."""
    at_100 = resample(sine(90, 500)[None], 500, 100)[0]
    assert np.abs(sine(90, 500)[::5]).max() > 0.9
    assert np.abs(at_100[50:-50]).max() < 0.02


def test_short_is_padded_and_too_short_refused() -> None:
    stored = to_store({"II": np.ones(3000)}, 500)
    assert (
        stored.valid_samples == 3000
        and (stored.counts[1, 3000:] == 0).all()
        and (stored.counts[1, :3000] == 1000).all()
    )
    with pytest.raises(DamagedRecordError, match=r"4\.0 s long"):
        to_store({"II": np.ones(2000)}, 500)


def test_long_keeps_the_first_ten_seconds() -> None:
    ramp = np.arange(30000) / 1000
    assert to_store({"II": ramp}, 500).counts[1, -1] == 4999


def test_missing_leads_are_zero_and_marked() -> None:
    stored = to_store({"I": np.ones(5000), "II": np.ones(5000), "V1": np.ones(5000)}, 500)
    assert stored.lead_mask == tuple(lead in {"I", "II", "III", "aVR", "aVL", "aVF", "V1"} for lead in LEADS)
    assert not stored.counts[7:].any()


def test_clipping_is_said() -> None:
    assert to_store({"II": np.full(5000, 40.0)}, 500).clipped
    assert not to_store({"II": np.full(5000, 32.0)}, 500).clipped


@pytest.mark.parametrize("bad", [{}, {"II": np.full(5000, np.nan)}, {"X": np.ones(5000)}])
def test_what_cannot_be_stored_is_damaged(bad: dict[str, np.ndarray]) -> None:
    with pytest.raises(DamagedRecordError):
        to_store(bad, 500)


def test_an_encoder_gets_its_leads_in_its_order_and_unit() -> None:
    signals = np.arange(12, dtype=np.float32)[None, :, None] * np.ones((1, 12, 5000), np.float32)
    asked = contract(leads=("V6", "aVR", "I"), unit="uV", normalisation="none", seconds=4)
    out = convert(batch(signals), asked, 500)
    assert out.shape == (1, 3, 2000) and out.dtype == np.float32
    assert out[0, :, 0].tolist() == [11000.0, 3000.0, 0.0]


@pytest.mark.parametrize("how", ["none", "center", "zscore-lead", "zscore-record", "minmax-lead"])
def test_normalisation_against_a_loop(how: str) -> None:
    rng = np.random.default_rng(1)
    signals = (rng.normal(size=(2, 12, 5000)) * 0.3 + 0.1).astype(np.float32)
    signals[1, 4] = 0.25  # a flat lead
    out = convert(batch(signals), contract(normalisation=how), 500)
    for record in range(2):
        for lead in range(12):
            x = signals[record, lead].astype(np.float64)
            everything = signals[record].astype(np.float64)
            spread = (everything - everything.mean(1, keepdims=True)).std()
            with np.errstate(invalid="ignore"):
                expected = {
                    "none": lambda x=x: x,
                    "center": lambda x=x: x - x.mean(),
                    "zscore-lead": lambda x=x: (x - x.mean()) / x.std() if np.ptp(x) else x * 0,
                    "zscore-record": lambda x=x, s=spread: (x - x.mean()) / s,
                    "minmax-lead": lambda x=x: (x - x.min()) / np.ptp(x) if np.ptp(x) else x * 0,
                }[how]()
            np.testing.assert_allclose(out[record, lead], expected, atol=1e-5)


@pytest.mark.parametrize("how", ["none", "center", "zscore-lead", "zscore-record", "minmax-lead"])
@pytest.mark.parametrize("rate", [500, 100])
def test_padding_and_missing_leads_take_no_part(how: str, rate: int) -> None:
    """A record that is shorter and lacks leads becomes what its real part would become alone."""
    rng = np.random.default_rng(2)
    signals = (np.cumsum(rng.normal(size=(2, 12, 5000)), axis=-1) * 0.01 + 1.0).astype(np.float32)
    signals[1, :, 3000:] = 0.0
    real = np.ones((2, 12), bool)
    real[1, 6:] = False
    signals[1, 6:] = 0.0
    asked = contract(normalisation=how)
    out = convert(batch(signals, real, [5000, 3000]), asked, rate)
    np.testing.assert_allclose(out[0], convert(batch(signals[:1]), asked, rate)[0], rtol=1e-5, atol=1e-6)
    end = 3000 * rate // 500
    assert not out[1, 6:].any() and not out[1, :, end:].any() and out[1, :6, :end].any(axis=1).all()
    part = out[1, :6, :end].astype(np.float64)
    if how in ("center", "zscore-lead", "zscore-record"):
        np.testing.assert_allclose(part.mean(1), 0, atol=1e-5)
    if how == "zscore-lead":
        np.testing.assert_allclose(part.std(1), 1, atol=1e-4)
    if how == "zscore-record":
        assert np.sqrt((part**2).mean()) == pytest.approx(1, abs=1e-4)
    if how == "minmax-lead":
        np.testing.assert_allclose([part.min(1), part.max(1)], [[0] * 6, [1] * 6], atol=1e-6)


def test_a_missing_lead_is_zero_or_refused_as_the_card_says() -> None:
    signals, masks = np.ones((2, 12, 5000), np.float32), np.ones((2, 12), bool)
    masks[1, 7] = False
    out = convert(batch(signals, masks), contract(normalisation="none"), 100)
    assert not out[1, 7].any() and out[0, 7].all()
    with pytest.raises(EcgbenchError, match="record r1 lacks lead V2"):
        convert(batch(signals, masks), contract(missing_lead="refuse"), 100)
    assert convert(batch(signals, masks), contract(missing_lead="refuse", leads=("I", "II")), 100).shape == (2, 2, 1000)


def test_a_rate_that_the_card_does_not_list_is_refused() -> None:
    assert input_rate(contract(), None, "x") == 500
    with pytest.raises(EcgbenchError, match="250 Hz, but encoder x takes 500, 100 Hz"):
        input_rate(contract(), 250, "x")


def test_einthoven_holds_in_a_real_record(ptbxl_folder: Path) -> None:
    from ecgbench.ecg.formats.wfdb_file import read_wfdb

    raw = read_wfdb(ptbxl_folder / "records500" / "00000" / "00001_hr")
    leads, rate = raw.leads, raw.rate
    assert rate == 500 and set(leads) == set(LEADS)
    np.testing.assert_allclose(leads["I"] + leads["III"], leads["II"], atol=0.0021)
    np.testing.assert_allclose(leads["aVF"], (leads["II"] + leads["III"]) / 2, atol=0.0021)


@pytest.mark.parametrize(
    "rate", [20.0, 125.0, 128.0, 250.0, 257.0, 360.0, 499.999, 976.5625, 999.999, 5000.001, 20000.001, 99999.9]
)
def test_any_rate_is_resampled_in_little_time_and_right(rate: float) -> None:
    """A slow wave comes out as itself, whatever the rate; an odd one asked for a filter of 4e8 taps once."""
    import time

    started = time.process_time()
    at = np.arange(round(10 * rate)) / rate
    out = resample(np.sin(2 * np.pi * 1.5 * at), rate, 500)
    expected = np.sin(2 * np.pi * 1.5 * np.arange(len(out)) / 500)
    assert abs(len(out) - 5000) <= 1
    assert np.abs(out - expected)[100:-100].max() < 0.01
    assert time.process_time() - started < 5


def test_common_rates_are_exact_ratios() -> None:
    from scipy.signal import resample_poly

    wave = np.random.default_rng(0).normal(size=3600)
    assert np.array_equal(resample(wave, 360, 500), resample_poly(wave, 25, 18, padtype="line"))
    assert np.array_equal(resample(wave, 250, 500), resample_poly(wave, 2, 1, padtype="line"))
    assert np.array_equal(resample(wave, 500, 100), resample_poly(wave, 1, 5, padtype="line"))
