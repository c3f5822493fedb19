"""Recipe option `prompt: report`: a record is trained with its free-text report, as it is, in place of a sentence made of
its findings.

No template is put around a report: it is sentences already, in whatever language it was written in. The recipe's language
and prompt set are those of what is asked.
"""

from __future__ import annotations

import numpy as np

from ecgbench.ecg.sources import open_source
from ecgbench.ecg.store import Store
from ecgbench.errors import EcgbenchError
from ecgbench.pipeline.reporting import Reporter
from ecgbench.pipeline.request import Request
from ecgbench.recipe import Recipe
from ecgbench.text.prompts import Prompt
from ecgbench.text.tokens import tokens_of

OTHERWISE = "set prompt to joined, one or mean (--recipe NAME+prompt=mean)"


def reads_reports(recipe: Recipe) -> bool:
    """Whether training reads reports: the `supervised` control reads no text."""
    return recipe.prompt == "report" and recipe.objective == "contrastive"


def has_report(store: Store) -> np.ndarray:
    """bool (n,): which records have a report that is not blank."""
    return np.array([bool(report.strip()) for report in store.records["report"]], bool)


def report_prompts(store: Store, rows: np.ndarray) -> list[Prompt]:
    """The report of each row, character by character as the store keeps it. EcgbenchError where a row has none
    (`has_report`)."""
    reports = store.records["report"].to_numpy()
    lacking = [row for row in rows if not reports[row].strip()]
    if lacking:
        raise EcgbenchError(f"record {store.records['record'].iloc[lacking[0]]} has no report: leave it out.")
    return [Prompt(reports[row], (reports[row],)) for row in rows]


def refuse_long(request: Request, store: Store, rows: np.ndarray) -> None:
    """EcgbenchError, naming the record with the longest, where a report of the rows has more tokens than the text tower
    reads. Told before the tower is run, which embeds the short ones first; a tower that shows no tokens is passed over."""
    card, limit = request.text, request.text.max_tokens
    if limit is None or request.text_pack is not None or not len(rows):
        return
    row_of = dict(zip(report_prompts(store, rows), rows, strict=True))
    tokens = tokens_of(card, list(row_of), request.text_path)
    counts = tokens.counts if tokens else []
    long = [(n, row) for n, row in zip(counts, row_of.values(), strict=bool(tokens)) if n > limit]
    if long:
        most, row = max(long)
        raise EcgbenchError(
            f"text tower {card.name} reads {limit} tokens: too few for {len(long)} of the {len(row_of)} different reports to train "
            f"on, the longest of which, record {store.records['record'].iloc[row]}'s, has {most}. No report is cut: take a tower "
            f"that reads longer texts, build the data without these records, or {OTHERWISE}."
        )


def trainable(recipe: Recipe, store: Store) -> np.ndarray:
    """bool (n,): which records a recipe can train on: those with a finding, or, by their reports, those with a report,
    whether any finding of the label table is known of them or not."""
    labelled = np.array([bool(findings) for findings in store.findings()], bool)
    if not reads_reports(recipe):
        return labelled
    by_findings = recipe.loss == "soft-target" or recipe.sampling == "class-balanced"
    return has_report(store) & (labelled | (not by_findings))


def refuse_unfit(request: Request, store_is_built: bool) -> None:
    """EcgbenchError, before a store is built, for a task that keeps findings out of training, as a report may name any of
    them, and for data whose reports stay out of their store."""
    for task in request.tasks:
        if task.held_out:
            raise EcgbenchError(
                f"task {task.name} keeps findings out of training, and a free-text report may name any of them: {OTHERWISE}."
            )
    card = None if store_is_built else open_source(request.source)[0]
    if card and not card.public:
        raise EcgbenchError(f"{request.source} has no reports to train on: {_private(card.name)}; {OTHERWISE}.")


def _private(name: str) -> str:
    return f"data set {name} is not public, and reports then stay out of its store"


def without_report(store: Store) -> np.ndarray:
    """The training rows that have no report, ascending."""
    rows = store.rows_of("train")
    return rows[~has_report(store)[rows]]


def say_without_report(store: Store, source: str, reporter: Reporter) -> None:
    """Tell how many training records are left out for want of a report; EcgbenchError where that is all of them, with the
    reason where it is known."""
    lacking, training = len(without_report(store)), len(store.rows_of("train"))
    if lacking < training:
        if lacking:
            reporter.say(f"{lacking} of {training} training records have no report and are left out of training.")
        return
    about = store.manifest
    why = "its store keeps none (docs/prompts.md)" if about.public else _private(about.name)
    raise EcgbenchError(f"no training record of {source} has a report: {why}; {OTHERWISE}.")
