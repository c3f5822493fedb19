"""A hospital's own wordings: what an alias file may say, and the alias file that unknown findings end in."""

from __future__ import annotations

import csv
import shlex
from pathlib import Path

import pytest

from ecgbench.csv_table import write_csv
from ecgbench.ecg.sources import open_source
from ecgbench.ecg.sources.manifest.aliases import Aliases, free_name, read_aliases
from ecgbench.ecg.sources.manifest.unknown import Unknown, unknown_error
from ecgbench.ecg.sources.options import SourceOptions
from ecgbench.errors import EcgbenchError
from ecgbench.findings import label_bank

BANK = label_bank()


def alias_file(folder: Path, text: str, encoding: str = "cp932") -> Path:
    path = folder / "mine.csv"
    path.write_text(text, encoding=encoding, newline="")
    return path


def meanings(folder: Path, text: str, encoding: str = "cp932") -> dict[str, tuple[str, ...]]:
    return read_aliases(alias_file(folder, text, encoding), BANK).meanings


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(EcgbenchError) as raised:
        read_aliases(alias_file(folder, text), BANK)
    return str(raised.value).replace(str(folder / "mine.csv"), "FILE")


@pytest.mark.parametrize("encoding", ("cp932", "utf-8", "utf-8-sig", "utf-16"))
def test_an_alias_file_in_each_encoding_of_excel(tmp_path: Path, encoding: str) -> None:
    assert meanings(tmp_path, "wording,label\r\nＡｆ,atrial-fibrillation\r\n髙度,-\r\n", encoding) == {
        "af": ("atrial-fibrillation",), "髙度": (),
    }  # fmt: skip


@pytest.mark.parametrize(
    "header", ("wording,label", "表記,ラベル", "所見,ラベルID", "Label,Wording", "wording,count,label,nearest")
)
def test_columns_of_an_alias_file(tmp_path: Path, header: str) -> None:
    cells = {"label": "normal", "ラベル": "normal", "ラベルID": "normal", "count": "3", "nearest": "tachycardia"}
    row = ",".join(cells.get(name if name in cells else name.lower(), "異常なし") for name in header.split(","))
    assert meanings(tmp_path, f"{header}\n{row}\n") == {"異常なし": ("normal",)}


@pytest.mark.parametrize(
    ("label", "ids"),
    (
        ("normal", ("normal",)), ("正常範囲", ("normal",)), ("ＮＯＲＭＡＬ", ("normal",)), ("心房細動", ("atrial-fibrillation",)),
        ("Sinus Tachycardia", ("sinus-tachycardia",)), ("-", ()), (" － ", ()), ("ー", ()),
        ("心房細動;sinus-tachycardia", ("sinus-tachycardia", "atrial-fibrillation")),
        ("心房細動、洞性頻脈；心房細動", ("sinus-tachycardia", "atrial-fibrillation")),
    ),
)  # fmt: skip
def test_what_a_label_may_be(tmp_path: Path, label: str, ids: tuple[str, ...]) -> None:
    """Several labels are in the order of the label table, each once."""
    assert meanings(tmp_path, f"wording,label\nX,{label}\n") == {"x": ids}


def test_rows_without_a_label_say_nothing(tmp_path: Path) -> None:
    found = read_aliases(alias_file(tmp_path, "wording,label\nA,\nB,　\nC,normal\n"), BANK)
    assert found.meanings == {"c": ("normal",)}
    assert found.rows == (("A", ""), ("B", "　"), ("C", "normal"))


def test_one_wording_twice_with_one_meaning_is_no_fault(tmp_path: Path) -> None:
    assert meanings(tmp_path, "wording,label\nAF,心房細動\nＡｆ,atrial-fibrillation\naf,\n") == {
        "af": ("atrial-fibrillation",)
    }


def test_one_wording_with_two_meanings(tmp_path: Path) -> None:
    told = refusal(tmp_path, "wording,label\nAF,心房細動\nX,normal\nＡｆ,-\n")
    assert told == "FILE, row 4, column label: 'Ａｆ' has another label in row 2; keep one of the rows."


