"""A list beside a 12-lead sheet: a name a line, with a bar and numbers. Lengths in mm, as the sheet's."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass

TEXT_MM = 3.4
LINE_MM = 5.0
CHARACTERS_A_MM = 0.52
"""Width of a Latin letter, in units of its size; a Japanese one is 1."""

LIST_MM = 112.0
"""Width of the list with its margins."""

NAME_MM = 68.0
NUMBER_MM = 19.0
ROW_MM = 8.0
BAR_MM = 1.0
INK, BAR, RAIL = "#172331", "#5b7fa6", "#e9edf1"

_SVG = "{http://www.w3.org/2000/svg}"


@dataclass(frozen=True)
class Listed:
    """One line: a name, the texts of its two numbers, and the part from 0 to 1 of a bar beneath it, None for no bar: then it is the
    heading of the lines below it."""

    name: str
    numbers: tuple[str, str]
    share: float | None = None


@dataclass(frozen=True)
class Drawn:
    """The list's elements, and where it ends."""

    elements: tuple[ET.Element, ...]
    bottom: float


def list_elements(lines: Sequence[Listed], left: float, top: float) -> Drawn:
    """Lines under one another from (left, top), the headings bold."""
    elements: list[ET.Element] = []
    y = top
    for line in lines:
        y += ROW_MM
        bold = line.share is None
        elements.append(_text(line.name, left, y, bold=bold, room=NAME_MM))
        for place, number in enumerate(line.numbers, start=1):
            elements.append(_text(number, left + NAME_MM + place * NUMBER_MM, y, anchor="end", bold=bold))
        if line.share is not None:
            width = NAME_MM * min(max(line.share, 0.0), 1.0)
            box = {"x": f"{left:g}", "y": f"{y + BAR_MM:g}", "height": f"{BAR_MM:g}"}
            elements.append(ET.Element(f"{_SVG}rect", {**box, "width": f"{NAME_MM:g}", "fill": RAIL}))
            elements.append(ET.Element(f"{_SVG}rect", {**box, "width": f"{width:.2f}", "fill": BAR}))
    return Drawn(tuple(elements), y + ROW_MM)


def _text(
    text: str, x: float, y: float, *, bold: bool = False, anchor: str = "start", room: float | None = None
) -> ET.Element:
    """A text, squeezed where it is wider than `room`."""
    places = {"x": f"{x:g}", "y": f"{y:g}", "font-size": f"{TEXT_MM:g}", "fill": INK, "text-anchor": anchor}
    if bold:
        places["font-weight"] = "bold"
    if room is not None and text_width(text) > room:
        places |= {"textLength": f"{room:g}", "lengthAdjust": "spacingAndGlyphs"}
    element = ET.Element(f"{_SVG}text", places)
    element.text = text
    return element


def text_width(text: str) -> float:
    """About how wide a text is."""
    from wcwidth import wcswidth

    return max(0, wcswidth(text)) * CHARACTERS_A_MM * TEXT_MM
