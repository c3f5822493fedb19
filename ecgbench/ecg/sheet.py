"""One recording as a 12-lead sheet in SVG: three rows of four leads, 2.5 s each, and ten seconds of II beneath.

25 mm/s and 10 mm/mV on a millimetre grid with a calibration mark. Traces and marks are drawn by `ecg-plot`; the grid,
the heading and the thinning are ours, because its grid alone is larger than all the rest of the file.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence

import numpy as np

from ecgbench.ecg.recording import LEADS, Recording
from ecgbench.ecg.sheet_list import LINE_MM, LIST_MM, TEXT_MM, Listed, list_elements, text_width

SPEED = 25.0
"""mm/s"""

GAIN = 10.0
"""mm/mV"""

RHYTHM_LEAD = "II"
BUCKET = 4
"""Of so many samples the lowest and the highest are drawn: 2 of 4 at 500 Hz."""

LEAST_RANGE = (-1.0, 1.5)
"""mV that every row shows at least."""

LEFT_MM = 12.0

NOTICE = "Not a medical device · 医療機器ではありません"
FONTS = (
    "'Noto Sans CJK JP', 'Noto Sans JP', 'Hiragino Sans', 'Yu Gothic', Meiryo, IPAexGothic, 'IPAGothic', 'DejaVu Sans', "
    "sans-serif"
)
"""Fonts with Japanese letters as the systems have them, one after another; the viewer takes the first it knows."""

GRID = ((1.0, "#f6dede", 0.06), (5.0, "#e6b8b8", 0.14))
"""Spacing in mm, colour and line width in mm, of thin and thick lines."""

_SVG = "{http://www.w3.org/2000/svg}"


def sheet(
    recording: Recording, heading: Sequence[str], beside: Sequence[Listed] = (), samples: int | None = None
) -> str:
    """The SVG text. `heading`: lines above the traces; too long ones are broken. Leads that are not real stay empty.
    `beside`: a list to the right of the traces. `samples`: how many there are before the padding, which is not drawn."""
    from ecg_plot import Style, plot

    signal = np.where(np.array(recording.real_leads)[:, None], recording.signal, np.nan).astype(np.float64)
    if samples is not None:
        signal[:, samples:] = np.nan
    seen = signal[np.isfinite(signal)]
    low = min(LEAST_RANGE[0], np.floor(10 * seen.min(initial=0.0)) / 10 - 0.2)
    high = max(LEAST_RANGE[1], np.ceil(10 * seen.max(initial=0.0)) / 10 + 0.2)
    chart = plot(
        signal, sample_rate=recording.rate, lead_names=list(LEADS), layout="12lead", time_mode="sequential",
        rhythm_lead=RHYTHM_LEAD, speed=SPEED, gain=GAIN, amplitude_range=(low, high), style=Style(grid=False),
    )  # fmt: skip
    drawn = ET.fromstring(chart.to_svg())
    for path in drawn.iter(f"{_SVG}path"):
        path.set("d", path_text(thinned(path_points(path.get("d", "")), BUCKET)))
    lines = [part for line in [*heading, NOTICE] for part in broken(line, chart.width_mm - 2 * LEFT_MM)]
    top = LINE_MM * len(lines)
    boxes = [(p.x, p.y, p.width, p.height, p.baseline) for p in chart.panels]
    listed = list_elements(beside, chart.width_mm, top + LINE_MM)
    size = (chart.width_mm + (LIST_MM if beside else 0), max(chart.height_mm + top, listed.bottom))
    return _put_together(drawn, lines, top, size, boxes, recording.record, listed.elements)


def _put_together(
    drawn: ET.Element,
    lines: Sequence[str],
    top: float,
    size: tuple[float, float],
    boxes: Sequence[tuple[float, float, float, float, float]],
    title: str,
    listed: Sequence[ET.Element],
) -> str:
    """Heading, grid and traces in one drawing of `size` mm, the traces moved down by `top`."""
    width, height = (f"{side:.1f}" for side in size)
    root = ET.Element(f"{_SVG}svg", width=f"{width}mm", height=f"{height}mm", viewBox=f"0 0 {width} {height}")
    root.set("font-family", FONTS)
    ET.SubElement(root, f"{_SVG}title").text = title
    ET.SubElement(root, f"{_SVG}rect", width=width, height=height, fill="white")
    for number, line in enumerate(lines, start=1):
        place = {"x": f"{LEFT_MM:g}", "y": f"{number * LINE_MM + 2:g}", "font-size": f"{TEXT_MM:g}"}
        ET.SubElement(root, f"{_SVG}text", place).text = line
    body = ET.SubElement(root, f"{_SVG}g", transform=f"translate(0 {top:g})")
    for spacing, colour, line_width in GRID:
        d = "".join(grid_lines(box, spacing) for box in boxes)
        ET.SubElement(body, f"{_SVG}path", {"d": d, "stroke": colour, "stroke-width": f"{line_width:g}"})
    for element in drawn:
        if element.tag not in (f"{_SVG}title", f"{_SVG}rect"):
            for child in element.iter():
                child.attrib.pop("font-family", None)  # the drawing's own, on its root, has Japanese letters
            body.append(element)
    root.extend(listed)
    return ET.tostring(root, encoding="unicode") + "\n"


def grid_lines(box: tuple[float, float, float, float, float], spacing: float) -> str:
    """Lines across a box (x, y, width, height, y of 0 mV) as one path; those of 0 s and 0 mV are among them."""
    x, y, width, height, zero = box
    across = x + np.arange(0.0, width + 1e-6, spacing)
    first = zero + np.ceil((y - zero) / spacing - 1e-9) * spacing
    down = np.arange(first, y + height + 1e-6, spacing)
    upright = "".join(f"M{place:.4g} {y:.5g}v{height:.5g}" for place in across)
    return upright + "".join(f"M{x:.5g} {place:.5g}h{width:.5g}" for place in down)


def path_points(d: str) -> np.ndarray:
    """(n, 2): the points of a path of straight lines, `Mx,y Lx,y …`."""
    return np.array([pair.split(",") for pair in d.removeprefix("M").split(" L")], dtype=np.float64)


def path_text(points: np.ndarray) -> str:
    """Points as a path, to a hundredth of a millimetre."""
    return "M" + " ".join(f"{x:.2f},{y:.2f}" for x, y in points)


def thinned(points: np.ndarray, bucket: int) -> np.ndarray:
    """The first and last point, and of every `bucket` points the lowest and the highest, in their order: a line through
    them reaches every peak of the line through all points."""
    rows = len(points) // bucket * bucket
    if rows < 2 * bucket:
        return points
    height = points[:rows, 1].reshape(-1, bucket)
    start = np.arange(0, rows, bucket)
    kept = [start + height.argmin(axis=1), start + height.argmax(axis=1), np.arange(rows, len(points))]
    return points[np.unique(np.concatenate([*kept, [0, len(points) - 1]]))]


def broken(line: str, width: float) -> list[str]:
    """A line of the heading broken at spaces where it would be wider than `width` mm."""
    lines, current = [], ""
    for word in line.split(" "):
        longer = f"{current} {word}" if current else word
        if current and text_width(longer) > width:
            lines.append(current)
            longer = word
        current = longer
    return [*lines, current]