@pytest.mark.parametrize(
    ("label", "told"),
    (
        ("atrial-fibrilation", "'atrial-fibrilation' is no label of labels98.csv; near ones: atrial-fibrillation"),
        ("謎", "'謎' is no label of labels98.csv; valid are its ids, as sinus-tachycardia; - drops the wording"),
        ("心房細動;謎", "'謎' is no label"),
        ("心房細動の疑い", "'心房細動の疑い' is no label"),
        ("心房細動;-", "'-' is no label"),
    ),
)
def test_a_label_that_the_table_does_not_know(tmp_path: Path, label: str, told: str) -> None:
    assert f"FILE, row 2, column label: {told}" in refusal(tmp_path, f"wording,label\nX,{label}\n")


def test_a_label_without_a_wording(tmp_path: Path) -> None:
    assert "FILE, row 2, column wording: it is empty" in refusal(tmp_path, "wording,label\n,normal\n")


def test_a_file_that_is_no_alias_file(tmp_path: Path) -> None:
    assert "FILE has no column for label: it has wording, 訳; name one ラベル" in refusal(
        tmp_path, "wording,訳\nX,normal\n"
    )


def test_an_alias_that_gives_a_name_of_the_table_another_meaning_is_counted(tmp_path: Path) -> None:
    found = read_aliases(alias_file(tmp_path, "wording,label\n頻脈,洞性頻脈\n徐脈,徐脈\n正常範囲,-\nX,頻脈\n"), BANK)
    assert found.renamed == 2


def test_a_file_is_never_written_over(tmp_path: Path) -> None:
    assert free_name(tmp_path).name == "aliases.csv"
    (tmp_path / "aliases.csv").symlink_to(tmp_path / "nowhere")
    assert free_name(tmp_path).name == "aliases-2.csv"
    (tmp_path / "aliases-2.csv").mkdir()
    assert free_name(tmp_path).name == "aliases-3.csv"


def test_a_folder_full_of_alias_files(tmp_path: Path) -> None:
    for name in ("aliases.csv", *(f"aliases-{number}.csv" for number in range(2, 1000))):
        (tmp_path / name).touch()
    with pytest.raises(EcgbenchError, match="holds a thousand alias files"):
        free_name(tmp_path)


def error_of(wordings: list[list[str]], labels: str | None = None, argument: str = "list.csv") -> str:
    unknown = Unknown()
    for row in wordings:
        unknown.count(row)
    told = str(unknown_error(unknown, Aliases({}), BANK, argument, labels))
    assert "\n" not in told and told.endswith("--unknown drop or keep goes on without them.")
    return told


def test_each_unknown_finding_is_told_with_its_count_and_the_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told = error_of([["Ａｆ", "要再検"], ["af"], ["AF", "ＡＦ"], ["ＣＲＢＢＢ"]])
    assert told.startswith(
        "list.csv: 3 findings are not in labels98.csv: 'Ａｆ' (3 rows, nearest atrial-fibrillation 心房細動); "
        "'要再検' (1 row, nothing near); 'ＣＲＢＢＢ' (1 row, nearest complete-right-bundle-branch-block 完全右脚ブロック); "
        "all are in aliases.csv, written here: fill in its column label"
    )
    assert error_of([["謎"]]).startswith("list.csv: 1 finding is not in labels98.csv: '謎' (1 row, nothing near);")


def test_the_most_frequent_25_are_told_and_all_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    told = error_of([[f"謎{number}" for number in range(40)], ["謎39"]])
    assert "40 findings are not in labels98.csv: '謎39' (2 rows" in told and "; and 15 more; all are in" in told
    assert told.count("nothing near") == 25
    with (tmp_path / "aliases.csv").open(encoding="utf-8-sig", newline="") as handle:
        assert len(list(csv.DictReader(handle))) == 40


def test_the_alias_file_has_a_mark_and_is_ready_to_fill_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    error_of([["ＣＲＢＢＢ", '謎,"\n髙'], ["CRBBB"]])
    data = (tmp_path / "aliases.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbf") and data.count(b"\r\n") == 3
    rows = list(csv.reader(data.decode("utf-8-sig").splitlines(keepends=True)))
    assert rows == [
        ["wording", "label", "count", "nearest", "nearest_name"],
        ["ＣＲＢＢＢ", "", "2", "complete-right-bundle-branch-block", "完全右脚ブロック"],
        ['謎,"\n髙', "", "1", "", ""],
    ]


def test_the_command_that_is_told_can_be_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    told = error_of([["謎"]], "labels-mine.csv", "心電 図/a'b.csv")
    command = told.partition("as `")[2].partition("`;")[0]
    assert shlex.split(command) == [
        "ecgbench", "data", "build", "manifest:心電 図/a'b.csv", "--out", "STORE", "--labels", "labels-mine.csv",
        "--aliases", "aliases.csv",
    ]  # fmt: skip


