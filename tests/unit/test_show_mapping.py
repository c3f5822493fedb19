"""`ecgbench show TASK`: which finding is of which class, and why two mappings differ."""

from __future__ import annotations

import csv
import json
import re
from itertools import pairwise

import pytest
from wcwidth import wcswidth

from ecgbench.catalogue import table_path
from ecgbench.cli.main import run_command
from ecgbench.cli.mapping import wrapped

SETS = ("superclass", "rhythm", "mitbih")
with table_path("labels98.csv").open(encoding="utf-8", newline="") as handle:
    LABELS = list(csv.DictReader(handle))


def shown(name: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert run_command(["show", name]) == 0
    return capsys.readouterr().out


def differing(name: str) -> list[dict[str, str]]:
    return [row for row in LABELS if row[f"{name}_paper"] != row[f"{name}_clinical"]]


@pytest.mark.parametrize(("name", "count"), [("superclass", 11), ("rhythm", 8), ("mitbih", 10)])
def test_every_label_that_differs_has_its_reason_and_no_other(
    name: str, count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown(name, capsys)
    assert len(differing(name)) == count == text.count("\n  why: ")
    flat = " ".join(text.split())
    for row in LABELS:
        why = row[f"{name}_why"]
        assert bool(why) == (row in differing(name))
        assert not why or f"why: {why}" in flat


@pytest.mark.parametrize("name", SETS)
def test_a_reason_is_one_sentence_of_moderate_length(name: str) -> None:
    for row in differing(name):
        why = row[f"{name}_why"]
        assert why.endswith(".") and not re.search(r"\.\s+[A-Z]", why) and 30 < len(why) < 180, why


@pytest.mark.parametrize("name", SETS)
def test_a_reason_stands_below_its_label(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    parts = re.split(r"\n  why: ", shown(name, capsys))
    for part, following in pairwise(parts):
        above = [row for row in differing(name) if row[f"{name}_why"].startswith(following.split("\n")[0].strip()[:40])]
        last = " ".join(line for line in part.splitlines()[-2:])
        assert any(row["label_en"].split()[0] in last and row["label_ja"] in last for row in above)


@pytest.mark.parametrize("name", SETS)
def test_columns_stand_straight_and_lines_are_not_long(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Measured in columns of a terminal, in which a Japanese letter takes two."""
    lines = shown(name, capsys).splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith("finding "))
    starts = [match.start() for match in re.finditer("-+", lines[head + 1])]
    for line in lines[head + 2 :]:
        if line.startswith("  "):
            continue
        columns = [letter for letter in line for _ in range(max(wcswidth(letter), 1))]
        assert all(len(columns) <= start or columns[start - 1] == " " for start in starts[1:]), line
    assert max(wcswidth(line) for line in lines) <= 120


def test_no_class_under_a_mapping_is_a_dash(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = [line for line in shown("superclass", capsys).splitlines() if line.startswith("Prolonged QT Interval")]
    assert line.split() == ["Prolonged", "QT", "Interval", "QT延長", "—", "ST/T", "change"]


def test_the_classes_say_how_many_findings_each_has(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown("mitbih", capsys)
    for item, size in (
        ("premature-ventricular-contraction", ("4", "5")),
        ("left-bundle-branch-block-beat", ("4", "1")),
    ):
        (line,) = [line for line in text.splitlines() if line.startswith(item)]
        assert tuple(line.split()[-2:]) == size


def test_json_has_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["show", "rhythm", "--json"]) == 0
    (card,) = json.loads(capsys.readouterr().out)
    told = {row["finding"]: row for row in card["findings"]}
    assert len(told) == 13 and sum(row["why"] is not None for row in told.values()) == 8
    assert told["atrial-flutter"]["paper"] == "Sinus arrhythmia" and told["atrial-flutter"]["clinical"] is None


def test_a_retrieval_task_lists_its_findings_without_a_mapping(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown("cpsc2018", capsys)
    assert "why:" not in text and len(re.findall(r"^st-segment-", text, re.MULTILINE)) == 2


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("left ventricular hypertrophy", 12, ["left", "ventricular", "hypertrophy"]),
        ("心室期外収縮二段脈", 8, ["心室期外", "収縮二段", "脈"]),
        ("QT延長 あり", 9, ["QT延長", "あり"]),
        ("", 8, [""]),
        ("abcdefgh", 3, ["abc", "def", "gh"]),
    ],
)
def test_text_is_wrapped_by_columns(text: str, width: int, lines: list[str]) -> None:
    assert wrapped(text, width) == lines
