"""The folder of boards: made, written, checked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path

from ecgbench.errors import EcgbenchError
from ecgbench.files import write_text
from ecgbench.leaderboard.collect import LeftOut, Progress, Submission, collect
from ecgbench.leaderboard.html import HTML_INDEX, board_html, index_html
from ecgbench.leaderboard.page import MARK, board_page, left_out_section
from ecgbench.leaderboard.replay import Replays
from ecgbench.leaderboard.rows import Group, groups
from ecgbench.leaderboard.tables import MISSING, metric_cell, plain, table

INDEX = "README.md"
RESULTS = "results"

OTHERS = b"<!-- Made by `ecgbench sweep`"
"""How a page of a sweep begins, which lies beside the boards of its grid."""


def build_pages(results_dir: Path) -> dict[str, str]:
    """Every page by its path in the boards' folder: the index and a page a board, each as markdown and as HTML. Equal
    results, equal bytes."""
    return _build(results_dir)[0]


def write_pages(leaderboards_dir: Path, progress: Progress | None = None) -> list[Path]:
    """Make the pages of `leaderboards_dir/results`; pages made earlier that have no results any more go."""
    pages, _ = _build(leaderboards_dir / RESULTS, progress)
    for name, text in pages.items():
        write_text(leaderboards_dir / name, text)
    for path in _page_files(leaderboards_dir):
        if path.name not in pages and path.read_text(encoding="utf-8").startswith(MARK):
            path.unlink()
    return [leaderboards_dir / name for name in pages]


def check_pages(leaderboards_dir: Path, progress: Progress | None = None) -> list[str]:
    """What is wrong in a folder of boards, a sentence each: pages that are stale, missing or extra, results
    that do not validate or do not match their scores. Empty when all is well."""
    pages, left_out = _build(leaderboards_dir / RESULTS, progress)
    found = [f"{RESULTS}/{each.where}: {each.reason}" for each in left_out if each.wrong]
    for name, text in pages.items():
        path = leaderboards_dir / name
        if not path.is_file():
            found.append(f"{name} is missing: type `ecgbench leaderboard`.")
        elif path.read_bytes() != text.encode():
            found.append(
                f"{name} is not what the results give, {first_difference(path, text)}: type `ecgbench leaderboard`."
            )
    extra = [path.name for path in _page_files(leaderboards_dir) if path.name not in pages]
    return found + [f"{name} belongs to no results: remove it." for name in extra]


def _page_files(leaderboards_dir: Path) -> list[Path]:
    """Every file that looks like a page, those of other commands left out."""
    found = sorted(path for path in leaderboards_dir.iterdir() if path.suffix in (".md", ".html"))
    return [path for path in found if not path.read_bytes().startswith(OTHERS)]


def first_difference(path: Path, text: str) -> str:
    """Where a page first differs from what it should be: `first in line 12, which says '…' and should say '…'`."""
    given = path.read_bytes().decode("utf-8", errors="replace").split("\n")
    wanted = text.split("\n")
    for number, (one, other) in enumerate(zip_longest(given, wanted), 1):
        if one != other:
            return f"first in line {number}, which {_around(one, other)} and should {_around(other, one, 'say', 'end the page')}"
    return "in its bytes"


def _around(line: str | None, other: str | None, says: str = "says", ends: str = "is not there") -> str:
    """What a line says around the first character in which it differs from the other."""
    if line is None:
        return ends
    at = next(
        (i for i, (a, b) in enumerate(zip(line, other or "", strict=False)) if a != b), min(len(line), len(other or ""))
    )
    start = max(0, at - 20)
    return f"{says} '{'…' if start else ''}{line[start : at + 40]}{'…' if at + 40 < len(line) else ''}'"


def _build(results_dir: Path, progress: Progress | None = None) -> tuple[dict[str, str], list[LeftOut]]:
    replays = Replays()
    submissions, left_out = collect(results_dir, replays, progress)
    of_board: dict[str, list[Submission]] = defaultdict(list)
    for each in submissions:
        of_board[each.board].append(each)
    pages = {}
    for board, those in sorted(of_board.items()):
        _one_hash(board, those)
        out = [each for each in left_out if each.board == board]
        pages[f"{board}.md"] = board_page(board, those, out, results_dir.name, replays)
        pages[f"{board}.html"] = board_html(board, those, out, results_dir.name, replays)
    homeless = [each for each in left_out if each.board not in of_board]
    indexes = {INDEX: _index(of_board, homeless, replays), HTML_INDEX: index_html(of_board, homeless, replays)}
    return {**indexes, **pages}, left_out


def _one_hash(board: str, submissions: Sequence[Submission]) -> None:
    hashes = sorted({each.result.data.data_hash for each in submissions})
    if len(hashes) > 1:
        raise EcgbenchError(
            f"the board '{board}' would hold two data sets ({', '.join(h[:12] for h in hashes)}): "
            "give each hash a name of its own under `boards` in the data set's card."
        )


def _index(of_board: dict[str, list[Submission]], left_out: Sequence[LeftOut], replays: Replays) -> str:
    lines = []
    for board, those in sorted(of_board.items()):
        for group in groups(those, replays):
            best = next((row for row in group.rows if not row.control and row.verified), None)
            shown = [best.label(), metric_cell(best.metric(group.card.primary))] if best else [MISSING, MISSING]
            link = f"[{plain(board)}]({board}.md)"
            lines.append(
                [
                    link,
                    group.task,
                    _asked(group),
                    group.card.primary,
                    *shown,
                    str(len(group.submissions)),
                ]
            )
    about = (
        "One page a data set. A table holds what was measured with the same data, the same task and the "
        "same prompts; it is made only from the result files and scores in `results/`. Best is the highest "
        "primary metric of the systems that are no control."
    )
    headers = ["Board", "Task", "Prompts", "Primary", "Best system", "Value", "Results"]
    blocks = [
        MARK,
        "# Leaderboards",
        about,
        table(headers, lines, text_columns=5) if lines else "No results yet.",
    ]
    return "\n\n".join([*blocks, *left_out_section(left_out)]) + "\n"


def _asked(group: Group) -> str:
    """Language, and the prompt set where it is not the task's own: `ja members`. `—` for a probe, which asks by none."""
    if group.card.kind == "linear_probe":
        return MISSING
    own = group.submissions[0].result.settings.get("class_prompts")
    return group.identity.language + ("" if own in (None, group.card.prompt_set) else f" {plain(own)}")
