"""Numbers from the paper, to stand apart from what was measured here."""

from __future__ import annotations

import csv
from collections.abc import Iterable

from ecgbench.catalogue import shipped_folder
from ecgbench.leaderboard.tables import MISSING, plain, table

PAPER = (
    "Takahashi et al., Application of Contrastive Learning on ECG Data: Evaluating Performance in Japanese "
    "and Classification with Around 100 Labels"
)


ABOUT = "Trained and tested on a hospital's private ECGs: nothing here ranks against it."
HEADERS = ("Task", "Metric", "Encoder", "Text tower", "As printed", "From the counts", "Table")


def published_section(tasks: Iterable[str]) -> list[str]:
    """The paper's rows of the tasks on a board as a block of its own, nothing where it has none."""
    lines = published_lines(tasks)
    title = "## Published, measured elsewhere (not comparable)"
    return [title, f"{PAPER}. {ABOUT}", table(HEADERS, lines, text_columns=4)] if lines else []


def published_lines(tasks: Iterable[str]) -> list[list[str]]:
    """The paper's `all` rows of some tasks, as printed and as hits of label instances; cells by `HEADERS`."""
    wanted = set(tasks)
    path = shipped_folder() / "baselines" / "published" / "published.csv"
    with path.open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    lines = []
    for row in rows:
        task, _, metric = row["task"].partition("-")
        if row["class"] == "all" and task in wanted:
            share = f"{int(row['hits']) / int(row['n']):.3f} ({row['hits']}/{row['n']})" if row["n"] else MISSING
            line = [task, metric or "accuracy", "resnet1d18", plain(row["text_tower"])]
            lines.append([*line, f"{row['printed_percent']} %", share, row["table"]])
    return sorted(lines)
