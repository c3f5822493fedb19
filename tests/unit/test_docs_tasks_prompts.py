"""docs/tasks.md and docs/prompts.md tell what the cards are."""

from __future__ import annotations

import csv
import re
from collections import Counter
from pathlib import Path
from typing import get_args

import pytest
import yaml

from ecgbench.cards import PromptSet, TaskCard, read_card
from ecgbench.catalogue import all_cards
from ecgbench.findings import label_bank
from ecgbench.recipe import Recipe
from ecgbench.text.prompt_lint import overlaps
from tests.conftest import ROOT

TASKS = (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8")
PROMPTS = (ROOT / "docs" / "prompts.md").read_text(encoding="utf-8")
CARDS, SETS = all_cards(TaskCard)[0], all_cards(PromptSet)[0]


def rows_of(page: str, heading: str) -> list[list[str]]:
    """The cells of the table whose head line begins so, code marks and spaces taken off."""
    lines = page.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(heading))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip().strip("`") for cell in line.strip("|").split("|")])
    return rows


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_the_page_s_table_has_every_task_with_its_kind_its_size_and_its_labels(card: TaskCard) -> None:
    (row,) = [row for row in rows_of(TASKS, "| task | kind |") if row[0] == card.name]
    size = len(card.classes) or len(label_bank(card.labels))
    assert row[1].replace("-", "_") == card.kind and row[3] == card.labels
    assert re.match(rf"{size}\b", row[2])


def test_the_page_tells_how_many_findings_each_mapping_has() -> None:
    bank = label_bank()
    for name, paper, clinical, differ in rows_of(TASKS, "| set | findings with a class"):
        columns = [bank.column(f"{name}_{mapping}") for mapping in ("paper", "clinical")]
        differing = sum(columns[0].get(finding) != columns[1].get(finding) for finding in bank.ids)
        assert (int(paper), int(clinical), int(differ)) == (*map(len, columns), differing)


@pytest.mark.parametrize("card", SETS, ids=lambda card: card.name)
def test_the_page_s_table_has_every_prompt_set(card: PromptSet) -> None:
    (row,) = [row for row in rows_of(PROMPTS, "| set | sentences |") if row[0] == card.name]
    assert row[1].split()[0] == str(len(card.templates["ja"]))
    stated = {"name": "the name", "members": "the findings of the class", "descriptors": "the name and what is seen"}
    assert row[2] == stated[card.states]
    assert row[3] in ("", {"mean": "averaged", "max": "the highest"}[card.combine])


def test_the_page_s_table_has_every_way_to_train_a_record() -> None:
    modes = get_args(Recipe.model_fields["prompt"].annotation)
    assert [row[0] for row in rows_of(PROMPTS, "| `prompt` | a record")] == list(modes)


def test_the_page_quotes_the_descriptors_as_they_are() -> None:
    with (ROOT / "tasks" / "prompts" / "descriptors.csv").open(encoding="utf-8", newline="") as handle:
        rows = {row["id"]: row for row in csv.DictReader(handle)}
    quoted = " ".join(
        line.removeprefix("> ").removeprefix(">") for line in PROMPTS.splitlines() if line.startswith(">")
    )
    fibrillation = rows["atrial-fibrillation"]
    assert f"心房細動：{fibrillation['descriptor_ja']}" in quoted
    assert f"Atrial Fibrillation: {fibrillation['descriptor_en']}" in quoted
    assert f"a row for each of the {len(rows)} ids" in PROMPTS


def test_the_page_s_counts_of_the_lint_are_what_it_says() -> None:
    told = {row[0]: (int(row[1]), int(row[2])) for row in rows_of(PROMPTS, "| task | ja | en |")}
    found = {}
    for card in CARDS:
        languages = Counter(each.language for each in overlaps(card, SETS, label_bank(card.labels)))
        if languages:
            found[card.name] = (languages["ja"], languages["en"])
    assert told == found


def test_the_page_s_card_is_one(tmp_path: Path) -> None:
    block = re.search(r"^    name: short\n(?:    .*\n)+", PROMPTS, re.MULTILINE)
    assert block
    text = "\n".join(line[4:] for line in block[0].splitlines())
    path = tmp_path / "short.yaml"
    path.write_text(text, encoding="utf-8")
    card = read_card(PromptSet, path)
    assert len(card.templates["ja"]) == 2 and yaml.safe_load(text)["name"] == "short"


@pytest.mark.parametrize("page", [TASKS, PROMPTS], ids=["tasks", "prompts"])
def test_a_page_links_to_files_that_are_there(page: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page):
        assert (ROOT / "docs" / target).exists(), target


def test_the_substring_faults_of_the_page_are_those_of_the_card() -> None:
    (card,) = [card for card in CARDS if card.name == "csn38"]
    notes = " ".join(card.notes.split())
    rows = rows_of(TASKS, "| column | marked | true |")
    assert len(rows) == 7
    for column, marked, true in rows:
        name = column.split()[0]
        assert (
            f"{name} {marked} marked and none true" in notes if true == "0" else f"{name} {marked} for {true}" in notes
        )
