"""The paper, decoded: score matrices with its published hits give its printed percentages.

One record for each label instance of Table 9; as many records of a class as the paper has hits find that class
best. What `rescore` makes of the file must be Tables 2 to 7, and for the 98 labels Table 9.
"""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from ecgbench.cards import TaskCard
from ecgbench.catalogue import load_card, shipped_folder
from ecgbench.cli.main import run_command
from ecgbench.cli.rescore import scores_text
from ecgbench.evaluation.scores import Scores
from ecgbench.evaluation.targets import task_targets
from ecgbench.findings import label_bank
from ecgbench.leaderboard.rescore import rescore_scores

ZERO_SHOT_TABLES = ("2", "3", "4", "5", "6", "7")
DENOMINATORS = {"superclass": 4973, "rhythm": 1255, "mitbih": 1608}
BANK = label_bank("labels98.csv")


@cache
def published(number: str) -> list[dict[str, str]]:
    """The rows of one of the paper's tables."""
    path = shipped_folder() / "baselines" / "published" / "published.csv"
    with path.open(encoding="utf-8", newline="") as handle:
        return [row for row in csv.DictReader(handle) if row["table"] == number]


def one_finding_a_record() -> list[tuple[str, ...]]:
    return [(each.id,) for each in BANK.findings for _ in range(int(each.columns["n_test"]))]


def ranked_scores(card: TaskCard, findings: list[tuple[str, ...]], ranks: np.ndarray) -> Scores:
    """Test records of the task, each a patient of its own; record i's first class stands at `ranks[i]` (from 1)."""
    targets = task_targets(card, BANK, "paper", findings)
    labels = targets.counts[targets.belongs]
    n, n_classes = labels.shape
    own = (labels > 0).argmax(axis=1)
    matrix = np.empty(labels.shape, np.float32)
    levels = np.linspace(0.9, -0.9, n_classes, dtype=np.float32)
    for row in range(n):
        # The rivals take turns, so that no class is everybody's second guess.
        rivals = np.roll(np.delete(np.arange(n_classes), own[row]), row)
        matrix[row, np.insert(rivals, ranks[row] - 1, own[row])] = levels
    record = np.array([f"record-{row}" for row in range(n)])
    blank = np.full(n, "")
    return Scores(
        card.name, card.version, record, record, np.full(n, "test"), np.array(targets.class_ids), matrix, labels,
        blank, blank, blank,
    )  # fmt: skip


def zero_shot_scores(number: str, extra: list[tuple[str, ...]] | None = None) -> Scores:
    """A table's hits as a scores file; records `extra` come after it, all of them hits."""
    rows = [row for row in published(number) if row["class"] != "all"]
    card = load_card(TaskCard, rows[0]["task"])
    findings = [*one_finding_a_record(), *(extra or [])]
    targets = task_targets(card, BANK, "paper", findings)
    own = targets.counts[targets.belongs].argmax(axis=1)
    ranks = np.ones(len(own), int)
    hits = {row["class"]: int(row["hits"]) for row in rows}
    n_plain = len(own) - len(extra or [])
    for position, item in enumerate(card.classes):
        members = np.flatnonzero(own[:n_plain] == position)
        ranks[members[hits[item.value] :]] = 2
    return ranked_scores(card, findings, ranks)


def cells(text: str, name: str) -> list[str]:
    """The words of the line of a printed table that begins with `name`."""
    (line,) = [line for line in text.splitlines() if line.split()[:1] == [name]]
    return line.split()


def percent(cell: str) -> str:
    """0.6411 as the paper prints it, 64.11."""
    assert len(cell.partition(".")[2]) == 4
    return f"{int(cell.replace('.', '')) / 100:.2f}"


def test_there_are_36_percentages() -> None:
    assert sum(len(published(number)) for number in ZERO_SHOT_TABLES) == 36
    assert {(row["table"], row["task"], row["text_tower"]) for n in ZERO_SHOT_TABLES for row in published(n)} == {
        ("2", "superclass", "medllama3-jp"), ("3", "rhythm", "medllama3-jp"), ("4", "mitbih", "medllama3-jp"),
        ("5", "superclass", "swallow"), ("6", "rhythm", "swallow"), ("7", "mitbih", "swallow"),
    }  # fmt: skip


