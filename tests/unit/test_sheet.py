"""The 12-lead sheet: true to scale, with every peak, Japanese in it, and small."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgbench.ecg.recording import LEADS, Recording
from ecgbench.ecg.sheet import BUCKET, NOTICE, broken, grid_lines, path_points, path_text, sheet, thinned
from ecgbench.ecg.sheet_list import BAR, LIST_MM, NAME_MM, Listed

SVG = "{http://www.w3.org/2000/svg}"
SPAN = {lead: (start, start + 2.5) for start, three in ((0.0, LEADS[:3]), (2.5, LEADS[3:6]), (5.0, LEADS[6:9]), (7.5, LEADS[9:]))
        for lead in three}  # fmt: skip


def recording(signal: np.ndarray, **changes: object) -> Recording:
    fields: dict[str, object] = {"signal": signal.astype(np.float32), "rate": 500.0, "record": "r1", "patient": "p1"}
    return Recording(**{**fields, **changes})  # type: ignore[arg-type]


def noisy(seed: int = 0, size: float = 0.3) -> np.ndarray:
    return np.random.default_rng(seed).normal(scale=size, size=(12, 5000))


def traces(svg: str) -> list[np.ndarray]:
    """The long paths in the order drawn: twelve leads and the rhythm strip. Grid lines are drawn by M, not by lists."""
    paths = [path.get("d", "") for path in ET.fromstring(svg).iter(f"{SVG}path")]
    points = [path_points(d.replace(" ", " L")) for d in paths if "v" not in d]
    return [p for p in points if len(p) > 20]


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter(f"{SVG}text")]


def test_every_lead_is_drawn_to_scale() -> None:
    """25 mm a second, 10 mm a millivolt: a lone spike of 1.2 mV stands where and as high as it should."""
    for row, lead in enumerate(LEADS):
        signal = np.zeros((12, 5000))
        second = SPAN[lead][0] + 1.25
        signal[row, round(second * 500)] = 1.2
        drawn = traces(sheet(recording(signal), ["x"]))
        assert len(drawn) == 13
        heights = [float(np.ptp(points[:, 1])) for points in drawn]
        rhythm = [12] if lead == "II" else []
        assert [i for i, height in enumerate(heights) if height > 0.1] == [row, *rhythm]
        points = drawn[row]
        peak = points[points[:, 1].argmin()]
        assert heights[row] == pytest.approx(12.0, abs=0.02)
        assert peak[0] - points[0, 0] == pytest.approx(1.25 * 25, abs=0.06)  # a sample outside the panel comes first


def test_no_peak_is_lost_and_the_file_is_small() -> None:
    signal = noisy(size=1.0)
    svg = sheet(recording(signal), ["x"])
    assert len(svg.encode()) < 400_000
    panels = [*((lead, *SPAN[lead]) for lead in LEADS), ("II", 0.0, 10.0)]
    for points, (lead, first, last) in zip(traces(svg), panels, strict=True):
        shown = signal[LEADS.index(lead), round(first * 500) : round(last * 500)]
        assert np.ptp(points[:, 1]) >= 10 * np.ptp(shown) - 0.02


def test_names_calibration_speed_and_heading_are_there() -> None:
    svg = sheet(recording(noisy()), ["r1 · 70 y", "心房細動、左室肥大", "Atrial Fibrillation"])
    shown = texts(svg)
    assert shown[:4] == ["r1 · 70 y", "心房細動、左室肥大", "Atrial Fibrillation", NOTICE]
    assert "Not a medical device" in NOTICE
    assert {*LEADS} <= set(shown) and shown.count("II") == 2
    assert any("25 mm/s" in text and "10 mm/mV" in text and "1 mV / 0.2 s" in text for text in shown)
    root = ET.fromstring(svg)
    families = [element.get("font-family") for element in root.iter() if element.get("font-family")]
    assert len(families) == 1 and "Noto Sans CJK JP" in families[0] and families[0].endswith("sans-serif")
    marks = [
        path_points(d.replace(" ", " L")) for path in root.iter(f"{SVG}path") if "v" not in (d := path.get("d", ""))
    ]
    pulses = [points for points in marks if len(points) == 6]
    assert len(pulses) == 4 and all(np.ptp(pulse[:, 1]) == pytest.approx(10) for pulse in pulses)


def test_a_lead_that_was_not_recorded_stays_empty() -> None:
    real = tuple(lead != "V3" for lead in LEADS)
    assert len(traces(sheet(recording(noisy(), real_leads=real), ["x"]))) == 12


def test_padding_is_not_drawn_and_a_list_stands_beside() -> None:
    signal = noisy()
    drawn = traces(sheet(recording(signal), ["x"], samples=3500))
    assert len(drawn) == 10  # the last column is padding
    assert np.ptp(drawn[-1][:, 0]) == pytest.approx(7 * 25, abs=0.2)
    lines = [
        Listed("所見", ("類似度", "確率")),
        Listed("心房細動<&", ("0.40", "—"), 0.4),
        Listed("x" * 99, ("-1.00", "1.00"), -1.0),
    ]
    svg = sheet(recording(signal), ["x"], lines)
    assert {"所見", "類似度", "心房細動<&", "0.40", "—", "x" * 99} <= set(texts(svg))
    root = ET.fromstring(svg)
    assert float(root.get("width", "").removesuffix("mm")) == pytest.approx(
        float(ET.fromstring(sheet(recording(signal), ["x"])).get("width", "").removesuffix("mm")) + LIST_MM
    )
    bars = [float(each.get("width", "")) for each in root.iter(f"{SVG}rect") if each.get("fill") == BAR]
    assert bars == [pytest.approx(0.4 * NAME_MM), 0.0]


def test_large_and_flat_signals_fit() -> None:
    for signal in (np.zeros((12, 5000)), noisy(size=3.0)):
        svg = sheet(recording(signal), ["x"])
        assert "OUT OF RANGE" not in svg and len(traces(svg)) == 13


def test_markup_in_a_name_stays_text() -> None:
    assert texts(sheet(recording(noisy(), record="a<b>&c"), ["a<b>&c"]))[0] == "a<b>&c"


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=1, max_size=60), st.sampled_from([2, 4, 5]))
def test_thinning_keeps_ends_and_extremes_in_order(heights: list[float], bucket: int) -> None:
    points = np.column_stack([np.arange(len(heights)), heights])
    kept = thinned(points, bucket)
    assert np.array_equal(kept[[0, -1]], points[[0, -1]]) and (np.diff(kept[:, 0]) > 0).all()
    for start in range(0, len(heights), bucket):  # the naive twin: of every bucket the lowest and the highest are there
        part = heights[start : start + bucket]
        mine = kept[(kept[:, 0] >= start) & (kept[:, 0] < start + bucket), 1]
        assert mine.min() == min(part) and mine.max() == max(part)
    if len(heights) >= 8 * bucket:
        assert len(kept) <= 2 * len(heights) / bucket + bucket + 1


def test_thinning_at_500_hz_draws_half_of_the_samples() -> None:
    assert BUCKET == 4
    assert len(thinned(np.column_stack([np.arange(1250), noisy()[0, :1250]]), BUCKET)) <= 627


def test_paths_are_read_and_written() -> None:
    points = path_points("M1.000000,2.500000 L3.123456,-4.000000")
    assert points.tolist() == [[1.0, 2.5], [3.123456, -4.0]]
    assert path_text(points) == "M1.00,2.50 3.12,-4.00"


def test_grid_lines_pass_through_zero_at_their_spacing() -> None:
    assert grid_lines((10, 20, 10, 12, 29), 5) == "M10 20v12M15 20v12M20 20v12M10 24h10M10 29h10"


def test_long_headings_are_broken_at_spaces() -> None:
    line = ", ".join(["Atrial Fibrillation"] * 12)
    parts = broken(line, 200)
    assert len(parts) > 1 and " ".join(part.strip() for part in parts) == line
    assert broken("短い", 200) == ["短い"] and broken("x" * 500, 10) == ["x" * 500]
