"""The first screen of a board: who is best, and can that be trusted?"""

from __future__ import annotations

from collections.abc import Sequence

from ecgbench.evaluation.compare import Difference
from ecgbench.evaluation.metrics import metric_named
from ecgbench.leaderboard.collect import LeftOut, Submission
from ecgbench.leaderboard.ranks import difference, rank_intervals
from ecgbench.leaderboard.rows import HERE, Group, Row
from ecgbench.leaderboard.sections import best_row, heading, rank_text, ranked_replicates, row_metric
from ecgbench.leaderboard.tables import MISSING, Sentence, signed, table


def summary(found: Sequence[Group], submissions: Sequence[Submission], left_out: Sequence[LeftOut]) -> list[str]:
    """Blocks of markdown: the best system of each table, and what its numbers rest on."""
    headers = ["Table", "Best system", "Metric", "Value", "Rank", "Seeds", "Against the strongest control"]
    lines = []
    for group in found:
        *cells, control, apart, said = summary_line(group, list(found))
        lines.append([*cells, f"{said}: {apart} to {control}" if said else MISSING])
    points = "\n".join(f"- {point}" for point in trust(found, submissions, left_out))
    return ["## Who is best", table(headers, lines, text_columns=7), "## Can it be trusted", points]


def summary_line(group: Group, among: list[Group]) -> list[str]:
    """Table, best system, metric, value, rank and seeds; the strongest control, the best system minus it, and the verdict."""
    best = best_row(group.rows)
    primary = group.card.primary
    title = heading(group, among).removeprefix("## ")
    if best.control:
        return [title, "none but controls", primary, *[MISSING] * 5, ""]
    ranks = rank_intervals([ranked_replicates(row, primary) for row in group.rows])
    rank = next(rank for row, rank in zip(group.rows, ranks, strict=True) if row is best)
    control = strongest_control(group)
    found = None if control is None else difference(best.entries[0].replay, control.entries[0].replay, primary)
    told = [MISSING, ""] if found is None else [signed(found.value, found.low, found.high), verdict(found, primary)]
    seeds = str(len({each.seed for each in best.entries}))
    name = control.label() if control else MISSING
    return [title, best.label(), primary, row_metric(best, primary), rank_text(rank), seeds, name, *told]


def strongest_control(group: Group) -> Row | None:
    """The control with the best primary number among those that have scores; rows stand in that order."""
    return next((row for row in group.rows if row.control and row.entries and row.entries[0].replay), None)


def verdict(found: Difference, metric: str) -> str:
    """In words, whether the interval of a difference leaves 0 on one side."""
    low, high = (found.low, found.high) if metric_named(metric).higher_is_better else (-found.high, -found.low)
    if low > 0:
        return "better"
    return "worse" if high < 0 else "not told apart"


def trust(found: Sequence[Group], submissions: Sequence[Submission], left_out: Sequence[LeftOut]) -> list[Sentence]:
    """What a reader should know before believing a row, one sentence or two each."""
    values = sum(any(each.values_path(task) for task in each.result.tasks) for each in submissions)
    bare = [each for each in submissions if not any(_evidence(each, task) for task in each.result.tasks)]
    told = [
        Sentence(
            "Results here: {n}. With their scores beside them, from which every number was computed again when this page was "
            "made: {scored}.",
            {"n": len(submissions), "scored": len(submissions) - values - len(bare)},
        )
    ]
    if values:
        text = "With bootstrap values in the place of scores, which give the overall numbers: {n}."
        told.append(Sentence(text, {"n": values}))
    if bare:
        told.append(Sentence("With neither, their numbers as told and no rank: {n}.", {"n": len(bare)}))
    handed_in = sum(each.result.submitted is not None for each in submissions)
    if handed_in:
        text = "Handed in as scores or bootstrap values (*submitted*), the model not run here: {n}."
        told.append(Sentence(text, {"n": handed_in}))
    once = [row for row in map(best_row, (group.rows for group in found)) if len({e.seed for e in row.entries}) < 2]
    if once:
        text = "Tables whose best system was run with one seed, so that its luck is not known: {n} of {all}."
        told.append(Sentence(text, {"n": len(once), "all": len(found)}))
    told += _few(found)
    elsewhere = {row.label() for group in found for row in group.rows if not row.control and row.trained_on != HERE}
    if elsewhere:
        rows = "; ".join(sorted(elsewhere))
        told.append(Sentence("Not, or not only, trained on these data: {rows}.", {"rows": rows}))
    wrong = [each for each in left_out if each.wrong]
    if left_out:
        text = "Left out, each with its reason below: {n}. Because something is wrong with them: {wrong}."
        told.append(Sentence(text, {"n": len(left_out), "wrong": len(wrong)}))
    return told


def _few(found: Sequence[Group]) -> list[Sentence]:
    scores = {group.card.name: best_row(group.rows).entries[0].score for group in found}
    parts = [f"{name} {len(score.few)} of {score.n_present}" for name, score in sorted(scores.items()) if score.few]
    text = "Classes with fewer than 10 positive test records, whose own numbers say little (†): {tasks}."
    return [Sentence(text, {"tasks": ", ".join(parts)})] if parts else []


def _evidence(submission: Submission, task: str) -> bool:
    return bool(submission.scores_path(task) or submission.values_path(task))
