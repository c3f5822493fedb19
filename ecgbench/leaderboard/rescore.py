"""Scores files -> the numbers again: is a result what its scores say? Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ecgbench.cards import TaskCard
from ecgbench.catalogue import all_cards
from ecgbench.errors import EcgbenchError, unknown_name
from ecgbench.evaluation.bootstrap import REPLICATES
from ecgbench.evaluation.scores import Scores
from ecgbench.evaluation.scoring import score_task
from ecgbench.evaluation.targets import keys_of
from ecgbench.evaluation.values import BootstrapValues
from ecgbench.leaderboard.replay import Replays, replay
from ecgbench.leaderboard.verify import mismatches, value_mismatches
from ecgbench.results import Result, TaskScore, read_result

Agreement = Literal["exact", "rounded", "differs"]
Reference = Literal["majority", "untrained"]
REFERENCES: tuple[Reference, ...] = ("majority", "untrained")
Bands = dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Verdict:
    """One part of a result file beside what its scores give.

    `where` is the part's place in the file (`tasks.superclass`, `references.majority.superclass`,
    `references.chance`). `agreement`: "exact", every number to the last digit; "rounded", within what scores
    stored as float16 leave open plus `TOLERANCE`; "differs", and `first` says which number, with both values.
    `scores` is the part as the scores give it.
    """

    where: str
    agreement: Agreement
    n_numbers: int
    first: str | None
    scores: dict[str, Any]


def rescore_scores(path: Path, *, replicates: int = REPLICATES) -> tuple[Scores, TaskScore]:
    """A scores file and every number of its task. The file does not know `n_excluded`, which stays 0 here.

    EcgbenchError where it is no scores file, or of a task or a version that no card has.
    """
    scores = Scores.load(path)
    return scores, _scored(scores, card_of(scores), 0, replicates)


def rescore_result(path: Path) -> tuple[Result, list[Verdict]]:
    """Recompute a run from its folder (or its result file) and the scores beside it.

    Compared is every number of `tasks` and `references`, but for `n_excluded`, of which scores files know
    nothing. EcgbenchError where the run failed, where a scores file is missing, or of another task or version.
    """
    result, folder = finished_result(path)
    replays = Replays()
    verdicts = []
    chance: dict[str, Any] = {}
    for where, task, reference, given in _parts(result):
        if task not in result.comparable:
            raise EcgbenchError(f"result {path} has no entry for {task} in `comparable`: the file was edited.")
        card = replays.card(task, result.comparable[task])
        values = _values_of(folder, task, reference)
        if values is not None:
            verdict = _judged_by_values(where, given, card, values)
        else:
            verdict = _judged(where, given, *_scores_of(folder, task, reference), card)
        verdicts.append(verdict)
        if reference is None:
            chance[task] = _chance_of(verdict.scores)
    if result.references:
        verdicts.append(_compared("references.chance", result.references.chance, chance))
    return result, verdicts


def finished_result(path: Path) -> tuple[Result, Path]:
    """The result of a run's folder or of a result file, and the folder; EcgbenchError where the run failed."""
    file = path / "result.json" if path.is_dir() else path
    result = read_result(file)
    if result.status != "ok":
        raise EcgbenchError(f"the run {path} failed ({result.reason}) and has no numbers: give a finished run.")
    return result, file.parent


def scores_files(path: Path) -> dict[str, Path]:
    """Task -> scores file: the one of a scores file itself, all of a run's folder or result file."""
    if path.suffix == ".npz":
        return {Scores.load(path).task: path}
    result, folder = finished_result(path)
    if (folder / "values").is_dir():
        raise EcgbenchError(
            f"{path} has bootstrap values in the place of scores: its ranks and differences stand on the board's page "
            "(`ecgbench leaderboard`)."
        )
    return {task: _scores_path(folder, task) for task in result.tasks}


def card_of(scores: Scores) -> TaskCard:
    """The card of the task that scores name, under either mapping; `tested_rows` checks its version."""
    named = {key: card for card in all_cards(TaskCard)[0] for key in keys_of(card)}
    if scores.task not in named:
        raise unknown_name("task", scores.task, named)
    return named[scores.task]


