"""One board as one markdown page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from ecgbench.leaderboard.collect import LeftOut, Submission
from ecgbench.leaderboard.published import published_section
from ecgbench.leaderboard.replay import Replays
from ecgbench.leaderboard.rows import Names, groups
from ecgbench.leaderboard.sections import group_section
from ecgbench.leaderboard.tables import MISSING, code, number, plain, table
from ecgbench.results import DataPart

MARK = "<!-- Made by `ecgbench leaderboard` from the folder results: do not edit. -->"

HOW_TO_READ = (
    "A number stands with its 95 % interval (1,000 resamples of the test patients) for the lowest seed; the spread over "
    "seeds stands in a column of its own. A rank is the 95 % interval of the row's rank when all rows of a table are "
    "scored on the same resampled patients; it and the differences come from the committed scores (float16). Rows marked "
    "*control* know nothing of language, of ECGs, or of this method. Missing is `—`, never 0."
)


def board_page(
    board: str, submissions: Sequence[Submission], left_out: Sequence[LeftOut], results: str, replays: Replays
) -> str:
    """The page of a board; `submissions` are its own, sorted. `results` is the results folder's name for links."""
    found = groups(submissions, replays)
    names = Names([each.result for each in submissions])
    blocks = [MARK, f"# {plain(board)}", *_data(submissions[0].result.data), HOW_TO_READ]
    for group in found:
        blocks += group_section(group, found, names, replays)
    blocks += left_out_section(left_out)
    blocks += published_section(group.card.name for group in found)
    blocks += ["## Inputs", *_replicates(submissions), _inputs(submissions, names, results)]
    return "\n\n".join(blocks) + "\n"


def left_out_section(left_out: Sequence[LeftOut]) -> list[str]:
    """Folders that are on no table, each with the reason."""
    if not left_out:
        return []
    return ["## Left out", "\n".join(f"- {code(each.where)}: {plain(each.reason)}" for each in left_out)]


def _data(data: DataPart) -> list[str]:
    about = (
        f"Data: {plain(data.name)}, version {plain(data.version)}, data hash {code(data.data_hash)}, "
        f"splits hash {code(data.splits_hash[:8])}; "
        f"{'public' if data.public else 'private'}, licence {plain(data.licence or MISSING)}. "
        f"Records of the source that did not enter: {len(data.damaged)} damaged, {len(data.duplicates)} duplicates. "
        f"{data.clipped_records} records were clipped, {data.resampled_records} resampled."
    )
    order = {"train": 0, "validation": 1, "test": 2}
    splits = sorted(data.splits.items(), key=lambda item: (order.get(item[0], 3), item[0]))
    lines = [[plain(name), str(count.records), str(count.patients)] for name, count in splits]
    return [about, table(["Split", "Records", "Patients"], lines)]


def _replicates(submissions: Sequence[Submission]) -> list[str]:
    """Runs of one run_id from several machines, with how far their primary numbers lie apart."""
    of_run: dict[str, list[Submission]] = defaultdict(list)
    for each in submissions:
        of_run[each.result.run_id].append(each)
    lines = []
    for run_id, those in sorted(of_run.items()):
        if len(those) > 1:
            shared = sorted(set.intersection(*(set(each.result.tasks) for each in those)))
            apart = [f"{task} {number(_widest(those, task))}" for task in shared]
            lines.append(f"- {code(run_id)} was run {len(those)} times; largest spread of a metric: {', '.join(apart)}.")
    return ["\n".join(lines)] if lines else []


def _widest(submissions: list[Submission], task: str) -> float:
    """The largest range of any metric of a task over replicates."""
    scores = [each.result.tasks[task].metrics for each in submissions]
    shared = set.intersection(*(set(each) for each in scores))
    return max((max(s[m].value for s in scores) - min(s[m].value for s in scores) for m in shared), default=0.0)


def _inputs(submissions: Sequence[Submission], names: Names, results: str) -> str:
    lines = []
    for each in submissions:
        made = each.result.provenance
        commit = f", commit {made.git_commit[:8]}{' with changes' if made.git_dirty else ''}" if made.git_commit else ""
        link = f"[{plain(each.where)}]({results}/{each.where}/result.json)".replace(" ", "%20")
        system = [names.encoder(each.result), names.text(each.result), names.recipe(each.result), str(each.result.seed)]
        by = f"run here by ecgbench {plain(made.version)}{commit}"
        lines.append([link, code(each.result.run_id), code(each.sha256[:12]), *system, by])
    headers = ["Result", "run_id", "sha256", "Encoder", "Text tower", "Recipe", "Seed", "Origin"]
    return table(headers, lines, text_columns=8)
