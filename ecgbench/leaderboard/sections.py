"""The parts of a board's page that show one group of comparable results."""

from __future__ import annotations

import numpy as np

from ecgbench.evaluation.breakdown import compared_metrics
from ecgbench.evaluation.metrics import metric_named
from ecgbench.evaluation.scoring import FEW
from ecgbench.files import hash_of
from ecgbench.findings import label_bank
from ecgbench.leaderboard.ablation import ablation
from ecgbench.leaderboard.collect import Reference, Submission, replayed
from ecgbench.leaderboard.controls import controls_line
from ecgbench.leaderboard.ranks import difference, rank_intervals
from ecgbench.leaderboard.replay import Replay, Replays
from ecgbench.leaderboard.rows import SUBMITTED, UNVERIFIED, Group, Names, Row, encoder_key, seed_text
from ecgbench.leaderboard.tables import (
    FEW_MARK,
    MISSING,
    Sentence,
    metric_cell,
    millions,
    number,
    plain,
    signed,
    spread,
    table,
    with_interval,
)
from ecgbench.results import ClassScore, TaskScore

PER_CLASS = {"accuracy": "Accuracy", "top1": "Top-1", "top5": "Top-5", "auroc": "AUROC", "auprc": "AUPRC", "f1": "F1"}
CONTROLS = ("majority", "untrained", "random tower")
ButText = tuple[str, str, str, str, int | None]
"""Encoder, its hash, the recipe's hash, control, seed."""
HEADLINE = ("top1", "top5", "accuracy", "macro_auroc", "mrr", "mrr_filtered")
"""Metrics of the ranking; the others stand in a table below it."""
LANGUAGES = {"ja": "Japanese", "en": "English"}


def heading(group: Group, among: list[Group]) -> str:
    """The group's title; groups of a task are told apart by prompt language, mapping and, at last, hashes."""

    def title(each: Group) -> str:
        mapping = f", {each.identity.mapping} mapping" if each.card.mappings else ""
        if each.card.kind == "linear_probe":
            return f"{each.task}{mapping}"
        asked = each.submissions[0].result.settings.get("class_prompts")
        own = "" if asked in (None, each.card.prompt_set) else f" of the set {plain(asked)}"
        return f"{each.task}: {LANGUAGES[each.identity.language]} prompts{own}{mapping}"

    namesakes = [each for each in among if title(each) == title(group)]
    if len(namesakes) == 1:
        return f"## {title(group)}"
    hashes = [f"{part} {getattr(group.identity, part)[:8]}" for part in ("prompts", "labels", "card")]
    return f"## {title(group)} ({', '.join(hashes)})"


def group_section(group: Group, among: list[Group], names: Names, replays: Replays) -> list[str]:
    """Blocks of markdown: what was tested, the ranking, per class, and the differences to the controls."""
    first = best_row(group.rows)
    score = first.entries[0].score
    blocks = [
        heading(group, among),
        _what(group, score),
        _ranking(group),
        *map(str, notes(group)),
        controls_line(group),
    ]
    blocks += ["<details>", "<summary>More metrics, seeds, ablation, classes, differences to the controls</summary>"]
    blocks += [*_more(group), _levels(score, group.card.metrics)]
    if any(len(row.by_seed(group.card.primary)) > 1 for row in group.rows):
        blocks += ["### Over seeds", _over_seeds(group)]
    blocks += ablation(group)
    blocks += _per_class(group, score) if group.card.mappings else _appendix(group, first)
    return [*blocks, "### Differences to the controls", _differences(group, names, replays), "</details>"]


def best_row(rows: tuple[Row, ...]) -> Row:
    """The best row that is no control and can have a rank, else the best row with runs."""
    runs = [row for row in rows if row.entries]
    systems = [row for row in runs if not row.control]
    return next((row for row in systems if row.verified), (systems or runs)[0])


def _what(group: Group, score: TaskScore) -> str:
    identity = group.identity
    records = f"{score.n_records} records of {score.n_patients} patients with {score.n_instances} label instances"
    return (
        f"{group.card.summary}. Task version {identity.version}, card `{identity.card[:8]}`, labels "
        f"`{identity.labels[:8]}`, prompts `{identity.prompts[:8]}`. Test set: {records}; "
        f"{score.n_excluded} records have no label of this task. Classes: {score.n_present} present, "
        f"{len(score.absent)} absent, {len(score.few)} with fewer than {FEW} positive records ({FEW_MARK}). "
        f"Sorted by {group.card.primary}."
    )


