"""What all cells share, done once before the first of them: stores built, sentences embedded, encoder inputs converted."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from ecgbench.ecg.inputs import encoder_inputs
from ecgbench.pipeline.prepare import Prepared, prepare
from ecgbench.pipeline.reporting import Clock, Reporter
from ecgbench.pipeline.request import Request
from ecgbench.pipeline.sweep.cells import Cell, names_of
from ecgbench.pipeline.sweep.checks import Faults, repetitions, text_key
from ecgbench.pipeline.sweep.grid import Grid, refuse
from ecgbench.recipe import Recipe
from ecgbench.results import run_id_of


@dataclass(frozen=True)
class Ready:
    """A cell whose run has its id. `steps` are those of its training; `recipe`, `encoder` and `data_hash` decide its time."""

    cell: Cell
    name: str
    run_id: str
    steps: int
    recipe: Recipe
    encoder: str
    data_hash: str

    @property
    def threads(self) -> int:
        return self.recipe.threads


class SaidOnce:
    """A reporter that says each line once: cells on the same data have the same things to tell."""

    def __init__(self, reporter: Reporter) -> None:
        self.reporter = reporter
        self.told: set[str] = set()

    @property
    def quiet(self) -> bool:
        return self.reporter.quiet

    def stage(self, name: str) -> AbstractContextManager[Any]:
        return self.reporter.stage(name)

    def say(self, text: str) -> None:
        if text not in self.told:
            self.told.add(text)
            self.reporter.say(text)


def make_ready(grid: Grid, requests: list[Request], reporter: Reporter, *, convert: bool) -> list[Ready]:
    """Prepare every cell, what several share once, and name its run; with `convert` the encoders' inputs too. EcgbenchError
    that lists everything that only the data can tell: too few records for a batch, reports that are not there, leads that
    an encoder cannot do without, cells that turn out to be the same run."""
    said = SaidOnce(reporter)
    faults = Faults(len(requests))
    places: dict[Any, list[int]] = defaultdict(list)
    for place, request in enumerate(requests):
        places[text_key(request)].append(place)
    ready: dict[int, Ready] = {}
    names = names_of(grid.cells)
    converted: set[Any] = set()
    for own in places.values():
        prepared = faults.attempt(own, prepare, requests[own[0]], said, Clock())
        for place in own if prepared else ():
            assert prepared is not None
            request = requests[place]
            ready[place] = _ready(grid.cells[place], names[place], request, prepared)
            key = (prepared.store.data_hash, request.encoder.hash, request.rate)
            if convert and key not in converted:
                faults.attempt([place], _convert, request, prepared, said)
                converted.add(key)
    refuse(grid.path, [*repetitions(_same_runs(list(ready.values()))), *faults.sentences()])
    return [ready[place] for place in range(len(requests))]


def _ready(cell: Cell, name: str, request: Request, prepared: Prepared) -> Ready:
    """Cells on the same sentences and data differ in encoder and seed alone, and so do their identities."""
    return Ready(
        cell=cell,
        name=name,
        run_id=run_id_of(prepared.identity_for(request)),
        steps=steps_of(request.recipe, len(prepared.train_rows)),
        recipe=request.recipe,
        encoder=request.encoder.name,
        data_hash=prepared.store.data_hash,
    )


def steps_of(recipe: Recipe, records: int) -> int:
    """The steps of a whole training on so many records."""
    per_epoch = records // recipe.batch_size if recipe.drop_last else math.ceil(records / recipe.batch_size)
    return per_epoch * recipe.epochs


def _convert(request: Request, prepared: Prepared, reporter: Reporter) -> None:
    with reporter.stage(f"Preparing the input of {request.encoder.name}") as progress:
        encoder_inputs(prepared.store, request.encoder.input, request.rate, progress)


def _same_runs(ready: list[Ready]) -> Iterable[list[Cell]]:
    groups: dict[str, list[Cell]] = defaultdict(list)
    for each in ready:
        groups[each.run_id].append(each.cell)
    return groups.values()
