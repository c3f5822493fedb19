"""A hospital's CSV as rows: encodings, delimiters, quotes, and one sentence with row and column for every fault."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ecgbench.csv_decoding import decode
from ecgbench.csv_table import read_table, shown, write_csv
from ecgbench.errors import EcgbenchError

ENCODINGS = {"utf-8": "UTF-8", "utf-8-sig": "UTF-8", "cp932": "cp932", "utf-16": "UTF-16"}


# Left out: NUL, which is refused, six characters that cp932 takes and gives back as others, and those that Python has
# for bytes that cp932 leaves undefined.
CHARACTERS = st.one_of(
    st.sampled_from('ab0,;"\t\n\r\\\'| =-'), st.sampled_from("男女心房細動ブロックﾌﾞﾛ、；　髙﨑①Ⅱ～－"),
    st.characters(codec="cp932", exclude_characters="\0¢£¬‖−〜\x80\uf8f0\uf8f1\uf8f2\uf8f3"),
)  # fmt: skip
CELLS = st.text(CHARACTERS, max_size=8)
TABLES = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), min_size=1, max_size=6)
)


def as_excel(rows: list[list[str]], encoding: str, delimiter: str, quoting: int, end: str) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator=end).writerows(rows)
    return text.getvalue().encode(encoding)


def fault(tmp_path: Path, data: bytes) -> str:
    path = tmp_path / "list.csv"
    path.write_bytes(data)
    with pytest.raises(EcgbenchError) as raised:
        read_table(path)
    sentence = str(raised.value).replace(str(path), "FILE")
    assert "\n" not in sentence and sentence.endswith(".")
    return sentence


@settings(max_examples=150, deadline=None)
@given(
    rows=TABLES, encoding=st.sampled_from(sorted(ENCODINGS)), delimiter=st.sampled_from(",\t"),
    written=st.sampled_from(((csv.QUOTE_MINIMAL, "\r\n"), (csv.QUOTE_ALL, "\r\n"), (csv.QUOTE_ALL, "\n"))),
)  # fmt: skip
@example(rows=[['改行\nと\r\n"引用"', "002"]], encoding="cp932", delimiter="\t", written=(csv.QUOTE_MINIMAL, "\r\n"))
def test_any_table_comes_back(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[list[str]],
    encoding: str,
    delimiter: str,
    written: tuple[int, str],
) -> None:
    header = [f"列{place}" for place in range(len(rows[0]))]
    header[-1] += "所見と患者ＩＤの欄"  # enough of Japanese to tell cp932 by, as every such table has
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(as_excel([header, *rows], encoding, delimiter, *written))
    full = [(number, tuple(row)) for number, row in enumerate(rows, start=2) if any(cell.strip() for cell in row)]
    if not full:
        with pytest.raises(EcgbenchError, match="no rows below"):
            read_table(path)
        return
    table = read_table(path)
    assert (table.header, table.encoding) == (tuple(header), ENCODINGS[encoding])
    assert table.delimiter == (delimiter if len(header) > 1 else ",")
    assert [(row.number, row.cells) for row in table.rows] == full


def test_write_csv_is_read_back_and_has_a_mark(tmp_path: Path) -> None:
    rows = [("wording", "label"), ("右脚,\nブロック", "00123"), ('"', "")]
    write_csv(tmp_path / "new" / "out.csv", rows)
    assert (tmp_path / "new" / "out.csv").read_bytes().startswith(b"\xef\xbb\xbfwording,label\r\n")
    table = read_table(tmp_path / "new" / "out.csv")
    assert [table.header, *(row.cells for row in table.rows)] == rows
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["out.csv"]


def test_what_is_not_utf8_is_cp932() -> None:
    """Names in half-width katakana, whose bytes are UTF-8 by chance at times, do not turn it into damaged UTF-8."""
    katakana = "".join(chr(point) for point in range(0xFF66, 0xFF9E))
    for start in range(len(katakana)):
        text = f"患者,氏名\r\n1,{katakana[start:]}{katakana[:start]}\r\n"
        assert decode(text.encode("cp932")) == (text, "cp932")


@pytest.mark.parametrize("byte", (0x80, 0xA0, 0xFD, 0xFE, 0xFF))
def test_bytes_that_cp932_leaves_undefined_are_bad(tmp_path: Path, byte: int) -> None:
    data = "患者ID,所見\r\n1,頻脈\r\n2,徐".encode("cp932") + bytes([byte]) + b"\r\n"
    assert f"row 3, column 所見: holds the byte 0x{byte:02X}, which is not UTF-8 or cp932" in fault(tmp_path, data)


def test_a_bad_byte_is_told_with_row_and_column(tmp_path: Path) -> None:
    cp932 = 'ファイル,所見,施設\r\na,"頻脈\n徐脈",一\r\nb,X,二\r\n'.encode("cp932")
    assert "FILE, row 3, column 所見: holds the byte 0x85" in fault(tmp_path, cp932.replace(b"X", b"\x85,"[:1]))
    utf8 = "ファイル,所見,施設\r\na,頻脈,一\r\nb,X,二\r\n".encode()
    told = fault(tmp_path, utf8.replace(b"X", b"\xe6\xb4"))  # the first two bytes of three
    assert "row 3, column 所見: holds the byte 0xE6, which is not UTF-8:" in told and "cp932" not in told
    assert "row 3, column 所見: holds the byte 0x92" in fault(tmp_path, b"\xef\xbb\xbf" + utf8.replace(b"X", b"\x92j"))
    utf16 = "ファイル\t所見\r\na\tX\r\n".encode("utf-16")
    assert "row 2, column 所見: holds bytes that are not UTF-16" in fault(tmp_path, utf16.replace(b"X\0", b"\x00\xd8"))
    assert "UTF-16" in fault(tmp_path, utf16[:-1])
    assert "row 1, column 2: holds the byte 0x85" in fault(tmp_path, b"file,\x85\r\n1,2\r\n")


def test_nul_bytes(tmp_path: Path) -> None:
    assert "FILE, row 2, column b: holds a NUL byte" in fault(tmp_path, b"a,b\r\n1,2\0\r\n")
    assert "row 1, column 1: holds a NUL byte" in fault(tmp_path, "a,b\r\n1,2\r\n".encode("utf-16-le"))


@pytest.mark.parametrize("data", (b"", b" \r\n\r\n", b"\xef\xbb\xbf"))
def test_empty_files(tmp_path: Path, data: bytes) -> None:
    assert "FILE is empty" in fault(tmp_path, data) or "has no header" in fault(tmp_path, data)


def test_headers(tmp_path: Path) -> None:
    assert "FILE has no header" in fault(tmp_path, b",,\r\n1,2,3\r\n")
    assert "FILE has a header and no rows" in fault(tmp_path, b"a,b\r\n,\r\n\r\n")
    (tmp_path / "list.csv").unlink()
    with pytest.raises(EcgbenchError, match=r"cannot be read: No such file"):
        read_table(tmp_path / "list.csv")


def test_ragged_rows(tmp_path: Path) -> None:
    told = fault(tmp_path, 'ファイル,所見\r\n"a\nb",頻脈\r\n\r\nc\r\n'.encode("cp932"))
    assert "FILE, row 4: it has 1 cells, the header has 2: the last columns are missing" in told and "ファイル" in told
    told = fault(tmp_path, "ファイル,所見\r\na,頻脈,徐脈\r\n".encode())
    assert (
        "row 2: it has 3 cells, the header has 2: row 1 must name every column, and a cell that holds a comma" in told
        and "column 所見" in told
    )


def test_broken_quotes(tmp_path: Path) -> None:
    assert "FILE, row 2: its quotes are broken" in fault(tmp_path, b'a,b\r\n"1"2,3\r\n')
    assert "FILE, row 3: its quotes are broken" in fault(tmp_path, b'a,b\r\n1,2\r\n3,"4\r\n')
    assert "FILE, row 2: its quotes are broken" in fault(tmp_path, b'a,b\r\n1,"' + b"x\r\n" * 100_000)


def test_rows_and_columns_that_excel_adds_or_leaves_out(tmp_path: Path) -> None:
    """Empty rows and nameless empty columns do not count. The last columns of a block of 16 rows that are empty in all
    of it are left out by Excel; a single short row is a fault, so is a short last one in a file that is cut."""
    path = tmp_path / "list.csv"
    path.write_text("a,b,,\n1,2,,\n,,,\n\n3,,\n", encoding="utf-8")
    assert [(row.number, row.cells) for row in read_table(path).rows] == [(2, ("1", "2")), (5, ("3", ""))]
    rows = ["a,b,c", *["1,2,3"] * 15, *["1,2"] * 16, *["1,2,3"] * 4]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    assert [len(row.cells) for row in read_table(path).rows] == [3] * 35
    assert "FILE, row 18: it has 2 cells" in fault(tmp_path, "\n".join([*rows[:16], "1,2,", *rows[17:]]).encode())
    short = "\n".join([*rows[:32], "1,2"])
    path.write_text(short + "\n", encoding="utf-8")
    assert read_table(path).rows[-1].cells == ("1", "2", "")
    assert "FILE, row 33: it has 2 cells" in fault(tmp_path, short.encode())


@pytest.mark.parametrize("encoding", ("cp932", "utf-8-sig", "utf-16"))
def test_the_mark_of_the_end_that_older_systems_write_is_no_row(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "list.csv"
    path.write_text("患者,所見\n1,頻脈\n\x1a", encoding=encoding)
    assert [row.cells for row in read_table(path).rows] == [("1", "頻脈")]


def test_two_columns_of_one_name_are_no_fault_of_the_table(tmp_path: Path) -> None:
    """Only where they mean something is it one: see the columns."""
    path = tmp_path / "list.csv"
    path.write_text("備考,所見,備考\n1,頻脈,2\n", encoding="cp932")
    assert read_table(path).header == ("備考", "所見", "備考")


def test_the_header_line_decides_the_delimiter(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    for text, delimiter, header in (
        ('"a,b,c,d"\tb\tc\n1\t2\t3\n', "\t", ("a,b,c,d", "b", "c")),
        ('"a\t\t\n\t\tz",b\n1\t1\t1\t1,2\n', ",", ("a\t\t\n\t\tz", "b")),
        ("only\n1\n", ",", ("only",)),
        ('"with ""quotes"", and","b"\n1,2\n', ",", ('with "quotes", and', "b")),
    ):
        path.write_text(text, encoding="utf-8", newline="")
        table = read_table(path)
        assert (table.delimiter, table.header) == (delimiter, header)


def test_cells_are_shown_short_and_printable() -> None:
    assert shown("山田\n\0\udc85") == "'山田\\n\\x00\\udc85'"
    assert len(shown("長" * 1000)) == 42
