"""Which results stand in one table, and which of them make one row."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from ecgbench.cards import EncoderCard, TaskCard
from ecgbench.catalogue import all_cards
from ecgbench.evaluation.metrics import metric_named
from ecgbench.files import hash_of
from ecgbench.leaderboard.collect import Reference, Submission, replayed
from ecgbench.leaderboard.replay import Replay, Replays
from ecgbench.leaderboard.tables import MISSING, plain
from ecgbench.results import Metric, Result, TaskIdentity, TaskScore

CONTROL = "*control*"
HERE = "this data"
"""Trained on the train split of the very data that the table is about."""
SUBMITTED = "*submitted*"
"""Marks a system whose scores, or bootstrap values, somebody handed in: its model was not run here."""
UNVERIFIED = "‡"
"""Beside the name of an encoder whose published weights are not known to be the true ones."""


@dataclass(frozen=True, eq=False)
class Entry:
    """One run's numbers for one row; `reference` where the row is a control that came with the run."""

    submission: Submission
    score: TaskScore
    replay: Replay | None

    @property
    def seed(self) -> int | None:
        """None of a submission that does not say."""
        return self.submission.result.seed


@dataclass(frozen=True, eq=False)
class Row:
    """A line of a task's table: a system or a control, with its runs by seed. The first run is the one shown.

    `levels` stands in for runs in the closed-form row `chance`. A row that is not `verified` gets no rank, nor one that is
    not `paired`: bootstrap values of other resamples than the other rows'. `trained_on` and `licence` as a board says them;
    `reference` names a control that came with other runs.
    """

    encoder: str
    text: str
    recipe: str
    parameters: int | None
    control: bool
    entries: tuple[Entry, ...] = ()
    levels: dict[str, float] | None = None
    verified: bool = True
    paired: bool = True
    trained_on: str = MISSING
    licence: str = MISSING
    reference: str | None = None

    @property
    def submitted(self) -> bool:
        return bool(self.entries) and self.entries[0].submission.result.submitted is not None

    def value(self, metric: str) -> float | None:
        """The number the row is sorted by."""
        if self.levels is not None:
            return self.levels.get(metric)
        found = self.metric(metric)
        return found.value if found else None

    def metric(self, name: str) -> Metric | None:
        return self.entries[0].score.metrics.get(name) if self.entries else None

    def by_seed(self, metric: str) -> list[float]:
        """One value a seed, in the order of seeds; replicates of a seed (other machines) give their mean."""
        values: dict[int | None, list[float]] = defaultdict(list)
        for each in self.entries:
            found = each.score.metrics.get(metric)
            if found and found.value is not None:
                values[each.seed].append(found.value)
        ordered = sorted(values.items(), key=lambda item: _seed_place(item[0]))
        return [sum(each) / len(each) for _, each in ordered]

    def label(self) -> str:
        recipe = self.recipe.removeprefix(f"{MISSING} · ")
        return " × ".join(part for part in (self.encoder, self.text, recipe) if part != MISSING)


@dataclass(frozen=True, eq=False)
class Group:
    """The results of one task that may be compared: same task version, labels, mapping, prompts and data."""

    task: str
    identity: TaskIdentity
    card: TaskCard
    submissions: tuple[Submission, ...]
    rows: tuple[Row, ...]


