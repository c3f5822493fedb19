"""Wordings of findings: what is the same wording, what a label knows, where a cell is split, what may be meant."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from manifest_made import LABELS

from ecgbench.ecg.sources.manifest.findings import split_findings
from ecgbench.ecg.sources.manifest.nearest import Nearest
from ecgbench.ecg.sources.manifest.vocabulary import SEPARATOR, fold, vocabulary_of
from ecgbench.errors import EcgbenchError
from ecgbench.findings import Finding, LabelBank, label_bank

ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SEPARATORS = (";", "；", "、", "､", "|", "｜", "\n", "\r\n", "\r", "﹔", "\u2028")


def bank_of(*rows: tuple[str, str, str]) -> LabelBank:
    """A label table of (id, Japanese name, English name)."""
    return LabelBank("mine.csv", tuple(Finding(id, {"ja": ja, "en": en}, {"id": id}) for id, ja, en in rows))


OWN = bank_of(*((label.id, label.ja, label.en) for label in LABELS))


@settings(max_examples=400)
@given(ANY)
@example("ﬀ İ ǰ Ⅷ ㍿ ﷺ")
@example("a\u00a0\u3000b \u200b\n c")
@example("\u037e ﾊﾟ\u0345")
def test_folding_twice_is_folding_once(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(ANY)
def test_width_case_and_normal_form_do_not_count(text: str) -> None:
    assert fold(text) == fold(unicodedata.normalize("NFD", text)) == fold(unicodedata.normalize("NFKC", text))
    assert fold(f"\u3000{text}\t") == fold(text)


@pytest.mark.parametrize(
    ("one", "other"),
    (
        ("完全右脚ﾌﾞﾛｯｸ", "完全右脚ブロック"), ("ＰＶＣ", "pvc"), ("ＳＴ－Ｔ異常", "ST-T異常"), ("洞　性 頻脈", "洞性頻脈"),
        ("Atrial  Fibrillation", "atrial fibrillation"), (" T 波増高", "T波増高"), ("Ⅲ誘導", "iii誘導"), ("①", "1"),
        ("低電位(四肢誘導)", "低電位（四肢誘導）"), ("ＳＴ−Ｔ", "ST-T"), ("心房\u200b細動", "心房細動"), ("ﾊﾟﾙｽ", "パルス"),
        ("QT延長", "ＱＴ\u00a0延長"), ("RSR'型", "ｒｓｒ＇型"), ("か\u3099", "が"), ("A\tB", "A B"),
    ),
)  # fmt: skip
def test_one_wording_in_two_spellings(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(
    ("one", "other"),
    (
        ("ブロック", "フロック"),
        ("A B", "AB"),
        ("ふろっく", "フロック"),
        ("心房細動", "心房粗動"),
        ("A\nB", "A B"),
        ("V1", "V 1"),
    ),
)
def test_two_wordings(one: str, other: str) -> None:
    assert fold(one) != fold(other)


def test_every_name_of_the_98_labels_means_its_label_and_nothing_else() -> None:
    bank = label_bank()
    vocabulary = vocabulary_of(bank)
    for finding in bank.findings:
        for name in (finding.id, *finding.names.values()):
            wide = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in name)
            for written in (name, name.upper(), wide, f" {name}　"):
                assert vocabulary.meaning(written) == (finding.id,)
    assert len(vocabulary.meanings) >= 2 * len(bank)


NAMES = [name for finding in label_bank().findings for name in (finding.id, *finding.names.values())]


@given(
    st.sampled_from(NAMES), st.text(st.sampled_from("の疑い性軽度陳旧x1（）"), min_size=1, max_size=4), st.booleans()
)
def test_a_wording_that_contains_a_label_is_not_that_label(name: str, more: str, behind: bool) -> None:
    """By a naive twin: a label is meant only where one of the names is the very wording."""
    wording = name + more if behind else more + name

    def same(text: str) -> str:
        return "".join(unicodedata.normalize("NFKC", text).casefold().split())

    meant = {
        (finding.id,) for finding in label_bank().findings
        if same(wording) in {same(finding.id), *map(same, finding.names.values())}
    }  # fmt: skip
    found = vocabulary_of(label_bank()).meaning(wording)
    assert found is None if not meant else {found} == meant


@pytest.mark.parametrize(
    "wording", ("心房細動の疑い", "完全右脚ブロックと左軸偏位", "心房", "細動", "no atrial fibrillation", "正常範囲外")
)
def test_a_label_within_a_wording_is_no_match(wording: str) -> None:
    assert vocabulary_of(label_bank()).meaning(wording) is None


def test_a_wording_that_names_two_labels_of_a_table_is_refused() -> None:
    with pytest.raises(EcgbenchError, match=r"mine\.csv: 'ＡＦ' names two labels, afib and flutter"):
        vocabulary_of(bank_of(("afib", "AF", "Atrial fibrillation"), ("flutter", "ＡＦ", "Flutter")))


def test_names_that_are_empty_and_one_name_twice_in_one_label_are_no_fault() -> None:
    vocabulary = vocabulary_of(bank_of(("pvc", "PVC", "Pvc"), ("pac", "", "PAC")))
    assert dict(vocabulary.meanings) == {"pvc": ("pvc",), "pac": ("pac",)}


def test_none_of_the_98_labels_holds_a_separator() -> None:
    """S1,S2,S3 has commas, which are none."""
    assert [name for name in NAMES if SEPARATOR.search(name)] == []
    assert split_findings("S1,S2,S3パターン、頻脈", vocabulary_of(label_bank())) == ["S1,S2,S3パターン", "頻脈"]


@pytest.mark.parametrize("mark", SEPARATORS)
def test_a_cell_is_split_at_each_mark_of_separation(mark: str) -> None:
    assert split_findings(f"心房細動{mark} 頻脈 {mark}謎", vocabulary_of(label_bank())) == ["心房細動", "頻脈", "謎"]


@pytest.mark.parametrize("mark", (",", "，", "・", "/", " ", "。", "と"))
def test_a_cell_is_not_split_elsewhere(mark: str) -> None:
    assert split_findings(f"心房細動{mark}頻脈", vocabulary_of(label_bank())) == [f"心房細動{mark}頻脈"]


@pytest.mark.parametrize("cell", ("", "　", ";;", "、\n|"))
def test_a_cell_without_findings(cell: str) -> None:
    assert split_findings(cell, vocabulary_of(label_bank())) == []


@pytest.mark.parametrize(
    ("cell", "wordings"),
    (
        ("房室ブロック（Ⅰ度、PR延長）", ["房室ブロック（Ⅰ度、PR延長）"]),
        ("PVC、房室ﾌﾞﾛｯｸ(I度､PR延長)；左室肥大", ["PVC", "房室ﾌﾞﾛｯｸ(I度､PR延長)", "左室肥大"]),
        ("房室ブロック（Ⅰ度、左室肥大", ["房室ブロック（Ⅰ度", "左室肥大"]),
        ("房室ブロック（Ⅰ度、PR延長）の疑い、PVC", ["房室ブロック（Ⅰ度", "PR延長）の疑い", "PVC"]),
    ),
)
def test_no_split_inside_a_known_label(cell: str, wordings: list[str]) -> None:
    assert split_findings(cell, vocabulary_of(OWN)) == wordings


def test_of_two_labels_that_begin_alike_the_longest_is_taken() -> None:
    vocabulary = vocabulary_of(bank_of(("a", "A", ""), ("b", "B", ""), ("ab", "A;B", ""), ("abc", "A;B|C", "")))
    assert split_findings("A;B;A;B|C;B", vocabulary) == ["A;B", "A;B|C", "B"]


@given(st.lists(st.sampled_from(LABELS), max_size=6), st.lists(st.sampled_from(SEPARATORS), min_size=6, max_size=6))
def test_any_labels_between_any_separators_come_back(labels: list, marks: list[str]) -> None:
    vocabulary = vocabulary_of(OWN)
    cell = "".join(label.written + mark for label, mark in zip(labels, marks, strict=False))
    found = [vocabulary.meaning(wording) for wording in split_findings(cell, vocabulary)]
    assert found == [(label.id,) for label in labels]


@settings(max_examples=300)
@given(st.text(st.sampled_from("頻脈房室ブロック(I度PR延長)（Ⅰ;；、|\n "), max_size=40))
def test_nothing_of_a_cell_is_lost(cell: str) -> None:
    """All but separators and white-space stands in one of the wordings, in order."""

    def bare(text: str) -> str:
        return "".join(SEPARATOR.sub("", text).split())

    assert bare("".join(split_findings(cell, vocabulary_of(OWN)))) == bare(cell)


@pytest.mark.parametrize(
    ("wording", "label"),
    (
        ("完全右脚ブロック。", "complete-right-bundle-branch-block"), ("CRBBB", "complete-right-bundle-branch-block"),
        ("不完全右脚ﾌﾞﾛｯｸ疑い", "incomplete-right-bundle-branch-block"), ("IRBBB", "incomplete-right-bundle-branch-block"),
        ("ＣＬＢＢＢ", "complete-left-bundle-branch-block"), ("af", "atrial-fibrillation"), ("Ａｆ", "atrial-fibrillation"),
        ("AFL", "atrial-flutter"), ("PVC", "ventricular-premature-contractions"),
        ("PVC頻発", "frequent-ventricular-premature-contractions"), ("VPC2連発", "ventricular-couplet"),
        ("心室性期外収縮", "ventricular-premature-contractions"), ("PAC", "supraventricular-premature-contractions"),
        ("心房性期外収縮", "supraventricular-premature-contractions"), ("ＳＶＰＣ", "supraventricular-premature-contractions"),
        ("Ⅰ度AVブロック", "first-degree-atrioventricular-block"), ("1°AVB", "first-degree-atrioventricular-block"),
        ("PSVT", "supraventricular-tachycardia"), ("VT", "ventricular-tachycardia"), ("LVH疑い", "left-ventricular-hypertrophy"),
        ("左室高電位", "high-voltage-leads-corresponding-to-left-ventricle"), ("LAD", "left-axis-deviation"),
        ("洞頻脈", "sinus-tachycardia"), ("洞性徐脈の傾向", "sinus-bradycardia"), ("QTc延長", "prolonged-qt-interval"),
        ("正常", "normal"), ("WNL", "normal"), ("異常なし", "normal"), ("陳旧性下壁梗塞", "inferior-wall-infarction"),
        ("陰転T波", "negative-t-wave"), ("T波陰転", "negative-t-wave"), ("時計回転", "clockwise-rotation"),
        ("PRWP", "poor-r-wave-progression"), ("ペースメーカーリズム", "pacemaker-rhythm"), ("sinus tachycardya", "sinus-tachycardia"),
    ),
)  # fmt: skip
def test_the_nearest_label_of_what_hospitals_write(wording: str, label: str) -> None:
    assert Nearest(label_bank()).of(wording) == label


@pytest.mark.parametrize("wording", ("要再検", "前回と比べて変化なし", "WPW", "#N/A", "x", "。", "山田太郎", "1"))
def test_nothing_is_near_where_no_label_is_meant(wording: str) -> None:
    assert Nearest(label_bank()).of(wording) is None


def test_the_nearest_label_is_of_the_own_table() -> None:
    nearest = Nearest(OWN)
    assert [nearest.of(wording) for wording in ("Af", "CRBBB", "1度房室ブロック", "下壁の梗塞", "左室肥大の疑い")] == [
        "afib", "rbbb", "avb1", "imi", "lvh",
    ]  # fmt: skip


def test_prose_is_compared_by_its_beginning_alone() -> None:
    assert Nearest(label_bank()).of("前回" * 50_000) is None