def _ranking(group: Group) -> str:
    primary = group.card.primary
    metrics = headline(group)
    replicates = [ranked_replicates(row, primary) for row in group.rows]
    over_seeds = any(len(row.by_seed(primary)) > 1 for row in group.rows)
    headers = ["Rank", "Encoder", "Text tower", "Recipe", "Seeds", "Encoder, M", *metrics]
    headers += [f"{primary}, over seeds"] if over_seeds else []
    headers += ["Trained on", "Licence", "Result"]
    lines = []
    for row, rank in zip(group.rows, rank_intervals(replicates), strict=True):
        parameters = millions(row.parameters) if row.parameters is not None else MISSING
        line = [rank_text(rank), row.encoder, row.text, row.recipe, _seeds(row), parameters]
        line += [row_metric(row, name) for name in metrics]
        line += [spread(row.by_seed(primary))] if over_seeds else []
        lines.append([*line, row.trained_on, row.licence, _result_links(row)])
    return table(headers, lines, text_columns=5)


def _result_links(row: Row) -> str:
    """A link a result file, called by its seed; the page's end says where they go (`link_targets`)."""
    if not row.entries:
        return MISSING
    return " ".join(
        f"[{MISSING if each.seed is None else each.seed}][{link_key(each.submission)}]" for each in row.entries
    )


def link_key(submission: Submission) -> str:
    """What a result is called in the links of a page."""
    return hash_of([submission.where, submission.content])[:8]


def notes(group: Group) -> list[Sentence]:
    """What the marks of some rows mean, and why rows have no rank, where there are such."""
    found = []
    if any(row.submitted for row in group.rows):
        found.append(
            Sentence(
                f"{SUBMITTED}: scores submitted, model not run here. The numbers were computed here from what was handed in; "
                "encoder, text tower, parameters, licence and training data are the submitter's claims."
            )
        )
    if not all(row.verified for row in group.rows):
        found.append(
            Sentence(
                f"{UNVERIFIED}: the encoder's published weights are not verified (`verified` on its card), or are other ones "
                "than those that are, so the row has no rank and counts in no other row's."
            )
        )
    lone = [row.label() for row in group.rows if not row.paired]
    if lone:
        text = "No rank, because their bootstrap values are of other resamples than the other rows': {rows}."
        found.append(Sentence(text, {"rows": "; ".join(lone)}))
    bare = [row.label() for row in group.rows if row.entries and row.entries[0].replay is None]
    if bare:
        found.append(Sentence("No rank, because no scores stand beside the result: {rows}.", {"rows": "; ".join(bare)}))
    return found


def headline(group: Group) -> list[str]:
    """The metrics of the ranking: the primary one, then others in the card's order."""
    primary = group.card.primary
    return [primary, *(name for name in group.card.metrics if name in HEADLINE and name != primary)]


def _more(group: Group) -> list[str]:
    """The card's other metrics of every row, in a table of their own."""
    metrics = [name for name in group.card.metrics if name not in headline(group)]
    if not metrics:
        return []
    lines = [[row.encoder, row.text, row.recipe, *(row_metric(row, name) for name in metrics)] for row in group.rows]
    return ["### More metrics", table(["Encoder", "Text tower", "Recipe", *metrics], lines, text_columns=3)]


def ranked_replicates(row: Row, metric: str) -> np.ndarray | None:
    replay = row.entries[0].replay if row.entries and row.verified and row.paired else None
    if replay is None:
        return None
    return replay.replicates[metric] * (1 if metric_named(metric).higher_is_better else -1)


def rank_text(rank: tuple[int, int] | None) -> str:
    if rank is None:
        return MISSING
    return str(rank[0]) if rank[0] == rank[1] else f"{rank[0]}–{rank[1]}"


def row_metric(row: Row, name: str) -> str:
    return number(row.levels.get(name)) if row.levels is not None else metric_cell(row.metric(name))


def _seeds(row: Row) -> str:
    """`0, 1, 2`; `0 (×2), 1` where a seed was run twice; `—` for rows that no seed decides."""
    if not row.entries or row.encoder == MISSING:
        return MISSING
    seeds = [each.seed for each in row.entries if each.seed is not None]
    if not seeds:
        return MISSING
    return ", ".join(f"{s} (×{seeds.count(s)})" if seeds.count(s) > 1 else str(s) for s in sorted(set(seeds)))


def _levels(score: TaskScore, metrics: tuple[str, ...]) -> str:
    """Chance and ceiling as one line."""
    chance = ", ".join(f"{name} {number(score.metrics[name].chance)}" for name in metrics)
    ceiling = ", ".join(f"{name} {number(score.metrics[name].ceiling)}" for name in metrics)
    return f"Chance: {chance}. Ceiling: {ceiling}."


def _over_seeds(group: Group) -> str:
    rows = [row for row in group.rows if len(row.by_seed(group.card.primary)) > 1]
    lines = [
        [
            row.encoder,
            row.text,
            row.recipe,
            _seeds(row),
            *(spread(row.by_seed(name)) for name in headline(group)),
        ]
        for row in rows
    ]
    return table(["Encoder", "Text tower", "Recipe", "Seeds", *headline(group)], lines, text_columns=4)


