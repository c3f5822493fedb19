"""Committed results: which stand on a board, and why the others do not."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ecgbench.cards import DatasetCard
from ecgbench.catalogue import all_cards
from ecgbench.errors import EcgbenchError
from ecgbench.evaluation.scores import Scores
from ecgbench.evaluation.values import BootstrapValues, scores_hash
from ecgbench.files import hash_of
from ecgbench.leaderboard.measuring import Ahead, Asked, in_order
from ecgbench.leaderboard.naming import clashing
from ecgbench.leaderboard.replay import Key, Measured, Replay, Replays
from ecgbench.leaderboard.verify import clashes, mismatches
from ecgbench.results import Result, TaskScore, read_result

Progress = Callable[[int, int], None]
"""Told how many results of how many are done."""

Reference = Literal["majority", "untrained"]
REFERENCES: tuple[Reference, ...] = ("majority", "untrained")


@dataclass(frozen=True, eq=False)
class Submission:
    """A result that stands on a board. `where` is its folder seen from the results folder, with slashes. `content` is the hash
    of all that its file says but for how long it took and when it ended: two runs that did the same make the same page."""

    folder: Path
    where: str
    board: str
    result: Result
    content: str

    def scores_path(self, task: str, reference: Reference | None = None) -> Path | None:
        """The scores file of a task, or of a reference on it; None where none is committed."""
        return self._file("scores", task, reference)

    def values_path(self, task: str, reference: Reference | None = None) -> Path | None:
        """The file of bootstrap values that stands in the place of scores; None where there is none."""
        return self._file("values", task, reference)

    def _file(self, kind: str, task: str, reference: Reference | None) -> Path | None:
        middle = ("references", reference) if reference else ()
        path = self.folder.joinpath(kind, *middle, f"{task}.npz")
        return path if path.is_file() else None

    def scores(self, task: str, reference: Reference | None = None) -> Scores | None:
        """The scores themselves, read when asked for; None where none are committed."""
        path = self.scores_path(task, reference)
        return Scores.load(path) if path else None

    def parts(self) -> list[tuple[str, Reference | None, TaskScore]]:
        """Every scored task: the run's own, then the references beside it."""
        found: list[tuple[str, Reference | None, TaskScore]] = []
        found += [(task, None, score) for task, score in self.result.tasks.items()]
        for reference in REFERENCES if self.result.references else ():
            scored = getattr(self.result.references, reference)
            found += [(task, reference, score) for task, score in scored.items()]
        return found


@dataclass(frozen=True)
class LeftOut:
    """A folder that is on no board, and why, in one sentence. `board` is None where its data cannot be told.

    `wrong` is false for a run that failed and says so: nothing about such a file needs mending.
    """

    where: str
    reason: str
    board: str | None
    wrong: bool = True


class Boards:
    """data_hash -> the name of its board."""

    def __init__(self) -> None:
        self._named: dict[str, str] = {}
        for card in all_cards(DatasetCard)[0]:
            self._named.update({data_hash: name for name, data_hash in card.boards.items()})

    def name(self, result: Result) -> str:
        """The name that a card gives to the hash, else the data's own name and the start of the hash."""
        plain = re.sub(r"[^A-Za-z0-9._-]+", "-", result.data.name).strip(".-") or "data"
        return self._named.get(result.data.data_hash, f"{plain}-{result.data.data_hash[:8]}")


def collect(
    results_dir: Path, replays: Replays | None = None, progress: Progress | None = None
) -> tuple[list[Submission], list[LeftOut]]:
    """Every result under a folder, sorted by where it lies, and those that stand on no board, with reasons.

    A result stands if its file validates, its run did not fail, and the scores beside it, where there are
    any, give the numbers that it claims, on the same test rows as the other results of the data.
    """
    if not results_dir.is_dir():
        raise EcgbenchError(
            f"there is no folder {results_dir}: results lie in leaderboards/results/BOARD/NAME/result.json."
        )
    replays = replays or Replays()
    boards = Boards()
    good: list[Submission] = []
    left_out: list[LeftOut] = []
    read = [_read(folder, results_dir, boards) for folder in _folders(results_dir)]
    with Ahead(in_order(_files(read, replays))) as ahead:
        replays.ahead = ahead.take
        for done, each in enumerate(read, 1):
            found = each if isinstance(each, LeftOut) else _held_to_its_scores(each, results_dir, replays)
            if isinstance(found, Submission):
                good.append(found)
            else:
                left_out.append(found)
            if progress:
                progress(done, len(read))
    good, strangers = _same_rows(good, replays)
    good, contradicting = _without_contradictions(good)
    good, namesakes = _without_namesakes(good)
    return good, sorted([*left_out, *strangers, *contradicting, *namesakes], key=lambda each: each.where)


