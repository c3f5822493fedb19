"""A grid's cells -> their requests, everything that can be known to be wrong before a cell runs told at once."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from ecgbench.cards import EncoderCard, PromptSet, TaskCard, TextCard
from ecgbench.catalogue import load_card
from ecgbench.ecg.build import built_store, store_is_built
from ecgbench.entry_points import source_hash
from ecgbench.errors import EcgbenchError
from ecgbench.findings import label_bank
from ecgbench.pipeline.prepare import training_rows, unseen_findings
from ecgbench.pipeline.reporting import Silent
from ecgbench.pipeline.request import Request, make_request
from ecgbench.pipeline.sweep.cells import Cell
from ecgbench.pipeline.sweep.grid import Grid, refuse
from ecgbench.pipeline.texts import check_text
from ecgbench.recipe import load_recipe

T = TypeVar("T")

MOST_REPEATED = 3


class Faults:
    """What is wrong, each sentence once, with the number of cells that it is wrong for."""

    def __init__(self, cells: int) -> None:
        self.cells = cells
        self.of: dict[str, set[int]] = defaultdict(set)

    def attempt(self, places: Iterable[int], work: Callable[..., T], *given: Any) -> T | None:
        """What `work` returns; None with its error noted for these cells."""
        try:
            return work(*given)
        except EcgbenchError as error:
            self.of[str(error)].update(places)
        return None

    def sentences(self) -> list[str]:
        return [
            text if len(places) == self.cells else f"{text} ({len(places)} of {self.cells} cells)"
            for text, places in self.of.items()
        ]


def requests_of(grid: Grid) -> list[Request]:
    """The request of each cell, in order. EcgbenchError that lists every card that is not known, weights and data that are
    not here, recipes that cannot be, encoders that do not take what the recipe feeds, batches that are too large where the
    data are built already, and cells that stand there twice."""
    faults = Faults(len(grid.cells))
    spoilt = _spoilt_values(grid.cells, faults)
    found: dict[int, Request] = {}
    for place, cell in enumerate(grid.cells):
        if place not in spoilt:
            request = faults.attempt([place], lambda cell=cell: make_request(**cell.keywords()))
            if request is not None:
                found[place] = request
    for places in _grouped(found, text_key).values():
        faults.attempt(places, _check_texts_and_batch, found[places[0]])
    _check_other_texts(grid.cells, found, faults)
    refuse(grid.path, [*grid.faults, *repetitions(_same_requests(grid.cells, found)), *faults.sentences()])
    return [found[place] for place in range(len(grid.cells))]


def _spoilt_values(cells: Sequence[Cell], faults: Faults) -> set[int]:
    """The cells of which some value is wrong by itself; each value is looked at once, so that one error hides no other."""
    spoilt: set[int] = set()
    for key, check in CHECKS:
        values: dict[Any, list[int]] = defaultdict(list)
        for place, cell in enumerate(cells):
            values[key(cell)].append(place)
        for value, places in values.items():
            if faults.attempt(places, lambda check=check, value=value: [check(*value)]) is None:
                spoilt.update(places)
    return spoilt


def _check_encoder(name: str) -> None:
    card = load_card(EncoderCard, name)
    source_hash(card, card.entry_point)
    if card.weights is not None:
        from ecgbench.encoders.weights import weights_file

        weights_file(card)


def _check_tasks(names: tuple[str, ...] | None) -> None:
    for name in names or ():
        load_card(TaskCard, name)


def _check_prompts(name: str | None) -> None:
    if name is not None:
        load_card(PromptSet, name)


def _check_recipe(name: str, epochs: int | None) -> None:
    load_card(PromptSet, load_recipe(name, epochs=epochs).prompt_set)


CHECKS: list[tuple[Callable[[Cell], tuple[Any, ...]], Callable[..., object]]] = [
    (lambda cell: (cell.data,), store_is_built),
    (lambda cell: (cell.encoder,), _check_encoder),
    (lambda cell: (TextCard, cell.text), load_card),
    (lambda cell: (cell.recipe, cell.epochs), _check_recipe),
    (lambda cell: (cell.prompts,), _check_prompts),
    (lambda cell: (cell.tasks,), _check_tasks),
]
"""What of a cell is looked at by itself, and how."""


def text_key(request: Request) -> tuple[Any, ...]:
    """Equal where two requests need the same sentences of the same tower, on the same data."""
    return (
        request.text.name, str(request.text_path), str(request.text_pack), request.source, request.recipe.hash, request.mapping,
        tuple(card.name for card in request.tasks), request.class_prompts.name if request.class_prompts else None,
    )  # fmt: skip


def _check_texts_and_batch(request: Request) -> None:
    """The tower's sentences can be had, the tasks agree on what is kept out of training, and there is a whole batch."""
    unseen_findings(request)
    store = built_store(request.source)
    check_text(request, label_bank(request.tasks[0].labels), store is not None)
    if store is not None:
        training_rows(request, store, Silent())


def _check_other_texts(cells: Sequence[Cell], found: dict[int, Request], faults: Faults) -> None:
    """The weights of towers that stand only in cells in which something else is wrong: the user is to hear of both at once."""
    seen = {cells[place].text for place in found}
    left = [place for place, cell in enumerate(cells) if cell.text not in seen]
    for text in dict.fromkeys(cells[place].text for place in left):
        places = [place for place in left if cells[place].text == text]
        cell = cells[places[0]]
        plain = Cell("synth98", "linear", text, "quick", text_path=cell.text_path, text_pack=cell.text_pack)
        with contextlib.suppress(EcgbenchError):
            load_card(TextCard, text)  # what is no tower is told of already
            faults.attempt(places, _check_texts_and_batch, make_request(**plain.keywords()))


def _grouped(requests: dict[int, Request], key: Callable[[Request], Any]) -> dict[Any, list[int]]:
    groups: dict[Any, list[int]] = defaultdict(list)
    for place, request in requests.items():
        groups[key(request)].append(place)
    return groups


def _same_requests(cells: Sequence[Cell], requests: dict[int, Request]) -> Iterable[list[Cell]]:
    """Cells by the run that they would be."""
    groups: dict[Any, list[Cell]] = defaultdict(list)
    for place, cell in enumerate(cells):
        request = requests.get(place)
        own: Any = cell if request is None else (request.encoder.name, request.seed, *text_key(request))
        groups[own].append(cell)
    return groups.values()


def repetitions(groups: Iterable[list[Cell]]) -> list[str]:
    """A sentence for each group of several cells, written the same or not, that would be one run; of many the first three."""
    told = []
    for cells in groups:
        ways = list(dict.fromkeys(" ".join(cell.arguments()) for cell in cells))
        if len(cells) > 1 and len(ways) == 1:
            told.append(f"a cell stands there {len(cells)} times: {ways[0]}; keep it once.")
        elif len(cells) > 1:
            told.append(f"{len(cells)} cells are the same run, keep one of them: {'; '.join(ways)}.")
    more = (
        [f"and {len(told) - MOST_REPEATED} more runs stand there more than once."] if len(told) > MOST_REPEATED else []
    )
    return told[:MOST_REPEATED] + more
