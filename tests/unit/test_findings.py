"""The label table: ids once, every cell there, nothing readable by accident."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecgbench.errors import EcgbenchError
from ecgbench.findings import label_bank, read_label_table

HEADER = "id,label_en,label_ja,scp\n"


def test_the_98_findings_in_the_papers_order() -> None:
    bank = label_bank()
    assert len(bank) == 98 and bank.ids[0] == "sinus-tachycardia" and "normal" in bank
    assert sum(int(count) for count in bank.column("n_test").values()) == 7710
    assert bank["atrial-fibrillation"].names == {"en": "Atrial Fibrillation", "ja": "心房細動"}
    assert bank.in_order({"normal", "sinus-tachycardia"}) == ("sinus-tachycardia", "normal")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (HEADER.encode() + b"a,A,\xff,\n", "row 2, column label_ja: holds the byte 0xFF"),
        (HEADER.encode() + b'a,"A,x,\n', "row 2: its quotes are broken"),
        (HEADER.encode() + b"a,A\n", "row 2: it has 2 cells, the header has 4"),
        (HEADER.encode() + b"a,A,x,,y\n", "row 2: it has 5 cells, the header has 4"),
        (HEADER.encode() + b"a,A,x,\na,B,y,\n", "row 3, column id: the id 'a' stands there twice"),
        (HEADER.encode() + b",A,x,\n", "row 2, column id: it is empty"),
        (HEADER.encode() + b"a|b,A,x,\n", r"row 2, column id: 'a\|b' is no id"),
        (HEADER.encode() + b"a ,A,x,\n", "'a ' is no id"),
        (b"id,label_en,label_en,label_ja\na,A,A,x\n", "has the column label_en twice"),
        (b"id,label_en\na,A\n", "lacks the column label_ja"),
        (b"", "is empty: a CSV with a header and rows"),
    ],
)
def test_a_table_that_is_not_right_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "labels.csv").write_bytes(data)
    with pytest.raises(EcgbenchError, match=message):
        read_label_table(tmp_path / "labels.csv")


def test_a_table_saved_by_excel_in_japan_is_read(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_bytes("id,label_en,label_ja\r\naf,AF,心房細動\r\n,,\r\n".encode("cp932"))
    assert read_label_table(tmp_path / "labels.csv")["af"].names == {"en": "AF", "ja": "心房細動"}


def test_a_column_that_is_not_there_is_said() -> None:
    with pytest.raises(EcgbenchError, match="has no column 'icd'"):
        label_bank().column("icd")


def test_prose_and_counts_are_not_in_the_hash_and_codes_are(tmp_path: Path) -> None:
    def hash_with(row: str, header: str = "id,label_en,label_ja,scp,note") -> str:
        (tmp_path / "labels.csv").write_text(f"{header}\n{row}\n", encoding="utf-8")
        return read_label_table(tmp_path / "labels.csv").hash

    plain = hash_with("a,A,x,NORM,why")
    assert hash_with("a,A,x,NORM,other") == plain
    assert hash_with("a,A,x,SR,why") != plain != hash_with("a,A,y,NORM,why")


def test_an_unknown_name_among_many_is_told_in_one_short_sentence() -> None:
    from ecgbench.errors import unknown_name

    said = str(
        unknown_name("finding", "zzz", [f"finding-{i:02d}" for i in range(98)], "ecgbench data info synth98 --json")
    )
    assert said == (
        "unknown finding 'zzz': known: finding-00, finding-01, finding-02 and 95 more. "
        "`ecgbench data info synth98 --json` lists all."
    )