def replayed(submission: Submission, task: str, reference: Reference | None, replays: Replays) -> Replay | None:
    """The replay of a scores file of a submission, or of the bootstrap values in its place; None where none is committed."""
    card = replays.card(task, submission.result.comparable[task])
    path, values = _evidence(submission, task, reference)
    return replays.of(path, card, values=values) if path else None


def _measured(submission: Submission, task: str, reference: Reference | None, replays: Replays) -> Measured | None:
    """The same with all that a result is held to."""
    card = replays.card(task, submission.result.comparable[task])
    path, values = _evidence(submission, task, reference)
    return replays.measured(path, card, values=values) if path else None


def _evidence(submission: Submission, task: str, reference: Reference | None) -> tuple[Path | None, bool]:
    """The scores file, or the file of bootstrap values, and whether it is one of values."""
    scores = submission.scores_path(task, reference)
    return (scores, False) if scores else (submission.values_path(task, reference), True)


def _content(result: Result) -> str:
    timeless = result.provenance.model_copy(update={"seconds": {}, "finished": ""})
    return hash_of(result.model_copy(update={"provenance": timeless}).model_dump(mode="json", by_alias=True))


def _folders(results_dir: Path) -> list[Path]:
    """Folders with a result, and those where one should be, sorted by their path with slashes. A hidden
    folder is work in progress."""
    found = {path.parent for path in results_dir.rglob("result.json")}
    named = {path for path in results_dir.glob("*/*") if path.is_dir()}
    above = {folder for path in found for folder in (path, *path.parents)}
    found |= named - above
    places = {path.relative_to(results_dir).as_posix(): path for path in found}
    return [path for place, path in sorted(places.items()) if "/." not in f"/{place}"]


def _read(folder: Path, results_dir: Path, boards: Boards) -> Submission | LeftOut:
    where = folder.relative_to(results_dir).as_posix()
    try:
        result = read_result(folder / "result.json")
    except EcgbenchError as error:
        return LeftOut(where, _anywhere(error, results_dir), None)
    board = boards.name(result)
    if result.status == "failed":
        return LeftOut(where, f"the run failed: {result.reason}", board, wrong=False)
    return Submission(folder, where, board, result, _content(result))


def _held_to_its_scores(submission: Submission, results_dir: Path, replays: Replays) -> Submission | LeftOut:
    """The submission, if its scores give the numbers that it claims."""
    try:
        wrong = _mismatches(submission, replays)
    except EcgbenchError as error:
        return LeftOut(submission.where, _anywhere(error, results_dir), submission.board)
    if wrong:
        return LeftOut(submission.where, f"the result does not match its scores: {'; '.join(wrong)}.", submission.board)
    return submission


def _anywhere(error: EcgbenchError, results_dir: Path) -> str:
    """The reason must read the same wherever the checkout lies."""
    return str(error).replace(f"{results_dir}/", "")


def _files(read: list[Submission | LeftOut], replays: Replays) -> Iterator[tuple[Key, Asked]]:
    """What `_mismatches` will ask for, in its order. What no card is there for is told then."""
    for each in read:
        if isinstance(each, LeftOut):
            continue
        for task, reference, _ in each.parts():
            path, values = _evidence(each, task, reference)
            try:
                card = replays.card(task, each.result.comparable[task])
            except (EcgbenchError, KeyError):
                continue
            if path:
                yield replays.key(path, card), (path, card, values)


def _mismatches(submission: Submission, replays: Replays) -> list[str]:
    """Every clash between the result and the scores beside it."""
    comparable = submission.result.comparable
    nameless = sorted({task for task, _, _ in submission.parts()} - set(comparable))
    if nameless:
        return [f"{task} has no entry in `comparable`" for task in nameless]
    found = clashes(submission.result) + evidence_faults(submission)
    rows: dict[str, set[str]] = defaultdict(set)
    for task, reference, score in submission.parts():
        card = replays.card(task, comparable[task])
        replay = _measured(submission, task, reference, replays)
        name = f"{task} ({reference})" if reference else task
        found += [f"{name}: {what}" for what in mismatches(score, card, replay)]
        if replay and not replay.values:
            rows[task].add(replay.rows)
    apart = [task for task in sorted(rows) if len(rows[task]) > 1]
    return found + [f"{task}: its references were scored on other records" for task in apart]


def evidence_faults(submission: Submission) -> list[str]:
    """What is wrong with the bootstrap values of a result, and with the scores or values that a submission was made of."""
    result = submission.result
    found = []
    for task, reference, _ in submission.parts():
        path, values = submission.scores_path(task, reference), submission.values_path(task, reference)
        name = f"{task} ({reference})" if reference else task
        if path and values:
            found.append(f"{name} has scores and bootstrap values: one of them is needed")
        told = None if values is None else BootstrapValues.load(values)
        if told and (told.data_hash, told.task) != (result.data.data_hash, task):
            found.append(f"{name}: the bootstrap values are of task {told.task}, or of other data")
        if result.submitted is None:
            continue
        there = "scores" if path else "bootstrap values" if told else "nothing"
        digest = told.content_hash() if told else scores_hash(Scores.load(path)) if path else ""
        if there != result.submitted.evidence:
            found.append(f"{task}: {result.submitted.evidence} were submitted and {there} is there")
        elif digest != result.submitted.sha256.get(task):
            found.append(f"{task}: the {there} are not those that were submitted")
    return found


