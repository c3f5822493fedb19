"""Columns and cells of a hospital's table: what each may say, and one sentence for what it may not."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecgbench.csv_table import read_table
from ecgbench.ecg.formats.layout import PlainLayout
from ecgbench.ecg.recording import LEADS
from ecgbench.ecg.sources.manifest import cells
from ecgbench.ecg.sources.manifest.columns import find_columns
from ecgbench.errors import EcgbenchError


def columns_of(folder: Path, header: str, encoding: str = "cp932") -> dict[str, int]:
    path = folder / "list.csv"
    path.write_bytes(f"{header}\r\nx{',' * header.count(',')}\r\n".encode(encoding))
    return find_columns(read_table(path))


@pytest.mark.parametrize(
    ("header", "meaning"),
    (
        ("ファイル", "path"), ("ﾌｧｲﾙ", "path"), ("ファイル名", "path"), ("パス", "path"), ("File", "path"), ("PATH", "path"),
        ("file name", "path"), ("患者ID", "patient"), ("患者ＩＤ", "patient"), ("患者 id", "patient"), ("患者番号", "patient"),
        ("Patient_ID", "patient"), ("所見", "findings"), ("心電図所見", "findings"), ("所　見", "findings"),
        ("Findings", "findings"), ("年齢", "age"), ("年齢（歳）", "age"), ("Age", "age"), ("性別", "sex"), ("SEX", "sex"),
        ("gender", "sex"), ("施設", "site"), ("病院名", "site"), ("site", "site"), ("分割", "split"), ("Split", "split"),
        ("レポート", "report"), ("報告書", "report"), ("report", "report"), ("記録ID", "record"), ("record id", "record"),
        ("サンプリング周波数", "rate"), ("サンプリング周波数（Hz）", "rate"), ("単位", "unit"), ("誘導", "leads"),
    ),
)  # fmt: skip
def test_a_column_is_known_by_its_name(tmp_path: Path, header: str, meaning: str) -> None:
    needed = {"path": "file", "patient": "patient", "findings": "findings"}
    others = [name for key, name in needed.items() if key != meaning]
    assert columns_of(tmp_path, ",".join([*others, header]), "utf-8")[meaning] == len(others)


def test_a_header_with_line_breaks_and_empty_columns(tmp_path: Path) -> None:
    found = columns_of(tmp_path, '"ファイル\n",氏名,"患者\nID",,所見,,')
    assert found == {"path": 0, "patient": 2, "findings": 4}


def test_a_mark_within_the_header_is_no_part_of_a_name(tmp_path: Path) -> None:
    """A file that was given a byte-order mark twice."""
    assert columns_of(tmp_path, "\ufeffファイル,患者ID,所見", "utf-8-sig")["path"] == 0


def test_names_birth_dates_and_what_else_there_is_are_not_read(tmp_path: Path) -> None:
    found = columns_of(tmp_path, "氏名,ファイル,生年月日,患者ID,備考,所見,備考,患者名,カナ氏名")
    assert found == {"path": 1, "patient": 3, "findings": 5}


@pytest.mark.parametrize("second", ("所見", "心電図所見", "labels", "ラベル"))
def test_two_columns_of_one_meaning(tmp_path: Path, second: str) -> None:
    with pytest.raises(EcgbenchError) as raised:
        columns_of(tmp_path, f"ファイル,患者ID,所見,{second}")
    assert f"row 1: the columns '所見' and '{second}' both mean findings: rename one of them." in str(raised.value)


@pytest.mark.parametrize(
    ("header", "told"),
    (
        ("患者ID,所見", "no column for path: it has 患者ID, 所見; name one ファイル or ファイル名 or file"),
        ("ファイル,所見", "no column for patient: it has ファイル, 所見; name one 患者ID or 患者番号 or patient"),
        ("file,patient", "no column for findings: it has file, patient; name one 所見 or 心電図所見 or findings"),
        ("file;patient;findings", "it has file;patient;findings"),
        (",".join(f"列{n}" for n in range(20)), "列11 and more; name one"),
    ),
)
def test_a_missing_column(tmp_path: Path, header: str, told: str) -> None:
    with pytest.raises(EcgbenchError) as raised:
        columns_of(tmp_path, header)
    assert told in str(raised.value)


def test_rows_above_the_header(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("心電図一覧\n\nファイル,患者ID,所見\na,1,頻脈\n", encoding="cp932")
    with pytest.raises(EcgbenchError, match="row 3: it has 3 cells, the header has 1: row 1 must name every column"):
        read_table(path)


@pytest.mark.parametrize(
    ("cell", "value"),
    (
        ("00040007", "00040007"), ("００４０", "0040"), (" A-1 ", "A-1"), ("患者７", "患者7"), ('="00123"', "00123"),
        ("1E5", "1E5"), ("E+11", "E+11"), ("2024/01/02-3", "2024/01/02-3"), ("3号", "3号"), ("0", "0"), ("#12", "#12"),
    ),
)  # fmt: skip
def test_ids(cell: str, value: str) -> None:
    assert cells.an_id(cell) == value


@pytest.mark.parametrize("cell", ("1.2E+11", "1.2E+5", "1e+05", "１．２Ｅ＋１１", "1,2E+11", '="1.2E+11"', "4.00E-02"))
def test_an_id_that_excel_has_shortened(cell: str) -> None:
    with pytest.raises(ValueError, match="format the column as text in Excel"):
        cells.an_id(cell)


@pytest.mark.parametrize("cell", ("1月2日", "１２月３１日"))
def test_an_id_that_excel_has_made_a_date(cell: str) -> None:
    with pytest.raises(ValueError, match="a date that Excel has made of it; format the column as text in Excel"):
        cells.an_id(cell)


@pytest.mark.parametrize("cell", ("#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "####", "＃Ｎ／Ａ"))
def test_marks_of_a_fault_are_no_id_and_no_site(cell: str) -> None:
    with pytest.raises(ValueError, match="Excel's mark of a fault; put the id in again"):
        cells.an_id(cell)
    with pytest.raises(ValueError, match="Excel's mark of a fault; put the site in again"):
        cells.a_site(cell)


@pytest.mark.parametrize("cell", ("", "　", '=""'))
def test_an_empty_id(cell: str) -> None:
    with pytest.raises(ValueError, match="it is empty; every row needs one"):
        cells.an_id(cell)


@given(st.text())
def test_the_form_of_an_id_is_its_own_form(text: str) -> None:
    try:
        once = cells.an_id(text)
    except ValueError:
        return
    assert once == once.strip() and cells.an_id(once) == once


@pytest.mark.parametrize(
    ("cell", "years"),
    (
        ("65", 65.0), ("６５", 65.0), ("65歳", 65.0), (" 65 才", 65.0), ("0.5", 0.5), ("65.0", 65.0), ("89", 89.0),
        ("89.5", 90.0), ("97", 90.0), ("120", 90.0), ("0", 0.0), ("", None), ("不明", None), ("7y", 7.0),
    ),
)  # fmt: skip
def test_ages(cell: str, years: float | None) -> None:
    assert cells.an_age(cell) == years


@pytest.mark.parametrize("cell", ("300", "121", "-5", "六十", "65x", "NaN", "inf", "#N/A", "90歳以上"))
def test_what_is_no_age(cell: str) -> None:
    with pytest.raises(ValueError, match=r"valid are years from 0 to 120, as 65, 65歳 or 0\.5"):
        cells.an_age(cell)


@pytest.mark.parametrize(
    "cell",
    (
        "1955/3/4",
        "1955-03-04",
        "昭和30年3月4日",
        "S30.3.4",
        "19550304",
        "4-Mar-55",
        "3月4日",
        "20152",
        "1900/3/5",
        "2.1.3",
    ),
)
def test_a_date_of_birth_in_the_column_of_ages_is_not_said_again(cell: str) -> None:
    with pytest.raises(ValueError) as raised:
        cells.an_age(cell)
    assert "reads like a date" in str(raised.value) and cell not in str(raised.value)


@pytest.mark.parametrize(
    ("cell", "sex"),
    (
        ("男", "male"), ("男性", "male"), ("Ｍ", "male"), ("Male", "male"), ("女", "female"), (" 女 性", "female"),
        ("f", "female"), ("FEMALE", "female"), ("", None), ("不明", None), ("その他", None), ("unknown", None),
    ),
)  # fmt: skip
def test_sexes(cell: str, sex: str | None) -> None:
    assert cells.a_sex(cell) == sex


@pytest.mark.parametrize("cell", ("1", "2", "男児", "x"))
def test_what_is_no_sex(cell: str) -> None:
    with pytest.raises(ValueError, match=f"it is '{cell}'; valid are 男, 女, 男性, 女性, M, F"):
        cells.a_sex(cell)


@pytest.mark.parametrize(
    ("cell", "split"),
    (
        ("train", "train"), ("学習", "train"), ("訓練", "train"), ("Val", "validation"), ("検証", "validation"),
        ("ｔｅｓｔ", "test"), ("ﾃｽﾄ", "test"), ("評価", "test"), ("", ""),
    ),
)  # fmt: skip
def test_splits(cell: str, split: str) -> None:
    assert cells.a_split(cell) == split


def test_what_is_no_split() -> None:
    with pytest.raises(ValueError, match="it is '3'; valid are train, validation, test, 学習, 検証, テスト"):
        cells.a_split("3")


@pytest.mark.parametrize(
    ("cell", "site"),
    (("第一病院", "第一病院"), ("Ａ 病院 ", "A 病院"), ("A\n病院", "A 病院"), ("", None), ("　", None)),
)
def test_sites(cell: str, site: str | None) -> None:
    assert cells.a_site(cell) == site


@pytest.mark.parametrize(("cell", "rate"), (("500", 500.0), ("５００Ｈｚ", 500.0), ("250.5 Hz", 250.5), ("", None)))
def test_rates(cell: str, rate: float | None) -> None:
    assert cells.a_rate(cell) == rate


@pytest.mark.parametrize("cell", ("0", "1,000", "1kHz", "-500", "Hz x", "0.0"))
def test_what_is_no_rate(cell: str) -> None:
    with pytest.raises(ValueError, match="valid is a number of samples per second, as 500"):
        cells.a_rate(cell)


@pytest.mark.parametrize(
    ("cell", "unit"), (("mV", "mV"), ("ｍＶ", "mV"), ("μV", "uV"), ("µV", "uV"), ("uv", "uV"), ("V", "V"), ("", None))
)
def test_units(cell: str, unit: str | None) -> None:
    assert cells.a_unit(cell) == unit


def test_what_is_no_unit() -> None:
    with pytest.raises(ValueError, match="it is 'mm'; valid are mV, uV, V"):
        cells.a_unit("mm")


@pytest.mark.parametrize("mark", (",", ";", "、", "|", " ", "，", "\n", "　"))
def test_lead_orders(mark: str) -> None:
    assert cells.a_lead_order(mark.join(LEADS)) == LEADS
    assert cells.a_lead_order(mark.join(("Ⅱ", "avr", "Ｖ１", "I誘導"))) == ("II", "aVR", "V1", "I")
    assert cells.a_lead_order("") == ()


def test_what_is_no_lead_order() -> None:
    with pytest.raises(ValueError, match="it names 'V7'; valid are I, II, III"):
        cells.a_lead_order("I,V7")
    with pytest.raises(ValueError, match="it names II twice"):
        cells.a_lead_order("II,I,Ⅱ")


def test_a_layout_is_filled_up_from_the_options() -> None:
    default = PlainLayout(250.0, "uV", ("I", "II"))
    assert cells.a_layout(None, None, (), default) is default
    assert cells.a_layout(None, None, (), None) is None
    assert cells.a_layout(500.0, None, (), default) == PlainLayout(500.0, "uV", ("I", "II"))
    assert cells.a_layout(500.0, "mV", ("V1",), default) == PlainLayout(500.0, "mV", ("V1",))
    assert cells.a_layout(500.0, "mV", (), None) == PlainLayout(500.0, "mV", ())
    with pytest.raises(ValueError, match="and no rate; give rate and unit, or neither"):
        cells.a_layout(None, "mV", (), None)
    with pytest.raises(ValueError, match="and no unit"):
        cells.a_layout(500.0, None, LEADS, None)
