"""The plots of a page, as tables whose lines hold a strip of SVG: ranks, classes with intervals, confusion."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from ecgbench.evaluation.metrics import metric_named
from ecgbench.evaluation.targets import class_ids
from ecgbench.findings import label_bank
from ecgbench.leaderboard.html.strips import SHARE_TICKS, Bar, Strip, percent, rank_bar, rank_ticks, share_strip
from ecgbench.leaderboard.html.systems import System, system_of
from ecgbench.leaderboard.html.tables import ranks
from ecgbench.leaderboard.html.words import said
from ecgbench.leaderboard.rows import Group, Row
from ecgbench.leaderboard.sections import class_cell, headline, rank_text, row_metric
from ecgbench.leaderboard.tables import FEW_MARK
from ecgbench.pages.words import both, metric_title
from ecgbench.results import TaskScore

MOST_CELLS = 20_000
"""Numbers of classes that a section holds for the systems to choose from; the best come first."""


@dataclass(frozen=True)
class RankLine:
    system: System
    rank: str
    bar: Bar | None
    value: str
    strip: Strip


@dataclass(frozen=True)
class RankPlot:
    """Rank intervals and the primary metric of every row that has runs; `chance` is a place on the metric's axis."""

    metric: Markup
    lines: tuple[RankLine, ...]
    rank_ticks: list[tuple[str, str]]
    value_ticks: list[tuple[str, str]]
    chance: str | None


def rank_plot(group: Group) -> RankPlot | None:
    """None where fewer than two rows have a rank."""
    primary = group.card.primary
    found = ranks(group)
    known = [rank for rank in found if rank is not None]
    if len(known) < 2:
        return None
    lines = []
    for row, rank in zip(group.rows, found, strict=True):
        if row.entries:
            value = row_metric(row, primary)
            bar = rank_bar(rank, len(known))
            lines.append(RankLine(system_of(row), rank_text(rank), bar, value, share_strip(value)))
    chance = next(row for row in group.rows if row.entries).entries[0].score.metrics[primary].chance
    return RankPlot(
        metric_title(primary),
        tuple(lines),
        rank_ticks(len(known)),
        SHARE_TICKS,
        None if chance is None else percent(chance),
    )


@dataclass(frozen=True)
class ClassLine:
    """A class in the plot of classes; `pinned` is the line of all of them."""

    key: str
    name: Markup
    n: int
    cells: tuple[str, ...]
    strip: Strip
    pinned: bool = False


@dataclass(frozen=True)
class ClassPlot:
    """Each class that the test set has, for one system: a column a metric, and a strip of the metric `plotted`. `more` are
    the places of the metrics that are not shown at first."""

    metrics: tuple[str, ...]
    more: tuple[int, ...]
    plotted: int
    lines: tuple[ClassLine, ...]
    absent: tuple[Markup, ...]
    ticks: list[tuple[str, str]]


@dataclass(frozen=True)
class Chosen:
    """A system that can be chosen: its classes' cells line by line, and its confusion matrix."""

    system: System
    cells: list[list[str]]
    confusion: list[list[float]] | None


def choices(group: Group, best: Row) -> list[Chosen]:
    """Rows whose classes can be looked at, the best system first, then in the order of the board."""
    rows = [best, *(row for row in group.rows if row.entries and row is not best)]
    size = len(_keys(group, best)) * len(_metrics(group)) + 1
    return [_chosen(group, row, best) for row in rows[: max(1, MOST_CELLS // size)]]


def class_plot(group: Group, best: Row) -> ClassPlot:
    """The plot of the classes of the best system."""
    score = best.entries[0].score
    names = _names(group)
    metrics = _metrics(group)
    kinds = [kind for _, kind in metrics]
    own = metric_named(group.card.primary).per_class
    plotted = kinds.index(own) if own in kinds else 0
    lines = []
    for key, cells in zip(["", *_keys(group, best)], _chosen(group, best, best).cells, strict=True):
        name = names[key] + (FEW_MARK if key in score.few else "") if key else said("all")
        n = score.per_class[key].n if key else score.n_instances
        lines.append(ClassLine(key, name, n, tuple(cells), share_strip(cells[plotted]), pinned=not key))
    absent = tuple(names[key] for key in names if key in set(score.absent))
    more = tuple(place for place, (name, _) in enumerate(metrics) if name not in headline(group))
    return ClassPlot(tuple(kinds), more, plotted, tuple(lines), absent, SHARE_TICKS)


@dataclass(frozen=True)
class ConfusionLine:
    """The label instances of one true class, by the class taken for the best; `shares` of the line, for the shade."""

    name: Markup
    counts: tuple[str, ...]
    shares: tuple[str, ...]
    total: str


def confusion_lines(group: Group, score: TaskScore) -> list[ConfusionLine]:
    """The confusion matrix of a zero-shot task; no lines where the result has none."""
    names = list(_names(group).values())
    lines = []
    for name, row in zip(names, score.confusion or [], strict=bool(score.confusion)):
        total = sum(row)
        shares = tuple(f"{each / total:.2f}" if total else "0" for each in row)
        lines.append(ConfusionLine(name, tuple(map(count_text, row)), shares, count_text(total)))
    return lines


def count_text(count: float) -> str:
    """Label instances: whole, or with one decimal where ties were shared between classes."""
    nearest = round(count)
    return str(nearest) if abs(count - nearest) < 0.05 else f"{count:.1f}"


def _names(group: Group) -> dict[str, Markup]:
    """Class -> its names, in the order of the task."""
    bank = label_bank(group.card.labels)
    if group.card.mappings:
        return {each.id: both(each.names["en"], each.names["ja"]) for each in group.card.classes}
    return {key: both(bank[key].names["en"], bank[key].names["ja"]) for key in class_ids(group.card, bank)}


def _metrics(group: Group) -> list[tuple[str, str]]:
    """The task's metrics that have a number a class, with what that number is called."""
    pairs = [(name, metric_named(name).per_class) for name in group.card.metrics]
    return [(name, kind) for name, kind in pairs if kind is not None]


def _keys(group: Group, best: Row) -> list[str]:
    """The classes that the test set has, in the order of the task."""
    per_class = best.entries[0].score.per_class
    return [key for key in _names(group) if key in per_class and per_class[key].n]


def _chosen(group: Group, row: Row, best: Row) -> Chosen:
    score = row.entries[0].score
    metrics = _metrics(group)
    cells = [[row_metric(row, name) for name, _ in metrics]]
    cells += [[class_cell(score.per_class.get(key), kind) for _, kind in metrics] for key in _keys(group, best)]
    return Chosen(system_of(row), cells, score.confusion)
