"""A board, and the list of boards, as one self-contained HTML file each."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ecgbench.leaderboard.collect import LeftOut, Submission
from ecgbench.leaderboard.html.section import Overview, overview, section_of
from ecgbench.leaderboard.html.tables import Cell, Column, Line, Table, published_table, result_link
from ecgbench.leaderboard.html.words import (
    attributes,
    marked_attributes,
    metric_attributes,
    said,
    sentence,
    translated,
    unmarked,
)
from ecgbench.leaderboard.page import MARK, data_summary, origin, replicate_lines, sorted_splits, submitted_origin
from ecgbench.leaderboard.published import PAPER
from ecgbench.leaderboard.replay import Replays
from ecgbench.leaderboard.rows import Names, groups, seed_text
from ecgbench.leaderboard.summary import trust
from ecgbench.leaderboard.tables import MISSING
from ecgbench.pages.words import metric_title
from ecgbench.results import Result

HTML_INDEX = "index.html"

_TEMPLATES = Path(__file__).with_name("templates")


def board_html(
    board: str, submissions: Sequence[Submission], left_out: Sequence[LeftOut], results: str, replays: Replays
) -> str:
    """The page of a board; `submissions` are its own, sorted. `results`: the folder's name for links."""
    found = groups(submissions, replays)
    names = Names([each.result for each in submissions])
    sections = [section_of(group, found, names, replays, results) for group in found]
    return _rendered(
        "board.html.jinja",
        title=board,
        data=submissions[0].result.data,
        about=translated(data_summary(submissions[0].result.data)),
        splits=sorted_splits(submissions[0].result.data),
        sections=sections,
        overviews=[each.overview for each in sections],
        trust=[sentence(each) for each in trust(found, submissions, left_out)],
        left_out=left_out,
        published=published_table(found),
        paper=PAPER,
        replicates=[unmarked(line.removeprefix("- ").replace("`", "")) for line in replicate_lines(submissions)],
        inputs=_inputs(submissions, names, results),
    )


def index_html(of_board: Mapping[str, Sequence[Submission]], left_out: Sequence[LeftOut], replays: Replays) -> str:
    """The list of boards with the best system of each task; `left_out` are those that belong to no board."""
    boards: list[tuple[str, list[Overview]]] = []
    for board, those in sorted(of_board.items()):
        found = groups(those, replays)
        boards.append((board, [overview(group, found) for group in found]))
    return _rendered("index.html.jinja", title="ecgbench", boards=boards, left_out=left_out)


def _inputs(submissions: Sequence[Submission], names: Names, results: str) -> Table:
    """Every result file of the board, with what it holds."""
    titles = ("Result", "run_id", "Content", "Encoder", "Text tower", "Recipe", "Seed", "Origin")
    lines = []
    for each in submissions:
        result = each.result
        system = (unmarked(text(result)) for text in (names.encoder, names.text, names.recipe))
        cells: tuple[Cell, ...] = (
            (result_link(each.where, each.where, results),),
            *(result.run_id, each.content[:12], *system, seed_text(result), unmarked(_made(result))),
        )
        lines.append(Line(cells))
    return Table(said("Inputs"), tuple(Column(said(name), "text") for name in titles), tuple(lines))


def _made(result: Result) -> str:
    return submitted_origin(result) if result.submitted else origin(result.provenance)


def _rendered(template: str, **values: object) -> str:
    """Nothing but the page's own style and script may load or run: their hashes stand in its policy."""
    style, script = (Markup((_TEMPLATES / name).read_text("utf-8")) for name in ("page.css", "page.js"))
    policy = (
        f"default-src 'none'; style-src '{_source_hash(style)}'; script-src '{_source_hash(script)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    page = _environment().get_template(template).render(style=style, script=script, policy=policy, **values)
    return f"{MARK}\n{page}\n"


def _source_hash(text: str) -> str:
    """As a content security policy names an inline style or script."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


@lru_cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        t=said,
        translated=translated,
        words=attributes,
        marked_words=marked_attributes,
        metric=metric_title,
        metric_words=metric_attributes,
        missing=MISSING,
    )
    return environment
