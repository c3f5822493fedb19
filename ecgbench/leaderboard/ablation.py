"""Text tower by encoder, all else equal: the paper's Tables 2-7 for the towers and encoders of a board."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from ecgbench.evaluation.metrics import metric_named
from ecgbench.leaderboard.rows import Group, Row, trained_elsewhere
from ecgbench.leaderboard.tables import FEW_MARK, MISSING, metric_cell, plain, table, with_interval

Grid = dict[tuple[str, str], Row]
"""(text tower, encoder) -> its row."""


def grids(group: Group) -> dict[str, Grid]:
    """Recipe, as the board calls it -> the systems of it, where two or more differ in nothing but text tower and encoder.
    Controls by another recipe, submissions and models trained elsewhere are in none."""
    found: dict[str, Grid] = defaultdict(dict)
    names: dict[str, str] = {}
    for row in group.rows:
        if row.reference or not row.entries or row.submitted:
            continue
        result = row.entries[0].submission.result
        if result.control == "none" and not trained_elsewhere(result):
            found[result.recipe.hash][row.text, row.encoder] = row
            names[result.recipe.hash] = row.recipe.split(" · ")[0]
    kept = {names[recipe]: grid for recipe, grid in found.items() if len(grid) > 1}
    return dict(sorted(kept.items()))


def ablation(group: Group) -> list[str]:
    """Blocks of markdown; none where nothing can be set side by side."""
    blocks = []
    for recipe, grid in grids(group).items():
        blocks += [f"Recipe {recipe}, {group.card.primary}, lowest seed; `—` was not run.", _matrix(group, grid)]
        for encoder in encoders_of(grid):
            towers = [text for text in towers_of(grid) if (text, encoder) in grid]
            if group.card.mappings and len(towers) > 1:
                blocks += [f"{encoder}, recipe {recipe}, in the shape of the paper's Tables 2 to 7:"]
                blocks.append(_labels(group, {text: grid[text, encoder] for text in towers}))
    return ["### Ablation: text tower by encoder", *blocks] if blocks else []


def _matrix(group: Group, grid: Grid) -> str:
    """A line a text tower, a column an encoder."""
    encoders = encoders_of(grid)
    lines = []
    for text in towers_of(grid):
        cells = [grid.get((text, encoder)) for encoder in encoders]
        lines.append([text, *(metric_cell(row.metric(group.card.primary)) if row else MISSING for row in cells)])
    return table(["Text tower", *encoders], lines)


def _labels(group: Group, by_tower: dict[str, Row]) -> str:
    """A line a class after one of all, a column a text tower."""
    (score, *_) = [row.entries[0].score for row in by_tower.values()]
    kind = metric_named(group.card.primary).per_class
    lines = [
        ["all", str(score.n_instances), *(metric_cell(row.metric(group.card.primary)) for row in by_tower.values())]
    ]
    for each in group.card.classes if kind else ():
        own = [row.entries[0].score.per_class.get(each.id) for row in by_tower.values()]
        cells = [
            MISSING if part is None else with_interval(getattr(part, str(kind)), getattr(part, f"{kind}_ci"))
            for part in own
        ]
        few = FEW_MARK if each.id in score.few else ""
        lines.append([plain(each.names["en"]) + few, str(own[0].n if own[0] else 0), *cells])
    return table(["Labels", "n", *by_tower], lines)


def encoders_of(grid: Grid) -> list[str]:
    return sorted({encoder for _, encoder in grid})


def towers_of(grid: Grid) -> list[str]:
    """Controls last."""
    return sorted({text for text, _ in grid}, key=lambda text: (_is_control(text, grid), text))


def _is_control(text: str, grid: Grid) -> bool:
    rows: Iterable[Row] = (row for (tower, _), row in grid.items() if tower == text)
    return all(row.control for row in rows)