def test_a_folder_that_cannot_be_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    told = error_of([["謎"]])
    assert "no alias file could be written here (No such file or directory): type the command in a folder of" in told


@pytest.fixture
def listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A table with the unknown wordings Ａｆ (twice), 謎 and 要再検."""
    monkeypatch.chdir(tmp_path)
    rows = ["ファイル,患者ID,所見", "a.xml,1,頻脈；Ａｆ", "b.xml,2,AF", "c.xml,3,徐脈\u3001謎|要再検"]
    Path("list.csv").write_text("\r\n".join(rows), encoding="cp932")
    Path("a.xml").touch()
    return "manifest:list.csv"


def test_the_alias_file_filled_in_makes_the_list_pass(listed: str) -> None:
    """As Excel saves it: in cp932, with the rows in another order and one of them left open at first."""
    with pytest.raises(EcgbenchError, match=r"3 findings are not in .* written here"):
        open_source(listed)[1].entries()
    filled = fill_in(Path("aliases.csv"), {"Ａｆ": "心房細動", "要再検": "-"})
    with pytest.raises(EcgbenchError, match=r"1 finding is not in .*'謎'.* all are in aliases-2\.csv, written here"):
        open_source(listed, SourceOptions(aliases=filled))[1].entries()
    again = fill_in(Path("aliases-2.csv"), {"謎": "qt延長;ＰＲ延長"})
    source = open_source(listed, SourceOptions(aliases=again))[1]
    assert [entry.findings for entry in source.entries()] == [
        ("atrial-fibrillation", "tachycardia"),
        ("atrial-fibrillation",),
        ("prolonged-pr-interval", "bradycardia", "prolonged-qt-interval"),
    ]
    assert source.remarks()["findings_dropped_by_aliases"] == 1


def fill_in(path: Path, labels: dict[str, str]) -> Path:
    """What a person does with the file in Excel."""
    with path.open(encoding="utf-8-sig", newline="") as handle:
        header, *rows = csv.reader(handle)
    filled = [[wording, labels.get(wording, label), *rest] for wording, label, *rest in rows]
    saved = path.with_name(f"filled-{path.name}")
    write_csv(saved, [header, *reversed(filled)])
    saved.write_text(saved.read_text(encoding="utf-8-sig"), encoding="cp932")
    return saved


@pytest.mark.parametrize(("unknown", "codes"), (("drop", ()), ("keep", ("謎", "要再検"))))
def test_unknown_findings_dropped_or_kept(listed: str, unknown: str, codes: tuple[str, ...]) -> None:
    source = open_source(listed, SourceOptions(unknown=unknown, keep_ids=True))[1]
    entries = source.entries()
    assert [entry.findings for entry in entries] == [("tachycardia",), (), ("bradycardia",)]
    assert entries[2].codes == codes and not Path("aliases.csv").exists()
    assert source.remarks()["unknown_findings"] == {
        "are": unknown, "wordings": 3, "instances": 4, "wordings_of_few_patients_left_out": 0,
    }  # fmt: skip
    assert source.remarks()["rows_without_findings"] == 1


def test_of_unknown_findings_only_those_of_three_patients_are_kept(tmp_path: Path) -> None:
    """One that stands with a patient or two alone may be text about them."""
    rows = [
        "ファイル,患者ID,所見",
        "a,1,WPW；山田様 要再検",
        "b,2,ＷＰＷ；二例",
        "c,3,wpw;二例",
        "d,1,山田様 要再検",
        "e,1,山田様 要再検",
    ]
    (tmp_path / "list.csv").write_text("\n".join(rows), encoding="cp932")
    (tmp_path / "a").touch()
    source = open_source(f"manifest:{tmp_path / 'list.csv'}", SourceOptions(unknown="keep"))[1]
    assert [entry.codes for entry in source.entries()] == [("WPW",), ("ＷＰＷ",), ("wpw",), (), ()]
    assert source.remarks()["unknown_findings"] == {
        "are": "keep", "wordings": 3, "instances": 8, "wordings_of_few_patients_left_out": 2,
    }  # fmt: skip


def test_an_alias_file_that_is_not_there(listed: str) -> None:
    with pytest.raises(EcgbenchError, match=r"--aliases no\.csv: there is no such file"):
        open_source(listed, SourceOptions(aliases=Path("no.csv")))
