"""Rows of a hospital's table as entries: where their files are, and what must hold between them."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from ecgbench.ecg.formats.layout import PlainLayout
from ecgbench.ecg.recording import LEADS, Entry
from ecgbench.ecg.sources import open_source
from ecgbench.ecg.sources.manifest.checks import origin_of
from ecgbench.ecg.sources.options import SourceOptions
from ecgbench.errors import EcgbenchError

HEADER = "ファイル,患者ID,所見"


def entries(folder: Path, *rows: str, header: str = HEADER, options: SourceOptions | None = None) -> list[Entry]:
    """The entries of a table in `folder`, whose files `a.xml` to `c.xml` are there."""
    for name in ("a.xml", "b.xml", "c.xml"):
        (folder / name).touch()
    path = folder / "list.csv"
    path.write_text("\r\n".join((header, *rows)) + "\r\n", encoding="utf-8", newline="")
    return open_source(f"manifest:{path}", options or SourceOptions())[1].entries()


def refusal(folder: Path, *rows: str, header: str = HEADER) -> str:
    with pytest.raises(EcgbenchError) as raised:
        entries(folder, *rows, header=header)
    told = str(raised.value).replace(str(folder / "list.csv"), "FILE")
    assert "\n" not in told and told.endswith(".")
    return told


def file_of(entry: Entry) -> Path:
    return origin_of(entry).path


def test_a_row_with_every_column(tmp_path: Path) -> None:
    header = "No,ファイル,患者ID,氏名,所見,報告書,分割,年齢,性別,施設,記録ID"
    rows = (
        "1,a.xml,００７,山田 太郎,心房細動；頻脈,様の心電図,検証,65歳,男,第一 病院,R-1",
        "2,b.xml,008,髙橋 花子,,,テスト,,女性,,R-2",
    )
    first, second = entries(tmp_path, *rows, header=header)
    findings = ("atrial-fibrillation", "tachycardia")
    assert first == Entry("R-1", "007", "validation", findings, age=65.0, sex="male", site="第一 病院")
    assert second == Entry("R-2", "008", "test", (), sex="female")
    assert file_of(first) == tmp_path / "a.xml" and origin_of(first).layout is None


def test_what_the_table_does_not_say_is_none(tmp_path: Path) -> None:
    (entry,) = entries(tmp_path, "a.xml,1,normal")
    assert entry == Entry("a.xml", "1", "", ("normal",))


@pytest.mark.parametrize(
    "written",
    (
        "心電図 1/サブ/e.xml",
        "心電図 1\\サブ\\e.xml",
        "心電図 1¥サブ¥e.xml",
        ".\\心電図 1\\..\\心電図 1\\サブ\\e.xml",
        " 心電図 1/サブ/e.xml　",
    ),
)
def test_paths_are_relative_to_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    (tmp_path / "心電図 1" / "サブ").mkdir(parents=True)
    (tmp_path / "心電図 1" / "サブ" / "e.xml").touch()
    monkeypatch.chdir(Path(__file__).parent)
    (entry,) = entries(tmp_path, f"{written},1,normal")
    assert file_of(entry).samefile(tmp_path / "心電図 1" / "サブ" / "e.xml")


def test_whole_paths(tmp_path: Path) -> None:
    elsewhere = tmp_path / "どこか" / "e.xml"
    elsewhere.parent.mkdir()
    elsewhere.touch()
    (tmp_path / "table").mkdir()
    (entry,) = entries(tmp_path / "table", f"{elsewhere},1,normal")
    assert file_of(entry) == elsewhere


def test_a_folder_above_the_table(tmp_path: Path) -> None:
    (tmp_path / "e.xml").touch()
    (tmp_path / "table").mkdir()
    (entry,) = entries(tmp_path / "table", "..\\e.xml,1,normal")
    assert file_of(entry).samefile(tmp_path / "e.xml")


@pytest.mark.parametrize("on_disk", ("NFC", "NFD"))
@pytest.mark.parametrize("in_table", ("NFC", "NFD"))
def test_a_name_that_came_from_a_mac(tmp_path: Path, on_disk: str, in_table: str) -> None:
    name = "ガイドブック/パルス.xml"
    file = tmp_path / unicodedata.normalize(on_disk, name)
    file.parent.mkdir()
    file.touch()
    (entry,) = entries(tmp_path, f"{unicodedata.normalize(in_table, name)},1,normal")
    assert file_of(entry).samefile(file)


def test_a_record_without_its_extension_is_its_header(tmp_path: Path) -> None:
    (tmp_path / "rec.hea").touch()
    (entry,) = entries(tmp_path, "rec,1,normal")
    assert file_of(entry) == tmp_path / "rec.hea"


def test_a_file_that_is_not_there_is_for_the_build_to_tell(tmp_path: Path) -> None:
    _, second = entries(tmp_path, "a.xml,1,normal", "C:\\ECG\\b.xml,2,normal")
    assert file_of(second) == tmp_path / "C:" / "ECG" / "b.xml"


@pytest.mark.parametrize("written", ("名" * 300 + ".xml", "x/" * 3000, "a.xml/b"))
def test_a_path_that_no_system_takes_is_a_file_that_is_not_there(tmp_path: Path, written: str) -> None:
    first, _ = entries(tmp_path, f"{written},1,normal", "a.xml,2,normal")
    assert not file_of(first).name.startswith("a.xml")


def test_not_one_file_is_there(tmp_path: Path) -> None:
    told = refusal(tmp_path, "ecg\\x.xml,1,normal", "y.xml,2,normal")
    assert told == (
        f"FILE: not one of its 2 files is there; that of row 2 is looked for as '{tmp_path}/ecg/x.xml': "
        "write paths as they are seen from the table's own folder, or whole ones."
    )


@pytest.mark.parametrize("same", ("a.xml", "./a.xml", "x\\..\\a.xml", "a.xml "))
def test_one_file_in_two_rows(tmp_path: Path, same: str) -> None:
    (tmp_path / "x").mkdir()
    told = refusal(tmp_path, "a.xml,1,normal", "b.xml,1,normal", f"{same},1,頻脈")
    assert told.startswith("FILE, row 4, column ファイル: the same file stands in row 2 already; write all findings")


def test_one_record_in_two_rows(tmp_path: Path) -> None:
    told = refusal(tmp_path, "a.xml,1,,R1", "b.xml,1,,Ｒ１", header=f"{HEADER},記録ID")
    assert told == "FILE, row 3, column 記録ID: the same record stands in row 2 already; give each its own."


def test_an_id_from_which_excel_has_taken_the_zeros(tmp_path: Path) -> None:
    """It would be two patients, who could stand in two splits. Sites number their patients for themselves."""
    told = refusal(tmp_path, "a.xml,00123,", "b.xml,45,", "c.xml,１２３,")
    assert told.startswith(
        "FILE, row 4, column 患者ID: it is the id of row 2 but for zeros in front, which Excel takes"
    )
    header = f"{HEADER},施設"
    assert len(entries(tmp_path, "a.xml,00123,,一", "b.xml,123,,二", "c.xml,A123,,一", header=header)) == 3


def test_a_patient_in_two_splits(tmp_path: Path) -> None:
    """Ids that differ in the width of their digits alone are one patient."""
    told = refusal(tmp_path, "a.xml,７,,学習", "b.xml,8,,test", "c.xml,7,,test", header=f"{HEADER},分割")
    what = "this patient is in test here and in train in row 2; one patient has one split"
    assert told == f"FILE, row 4, column 分割: {what}."


@pytest.mark.parametrize(
    ("splits", "row"),
    (
        (("train", "", "test"), "row 2 has a split and row 3 has none"),
        (("", "", "test"), "row 4 has a split and row 2 has none"),
    ),
)  # fmt: skip
def test_splits_for_some_rows_only(tmp_path: Path, splits: tuple[str, ...], row: str) -> None:
    rows = [f"{name}.xml,{name},,{split}" for name, split in zip("abc", splits, strict=True)]
    assert f"column 分割: {row}; fill in every row or none." in refusal(tmp_path, *rows, header=f"{HEADER},分割")


def test_a_column_of_splits_that_is_empty_throughout_is_none(tmp_path: Path) -> None:
    assert [e.split for e in entries(tmp_path, "a.xml,1,,", "b.xml,2,,", header=f"{HEADER},分割")] == ["", ""]


@pytest.mark.parametrize(
    ("column", "cell", "told"),
    (
        ("患者ID", "1.2E+11", "it is '1.2E+11', a number that Excel has shortened; format the column as text in Excel"),
        ("患者ID", "", "it is empty; every row needs one"),
        ("ファイル", "", "it is empty; every row needs the file of its recording"),
        ("記録ID", "1.2E+5", "it is '1.2E+5', a number that Excel has shortened; format the column as text in Excel"),
        ("分割", "3", "it is '3'; valid are train"),
        ("年齢", "65x", "it is '65x'; valid are years"),
        ("年齢", "1955/3/4", "it reads like a date; valid are years"),
        ("性別", "?", "it is '?'; valid are 男, 女"),
        ("施設", "#REF!", "it is '#REF!', Excel's mark of a fault"),
        ("サンプリング周波数", "0", "it is '0'; valid is a number of samples per second"),
        ("単位", "mm", "it is 'mm'; valid are mV"),
        ("誘導", "V7", "it names 'V7'; valid are I, II"),
    ),
)
def test_a_cell_that_cannot_be_understood_names_row_and_column(
    tmp_path: Path, column: str, cell: str, told: str
) -> None:
    good = {"ファイル": "b.xml", "患者ID": "2", "所見": "normal"}
    names = [*good, *([] if column in good else [column])]
    first = ",".join(
        {"ファイル": "a.xml", "患者ID": "1", "所見": "normal", "記録ID": "R", "分割": "test"}.get(n, "") for n in names
    )
    second = ",".join({**good, column: cell}[name] for name in names)
    assert f"FILE, row 3, column {column}: {told}" in refusal(tmp_path, first, second, header=",".join(names))


PLAIN_HEADER = f"{HEADER},サンプリング周波数,単位,誘導"


def test_the_layout_of_a_plain_file(tmp_path: Path) -> None:
    rows = ("a.csv,1,,５００Hz,μV,I、Ⅱ", "b.npy,2,,,,", 'a.xml,3,,250,mV,"I,II"')
    default = PlainLayout(100.0, "mV", LEADS)
    found = entries(tmp_path, *rows, header=PLAIN_HEADER, options=SourceOptions(layout=default))
    layouts = [origin_of(entry).layout for entry in found]
    assert layouts == [PlainLayout(500.0, "uV", ("I", "II")), default, PlainLayout(250.0, "mV", ("I", "II"))]


@pytest.mark.parametrize("name", ("p.csv", "p.NPY", "p.txt", "p.parquet", "p.npz", "p.tsv"))
def test_a_plain_file_with_half_a_layout(tmp_path: Path, name: str) -> None:
    told = refusal(tmp_path, "a.xml,1,,,,", f"{name},2,,500,,", header=PLAIN_HEADER)
    assert "FILE, row 3, column サンプリング周波数: the row says something of its plain file, and no unit" in told


@pytest.mark.parametrize("name", ("a.xml", "a.dcm", "rec", "a.mwf"))
def test_a_rate_beside_a_file_that_states_its_own_is_no_fault(tmp_path: Path, name: str) -> None:
    (tmp_path / "rec.hea").touch()
    _, second = entries(tmp_path, "b.xml,1,,,,", f"{name},2,,500,,", header=PLAIN_HEADER)
    assert origin_of(second).layout is None


def test_an_entry_of_another_source() -> None:
    with pytest.raises(TypeError, match="entry r does not come from this source"):
        origin_of(Entry("r", "p", "train", ()))
