"""The measurements of the `stats` encoder against drawn beats of known size, and against another library's beats."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from ecgbench.ecg.recording import LEADS
from ecgbench.encoders.stats import FEATURES, StatsEncoder, measure

NAMES = [feature.name for feature in FEATURES]
RATES = [500, 100]


def value(x: Tensor, name: str, rate: int) -> float:
    return float(measure(x, rate)[0, NAMES.index(name)])


def drawn(
    rate: int, beats: list[float], *, angle: float = 60.0, pr: float = 0.16, wide: float = 0.08, st: float = 0.0
) -> Tensor:
    """An ECG (1, 12, 10 s) with a smooth P, a triangular QRS of 1 mV along `angle` (degrees) and a smooth T, R at `beats`
    (seconds). The chest leads show lead II."""
    time = np.arange(10 * rate) / rate
    wave = np.zeros_like(time)
    for beat in beats:
        at = time - beat
        wave += np.clip(1 - np.abs(at) / (wide / 2), 0, None)
        wave += 0.15 * bump(at + pr - 0.04 + wide / 2, 0.08) + 0.3 * bump(at - 0.28, 0.16)
        wave += st * ((at > wide / 2) & (at < 0.2))
    turns = {"I": 0, "II": 60, "III": 120, "aVR": -150, "aVL": -30, "aVF": 90}
    strong = {lead: (1.0 if lead in ("I", "II", "III") else 3**0.5 / 2) for lead in turns}
    gains = [strong[lead] * np.cos(np.radians(angle - turns[lead])) if lead in turns else 0.5 for lead in LEADS]
    return torch.tensor(np.outer(gains, wave)[None], dtype=torch.float32)


def bump(time: np.ndarray, width: float) -> np.ndarray:
    """A half period of a squared cosine, `width` wide."""
    return np.where(np.abs(time) < width / 2, np.cos(np.pi * time / width) ** 2, 0)


def every(seconds: float) -> list[float]:
    return list(np.arange(0.6, 9.4, seconds))


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("seconds", [0.4, 0.8, 1.5])
def test_the_heart_rate_is_that_of_the_drawn_beats(seconds: float, rate: int) -> None:
    ecg = drawn(rate, every(seconds))
    assert value(ecg, "beats", rate) == len(every(seconds))
    assert value(ecg, "heart rate", rate) == pytest.approx(60 / seconds, rel=0.01)
    assert value(ecg, "RR deviation", rate) < 6


@pytest.mark.parametrize("rate", RATES)
def test_the_rr_spread_is_that_of_alternating_beats(rate: int) -> None:
    """Intervals of 0.7 and 0.9 s in turn: a deviation of 100 ms, each successive difference 200 ms."""
    beats = [0.6, *(0.6 + np.cumsum([0.7, 0.9] * 5))]
    ecg = drawn(rate, [float(beat) for beat in beats])
    assert value(ecg, "RR deviation", rate) == pytest.approx(100, abs=6)
    assert value(ecg, "RMSSD", rate) == pytest.approx(200, abs=10)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("angle", [-60.0, 0.0, 60.0, 120.0])
def test_the_axis_is_that_of_the_drawn_vector(angle: float, rate: int) -> None:
    ecg = drawn(rate, every(0.8), angle=angle)
    for wave in ("QRS", "T"):
        x, y = value(ecg, f"{wave} axis, cosine", rate), value(ecg, f"{wave} axis, sine", rate)
        turn = (np.degrees(np.arctan2(y, x)) - angle + 180) % 360 - 180
        assert abs(turn) < 6


@pytest.mark.parametrize("rate", RATES)
def test_a_longer_pr_interval_is_measured_longer_by_as_much(rate: int) -> None:
    short, long = (value(drawn(rate, every(1.0), pr=pr), "PR interval", rate) for pr in (0.14, 0.22))
    assert long - short == pytest.approx(80, abs=12)
    assert short == pytest.approx(140, abs=25)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("wide", [0.08, 0.14])
def test_the_qrs_is_as_wide_as_drawn(wide: float, rate: int) -> None:
    assert value(drawn(rate, every(1.0), wide=wide), "QRS duration", rate) == pytest.approx(1000 * wide, abs=22)


@pytest.mark.parametrize("rate", RATES)
def test_qt_ends_with_the_drawn_t(rate: int) -> None:
    """From 40 ms before R to 280 + 80 ms after it, less the tail of the cosine; at 60 beats a minute QTc is QT."""
    ecg = drawn(rate, every(1.0))
    assert value(ecg, "QT interval", rate) == pytest.approx(400, abs=35)
    assert value(ecg, "QTc", rate) == pytest.approx(value(ecg, "QT interval", rate), rel=0.01)


@pytest.mark.parametrize("rate", RATES)
def test_amplitudes_are_in_millivolts_lead_by_lead(rate: int) -> None:
    ecg = drawn(rate, every(0.8), angle=60)
    for lead, high in {"I": 0.5, "II": 1.0, "aVF": 0.75}.items():
        assert value(ecg, f"R in {lead}", rate) == pytest.approx(high, abs=0.06)
    assert value(ecg, "S in aVR", rate) == pytest.approx(-0.75, abs=0.06)
    assert value(ecg, "T in II", rate) == pytest.approx(0.3, abs=0.03)
    assert value(ecg, "P amplitude in II", rate) == pytest.approx(0.15, abs=0.03)


@pytest.mark.parametrize("rate", RATES)
def test_a_raised_st_segment_is_seen(rate: int) -> None:
    flat, raised = (value(drawn(rate, every(1.0), st=st), "ST in II", rate) for st in (0.0, 0.2))
    assert raised - flat == pytest.approx(0.2, abs=0.04)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("level", [0.0, 32.767])
def test_a_flat_signal_has_no_beats_and_nothing_to_measure(level: float, rate: int) -> None:
    flat = torch.full((1, 12, 10 * rate), level)
    measured = measure(flat, rate)[0]
    assert measured[0] == 0 and measured[1:].isnan().all()
    assert torch.isfinite(StatsEncoder(leads=12, samples=10 * rate, rate=rate, width=4)(flat)).all()


def test_two_beats_are_counted_and_not_measured() -> None:
    measured = measure(drawn(100, [2.0, 4.0]), 100)[0]
    assert measured[0] == 2 and measured[1:].isnan().all()


def test_a_recording_is_measured_the_same_in_any_company() -> None:
    draw = torch.Generator().manual_seed(0)
    noise = torch.randn(4, 12, 1000, generator=draw)
    batch = torch.cat([drawn(100, every(0.8)), noise, torch.zeros(1, 12, 1000), drawn(100, every(0.4))])
    alone = torch.cat([measure(batch[row : row + 1], 100) for row in range(len(batch))])
    torch.testing.assert_close(measure(batch, 100), alone, equal_nan=True, rtol=1e-9, atol=1e-9)


def test_only_the_linear_layer_learns_and_all_of_it_does() -> None:
    encoder = StatsEncoder(leads=12, samples=1000, rate=100, width=4)
    encoder(drawn(100, every(0.8)).requires_grad_()).sum().backward()
    assert {name for name, _ in encoder.named_parameters()} == {"layer.weight", "layer.bias"}
    assert all(p.grad is not None and p.grad.any() for p in encoder.parameters())


def test_every_measurement_is_named_once_with_its_unit_and_source() -> None:
    assert len(set(NAMES)) == len(NAMES) == measure(torch.zeros(1, 12, 1000), 100).shape[1]
    assert {feature.unit for feature in FEATURES} == {"count", "1/min", "ms", "mV", "1"}
    assert all(feature.source and feature.scale > 0 for feature in FEATURES)


@pytest.mark.parametrize(("leads", "samples"), [(8, 1000), (12, 150)])
def test_what_cannot_be_measured_is_refused(leads: int, samples: int) -> None:
    with pytest.raises(ValueError, match="stats needs 12 leads and 2 s"):
        StatsEncoder(leads=leads, samples=samples, rate=100, width=4)


def test_real_heart_rates_are_those_of_another_beat_finder(ptbxl_folder: Path) -> None:
    """wfdb's xqrs on lead II of 40 records; it misses or adds a beat in some, so most and not all must agree."""
    import wfdb
    from wfdb.processing import xqrs_detect

    paths = sorted((ptbxl_folder / "records500").glob("*/*.hea"))[:40]
    signals = [wfdb.rdrecord(str(path.with_suffix(""))).p_signal.T for path in paths]
    ours = measure(torch.tensor(np.stack(signals), dtype=torch.float32), 500)[:, NAMES.index("heart rate")].numpy()
    found = [xqrs_detect(signal[1], 500, verbose=False) for signal in signals]
    theirs = np.array([60 * 500 / np.diff(each).mean() for each in found])
    assert np.mean(np.abs(ours - theirs) < 0.02 * theirs) > 0.8