@pytest.mark.parametrize("number", ZERO_SHOT_TABLES)
def test_rescore_prints_the_papers_zero_shot_tables(
    number: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = published(number)
    task = rows[0]["task"]
    path = tmp_path / f"{task}.npz"
    zero_shot_scores(number).save(path)
    assert run_command(["rescore", str(path)]) == 0
    text = capsys.readouterr().out
    assert f"{DENOMINATORS[task]} test records of {DENOMINATORS[task]} patients" in text
    assert f"{DENOMINATORS[task]} label instances" in text
    ids = {item.value: item.id for item in load_card(TaskCard, task).classes}
    for row in rows:
        if row["class"] == "all":
            assert percent(cells(text, "accuracy")[1]) == row["printed_percent"]
            continue
        _, n, accuracy, *_ = cells(text, ids[row["class"]])
        assert (n, percent(accuracy)) == (row["n"], row["printed_percent"])
    _, score = rescore_scores(path, replicates=2)
    for row in rows:
        if row["class"] == "all":
            value, n_instances = score.metrics["accuracy"].value, score.n_instances
        else:
            value, n_instances = score.per_class[ids[row["class"]]].accuracy, score.per_class[ids[row["class"]]].n
        assert value is not None and value * n_instances == pytest.approx(int(row["hits"]), abs=1e-6)


def test_two_findings_of_one_class_in_one_record_count_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One more record, found, with two findings that the mapping sends to Conduction Disturbance: two more instances
    and two more hits, though it is one record and one best class."""
    block = [name for name, value in BANK.column("superclass_paper").items() if value == "Conduction Disturbance"][:2]
    path = tmp_path / "superclass.npz"
    zero_shot_scores("2", [tuple(block)]).save(path)
    _, score = rescore_scores(path, replicates=2)
    assert (score.n_records, score.n_instances) == (4973 + 1, 4973 + 2)
    assert score.metrics["accuracy"].value == pytest.approx((3188 + 2) / (4973 + 2), abs=1e-12)
    doubled = score.per_class["conduction-disturbance"]
    assert (doubled.n, doubled.positives) == (1254 + 2, 1254 + 1)
    assert doubled.accuracy == pytest.approx((1118 + 2) / (1254 + 2), abs=1e-12)
    assert run_command(["rescore", str(path)]) == 0
    text = capsys.readouterr().out
    assert "4974 test records of 4974 patients, 4975 label instances" in text
    assert cells(text, "conduction-disturbance")[1:3] == ["1256", "0.8917"]  # 1120 of 1256; one more hit of one: 0.8916


def test_two_findings_of_two_classes_in_one_record_leave_one_of_them_missed(tmp_path: Path) -> None:
    """The other half of counting instances: the best class of a record is one, so the ceiling falls below 1."""
    columns = BANK.column("superclass_paper")
    pair = tuple(
        next(n for n, v in columns.items() if v == value) for value in ("Conduction Disturbance", "Hypertrophy")
    )
    path = tmp_path / "superclass.npz"
    zero_shot_scores("2", [pair]).save(path)
    _, score = rescore_scores(path, replicates=2)
    accuracy = score.metrics["accuracy"]
    assert accuracy.value == pytest.approx((3188 + 1) / (4973 + 2), abs=1e-12)
    assert accuracy.ceiling == pytest.approx((4973 + 1) / (4973 + 2), abs=1e-12)


def test_rescore_gives_table_9(tmp_path: Path) -> None:
    """The totals, and the hits of each of the 98 labels. The top-5 total is what the rows of the table add up to,
    44.85 %: the 44.80 % in print is an error."""
    card = load_card(TaskCard, "retrieval98")
    ranks = np.concatenate(
        [
            np.repeat([1, 4, 50], [top1, top5 - top1, n - top5])
            for n, top1, top5 in (
                [int(each.columns[key]) for key in ("n_test", "top1_hits", "top5_hits")] for each in BANK.findings
            )
        ]
    )
    path = tmp_path / "retrieval98.npz"
    ranked_scores(card, one_finding_a_record(), ranks).save(path)
    scores, score = rescore_scores(path, replicates=2)
    assert (score.n_records, score.n_instances, score.absent) == (7710, 7710, [])
    for each in BANK.findings:
        found = score.per_class[each.id]
        assert found.n == int(each.columns["n_test"]) and found.top1 is not None and found.top5 is not None
        hits = {"top1_hits": found.top1 * found.n, "top5_hits": found.top5 * found.n}
        assert hits == pytest.approx({key: int(each.columns[key]) for key in hits}, abs=1e-6)
    text = scores_text(scores, score, every_class=True)
    printed = {row["task"].partition("-")[2]: row for row in published("9")}
    totals = {"top1": (2769, "35.91"), "top5": (3458, "44.85")}
    for metric, (hits_in_all, share) in totals.items():
        assert (int(printed[metric]["hits"]), int(printed[metric]["n"])) == (hits_in_all, 7710)
        value = score.metrics[metric].value
        assert value is not None and value * score.n_instances == pytest.approx(hits_in_all, abs=1e-6)
        assert percent(cells(text, metric)[1]) == share
    assert (printed["top1"]["printed_percent"], printed["top5"]["printed_percent"]) == ("35.91", "44.80")
    # Abnormal Q Wave: top-5 of 7.04 % is printed, impossible with 51 instances; 4 of 51 is 7.84 %.
    assert [cells(text, "abnormal-q-wave")[i] for i in (1, 6)] == ["51", "0.0784"]
    assert f"retrieval98 version {card.version}: 7710 test records" in text
