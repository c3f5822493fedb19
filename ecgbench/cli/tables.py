"""Tables for a terminal: aligned by display width, so that Japanese and English columns both stand straight."""

from __future__ import annotations

from collections.abc import Sequence

MISSING = "—"


def table(headers: Sequence[str], rows: Sequence[Sequence[object]], *, right: Sequence[int] = ()) -> str:
    """Rows under headers; columns whose number is in `right` are right-aligned. Cells are shown as they are."""
    from tabulate import tabulate

    align = ["right" if column in right else "left" for column in range(len(headers))]
    cells = [[MISSING if cell is None else str(cell) for cell in row] for row in rows]
    return tabulate(
        cells, headers=list(headers), tablefmt="simple", colalign=align if rows else None, disable_numparse=True
    )


def number(value: float | None, digits: int = 3) -> str:
    return MISSING if value is None else f"{value:.{digits}f}"


def interval(pair: Sequence[float] | None, digits: int = 3) -> str:
    return MISSING if pair is None else f"{pair[0]:.{digits}f} to {pair[1]:.{digits}f}"