@pytest.fixture(scope="module")
def cardiologists(ptbxl_folder: Path) -> tuple[pd.DataFrame, np.ndarray]:
    """PTB-XL's table, with its statements as `codes`, and our measurements of the same records at 100 Hz."""
    import wfdb

    table = pd.read_csv(ptbxl_folder / "ptbxl_database.csv")
    table["codes"] = table.scp_codes.map(ast.literal_eval)
    signals = np.stack([wfdb.rdrecord(str(ptbxl_folder / name)).p_signal.T for name in table.filename_lr])
    return table, measure(torch.tensor(signals, dtype=torch.float32), 100).numpy()


@pytest.mark.parametrize(
    ("code", "name", "low", "high"),
    [
        ("NORM", "QRS duration", 70, 105), ("CLBBB", "QRS duration", 120, 200), ("CRBBB", "QRS duration", 120, 200),
        ("NORM", "PR interval", 120, 200), ("1AVB", "PR interval", 200, 300), ("LNGQT", "QTc", 470, 620),
        ("NORM", "QTc", 350, 450), ("SBRAD", "heart rate", 35, 60), ("STACH", "heart rate", 100, 180),
        ("NORM", "RR deviation", 0, 60), ("AFIB", "RR deviation", 100, 300),
    ],
)  # fmt: skip
def test_the_median_measurement_of_a_diagnosis_is_what_defines_it(
    code: str, name: str, low: float, high: float, cardiologists: tuple[pd.DataFrame, np.ndarray]
) -> None:
    table, measured = cardiologists
    rows = table.codes.map(lambda codes: code in codes).to_numpy()
    assert rows.sum() >= 3 and low < np.median(measured[rows, NAMES.index(name)]) < high


@pytest.mark.parametrize(("axis", "low", "high"), [("LAD", -90, -0.01), ("MID", 0, 90), ("RAD", 80, 180)])
def test_the_axis_is_where_cardiologists_saw_it(
    axis: str, low: float, high: float, cardiologists: tuple[pd.DataFrame, np.ndarray]
) -> None:
    table, measured = cardiologists
    rows = (table.heart_axis == axis).to_numpy()
    y, x = (measured[rows, NAMES.index(f"QRS axis, {part}")] for part in ("sine", "cosine"))
    assert rows.sum() >= 8 and low < np.median(np.degrees(np.arctan2(y, x))) < high
