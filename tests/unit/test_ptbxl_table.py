"""ptbxl_database.csv in every state a download or an editor leaves it in: one sentence with line and ecg_id."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from ecgbench.cards import DatasetCard
from ecgbench.catalogue import load_card
from ecgbench.ecg.formats.wfdb_file import read_wfdb
from ecgbench.ecg.recording import DamagedRecordError, Entry
from ecgbench.ecg.sources import source_path
from ecgbench.ecg.sources.ptbxl import COLUMNS, DATABASE, PtbXl
from ecgbench.errors import EcgbenchError
from ecgbench.findings import label_bank


def row_of(number: int, **changes: str) -> dict[str, str]:
    return {
        "ecg_id": str(number),
        "patient_id": f"{100 + number}.0",
        "age": "56.0",
        "sex": "1",
        "site": "0.0",
        "report": "sinusrhythmus",
        "scp_codes": "{'NORM': 100.0, 'SR': 0.0}",
        "heart_axis": "",
        "infarction_stadium1": "",
        "infarction_stadium2": "",
        "strat_fold": "3",
        "filename_hr": f"records500/00000/{number:05d}_hr",
        **changes,
    }


def text_of(rows: list[dict[str, str]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def entries_of(folder: Path, table: bytes | str | list[dict[str, str]]) -> list[Entry]:
    data = text_of(table) if isinstance(table, list) else table
    (folder / DATABASE).write_bytes(data.encode() if isinstance(data, str) else data)
    (folder / "records500").mkdir(exist_ok=True)
    card = load_card(DatasetCard, "ptbxl")
    return PtbXl(str(folder), card, label_bank(card.labels)).entries()


def message_of(folder: Path, table: bytes | str | list[dict[str, str]]) -> str:
    with pytest.raises(EcgbenchError) as caught:
        entries_of(folder, table)
    message = str(caught.value)
    assert message.startswith(f"{folder / DATABASE}, line ") and "\n" not in message
    return message.removeprefix(f"{folder / DATABASE}, ")


GOOD = [row_of(1), row_of(2), row_of(3)]


def test_rows_become_entries(tmp_path: Path) -> None:
    rows = [row_of(1, strat_fold="9.0"), row_of(2, strat_fold="10", age="300.0"), row_of(3, age="", sex="", report="")]
    found = entries_of(tmp_path, rows)
    assert [(e.record, e.patient, e.split, e.age) for e in found] == [
        ("1", "101", "validation", 56.0), ("2", "102", "test", 90.0), ("3", "103", "train", None)
    ]  # fmt: skip


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    assert entries_of(tmp_path, b"\xef\xbb\xbf" + text_of(GOOD).encode()) == entries_of(tmp_path, GOOD)


def test_a_download_cut_before_the_last_cell(tmp_path: Path) -> None:
    cut = text_of(GOOD).rpartition(",")[0]
    assert message_of(tmp_path, cut) == (
        "line 4 (ecg_id 3): the row has 11 cells, the header has 12; fetch the file again."
    )


def test_a_cell_too_many(tmp_path: Path) -> None:
    assert "line 3 (ecg_id 2): the row has 13 cells" in message_of(
        tmp_path, text_of(GOOD).replace("_hr\n3", "_hr,x\n3")
    )


def test_a_byte_that_is_not_utf8(tmp_path: Path) -> None:
    table = text_of([row_of(1), row_of(2, report="größe"), row_of(3)]).encode("latin-1")
    assert message_of(tmp_path, table).startswith("line 3 (ecg_id 2): report holds a byte that is not UTF-8")


@pytest.mark.parametrize("torn", ['"sinus"rhythmus', '"sinusrhythmus'])
def test_a_broken_quote(tmp_path: Path, torn: str) -> None:
    plain = [row_of(ecg_id, scp_codes="{}") for ecg_id in (1, 2, 3)]  # no quote that could close the broken one
    head, _, tail = text_of(plain).partition("\n2,")
    message = message_of(tmp_path, f"{head}\n2,{tail.replace('sinusrhythmus', torn, 1)}")
    assert message.startswith("line 3 (ecg_id 2): the quotes of this row are broken")


def test_the_line_is_the_files_own_after_a_report_of_two_lines_and_a_blank_line(tmp_path: Path) -> None:
    table = text_of([row_of(1, report="a\nb"), row_of(2, strat_fold="11")]).replace("\n2,", "\n\n2,")
    assert message_of(tmp_path, table).startswith("line 5 (ecg_id 2): ")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strat_fold": "11"}, "strat_fold is 11; valid are 1 to 10."),
        ({"strat_fold": "3.5"}, "strat_fold is 3.5; valid are 1 to 10."),
        ({"strat_fold": ""}, "strat_fold is ''; valid is a number."),
        ({"strat_fold": "inf"}, "strat_fold is 'inf'; valid is a number."),
        ({"age": "old"}, "age is 'old'; valid is a number."),
        ({"age": "nan"}, "age is 'nan'; valid is a number."),
        ({"patient_id": ""}, "patient_id is ''; valid is a number."),
        ({"patient_id": "7.5"}, "patient_id is 7.5; valid is a whole number."),
        ({"scp_codes": "{'NORM': "}, "scp_codes is \"{'NORM': \"; valid is as {'NORM': 100.0, 'SR': 0.0}."),
        ({"scp_codes": "['NORM']"}, "scp_codes is \"['NORM']\"; valid is as {'NORM': 100.0, 'SR': 0.0}."),
        ({"filename_hr": ""}, "filename_hr is '.'; valid is a path in the folder, as records500/00000/00001_hr."),
        (
            {"filename_hr": "/a/b"},
            "filename_hr is '/a/b'; valid is a path in the folder, as records500/00000/00001_hr.",
        ),
        (
            {"filename_hr": "../b"},
            "filename_hr is '../b'; valid is a path in the folder, as records500/00000/00001_hr.",
        ),
        ({"ecg_id": "1"}, "the same ecg_id stands in line 2 already."),
    ],
)
def test_a_cell_that_cannot_be_understood(tmp_path: Path, changes: dict[str, str], message: str) -> None:
    rows = [row_of(1), row_of(2, **changes)]
    assert message_of(tmp_path, rows) == f"line 3 (ecg_id {rows[1]['ecg_id']}): {message}"


def test_a_record_without_a_number(tmp_path: Path) -> None:
    assert message_of(tmp_path, [row_of(1, ecg_id="")]) == "line 2 (ecg_id empty): every record needs an ecg_id."


def test_a_table_without_its_columns(tmp_path: Path) -> None:
    with pytest.raises(EcgbenchError, match="lacks the column ecg_id, patient_id"):
        entries_of(tmp_path, "")


def test_why_a_record_is_damaged_names_no_folder_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "Jane's  folder"
    folder.mkdir()
    (entry,) = entries_of(folder, [row_of(1)])
    card = load_card(DatasetCard, "ptbxl")
    with pytest.raises(DamagedRecordError) as missing:
        PtbXl(str(folder), card, label_bank(card.labels)).load(entry)
    assert str(missing.value) == "records500/00000/00001_hr.hea or records500/00000/00001_hr.dat is missing"
    (folder / "torn.hea").write_text("torn 1 500 5000\ntorn.dat 16 1000/mV 16 0 0 0 0 I\n", encoding="utf-8")
    monkeypatch.chdir(folder)
    for record in (folder / "torn", Path("torn"), folder / "absent", Path("../Jane's  folder/absent")):
        with pytest.raises(DamagedRecordError) as caught:
            read_wfdb(record)
        reason = str(caught.value)
        assert "Jane" not in reason and str(tmp_path) not in reason and record.name not in reason
        assert "missing" in reason


def test_a_link_to_a_file_that_was_not_fetched_counts_as_missing(tmp_path: Path) -> None:
    entries_of(tmp_path, GOOD)
    (tmp_path / "records500" / "00001_hr.dat").symlink_to("/no/such/file")
    card = load_card(DatasetCard, "ptbxl")
    fingerprint = PtbXl(str(tmp_path), card, label_bank(card.labels)).fingerprint()
    assert [name for name, _, _ in fingerprint] == [DATABASE]


def test_a_home_that_is_nobodys_is_said() -> None:
    assert source_path("~/x") == Path.home() / "x"
    with pytest.raises(EcgbenchError, match="'~nosuchuser/x' begins with the home of no user"):
        source_path("~nosuchuser/x")
