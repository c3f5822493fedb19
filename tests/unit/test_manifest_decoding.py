"""Bytes of a hospital's CSV -> text: what was encoded comes back, and what cannot be right is marked."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecgbench.csv_decoding import BAD, decode
from ecgbench.csv_table import read_table
from ecgbench.errors import EcgbenchError

HEAD = "ファイル,患者ＩＤ,所見と心電図の報告\r\n"
"""Enough of Japanese to tell cp932 by, as the header of every such table has."""

ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
# Left out: six characters that cp932 takes and gives back as others, and those for bytes that it leaves undefined.
OF_CP932 = st.text(st.characters(codec="cp932", exclude_characters="¢£¬‖−〜\x80\uf8f0\uf8f1\uf8f2\uf8f3"), max_size=60)


@given(ANY)
def test_utf8_comes_back(text: str) -> None:
    assert decode((HEAD + text).encode()) == (HEAD + text, "UTF-8")


@given(ANY)
def test_utf8_with_its_mark_comes_back_without_it(text: str) -> None:
    assert decode(text.encode("utf-8-sig")) == (text, "UTF-8")


@given(OF_CP932)
def test_cp932_comes_back(text: str) -> None:
    assert decode((HEAD + text).encode("cp932")) == (HEAD + text, "cp932")


@pytest.mark.parametrize("order", ("le", "be"))
@given(text=ANY)
def test_utf16_comes_back_in_either_byte_order(order: str, text: str) -> None:
    assert decode(f"\ufeff{text}".encode(f"utf-16-{order}")) == (text, "UTF-16")


@given(st.binary(max_size=80))
def test_no_bytes_are_too_much(data: bytes) -> None:
    text, encoding = decode(data)
    assert encoding in ("UTF-8", "cp932", "UTF-16") and (BAD.search(text) or text.encode() is not None)


@given(st.binary(max_size=40))
def test_bytes_that_are_no_utf8_are_marked_one_by_one(data: bytes) -> None:
    """With a mark in front the text is UTF-8 whatever follows; the marked bytes can be put back."""
    text, _ = decode(b"\xef\xbb\xbf" + data)
    assert text.encode("utf-8", "surrogateescape") == data


def test_every_pair_of_bytes_is_what_cp932_has_for_it_or_is_marked() -> None:
    head = HEAD.encode("cp932")
    undefined = set("\x80\uf8f0\uf8f1\uf8f2\uf8f3")
    for first in range(0x80, 0x100):
        for second in range(0x20, 0x100):
            pair = bytes((first, second))
            text, encoding = decode(head + pair + b"\r\n")
            assert encoding == "cp932"
            try:
                expected = pair.decode("cp932")
            except UnicodeDecodeError:
                assert BAD.search(text), pair
                continue
            assert bool(BAD.search(text)) == bool(undefined & set(expected)), pair
            assert BAD.search(text) or text == f"{HEAD}{expected}\r\n"


def test_characters_whose_second_byte_is_a_backslash() -> None:
    """0x5C stands inside ソ, 表, 能 and 十 in cp932: no path and no name is cut there."""
    text = f"{HEAD}表\\ソ.xml,能十,ソ\r\n"
    assert decode(text.encode("cp932")) == (text, "cp932")


def test_one_damaged_byte_does_not_make_utf8_into_cp932() -> None:
    data = HEAD.encode() + b"a,1,\x8a\xe6\r\n"
    text, encoding = decode(data)
    assert encoding == "UTF-8" and text.startswith(HEAD) and len(BAD.findall(text)) == 2


@pytest.mark.parametrize(
    ("encoding", "bad", "told"),
    (
        ("utf-8", b"\xe6\xb4", "the byte 0xE6, which is not UTF-8:"),
        ("utf-8-sig", b"\x92j", "the byte 0x92, which is not UTF-8:"),
        ("cp932", b"\x85", "the byte 0x85, which is not UTF-8 or cp932 (Shift_JIS):"),
        ("utf-16", b"\x00\xd8", "bytes that are not UTF-16:"),
    ),
)
def test_a_bad_byte_names_row_and_column_in_each_encoding(tmp_path: Path, encoding: str, bad: bytes, told: str) -> None:
    rows = 'ファイル,患者ＩＤ,所見\r\na,1,"心房細動\n頻脈"\r\nb,2,徐脈\r\nc,QQ,徐脈\r\n'
    path = tmp_path / "list.csv"
    wanted = "QQ".encode(encoding.removesuffix("-sig")).removeprefix(b"\xff\xfe")
    path.write_bytes(rows.encode(encoding).replace(wanted, bad))
    with pytest.raises(EcgbenchError) as raised:
        read_table(path)
    assert f"{path}, row 4, column 患者ＩＤ: holds {told}" in str(raised.value)
    assert "save in Excel as 'CSV UTF-8 (Comma delimited)' ('CSV UTF-8 (コンマ区切り)')" in str(raised.value)


@pytest.mark.parametrize("name", ("list.xlsx", "list.xls", "list.csv"))
def test_a_workbook_is_refused_with_what_to_do(tmp_path: Path, name: str) -> None:
    """By its content: a workbook that somebody called .csv is one too."""
    path = tmp_path / name
    if name.endswith("xls"):
        path.write_bytes(bytes.fromhex("d0cf11e0a1b11ae1") + bytes(504))
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("xl/workbook.xml", "<workbook/>")
    with pytest.raises(EcgbenchError) as raised:
        read_table(path)
    assert f"{path} is an Excel workbook: save it in Excel as 'CSV UTF-8 (Comma delimited)'" in str(raised.value)
