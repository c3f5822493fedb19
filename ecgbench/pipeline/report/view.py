"""A result and its scores -> what the page's template shows of each task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from markupsafe import Markup, escape

from ecgbench.cards import TaskCard
from ecgbench.catalogue import all_cards
from ecgbench.errors import EcgbenchError
from ecgbench.evaluation.metrics import METRICS
from ecgbench.evaluation.probability import Curves, Reliability
from ecgbench.evaluation.targets import class_ids, keys_of
from ecgbench.findings import label_bank
from ecgbench.pages.words import both
from ecgbench.results import ClassScore, Metric, Result, TaskScore
from ecgbench.text.prompts import class_names

T = TypeVar("T")

MOST_OPEN = 30
"""A table of more classes than this is folded."""

RETRIEVAL, ZERO_SHOT, PROBE = "retrieval", "zero_shot", "linear_probe"


@dataclass(frozen=True)
class TaskView:
    """One task: its numbers and classes in the order of its card, the names of the classes, the columns of the class table,
    and the confusion matrix with each cell's share of its row.

    A result file sorts its keys, and its confusion matrix has the card's order: without the card there is no matrix.
    """

    key: str
    kind: str
    score: TaskScore
    primary: str
    metrics: dict[str, Metric]
    classes: dict[str, ClassScore]
    names: dict[str, Markup]
    majority: dict[str, Metric]
    untrained: dict[str, Metric]
    columns: tuple[str, ...]
    confusion: tuple[tuple[tuple[float, float], ...], ...]

    @property
    def folded(self) -> bool:
        return len(self.classes) > MOST_OPEN

    @property
    def first(self) -> Metric:
        """The primary metric."""
        return self.metrics[self.primary]

    def of_class(self, each: ClassScore) -> list[tuple[float | None, tuple[float, float] | None]]:
        """A class's numbers with their intervals, in the order of `columns`."""
        return [(getattr(each, key), getattr(each, f"{key}_ci")) for key in self.columns]


@dataclass(frozen=True)
class Calibrated:
    """The curves from similarity to probability of a run's findings, and how they do on its test records."""

    curves: Curves
    found: Reliability | None


def task_card(key: str) -> TaskCard | None:
    """The card of a task by the name that scores have, None where it is not here."""
    return next((card for card in all_cards(TaskCard)[0] if key in keys_of(card)), None)


def task_views(result: Result) -> list[TaskView]:
    """Every task of a result: those that rank findings first, then those that rank classes, then linear probes."""
    views = [_view(key, score, result) for key, score in result.tasks.items()]
    return sorted(views, key=lambda view: (RETRIEVAL, ZERO_SHOT, PROBE).index(view.kind))


def _view(key: str, score: TaskScore, result: Result) -> TaskView:
    card, references = task_card(key), result.references
    order = _order(card, score)
    metrics = _sorted(score.metrics, card.metrics if card else ())
    columns = dict.fromkeys(each for name in metrics if name in METRICS and (each := METRICS[name].per_class))
    return TaskView(
        key=key,
        kind=card.kind if card else ZERO_SHOT,
        score=score,
        primary=card.primary if card and card.primary in metrics else next(iter(metrics)),
        metrics=metrics,
        classes=_sorted(score.per_class, order),
        names=names_of(card, tuple(score.per_class)),
        majority=references.majority[key].metrics if references else {},
        untrained=references.untrained[key].metrics if references else {},
        columns=tuple(columns),
        confusion=_shares(score.confusion) if order and score.confusion else (),
    )


def _order(card: TaskCard | None, score: TaskScore) -> tuple[str, ...]:
    """The classes in the order of the card, none where it is not here or has other classes."""
    if card is None:
        return ()
    try:
        order = class_ids(card, label_bank(card.labels))
    except EcgbenchError:
        return ()
    return order if set(order) == set(score.per_class) else ()


def _sorted(of: dict[str, T], order: Sequence[str]) -> dict[str, T]:
    """The entries in the given order, others behind them."""
    return {key: of[key] for key in [*(key for key in order if key in of), *(key for key in of if key not in order)]}


def _shares(matrix: list[list[float]]) -> tuple[tuple[tuple[float, float], ...], ...]:
    """Each cell with its share of its row."""
    return tuple(
        tuple((cell, cell / total if total else 0.0) for cell in row) for row in matrix for total in [sum(row)]
    )


def names_of(card: TaskCard | None, ids: tuple[str, ...]) -> dict[str, Markup]:
    """Class id -> its names in both languages; the id itself where card or label table do not name it."""
    names = {each: escape(each) for each in ids}
    if card is None:
        return names
    try:
        english, japanese = (class_names(card, label_bank(card.labels), language) for language in ("en", "ja"))
    except EcgbenchError:
        return names
    return names | {each: both(english[each], japanese[each]) for each in ids if each in english}