class Names:
    """What the systems of a board are called: their cards' names, and what tells namesakes apart."""

    def __init__(self, results: Sequence[Result]) -> None:
        self._encoders: dict[str, set[str]] = defaultdict(set)
        self._texts: dict[str, set[str]] = defaultdict(set)
        self._recipes: dict[tuple[str, str], dict[str, dict[str, Any]]] = defaultdict(dict)
        self._apart: dict[tuple[str, str], list[str]] = {}
        self._weighted = {card.name: card for card in all_cards(EncoderCard)[0] if card.weights}
        for each in results:
            if each.submitted:  # claims about a system tell nothing apart that was run here
                continue
            self._encoders[each.encoder.name].add(encoder_key(each))
            self._texts[each.text.name].add(text_key(each))
            self._recipes[each.recipe.name, each.control][each.recipe.hash] = each.recipe.fields

    def encoder(self, result: Result) -> str:
        if result.submitted:
            claimed = result.encoder.name
            return plain(result.submitted.name + ("" if claimed == result.submitted.name else f" ({claimed})"))
        name = _told_apart(result.encoder.name, self._encoders, encoder_key(result))
        return name if self.verified(result) else f"{name} {UNVERIFIED}"

    def verified(self, result: Result) -> bool:
        """False for published weights that the encoder's card does not call verified, or that are other ones."""
        if result.submitted:
            return True
        card = self._weighted.get(result.encoder.name)
        return card is None or (card.verified is True and card.hash == result.encoder.card)

    def pretrained_on(self, result: Result) -> str:
        """What the encoder's card says of the data behind its published weights, '' for an encoder without such."""
        if result.encoder.name.startswith("hf:"):
            return "pre-trained weights of unknown data"
        card = self._weighted.get(result.encoder.name)
        if card is None or result.submitted:
            return ""
        return (
            f"pre-trained on {plain(card.pretrained_on)}"
            if card.pretrained_on
            else "pre-trained weights of unknown data"
        )

    def text(self, result: Result) -> str:
        """`—` for a supervised run, which uses no text."""
        if result.submitted:
            return plain(result.text.name)
        if result.control == "supervised":
            return MISSING
        return _told_apart(result.text.name, self._texts, text_key(result))

    def recipe(self, result: Result) -> str:
        """The recipe's name, and of namesakes the fields in which they differ: `quick (epochs 5)`.

        The language is left out of that, because prompts in two languages never share a table. `—` for a
        submission, of which no recipe is known.
        """
        if result.submitted:
            return MISSING
        own = result.recipe.fields
        differing = self._differing(result.recipe.name, result.control)
        apart = ", ".join(f"{key} {own.get(key)}" for key in differing)
        return plain(f"{result.recipe.name} ({apart})" if apart else result.recipe.name)

    def _differing(self, name: str, control: str) -> list[str]:
        """The fields in which the recipes of a name differ. Found once: an ablation has as many of them as rows."""
        if (name, control) not in self._apart:
            namesakes = self._recipes[name, control].values()
            keys = sorted({key for fields in namesakes for key in fields} - {"language"})
            self._apart[name, control] = [
                key for key in keys if len({repr(fields.get(key)) for fields in namesakes}) > 1
            ]
        return self._apart[name, control]


def encoder_key(result: Result) -> str:
    return hash_of([result.encoder.card, result.encoder.source])


def text_key(result: Result) -> str:
    return hash_of(result.text.identity)


def system_key(result: Result) -> tuple[str, ...]:
    """What two runs share that differ in nothing but their seed (or not even in that)."""
    if result.submitted:
        return ("submitted", result.submitted.name)
    text = ("", "") if result.control == "supervised" else (result.text.name, text_key(result))
    return (
        *(result.encoder.name, encoder_key(result)),
        *text,
        *(result.recipe.name, result.recipe.hash, result.control, trained_elsewhere(result)),
    )


def trained_elsewhere(result: Result) -> str:
    """The name and hash of the data that a model was trained on, '' where it is tested on the same."""
    trained = result.trained_on
    if trained is None or trained.data_hash == result.data.data_hash:
        return ""
    return f"{trained.data} {trained.data_hash[:8]}"


def seed_text(result: Result) -> str:
    return MISSING if result.seed is None else str(result.seed)


def is_control(result: Result) -> bool:
    return result.control != "none" or result.text.control


def groups(submissions: Sequence[Submission], replays: Replays) -> list[Group]:
    """The tables of a board: retrieval first, then by name; of one task, the one with most results first. `submissions` are
    those of one data_hash."""
    names = Names([each.result for each in submissions])
    members: dict[tuple[str, str], list[Submission]] = defaultdict(list)
    for each in submissions:
        for task in each.result.tasks:
            members[task, each.result.comparable[task].model_dump_json()].append(each)
    found = []
    for (task, _), those in members.items():
        identity = those[0].result.comparable[task]
        card = replays.card(task, identity)
        rows = sorted(paired(_rows(task, those, names, replays)), key=partial(_place, metric=card.primary))
        found.append(Group(task, identity, card, tuple(those), tuple(rows)))
    return sorted(
        found,
        key=lambda g: (bool(g.card.mappings), g.task, -len(g.submissions), g.identity.model_dump_json()),
    )


def paired(rows: Sequence[Row]) -> list[Row]:
    """The rows, those marked whose bootstrap values are of other resamples than the scores of the others, or, without any
    scores, than most values."""
    shown = {place: row.entries[0] for place, row in enumerate(rows) if row.entries}
    replays = {
        place: (each.replay, each.submission.result.data.data_hash) for place, each in shown.items() if each.replay
    }
    if not any(replay.values for replay, _ in replays.values()):
        return list(rows)
    drawn = {place: replay.resamples(data_hash) for place, (replay, data_hash) in replays.items()}
    counts = Counter([drawn[place] for place in drawn if not replays[place][0].values] or drawn.values())
    usual = min(counts, key=lambda each: (-counts[each], each))
    return [replace(row, paired=drawn.get(place, usual) == usual) for place, row in enumerate(rows)]


def _place(row: Row, metric: str) -> tuple[float, str]:
    """The best first, rows without the number last, equal ones by their label."""
    value = row.value(metric)
    best_first = -1 if metric_named(metric).higher_is_better else 1
    return (math.inf if value is None else best_first * value, row.label())