def _parts(result: Result) -> Iterator[tuple[str, str, Reference | None, TaskScore]]:
    """Where it stands, task, reference and numbers of every scored part."""
    for task, score in result.tasks.items():
        yield f"tasks.{task}", task, None, score
    for reference in REFERENCES if result.references else ():
        for task, score in getattr(result.references, reference).items():
            yield f"references.{reference}.{task}", task, reference, score


def _scores_path(folder: Path, task: str, reference: Reference | None = None) -> Path:
    middle = ("references", reference) if reference else ()
    return folder.joinpath("scores", *middle, f"{task}.npz")


def _values_of(folder: Path, task: str, reference: Reference | None) -> BootstrapValues | None:
    """The bootstrap values that stand in the place of a scores file; None where none do."""
    middle = ("references", reference) if reference else ()
    path = folder.joinpath("values", *middle, f"{task}.npz")
    return BootstrapValues.load(path) if path.is_file() else None


def _chance_of(score: dict[str, Any]) -> dict[str, float]:
    levels = {name: metric["chance"] for name, metric in score["metrics"].items()}
    return {name: level for name, level in levels.items() if level is not None}


def _is_half(path: Path) -> bool:
    """The file keeps float16, as the copies beside committed results do."""
    with np.load(path, allow_pickle=False) as members:
        return bool(members["scores"].dtype == np.float16)


def _scored(scores: Scores, card: TaskCard, n_excluded: int, replicates: int = REPLICATES) -> TaskScore:
    return TaskScore.model_validate(score_task(scores, card, n_excluded=n_excluded, replicates=replicates))


def _scores_of(folder: Path, task: str, reference: Reference | None) -> tuple[Scores, bool]:
    """The scores, and whether their file keeps float16."""
    file = _scores_path(folder, task, reference)
    scores = Scores.load(file)
    if scores.task != task:
        raise EcgbenchError(f"scores file {file} is of task {scores.task}, {task} belongs there: put it back.")
    return scores, _is_half(file)


def _judged_by_values(where: str, given: TaskScore, card: TaskCard, values: BootstrapValues) -> Verdict:
    wrong = value_mismatches(given, card, values)
    told = values.told_score(given.n_excluded).model_dump(mode="json")
    n_numbers = sum(1 for _ in _leaves("", told))
    first = f"{where}: {wrong[0]}" if wrong else None
    return Verdict(where, "differs" if wrong else "exact", n_numbers, first, told)


def _judged(where: str, given: TaskScore, scores: Scores, half_precision: bool, card: TaskCard) -> Verdict:
    measured = _scored(scores, card, given.n_excluded).model_dump(mode="json")
    exact = _compared(where, given.model_dump(mode="json"), measured)
    if exact.agreement == "exact" or not half_precision:
        return exact
    clashes = mismatches(given, card, replay(scores, card))
    if clashes:
        return Verdict(where, "differs", exact.n_numbers, f"{where}: {clashes[0]}", measured)
    return Verdict(where, "rounded", exact.n_numbers, None, measured)


def _compared(where: str, given: dict[str, Any], measured: dict[str, Any]) -> Verdict:
    """Number by number, in the order in which the scores give them: each must be equal."""
    ours, theirs = dict(_leaves("", measured)), dict(_leaves("", given))
    missing = object()
    for name in dict.fromkeys([*ours, *theirs]):
        one, other = theirs.get(name, missing), ours.get(name, missing)
        if one == other and type(one) is type(other):
            continue
        shown = ["missing" if each is missing else "undefined" if each is None else each for each in (one, other)]
        first = f"{where}{name} is {shown[0]} in the result file and {shown[1]} by its scores"
        return Verdict(where, "differs", len(ours), first, measured)
    return Verdict(where, "exact", len(ours), None, measured)


def _leaves(place: str, value: object) -> Iterator[tuple[str, object]]:
    """Every number by its path: `.metrics.accuracy.ci[0]`. Lists of names (absent classes) count as one."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(f"{place}.{key}", item)
    elif isinstance(value, list) and value and isinstance(value[0], (float, list)):
        for position, item in enumerate(value):
            yield from _leaves(f"{place}[{position}]", item)
    else:
        yield place, value
