"""The paper's printed numbers as data: each percentage is its hits over its instances, and every exception is listed."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from ecgbench.catalogue import shipped_folder, table_path
from tests.conftest import ROOT

FOLDER = shipped_folder() / "baselines" / "published"
PAPER = ROOT.parent / "shared" / "paper"


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


TABLES = rows_of(FOLDER / "published.csv")
TABLE_1 = rows_of(FOLDER / "table1.csv")
TABLE_9 = rows_of(FOLDER / "table9.csv")
MISPRINTS = {(row["row"], row["column"]): row for row in rows_of(FOLDER / "misprints.csv")}
LABELS = rows_of(table_path("labels98.csv"))


@pytest.fixture(scope="module")
def paper() -> Path:
    if not PAPER.is_dir():
        pytest.skip(f"the paper's text is absent: {PAPER} is not there")
    return PAPER


def share(hits: str, n: str) -> str:
    """The percentage to two decimals, half up, in integers: no binary fraction decides a tie."""
    hundredths, rest = divmod(10000 * int(hits), int(n))
    hundredths += 2 * rest >= int(n)
    return f"{hundredths // 100}.{hundredths % 100:02d}"


def test_the_36_percentages_of_tables_2_to_7_are_their_hits_over_their_instances() -> None:
    zero_shot = [row for row in TABLES if row["table"] in "234567"]
    assert len(zero_shot) == 36
    assert [row for row in zero_shot if share(row["hits"], row["n"]) != row["printed_percent"]] == []


@pytest.mark.parametrize("table", "234567")
def test_the_classes_of_a_table_add_up_to_its_total(table: str) -> None:
    (total,) = [row for row in TABLES if row["table"] == table and row["class"] == "all"]
    classes = [row for row in TABLES if row["table"] == table and row["class"] != "all"]
    assert len(classes) == 5
    for column in ("hits", "n"):
        assert sum(int(row[column]) for row in classes) == int(total[column])


def test_table_9_differs_from_its_hits_over_its_instances_only_where_a_misprint_is_listed() -> None:
    found = {}
    for row in TABLE_9:
        found[row["label"], "n"] = (row["printed_n"], row["n"])
        for column in ("top1", "top5"):
            found[row["label"], column] = (row[f"printed_{column}_percent"], share(row[f"{column}_hits"], row["n"]))
    differing = {place: pair for place, pair in found.items() if pair[0] != pair[1]}
    assert differing == {place: (row["printed"], row["follows"]) for place, row in MISPRINTS.items()}
    assert len(differing) == 4 and {row["table"] for row in MISPRINTS.values()} == {"9"}


def test_no_count_of_hits_gives_the_misprinted_share_of_abnormal_q_wave() -> None:
    printed = MISPRINTS["Abnormal Q Wave", "top5"]["printed"]
    assert printed not in {share(str(hits), "51") for hits in range(52)}


def test_couplets_need_three_instances_for_the_share_in_print() -> None:
    assert "66.67" not in {share(str(hits), "2") for hits in range(3)}
    assert "66.67" in {share(str(hits), "3") for hits in range(4)}


def test_the_98_rows_of_table_9_add_up_to_its_first() -> None:
    total, *labels = TABLE_9
    assert total["label"] == "all labels" and len(labels) == 98
    for column in ("n", "top1_hits", "top5_hits"):
        assert sum(int(row[column]) for row in labels) == int(total[column])
    totals = {row["task"].partition("-")[2]: row for row in TABLES if row["table"] == "9"}
    for column in ("top1", "top5"):
        assert (totals[column]["hits"], totals[column]["n"]) == (total[f"{column}_hits"], total["n"])
        assert totals[column]["printed_percent"] == total[f"printed_{column}_percent"]


def test_table_9_and_the_label_table_tell_the_same() -> None:
    told = [(row["label"], row["n"], row["top1_hits"], row["top5_hits"]) for row in TABLE_9[1:]]
    assert told == [(row["label_en"], row["n_test"], row["top1_hits"], row["top5_hits"]) for row in LABELS]


def test_table_1_is_the_five_best_of_table_9_with_ten_instances() -> None:
    many = [row for row in TABLE_9[1:] if int(row["n"]) >= 10]
    best = sorted(many, key=lambda row: float(row["printed_top1_percent"]), reverse=True)[:5]
    assert [{key: row[key] for key in TABLE_1[0]} for row in best] == TABLE_1


def test_the_page_names_every_misprint() -> None:
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    errors = page.partition("## Known errors in print")[2]
    assert errors.count("\n- ") == len(MISPRINTS)
    for (row, _), misprint in MISPRINTS.items():
        assert row in errors and misprint["follows"] in errors and misprint["printed"] in errors


# --- against the paper itself -----------------------------------------------------------------------------------------


def test_the_rows_of_tables_2_to_7_are_the_decoded_ones(paper: Path) -> None:
    assert rows_of(paper / "published.csv") == TABLES


def test_the_label_table_is_the_decoded_one_with_reasons_beside_it(paper: Path) -> None:
    kept = [{key: cell for key, cell in row.items() if not key.endswith("_why")} for row in LABELS]
    assert kept == rows_of(paper / "labels98.csv")


def printed_rows(paper: Path, begin: str, end: str) -> list[tuple[str, ...]]:
    """The rows between two headings of the paper's text that end in percentages."""
    text = (paper / "paper.txt").read_text(encoding="utf-8")
    part = text[text.index(begin) : text.index(end) if end else None]
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line[:1] == "|"]
    return [tuple(cell.rstrip("%") for cell in cells) for cells in lines if cells[-1].endswith("%")]


def test_table_1_is_as_printed(paper: Path) -> None:
    printed = printed_rows(paper, "Table 1: Results", "Table 2 Superclass")
    assert printed == [(row["label"], row["printed_top1_percent"], row["printed_top5_percent"]) for row in TABLE_1]


def test_table_9_is_as_printed(paper: Path) -> None:
    printed = printed_rows(paper, "Table 9 Top-1 and Top-5 Accuracy", "")
    told = [
        (row["label"] + (f" ({row['printed_n']})" if row["printed_n"] else ""), row["printed_top1_percent"],
         row["printed_top5_percent"])
        for row in TABLE_9
    ]  # fmt: skip
    assert printed == told


@pytest.mark.parametrize(
    ("table", "begin", "end"),
    [("2", "Table 2 Superclass", "Table 3 Rhythm"), ("3", "Table 3 Rhythm", "Table 4 MIT-BIH"),
     ("4", "Table 4 MIT-BIH", "4 Conclusion"), ("5", "Table 5 Normal", "Table 6 Normal"),
     ("6", "Table 6 Normal", "Table 7 Normal"), ("7", "Table 7 Normal", "5 Acknowledgements")],
)  # fmt: skip
def test_a_zero_shot_table_is_as_printed(paper: Path, table: str, begin: str, end: str) -> None:
    """The paper spells myocardial in two wrong ways."""
    printed = {
        (re.sub("^Mycard(inal|ial)", "Myocardial", name), share) for name, share in printed_rows(paper, begin, end)
    }
    assert printed == {(row["class"], row["printed_percent"]) for row in TABLES if row["table"] == table}
