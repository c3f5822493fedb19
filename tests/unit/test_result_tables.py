"""A result in a terminal: parts, probes and groups, counted again by hand."""

from __future__ import annotations

import statistics
from dataclasses import replace

import pytest
from wcwidth import wcswidth

from ecgbench.cards import TaskCard
from ecgbench.catalogue import load_card
from ecgbench.cli.result_tables import MOST_GROUPS, group_table, part_table, probe_table
from ecgbench.evaluation.scoring import score_task
from ecgbench.results import Result, TaskScore
from tests.unit.test_breakdown import UNSEEN, known
from tests.unit.test_scoring import random_scores

PROBE = load_card(TaskCard, "linear-probe")


def scored(card: TaskCard, seed: int = 0) -> TaskScore:
    scores = (
        known(card)
        if not seed
        else replace(
            random_scores(load_card(TaskCard, "retrieval98"), seed=seed), task="linear-probe-100pct", task_version=1
        )
    )
    return TaskScore.model_validate(score_task(scores, card, replicates=20))


def result_of(tasks: dict[str, TaskScore]) -> Result:
    """A result of which only the tasks are looked at."""
    return Result.model_construct(tasks=tasks, references=None)


def test_parts_stand_beside_each_other() -> None:
    score = scored(UNSEEN)
    assert score.parts is not None
    text = part_table(score.parts)
    lines = text.splitlines()
    assert f"seen (n={score.parts['seen'].n_instances})" in lines[0]
    row = next(line.split() for line in lines if line.startswith("top5"))
    assert row[1] == f"{score.parts['seen'].metrics['top5'].value:.3f}"
    assert f"{score.parts['unseen'].metrics['top5'].value:.3f}" in row


def test_draws_of_a_probe_are_a_mean_and_a_deviation() -> None:
    draws = {f"linear-probe-10pct-seed{seed}": scored(PROBE, seed + 1) for seed in range(3)}
    whole = scored(PROBE, 7)
    text = probe_table("linear-probe", result_of({**draws, "linear-probe-100pct": whole}))
    values = [score.metrics["macro_auroc"].value or 0.0 for score in draws.values()]
    row = next(line for line in text.splitlines() if line.startswith("macro_auroc"))
    assert f"{statistics.fmean(values):.3f} ± {statistics.stdev(values):.3f}" in row
    assert f"{whole.metrics['macro_auroc'].value:.3f}" in row and row.count("±") == 1
    assert text.splitlines()[2].split()[:3] == ["metric", "10", "%"]


def test_groups_are_straight_with_japanese_names() -> None:
    score = scored(load_card(TaskCard, "superclass"))
    text = group_table(result_of({"superclass": score}))
    rows = text.splitlines()[2:]
    assert len({wcswidth(row.rstrip()) for row in rows if row.strip()} - {0}) <= 2
    row = next(line for line in rows if "第一病院" in line)
    piece = score.groups["site"]["第一病院"]
    assert str(piece.n_records) in row.split() and f"{piece.metrics['accuracy'].value:.3f}" in row


def test_many_sites_are_cut_and_counted() -> None:
    score = scored(load_card(TaskCard, "superclass"))
    piece = score.groups["site"]["second"]
    many = score.model_copy(update={"groups": {"site": {f"s{place:02d}": piece for place in range(40)}}})
    assert f"… and {40 - MOST_GROUPS} more in result.json" in group_table(result_of({"superclass": many}))
    assert group_table(result_of({"superclass": score.model_copy(update={"groups": {}})})) == ""


@pytest.mark.parametrize("name", ["linear-probe-1pct-seed2", "linear-probe-100pct", "linear-probe-0.5pct-seed0"])
def test_names_of_probes_are_known(name: str) -> None:
    from ecgbench.cli.result_tables import PROBE as PATTERN

    found = PATTERN.fullmatch(name)
    assert found and found["task"] == "linear-probe"