def _per_class(group: Group, score: TaskScore) -> list[str]:
    """For each metric that has one, a table in the shape of the paper's Tables 2-7, a column a class."""
    blocks = []
    classes = [(each.id, each.names["en"]) for each in group.card.classes]
    headers = [f"{plain(name)}{_mark(score, key)} (n={_n(score, key)})" for key, name in classes]
    for metric in group.card.metrics:
        kind = metric_named(metric).per_class
        if kind is None or metric not in headline(group):
            continue
        lines = [
            [row.encoder, row.text, row.recipe, metric_cell(row.metric(metric))]
            + [class_cell(row.entries[0].score.per_class.get(key), kind) for key, _ in classes]
            for row in group.rows
            if row.entries
        ]
        overall = f"all (n={score.n_instances})" if kind == metric else metric
        blocks += [
            f"### {PER_CLASS[kind]} per class",
            table(["Encoder", "Text tower", "Recipe", overall, *headers], lines, 3),
        ]
    return blocks


def _appendix(group: Group, row: Row) -> list[str]:
    """Every label that the test set has, in the shape of the paper's Table 9, for one run."""
    entry = row.entries[0]
    bank = label_bank(group.card.labels)
    present = [f for f in bank.findings if _n(entry.score, f.id)]
    lines = [
        [plain(f.names["ja"]), plain(f.names["en"]) + _mark(entry.score, f.id), str(_n(entry.score, f.id))]
        + [class_cell(entry.score.per_class[f.id], kind) for kind in ("top1", "top5", "auroc", "auprc")]
        for f in present
    ]
    overall = [row_metric(row, name) for name in ("top1", "top5", "macro_auroc", "macro_auprc")]
    lines.insert(0, ["すべて", "all labels", str(entry.score.n_instances), *overall])
    absent = [plain(f.names["en"]) for f in bank.findings if f.id in set(entry.score.absent)]
    text = f"The best system, {row.label()}, seed {entry.seed}; AUROC and AUPRC of all labels are the mean of theirs."
    headers = ["ラベル", "Label", "n", "Top-1", "Top-5", "AUROC", "AUPRC"]
    blocks = ["### Per label", text, table(headers, lines, text_columns=2)]
    return [*blocks, f"Absent from the test set ({len(absent)}): {', '.join(absent)}."] if absent else blocks


def _n(score: TaskScore, key: str) -> int:
    return score.per_class[key].n if key in score.per_class else 0


def _mark(score: TaskScore, key: str) -> str:
    return FEW_MARK if key in score.few else ""


def class_cell(score: ClassScore | None, kind: str) -> str:
    return MISSING if score is None else with_interval(getattr(score, kind), getattr(score, f"{kind}_ci"))


DIFFERENCE_HEADERS = ("Encoder", "Text tower", "Recipe", "Seed", "Metric", *(f"to {name}" for name in CONTROLS))


def _differences(group: Group, names: Names, replays: Replays) -> str:
    lines = difference_lines(group, names, replays)
    return table(DIFFERENCE_HEADERS, lines, text_columns=5) if lines else "No system here but the controls."


def difference_lines(group: Group, names: Names, replays: Replays) -> list[list[str]]:
    """System minus control on the same patients, for every run that is no control itself; cells by `DIFFERENCE_HEADERS`."""
    lines = []
    runs = [entry.submission for row in group.rows if not row.control for entry in row.entries]
    twins = _random_twins(group)
    for each in runs:
        result = each.result
        own = replayed(each, group.task, None, replays)
        twin = None if result.submitted else twins.get(_but_text(each))
        controls = [
            _majority(each, group, replays),
            _reference(each, group.task, "untrained", replays),
            replayed(twin, group.task, None, replays) if twin else None,
        ]
        label = [names.encoder(result), names.text(result), names.recipe(result), seed_text(result)]
        lines += [
            [*label, metric, *(_difference(own, other, metric) for other in controls)]
            for metric in compared_metrics(group.card)
        ]
    return lines


def _reference(submission: Submission, task: str, reference: Reference, replays: Replays) -> Replay | None:
    """The replay of a reference that the result has too."""
    references = submission.result.references
    known = references is not None and task in getattr(references, reference)
    return replayed(submission, task, reference, replays) if known else None


def _majority(submission: Submission, group: Group, replays: Replays) -> Replay | None:
    """Of a submission, which brings no references, that of the other results: it follows from the data alone."""
    if submission.result.submitted is None:
        return _reference(submission, group.task, "majority", replays)
    found = (_reference(each, group.task, "majority", replays) for each in group.submissions)
    return next((each for each in found if each), None)


def _random_twins(group: Group) -> dict[ButText, Submission]:
    """What a run is but for its text tower -> the first run of that with the text tower `random`."""
    random = [each for each in group.submissions if each.result.text.name == "random" and each.result.text.control]
    return {_but_text(each): each for each in reversed(random)}


def _but_text(submission: Submission) -> ButText:
    result = submission.result
    return (result.encoder.name, encoder_key(result), result.recipe.hash, result.control, result.seed)


def _difference(own: Replay | None, other: Replay | None, metric: str) -> str:
    found = difference(own, other, metric)
    return MISSING if found is None else signed(found.value, found.low, found.high)