def _same_rows(submissions: list[Submission], replays: Replays) -> tuple[list[Submission], list[LeftOut]]:
    """Leave out what has other test rows, or another count of records left out of the task, than most results of
    the same data and task have.

    Paired resamples are only paired on the same patients. Equal data hashes promise equal rows, so a
    difference means that a file is not what it says.
    """
    rows: dict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
    tested: dict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
    excluded: dict[tuple[str, ...], dict[str, int]] = defaultdict(dict)
    for each in submissions:
        for task, score in each.result.tasks.items():
            identity = each.result.comparable[task]
            same = (each.result.data.data_hash, task, identity.labels, identity.mapping)
            excluded[same][each.where] = score.n_excluded
            replay = replayed(each, task, None, replays)
            if replay and not replay.values:
                tested[same][each.where] = replay.test_rows
                if not (each.result.submitted and replay.rows == replay.test_rows):  # submitted without validation rows
                    rows[same][each.where] = replay.rows
    reasons = {
        where: f"its n_excluded of {task} is another than that of the other results with the same data_hash."
        for where, task in _strange(excluded).items()
    }
    reasons |= {
        where: f"its scores of {task} are of other records, patients, splits or labels than those "
        "of the other results with the same data_hash."
        for where, task in {**_strange(rows), **_strange(tested)}.items()
    }
    left_out = [LeftOut(each.where, reasons[each.where], each.board) for each in submissions if each.where in reasons]
    return [each for each in submissions if each.where not in reasons], left_out


MADE_BY = ("version", "git_commit", "git_dirty", "python", "platform", "processor", "device", "packages")
"""What of a result's provenance must be equal for equal runs to have equal numbers."""


def _without_contradictions(submissions: list[Submission]) -> tuple[list[Submission], list[LeftOut]]:
    """Leave out results of one run_id and one provenance that have other numbers: one of them is not what it says. The
    same run from another machine is a replicate, and stays."""
    alike: dict[str, list[Submission]] = defaultdict(list)
    for each in submissions:
        made = each.result.provenance.model_dump(mode="json", include=set(MADE_BY))
        alike[hash_of([each.result.run_id, made])].append(each)
    left_out: list[LeftOut] = []
    for those in alike.values():
        differing = next(filter(None, (first_difference(those[0], each) for each in those[1:])), "")
        left_out += [LeftOut(each.where, differing, each.board) for each in those if differing]
    named = {each.where for each in left_out}
    return [each for each in submissions if each.where not in named], left_out


def _without_namesakes(submissions: list[Submission]) -> tuple[list[Submission], list[LeftOut]]:
    """Leave out submitted systems that bear the name of another system of their board."""
    reasons: dict[str, str] = {}
    for board in sorted({each.board for each in submissions}):
        reasons |= clashing({each.where: each.result for each in submissions if each.board == board})
    left_out = [LeftOut(each.where, reasons[each.where], each.board) for each in submissions if each.where in reasons]
    return [each for each in submissions if each.where not in reasons], left_out


def first_difference(one: Submission, other: Submission) -> str:
    """The first number in which two results of one run differ, '' where none does; a number that is there in one alone
    differs too."""
    first, again = _overall(one), _overall(other)
    for name in dict.fromkeys([*first, *again]):
        if first.get(name) != again.get(name):
            values = [found[name][0] if name in found else "none" for found in (first, again)]
            return (
                f"run {one.result.run_id} stands here twice, made by the same versions on the same machine, with two "
                f"values of {name}: {values[0]} in {one.where}, {values[1]} in {other.where}."
            )
    return ""


def _overall(submission: Submission) -> dict[str, tuple[float | None, tuple[float, float] | None]]:
    """Task and metric -> value and interval."""
    return {
        f"{task} {name}": (metric.value, metric.ci)
        for task, score in submission.result.tasks.items()
        for name, metric in score.metrics.items()
    }


def _strange(found: Mapping[tuple[str, ...], Mapping[str, str | int]]) -> dict[str, str]:
    """Where -> task, of each result whose value is not the usual one of its data and task."""
    strange: dict[str, str] = {}
    for (_, task, *_), values in sorted(found.items()):
        counts = Counter(values.values())
        usual = min(counts, key=lambda value: (-counts[value], value))
        strange.update({where: task for where, own in values.items() if own != usual})
    return strange
