"""One group of comparable results as a section of a page."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup, escape

from ecgbench.evaluation.scoring import FEW
from ecgbench.files import hash_of
from ecgbench.leaderboard.controls import controls_of
from ecgbench.leaderboard.html.figures import (
    Chosen,
    ClassPlot,
    ConfusionLine,
    RankPlot,
    choices,
    class_plot,
    confusion_lines,
    count_text,
    rank_plot,
)
from ecgbench.leaderboard.html.systems import System, system_of
from ecgbench.leaderboard.html.tables import Table, ablation_tables, class_tables, difference_table, ranking_table
from ecgbench.leaderboard.html.words import said, sentence, translated, unmarked
from ecgbench.leaderboard.replay import Replays
from ecgbench.leaderboard.rows import CONTROL, Group, Names, seed_text
from ecgbench.leaderboard.sections import best_row, notes
from ecgbench.leaderboard.summary import summary_line
from ecgbench.leaderboard.tables import FEW_MARK, MISSING
from ecgbench.pages.words import metric_title


@dataclass(frozen=True)
class Overview:
    """A group as a line of a list: what was asked, and the best system that is no control, where there is one."""

    anchor: str
    task: str
    asked: Markup
    primary: Markup
    best: System | None
    value: str
    rank: str
    seeds: str
    control: str
    difference: str
    verdict: Markup | str
    n_results: int


@dataclass(frozen=True)
class Section:
    """What the template shows of a group. `data` is what its script needs to show another system."""

    overview: Overview
    summary: Markup
    facts: tuple[Markup, ...]
    hashes: tuple[tuple[Markup, str], ...]
    shown: System
    shown_seed: str
    ranking: Table
    notes: tuple[Markup, ...]
    rank_plot: RankPlot | None
    class_plot: ClassPlot
    confusion: list[ConfusionLine]
    choices: list[Chosen]
    data: list[dict[str, object]]
    class_tables: list[Table]
    ablation: list[Table]
    differences: Table | None


def overview(group: Group, among: list[Group]) -> Overview:
    """`among`: all groups of the board, from which the title tells this one apart."""
    best = best_row(group.rows)
    value, rank, seeds, control, difference, verdict = summary_line(group, among)[3:]
    return Overview(
        anchor=f"{group.task}-{hash_of(group.identity.model_dump(mode='json'))[:8]}",
        task=group.task,
        asked=asked(group, among),
        primary=metric_title(group.card.primary),
        best=None if best.control else system_of(best),
        value=value,
        rank=rank,
        seeds=seeds,
        control=unmarked(control.replace(f" · {CONTROL}", "")),
        difference=difference,
        verdict="" if best.control or not verdict else said(verdict),
        n_results=len(group.submissions),
    )


def section_of(group: Group, among: list[Group], names: Names, replays: Replays, results: str) -> Section:
    """Everything that a page says of a group."""
    best = best_row(group.rows)
    score = best.entries[0].score
    chosen = choices(group, best)
    identity = group.identity
    return Section(
        overview=overview(group, among),
        summary=translated(group.card.summary),
        facts=_facts(group),
        hashes=(
            (said("task version"), str(identity.version)),
            (said("card"), identity.card[:8]),
            (said("labels"), identity.labels[:8]),
            (said("prompts"), identity.prompts[:8]),
        ),
        shown=system_of(best),
        shown_seed=seed_text(best.entries[0].submission.result),
        ranking=ranking_table(group, results),
        notes=_notes(group),
        rank_plot=rank_plot(group),
        class_plot=class_plot(group, best),
        confusion=confusion_lines(group, score),
        choices=chosen,
        data=[{"cells": each.cells, "confusion": _counts(each.confusion)} for each in chosen],
        class_tables=class_tables(group, score) if group.card.mappings else [],
        ablation=ablation_tables(group),
        differences=difference_table(group, names, replays),
    )


def asked(group: Group, among: list[Group]) -> Markup:
    """How the task was asked; hashes where that does not tell a group from another of its task."""
    alike = [each for each in among if each.task == group.task and _asked(each) == _asked(group)]
    if len(alike) == 1:
        return _asked(group)
    identity = group.identity
    apart = ", ".join(f"{name} {getattr(identity, name)[:8]}" for name in ("prompts", "labels", "card"))
    return Markup("{} ({})").format(_asked(group), apart)


def _asked(group: Group) -> Markup:
    parts = []
    if group.card.kind != "linear_probe":
        parts.append(said({"ja": "Japanese prompts", "en": "English prompts"}[group.identity.language]))
        own = group.submissions[0].result.settings.get("class_prompts")
        parts += [] if own in (None, group.card.prompt_set) else [said("prompt set {name}", name=own)]
    if group.card.mappings:
        parts.append(said({"paper": "paper mapping", "clinical": "clinical mapping"}[group.identity.mapping]))
    return Markup(" · ").join(parts)


def _facts(group: Group) -> tuple[Markup, ...]:
    score = best_row(group.rows).entries[0].score
    return (
        said(
            "Test set: {records} records of {patients} patients with {instances} label instances.",
            records=score.n_records,
            patients=score.n_patients,
            instances=score.n_instances,
        ),
        said("{n} records have no label of this task.", n=score.n_excluded),
        said(
            "Classes: {present} present, {absent} absent, {few} with fewer than {limit} positive records ({mark}).",
            present=score.n_present,
            absent=len(score.absent),
            few=len(score.few),
            limit=FEW,
            mark=FEW_MARK,
        ),
    )


def _notes(group: Group) -> tuple[Markup, ...]:
    """What marks mean, why rows have no rank, and which controls stand here."""
    found = controls_of(group)
    there, lacking = (
        [name.replace("`", "") for name in found if bool(found[name]) == wanted] for wanted in (True, False)
    )
    told = [*map(sentence, notes(group)), said("Controls here: {names}.", names=_listed(there))]
    return (*told, *([said("Controls not run here: {names}.", names=_listed(lacking))] if lacking else []))


def _listed(names: list[str]) -> Markup:
    return Markup(", ").join(map(translated, names)) or escape(MISSING)


def _counts(confusion: list[list[float]] | None) -> list[list[str]] | None:
    return None if confusion is None else [[count_text(each) for each in row] for row in confusion]
