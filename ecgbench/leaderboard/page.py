"""One board as one markdown page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from urllib.parse import quote

from ecgbench.cards import DatasetCard
from ecgbench.catalogue import all_cards
from ecgbench.leaderboard.collect import LeftOut, Submission
from ecgbench.leaderboard.published import published_section
from ecgbench.leaderboard.replay import Replays
from ecgbench.leaderboard.rows import Names, groups, seed_text
from ecgbench.leaderboard.sections import group_section, link_key
from ecgbench.leaderboard.summary import summary
from ecgbench.leaderboard.tables import MISSING, code, number, plain, table
from ecgbench.results import DataPart, Provenance, Result, SplitCount

MARK = "<!-- Made by `ecgbench leaderboard` from the folder results: do not edit. -->"

HOW_TO_READ = (
    "A number stands with its 95 % interval (resamples of the test patients) for the lowest seed; the "
    "spread over seeds stands in a column of its own. A rank is the 95 % interval of the row's rank when all "
    "rows of a table are scored on the same resampled patients; it and the differences come from the "
    "committed scores, which are rounded to float16. Rows marked *control* are there to compare with. "
    "Missing is `—`, never 0."
)


def board_page(
    board: str, submissions: Sequence[Submission], left_out: Sequence[LeftOut], results: str, replays: Replays
) -> str:
    """The page of a board; `submissions` are its own, sorted. `results`: the folder's name for links."""
    found = groups(submissions, replays)
    names = Names([each.result for each in submissions])
    blocks = [
        MARK,
        f"# {plain(board)}",
        *_kind_of_data(submissions[0].result.data),
        *summary(found, submissions, left_out),
    ]
    blocks += ["## Data and how to read this page", *_data(submissions[0].result.data), HOW_TO_READ]
    for group in found:
        blocks += group_section(group, found, names, replays)
    blocks += left_out_section(left_out)
    blocks += published_section(group.card.name for group in found)
    blocks += ["## Inputs", *_replicates(submissions), _inputs(submissions, names, results)]
    blocks.append(link_targets(submissions, results))
    return "\n\n".join(blocks) + "\n"


def left_out_section(left_out: Sequence[LeftOut]) -> list[str]:
    """Folders that are on no table, each with the reason."""
    if not left_out:
        return []
    return ["## Left out", "\n".join(f"- {code(each.where)}: {plain(each.reason)}" for each in left_out)]


def _kind_of_data(data: DataPart) -> list[str]:
    summary = data_summary(data)
    return [f"{plain(summary)}."] if summary else []


def data_summary(data: DataPart) -> str:
    """What the data are, as their card says; '' for data without a card here."""
    return next((card.summary for card in all_cards(DatasetCard)[0] if card.name == data.name), "")


def _data(data: DataPart) -> list[str]:
    about = (
        f"Data: {plain(data.name)}, version {data.version}, data hash {code(data.data_hash)}, "
        f"splits hash {code(data.splits_hash[:8])}; "
        f"{'public' if data.public else 'private'}, licence {plain(data.licence or MISSING)}. "
        f"Records of the source that did not enter: {len(data.damaged)} damaged, {len(data.duplicates)} "
        f"duplicates. {data.clipped_records} records were clipped, {data.resampled_records} resampled."
    )
    lines = [[plain(name), str(count.records), str(count.patients)] for name, count in sorted_splits(data)]
    return [about, table(["Split", "Records", "Patients"], lines)]


def sorted_splits(data: DataPart) -> list[tuple[str, SplitCount]]:
    """The splits in the order of their use, others after them by name."""
    order = {"train": 0, "validation": 1, "test": 2}
    return sorted(data.splits.items(), key=lambda item: (order.get(item[0], 3), item[0]))


def _replicates(submissions: Sequence[Submission]) -> list[str]:
    lines = replicate_lines(submissions)
    return ["\n".join(lines)] if lines else []


def replicate_lines(submissions: Sequence[Submission]) -> list[str]:
    """Runs of one run_id from several machines, with how far their primary numbers lie apart."""
    of_run: dict[str, list[Submission]] = defaultdict(list)
    for each in submissions:
        of_run[each.result.run_id].append(each)
    lines = []
    for run_id, those in sorted(of_run.items()):
        if len(those) > 1:
            shared = sorted(set.intersection(*(set(each.result.tasks) for each in those)))
            apart = [f"{task} {number(_widest(those, task))}" for task in shared]
            lines.append(
                f"- {code(run_id)} was run {len(those)} times; largest spread of a metric: {', '.join(apart)}."
            )
    return lines


def _widest(submissions: list[Submission], task: str) -> float:
    """The largest range of any metric of a task over replicates."""
    values: dict[str, list[float]] = defaultdict(list)
    for each in submissions:
        for name, metric in each.result.tasks[task].metrics.items():
            values[name] += [metric.value] if metric.value is not None else []
    return max((max(found) - min(found) for found in values.values() if found), default=0.0)


def _inputs(submissions: Sequence[Submission], names: Names, results: str) -> str:
    lines = []
    for each in submissions:
        result = each.result
        link = f"[{plain(each.where)}][{link_key(each)}]"
        system = [names.encoder(result), names.text(result), names.recipe(result), seed_text(result)]
        made = submitted_origin(result) if result.submitted else origin(result.provenance)
        lines.append([link, code(result.run_id), code(each.content[:12]), *system, made])
    headers = ["Result", "run_id", "Content", "Encoder", "Text tower", "Recipe", "Seed", "Origin"]
    return table(headers, lines, text_columns=8)


def link_targets(submissions: Sequence[Submission], results: str) -> str:
    """Where the links to result files go (`sections.link_key`)."""
    return "\n".join(f"[{link_key(each)}]: {quote(f'{results}/{each.where}/result.json')}" for each in submissions)


def submitted_origin(result: Result) -> str:
    """What stands in the place of `origin` for a submission."""
    assert result.submitted is not None
    where = f", {plain(result.submitted.reference)}" if result.submitted.reference else ""
    return f"{result.submitted.evidence} submitted, model not run here{where}"


def origin(made: Provenance) -> str:
    changed = " with changes" if made.git_dirty else ""
    commit = f", commit {made.git_commit[:8]}{changed}" if made.git_commit else ""
    return f"run here by ecgbench {plain(made.version)}{plain(commit)}"
