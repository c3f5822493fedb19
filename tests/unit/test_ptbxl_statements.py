"""PTB-XL's own label sets against the benchmark's definition, computed apart with pandas, and their label tables."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pandas as pd
import pytest

from ecgbench.cards import DatasetCard, TaskCard
from ecgbench.catalogue import load_card
from ecgbench.ecg.sources import open_source
from ecgbench.ecg.sources.manifest.vocabulary import fold
from ecgbench.ecg.sources.ptbxl_statements import SETS, StatementLabeller, statement_classes
from ecgbench.errors import EcgbenchError
from ecgbench.findings import label_bank

SIZES = {"superclass": 5, "subclass": 23, "diagnostic": 44, "form": 19, "rhythm": 12, "all": 71}
NAMES = sorted(SIZES)
HEADER = ",description,diagnostic,form,rhythm,diagnostic_class,diagnostic_subclass\n"


def classes_of(statements: pd.DataFrame, name: str) -> dict[str, str]:
    """Code -> class, as `compute_label_aggregations` of the benchmark has it: read by pandas, a class of NaN left out."""
    if name == "all":
        return {code: code for code in statements.index}
    column = {"superclass": "diagnostic_class", "subclass": "diagnostic_subclass"}.get(name)
    inside = statements[statements["diagnostic" if column else name] == 1.0]
    named = inside[column] if column else pd.Series(inside.index, inside.index)
    return {str(code): str(value) for code, value in named.items() if str(value) != "nan"}


def rows(path: Path, *lines: str) -> Path:
    path.write_text(HEADER + "".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", NAMES)
def test_every_record_has_the_classes_of_the_benchmark(ptbxl_folder: Path, name: str) -> None:
    classes = classes_of(pd.read_csv(ptbxl_folder / "scp_statements.csv", index_col=0), name)
    table = pd.read_csv(ptbxl_folder / "ptbxl_database.csv", index_col="ecg_id")
    expected = {
        str(record): {classes[code] for code in ast.literal_eval(codes) if code in classes}
        for record, codes in table["scp_codes"].items()
    }
    card, source = open_source(f"ptbxl-{name}:{ptbxl_folder}")
    code_of = label_bank(card.labels).column("code")
    found = {entry.record: {code_of[finding] for finding in entry.findings} for entry in source.entries()}
    assert len(found) == 500 and found == expected


@pytest.mark.parametrize("name", NAMES)
def test_a_label_table_has_exactly_the_codes_of_the_release(ptbxl_folder: Path, name: str) -> None:
    classes = classes_of(pd.read_csv(ptbxl_folder / "scp_statements.csv", index_col=0), name)
    codes = label_bank(f"labels-ptbxl-{name}.csv").column("code")
    assert sorted(codes.values()) == sorted(set(classes.values()))


@pytest.mark.parametrize(("name", "size"), SIZES.items())
def test_a_set_has_the_size_that_the_field_knows(name: str, size: int) -> None:
    assert len(label_bank(f"labels-ptbxl-{name}.csv")) == size


@pytest.mark.parametrize("language", ["ja", "en"])
@pytest.mark.parametrize("name", NAMES)
def test_no_two_labels_of_a_set_have_one_name(name: str, language: str) -> None:
    names = [fold(finding.names[language]) for finding in label_bank(f"labels-ptbxl-{name}.csv").findings]
    assert "" not in names and len(set(names)) == len(names)


@pytest.mark.parametrize("name", ["diagnostic", "form", "rhythm"])
def test_a_statement_is_called_the_same_in_every_set(name: str) -> None:
    everything = {f.columns["code"]: (f.id, f.names) for f in label_bank("labels-ptbxl-all.csv").findings}
    for finding in label_bank(f"labels-ptbxl-{name}.csv").findings:
        assert everything[finding.columns["code"]] == (finding.id, finding.names)


@pytest.mark.parametrize("name", NAMES)
def test_japanese_names_are_written_in_japanese_alone(name: str) -> None:
    """Kanji, kana and the letters that a Japanese reader leaves as they are (ST-T, QRS, WPW); no space, no half width."""
    for finding in label_bank(f"labels-ptbxl-{name}.csv").findings:
        left = re.sub(r"ST-T|QRS|WPW|ST|QT|PR|Q|T|1|2|3", "", finding.names["ja"])
        assert re.fullmatch(r"[\u3040-\u309f\u30a0-\u30ff\u4e00-\u9fff]+", left), finding.names["ja"]


@pytest.mark.parametrize("name", NAMES)
def test_a_set_has_a_task_over_its_own_table(name: str) -> None:
    task, data = load_card(TaskCard, f"ptbxl-{name}"), load_card(DatasetCard, f"ptbxl-{name}")
    assert task.labels == data.labels == f"labels-ptbxl-{name}.csv"
    assert task.kind == "retrieval" and len(label_bank(task.labels)) == SIZES[name]


def test_a_likelihood_of_any_size_counts(ptbxl_folder: Path) -> None:
    """As in the benchmark; the `scp` grammar of the 98 labels, by contrast, asks for 50 or more."""
    bank = label_bank("labels-ptbxl-superclass.csv")
    labeller = StatementLabeller(bank, "code", ptbxl_folder / "scp_statements.csv", "diagnostic_class")
    assert labeller.findings({"IMI": 15.0, "SR": 0.0}) == ("myocardial-infarction",)


def test_findings_stand_in_the_order_of_the_table_and_once(ptbxl_folder: Path) -> None:
    bank = label_bank("labels-ptbxl-superclass.csv")
    labeller = StatementLabeller(bank, "code", ptbxl_folder / "scp_statements.csv", "diagnostic_class")
    assert labeller.findings(["LVH", "IMI", "ASMI", "NORM"]) == ("normal-ecg", "myocardial-infarction", "hypertrophy")


def test_a_statement_without_a_class_is_in_no_class(tmp_path: Path) -> None:
    path = rows(tmp_path / "s.csv", "A,a,1.0,,,MI,IMI", "B,b,1.0,,,,", "C,c,1,,1.0, MI ,AMI", "D,d,,1.0,,MI,IMI")
    assert statement_classes(path, "diagnostic_class") == {"A": "MI", "B": "", "C": "MI", "D": ""}
    assert statement_classes(path, "diagnostic_subclass") == {"A": "IMI", "B": "", "C": "AMI", "D": ""}
    assert statement_classes(path, "diagnostic") == {"A": "A", "B": "B", "C": "C", "D": ""}
    assert statement_classes(path, "form") == {"A": "", "B": "", "C": "", "D": "D"}
    assert statement_classes(path, "rhythm") == {"A": "", "B": "", "C": "C", "D": ""}
    assert statement_classes(path, "all") == {"A": "A", "B": "B", "C": "C", "D": "D"}


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    path = tmp_path / "s.csv"
    path.write_bytes(b"\xef\xbb\xbf" + (HEADER + "A,a,1.0,,,MI,IMI\n").encode())
    assert statement_classes(path, "all") == {"A": "A"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is missing; PTB-XL's official layout has it: fetch it again"),
        (b"", "holds no statement: fetch it again"),
        (HEADER.encode(), "holds no statement: fetch it again"),
        (b",description\nA,a\n", "lacks the column diagnostic and diagnostic_class: fetch it again"),
        (HEADER.encode() + b"A,\xff,1.0,,,MI,IMI\n", r"cannot be read as CSV \(UnicodeDecodeError\)"),
        (HEADER.encode() + b'A,"a"b,1.0,,,MI,IMI\n', r"cannot be read as CSV \(Error\)"),
    ],
)
def test_a_broken_table_of_statements_is_said(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "s.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(EcgbenchError, match=message):
        statement_classes(path, "diagnostic_class")


def test_an_unknown_set_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(EcgbenchError, match="'superclass' is not known: write diagnostic_class, diagnostic_subclass"):
        statement_classes(tmp_path / "s.csv", "superclass")
    assert len(SETS) == 6


def test_a_class_that_the_label_table_lacks_is_named(tmp_path: Path) -> None:
    path = rows(tmp_path / "s.csv", "A,a,1.0,,,MI,IMI", "B,b,1.0,,,NEW,IMI")
    with pytest.raises(EcgbenchError, match=r"labels-ptbxl-superclass\.csv has no NEW in its column code"):
        StatementLabeller(label_bank("labels-ptbxl-superclass.csv"), "code", path, "diagnostic_class")


def test_a_code_that_the_release_lacks_is_refused_not_left_out(tmp_path: Path) -> None:
    path = rows(tmp_path / "s.csv", "IMI,a,1.0,,,MI,IMI")
    labeller = StatementLabeller(label_bank("labels-ptbxl-superclass.csv"), "code", path, "diagnostic_class")
    with pytest.raises(ValueError, match=r"scp_codes holds ILMI, which scp_statements\.csv lacks"):
        labeller.findings(["ILMI"])
