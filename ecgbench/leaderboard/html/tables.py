"""The tables of a page: what their columns hold and how their lines are made from a board's rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal
from urllib.parse import quote

from markupsafe import Markup

from ecgbench.cards import Language
from ecgbench.evaluation.metrics import metric_named
from ecgbench.leaderboard.ablation import encoders_of, grids, towers_of
from ecgbench.leaderboard.html.systems import Link, System, system_of
from ecgbench.leaderboard.html.words import said, translated, unmarked
from ecgbench.leaderboard.published import published_lines
from ecgbench.leaderboard.ranks import rank_intervals
from ecgbench.leaderboard.replay import Replays
from ecgbench.leaderboard.rows import Group, Names, Row
from ecgbench.leaderboard.sections import (
    class_cell,
    difference_lines,
    headline,
    rank_text,
    ranked_replicates,
    row_metric,
)
from ecgbench.leaderboard.tables import FEW_MARK, MISSING, metric_cell, millions, number, spread
from ecgbench.pages.words import both, metric_title
from ecgbench.results import TaskScore

Order = Literal["", "ascending", "descending"]
Kind = Literal["system", "text", "licence", "number"]
Cell = str | Markup | tuple[Link, ...]
"""Text, a number with its interval as the markdown page writes it, or links."""


@dataclass(frozen=True)
class Column:
    """`group` names the columns that are shown and hidden together, `sorted` how the lines stand to begin with. `best`: which
    end of a number's scale is sorted to the top first."""

    title: Markup | str
    kind: Kind = "number"
    group: Literal["", "more", "seeds"] = ""
    sorted: Order = ""
    best: Literal["high", "low"] = "high"


@dataclass(frozen=True)
class Line:
    """The cells of a line by column; of a column of kind `system` the cell is empty and `system` stands in it."""

    cells: tuple[Cell, ...]
    system: System | None = None


@dataclass(frozen=True)
class Table:
    """`pinned` lines stay at the end whatever the order."""

    title: Markup
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    pinned: tuple[Line, ...] = ()
    style: str = ""


def result_link(text: str, where: str, results: str) -> Link:
    return Link(text, quote(f"{results}/{where}/result.json"))


def ranking_table(group: Group, results: str) -> Table:
    """Every row of a group: rank, system, all metrics, spread over seeds, licence, and its result files."""
    first, primary = headline(group), group.card.primary
    more = [name for name in group.card.metrics if name not in first]
    seeded = first if any(len(row.by_seed(primary)) > 1 for row in group.rows) else []
    order: Order = "descending" if metric_named(primary).higher_is_better else "ascending"
    columns = [
        Column(said("Encoder"), "system"),
        Column(said("Rank"), best="low"),
        Column(said("Text tower"), "text"),
        Column(said("Recipe"), "text"),
        Column(said("Seeds"), "text"),
        Column(said("Parameters, M")),
        *(replace(_metric_column(name), sorted=order if name == primary else "") for name in first),
        *(Column(metric_title(name) + said(", over seeds"), group="seeds") for name in seeded),
        *(replace(_metric_column(name), group="more") for name in more),
        Column(said("Trained on"), "text"),
        Column(said("Licence"), "licence"),
    ]
    lines = []
    for row, rank in zip(group.rows, ranks(group), strict=True):
        system = system_of(row)
        recipe = translated(system.recipe) if system.reference else system.recipe
        recipe = MISSING if row.encoder == MISSING else recipe  # it is the name in the first column
        cells: list[Cell] = ["", rank_text(rank), system.text, recipe, _seed_links(row, results)]
        cells += [MISSING if row.parameters is None else millions(row.parameters)]
        cells += [row_metric(row, name) for name in first]
        cells += [spread(row.by_seed(name)).removeprefix("seeds: ") for name in seeded]
        cells += [row_metric(row, name) for name in more]
        lines.append(Line((*cells, translated(unmarked(row.trained_on)), unmarked(row.licence)), system))
    score = next(row for row in group.rows if row.entries).entries[0].score
    levels: list[Cell] = [said("ceiling"), "", "", "", "", ""]
    levels += [number(score.metrics[name].ceiling) for name in first] + ["" for _ in seeded]
    levels += [number(score.metrics[name].ceiling) for name in more]
    return Table(said("Ranking"), tuple(columns), tuple(lines), (Line((*levels, "", "")),), "ranking")


def _metric_column(name: str) -> Column:
    return Column(metric_title(name), best="high" if metric_named(name).higher_is_better else "low")


@lru_cache(maxsize=16)
def ranks(group: Group) -> list[tuple[int, int] | None]:
    """The rank interval of each row, as on the markdown page."""
    return rank_intervals([ranked_replicates(row, group.card.primary) for row in group.rows])