def _rows(task: str, submissions: Sequence[Submission], names: Names, replays: Replays) -> list[Row]:
    systems: dict[tuple[str, ...], list[Submission]] = defaultdict(list)
    for each in submissions:
        systems[system_key(each.result)].append(each)
    rows = [_system_row(task, those, names, replays) for those in systems.values()]
    with_references = [each for each in submissions if each.result.references]
    return rows + _reference_rows(task, with_references, names, replays)


def _system_row(task: str, submissions: list[Submission], names: Names, replays: Replays) -> Row:
    submissions = _by_seed(submissions)
    result = submissions[0].result
    marks = [CONTROL] if is_control(result) else []
    marks += [result.control] if result.control != "none" else []
    marks += [f"trained on {plain(trained_elsewhere(result))}"] if trained_elsewhere(result) else []
    marks += [SUBMITTED] if result.submitted else []
    return Row(
        encoder=names.encoder(result),
        text=names.text(result),
        recipe=" · ".join([names.recipe(result), *marks]),
        parameters=result.encoder.parameters,
        control=is_control(result),
        entries=tuple(_entry(each, task, None, replays) for each in submissions),
        verified=names.verified(result),
        trained_on=_trained_on(result, names),
        licence=_licence(result),
    )


def _trained_on(result: Result, names: Names) -> str:
    """On which records a system was trained, in a few words: what a board's reader must know before comparing."""
    if result.submitted:
        return f"claimed: {plain(result.submitted.trained_on)}"
    where = plain(trained_elsewhere(result)) or HERE
    where = f"{where}, heads alone" if result.control == "frozen-random" else where
    before = names.pretrained_on(result)
    return f"{where}; before, {before}" if before else where


def _licence(result: Result) -> str:
    """Of the encoder, and of the text tower where it is another one; unknown ones are said to be."""
    encoder = plain(result.encoder.licence or "unknown")
    if result.control == "supervised" or result.text.control or (result.submitted and not result.text.licence):
        return encoder
    tower = plain(result.text.licence or "unknown")
    return encoder if tower == encoder else f"{encoder}; tower {tower}"


def _reference_rows(task: str, submissions: list[Submission], names: Names, replays: Replays) -> list[Row]:
    """`chance` and `majority` once a table, `untrained` once an encoder."""
    rows = []
    for each in submissions[:1]:
        references = each.result.references
        assert references is not None
        if task in references.chance:
            rows.append(
                Row(
                    MISSING,
                    MISSING,
                    f"chance · {CONTROL}",
                    None,
                    True,
                    levels=references.chance[task],
                    reference="chance",
                )
            )
        if task in references.majority:
            entry = _entry(each, task, "majority", replays)
            rows.append(
                Row(
                    MISSING,
                    MISSING,
                    f"majority · {CONTROL}",
                    None,
                    True,
                    (entry,),
                    trained_on=HERE,
                    reference="majority",
                )
            )
    return rows + _untrained_rows(task, submissions, names, replays)


def _untrained_rows(task: str, submissions: list[Submission], names: Names, replays: Replays) -> list[Row]:
    """An untrained run depends on encoder, text tower, recipe and seed. Of each encoder the system that is no
    control (the first by name) lends its own, with all its seeds."""
    of_encoder: dict[str, list[Submission]] = defaultdict(list)
    for each in submissions:
        if each.result.references and task in each.result.references.untrained:
            of_encoder[encoder_key(each.result)].append(each)

    def preference(each: Submission) -> tuple[bool, tuple[str, ...]]:
        return is_control(each.result), system_key(each.result)

    rows = []
    for those in of_encoder.values():
        first = min(map(preference, those))
        lenders = _by_seed([each for each in those if preference(each) == first])
        result = lenders[0].result
        entries = tuple(_entry(each, task, "untrained", replays) for each in lenders)
        rows.append(
            Row(
                encoder=names.encoder(result),
                text=names.text(result),
                recipe=f"untrained · {CONTROL}",
                parameters=result.encoder.parameters,
                control=True,
                entries=entries,
                verified=names.verified(result),
                trained_on="; ".join(filter(None, ["nothing", names.pretrained_on(result)])),
                reference="untrained",
                licence=_licence(result),
            )
        )
    return rows


def _entry(submission: Submission, task: str, reference: Reference | None, replays: Replays) -> Entry:
    score = next(s for t, r, s in submission.parts() if (t, r) == (task, reference))
    return Entry(submission, score, replayed(submission, task, reference, replays))


def _by_seed(submissions: list[Submission]) -> list[Submission]:
    return sorted(submissions, key=lambda each: (_seed_place(each.result.seed), each.where))


def _seed_place(seed: int | None) -> tuple[bool, int]:
    """Unknown seeds last."""
    return (seed is None, seed or 0)


def _told_apart(name: str, keys: dict[str, set[str]], key: str) -> str:
    """A name, and the start of its hash where another thing on the board has the same name."""
    return plain(name if len(keys[name]) == 1 else f"{name} ({key[:6]})")