def class_tables(group: Group, score: TaskScore) -> list[Table]:
    """In the shape of the paper's Tables 2-7: a line a system, a column a class, one table a metric."""
    tables: list[Table] = []
    for metric in headline(group):
        kind = metric_named(metric).per_class
        if kind is None:
            continue
        columns = [Column(said("System"), "system"), Column(said("all"), sorted="descending" if not tables else "")]
        columns += [Column(_class_title(each.names, score, each.id)) for each in group.card.classes]
        lines = [
            Line(
                (
                    "",
                    metric_cell(row.metric(metric)),
                    *(class_cell(row.entries[0].score.per_class.get(each.id), kind) for each in group.card.classes),
                ),
                system_of(row),
            )
            for row in group.rows
            if row.entries
        ]
        tables.append(Table(metric_title(kind), tuple(columns), tuple(lines), style="stacked"))
    return tables


def _class_title(names: Mapping[Language, str], score: TaskScore, key: str) -> Markup:
    own = score.per_class.get(key)
    few = FEW_MARK if key in score.few else ""
    return Markup('{}{} <span class="n">n={}</span>').format(both(names["en"], names["ja"]), few, own.n if own else 0)


def difference_table(group: Group, names: Names, replays: Replays) -> Table | None:
    """Each system minus the controls, on the same patients; None where a group holds controls alone."""
    lines = []
    for encoder, text, recipe, seed, metric, *differences in difference_lines(group, names, replays):
        system = System(unmarked(encoder), unmarked(text), unmarked(recipe), control=False)
        lines.append(Line(("", seed, metric_title(metric), *differences), system))
    if not lines:
        return None
    columns = (
        Column(said("System"), "system"),
        Column(said("Seed")),
        Column(said("Metric"), "text"),
        *(Column(said(name)) for name in ("minus majority", "minus untrained", "minus random tower")),
    )
    return Table(said("Differences to the controls"), columns, tuple(lines), style="stacked")


def ablation_tables(group: Group) -> list[Table]:
    """Text tower by encoder, all else equal: of each recipe the primary metric, then of each encoder the classes."""
    tables = []
    primary = group.card.primary
    for recipe, grid in grids(group).items():
        encoders, towers = encoders_of(grid), towers_of(grid)
        lines = []
        for tower in towers:
            cells = [grid.get((tower, encoder)) for encoder in encoders]
            lines.append(Line((unmarked(tower), *(row_metric(row, primary) if row else MISSING for row in cells))))
        columns = [Column(said("Text tower"), "text"), *(Column(unmarked(encoder)) for encoder in encoders)]
        title = metric_title(primary) + Markup(": {}").format(unmarked(recipe))
        tables.append(Table(title, tuple(columns), tuple(lines)))
        for encoder in encoders if group.card.mappings else ():
            rows = {tower: grid[tower, encoder] for tower in towers if (tower, encoder) in grid}
            if len(rows) > 1:
                tables.append(_tower_classes(group, rows, title + Markup(", {}").format(unmarked(encoder))))
    return tables


def _tower_classes(group: Group, rows: dict[str, Row], title: Markup) -> Table:
    """A line a class after one of all, a column a text tower."""
    first = next(iter(rows.values())).entries[0].score
    kind = metric_named(group.card.primary).per_class
    primary = (row_metric(row, group.card.primary) for row in rows.values())
    lines = [Line((said("all"), str(first.n_instances), *primary))]
    for each in group.card.classes if kind else ():
        own = [row.entries[0].score.per_class.get(each.id) for row in rows.values()]
        few = FEW_MARK if each.id in first.few else ""
        name = Markup("{}{}").format(both(each.names["en"], each.names["ja"]), few)
        lines.append(Line((name, str(own[0].n if own[0] else 0), *(class_cell(part, str(kind)) for part in own))))
    columns = (Column(said("Label"), "text"), Column("n"), *(Column(unmarked(tower)) for tower in rows))
    return Table(title, columns, tuple(lines))


def published_table(groups: Sequence[Group]) -> Table | None:
    """The paper's numbers of the tasks on a board; None where it has none."""
    lines = [
        Line((task, metric_title(metric), unmarked(encoder), unmarked(text), *numbers))
        for task, metric, encoder, text, *numbers in published_lines(group.card.name for group in groups)
    ]
    if not lines:
        return None
    columns = (
        *(Column(said(name), "text") for name in ("Task", "Metric", "Encoder", "Text tower")),
        *(Column(said(name)) for name in ("As printed", "From the counts", "Table")),
    )
    return Table(said("Published, measured elsewhere (not comparable)"), columns, tuple(lines))


def _seed_links(row: Row, results: str) -> Cell:
    """A link a result file, called by its seed; `—` for rows that no seed decides."""
    if not row.entries or row.encoder == MISSING:
        return MISSING
    texts = (MISSING if each.seed is None else str(each.seed) for each in row.entries)
    places = (each.submission.where for each in row.entries)
    return tuple(result_link(text, where, results) for text, where in zip(texts, places, strict=True))
