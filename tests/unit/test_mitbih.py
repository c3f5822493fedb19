"""What the annotations say of a window, clause by clause and against a naive twin, and the splits by subject."""

from __future__ import annotations

import warnings
from collections import Counter
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
import wfdb
from hypothesis import given
from hypothesis import strategies as st

from ecgbench.cards import DatasetCard
from ecgbench.catalogue import load_card
from ecgbench.ecg.recording import DamagedRecordError, Entry
from ecgbench.ecg.sources.mitbih import Annotations, MitBih, WindowStatements, window_statements
from ecgbench.errors import EcgbenchError
from ecgbench.findings import label_bank

CARD = load_card(DatasetCard, "mitbih")
NAMED = frozenset({("V",), ("V", "V"), ("A",), ("A", "A"), ("N",)})
WINDOW = 3600

# de Chazal, O'Dwyer & Reilly 2004, table II: the two halves, without the paced records 102, 104, 107 and 217
DS1 = {101, 106, 108, 109, 112, 114, 115, 116, 118, 119, 122, 124, 201, 203, 205, 207, 208, 209, 215, 220, 223, 230}
DS2 = {100, 103, 105, 111, 113, 117, 121, 123, 200, 202, 210, 212, 213, 214, 219, 221, 222, 228, 231, 232, 233, 234}


def naive_statements(annotations: Annotations, begin: int, end: int, named: frozenset) -> WindowStatements:
    """The same by going through every run of the record and every sample of the window."""
    units: set[tuple[str, ...]] = set()
    for symbol, group in groupby(annotations.beats, key=lambda beat: beat[1]):
        samples = [sample for sample, _ in group]
        inside = [sample for sample in samples if begin <= sample < end]
        run = (symbol,) * len(samples)
        if inside:
            units.add(run if len(inside) == len(samples) and run in named else (symbol,))
    beats = [(sample, symbol) for sample, symbol in annotations.beats if begin <= sample < end]

    def rhythm_at(sample: int) -> str | None:
        begun = [name for first, name in annotations.rhythms if first <= sample]
        return begun[-1] if begun else None

    under = {name: 0 for sample in range(begin, end) if (name := rhythm_at(sample)) is not None}
    for sample, _ in beats:
        if (name := rhythm_at(sample)) is not None:
            under[name] += 1
    return WindowStatements(frozenset(units), dict(Counter(symbol for _, symbol in beats)), under)


@st.composite
def annotated(draw: st.DrawFn) -> tuple[Annotations, int, int]:
    """Up to 25 beats and 6 rhythms in 120 samples, and a window that cuts through them."""
    places = sorted(draw(st.lists(st.integers(0, 119), max_size=25, unique=True)))
    beats = tuple((place, draw(st.sampled_from("NVVA"))) for place in places)
    changes = sorted(draw(st.lists(st.sampled_from([0, 1, 30, 31, 60, 90, 119]), max_size=6)))
    rhythms = tuple((place, draw(st.sampled_from(["(N", "(AFIB", "(VT"]))) for place in changes)
    begin = draw(st.integers(0, 100))
    return Annotations(beats, rhythms), begin, begin + draw(st.integers(1, 60))


@given(annotated())
def test_any_window_says_what_the_naive_twin_says(made: tuple[Annotations, int, int]) -> None:
    annotations, begin, end = made
    found, expected = window_statements(*made, NAMED), naive_statements(annotations, begin, end, NAMED)
    assert (found.units, found.beats, found.beats_under) == (expected.units, expected.beats, expected.beats_under)


def test_a_rhythm_that_another_replaces_where_it_begins_was_never_there() -> None:
    annotations = Annotations(((50, "N"),), ((0, "(N"), (20, "(AFIB"), (20, "(N")))
    assert window_statements(annotations, 0, 100, NAMED).beats_under == {"(N": 1}


def source_of(folder: Path) -> MitBih:
    return MitBih(str(folder), CARD, label_bank(CARD.labels))


def write_record(
    folder: Path,
    name: str,
    beats: str,
    rhythms: dict[int, str],
    leads: tuple[str, ...] = ("MLII", "V1"),
    comment: str = "69 M 1085 1629 x1",
) -> None:
    """A made record of one beat a second, `beats` naming their kinds; `rhythms`: name from which beat on."""
    signal = np.add.outer(np.arange(len(beats) * 360) % 400, 100 * np.arange(len(leads)))
    marks = [(number * 360 + 180, symbol, "") for number, symbol in enumerate(beats) if symbol != "."]
    marks += [(number * 360 + 100, "+", f"{name}\0") for number, name in rhythms.items()]
    marks.sort()
    with warnings.catch_warnings():  # of wfdb 4.3 under pandas 3.1
        warnings.simplefilter("ignore")
        wfdb.wrsamp(
            name, fs=360, units=["mV"] * len(leads), sig_name=list(leads), d_signal=signal.astype(np.int64) - 150,
            fmt=["212"] * len(leads), adc_gain=[200.0] * len(leads), baseline=[1024] * len(leads), comments=[comment],
            write_dir=str(folder),
        )  # fmt: skip
        wfdb.wrann(
            name, "atr", np.array([mark[0] for mark in marks]), [mark[1] for mark in marks],
            aux_note=[mark[2] for mark in marks], write_dir=str(folder),
        )  # fmt: skip


def findings(folder: Path, beats: str, rhythms: dict[int, str] | None = None) -> list[set[str]]:
    """The findings of each window of a made record."""
    write_record(folder, "100", beats, rhythms or {0: "(N"})
    return [set(entry.findings) for entry in source_of(folder).entries()]


NORMAL = "normal"
VPC, COUPLET = "ventricular-premature-contractions", "ventricular-couplet"
APC, A_COUPLET = "supraventricular-premature-contractions", "ventricular-premature-contractions-couplets"
AF = "atrial-fibrillation"


@pytest.mark.parametrize(
    ("beats", "expected"),
    [
        ("NNNNNNNNNN", {NORMAL}),
        ("NNNNVNNNNN", {VPC}),
        ("NNNNVVNNNN", {COUPLET}),
        ("NNNNVVVNNN", {VPC}),
        ("NVVNVVVNNN", {COUPLET, VPC}),
        ("NVNNVVNNNN", {COUPLET, VPC}),
        ("NNNNANNNNN", {APC}),
        ("NNNNAANNNN", {A_COUPLET}),
        ("NNNNAVNNNN", {APC, VPC}),
        ("NNNNFNNNNN", set()),
        ("NNNNQNNNNN", set()),
        ("LLLLLLLLLL", {"complete-left-bundle-branch-block"}),
        ("RRRRNNNNNN", {"complete-right-bundle-branch-block"}),
        ("..........", set()),
    ],
)
def test_beats_of_one_window(tmp_path: Path, beats: str, expected: set[str]) -> None:
    assert findings(tmp_path, beats) == [expected]


@pytest.mark.parametrize(
    ("beats", "expected"),
    [
        ("NNNNNNNNNV" + "VNNNNNNNNN", [{VPC}, {VPC}]),  # a couplet over the border is one in neither window
        ("NNNNNNNNVV" + "NNNNNNNNNN", [{COUPLET}, {NORMAL}]),
        ("NNNNNNNNVV" + "VNNNNNNNNN", [{VPC}, {VPC}]),  # three in a row, though two of them are in the first
        ("NNNNNNNNNN" + "VVNNNNNNNN", [{NORMAL}, {COUPLET}]),
        ("NNNNNNNNNV" + "VVNNNNNNNN", [{VPC}, {VPC}]),
    ],
)
def test_a_run_over_the_border_of_two_windows(tmp_path: Path, beats: str, expected: list[set[str]]) -> None:
    assert findings(tmp_path, beats) == expected


@pytest.mark.parametrize(
    ("rhythms", "expected"),
    [
        ({0: "(N"}, {NORMAL}),
        ({0: "(AFIB"}, {AF}),
        ({0: "(N", 7: "(AFIB"}, {AF}),  # three beats, 7 to 9, are under it
        ({0: "(N", 8: "(AFIB"}, set()),  # two are not enough, and it is not normal throughout
        ({0: "(AFIB", 3: "(N"}, {AF}),
        ({0: "(AFIB", 2: "(N"}, set()),
        ({0: "(AFIB", 5: "(AFL"}, {AF, "atrial-flutter"}),
        ({0: "(SBR"}, {"sinus-bradycardia"}),
        ({0: "(XYZ"}, set()),
        ({}, set()),  # no rhythm is annotated: that all beats are N does not make it normal
    ],
)
def test_rhythms_of_one_window(tmp_path: Path, rhythms: dict[int, str], expected: set[str]) -> None:
    write_record(tmp_path, "100", "N" * 10, rhythms)
    assert [set(entry.findings) for entry in source_of(tmp_path).entries()] == [expected]


def test_a_rhythm_without_a_beat_holds_where_it_fills_the_window(tmp_path: Path) -> None:
    assert findings(tmp_path, "N" * 10 + "." * 10, {0: "(N", 5: "(AFIB"}) == [{AF}, {AF}]


def test_the_rhythm_noted_at_the_first_beat_is_that_from_the_start(tmp_path: Path) -> None:
    """Else half a second of no rhythm would stand before it, and no first window of a record could be normal."""
    write_record(tmp_path, "100", "N" * 10, {0: "(N"})
    assert source_of(tmp_path).entries()[0].codes == ("beat:N", "rhythm:(N")


def test_notes_that_are_no_rhythm_change_nothing(tmp_path: Path) -> None:
    assert findings(tmp_path, "N" * 10, {0: "(N", 5: "TS"}) == [{NORMAL}]


def test_the_tail_under_ten_seconds_is_no_window(tmp_path: Path) -> None:
    assert len(findings(tmp_path, "N" * 29)) == 2


def test_entries_are_named_by_record_and_second(tmp_path: Path) -> None:
    write_record(tmp_path, "100", "N" * 20, {0: "(N"})
    write_record(tmp_path, "101", "N" * 10, {0: "(N"}, comment="75 F 1011 654 x1")
    found = source_of(tmp_path).entries()
    assert [(e.record, e.patient, e.split, e.age, e.sex) for e in found] == [
        ("100-0000", "100", "test", 69.0, "male"),
        ("100-0010", "100", "test", 69.0, "male"),
        ("101-0000", "101", "train", 75.0, "female"),
    ]


@pytest.mark.parametrize("comment", ["-1 M 1085 1629 x1", "unknown"])
def test_an_age_that_is_not_known(tmp_path: Path, comment: str) -> None:
    write_record(tmp_path, "100", "N" * 10, {0: "(N"}, comment=comment)
    (entry,) = source_of(tmp_path).entries()
    assert entry.age is None and entry.sex == ("male" if comment.startswith("-1") else None)


def test_two_records_of_one_man_are_one_patient_in_one_split(tmp_path: Path) -> None:
    for name in ("201", "202"):
        write_record(tmp_path, name, "N" * 10, {0: "(N"})
    assert {(e.patient, e.split) for e in source_of(tmp_path).entries()} == {("201", "test")}


@pytest.mark.parametrize(
    ("leads", "expected"),
    [
        (("MLII", "V1"), ["II", "V1"]),
        (("V5", "V2"), ["V5", "V2"]),
        (("V5", "MLII"), ["V5", "II"]),
        (("MLII", "X"), ["II"]),
    ],
)
def test_leads_by_name(tmp_path: Path, leads: tuple[str, ...], expected: list[str]) -> None:
    write_record(tmp_path, "100", "N" * 10, {0: "(N"}, leads)
    source = source_of(tmp_path)
    raw = source.load(source.entries()[0])
    assert list(raw.leads) == expected and raw.rate == 360
    told = "lead II is MLII, recorded with electrodes on the chest"
    assert raw.remarks == ((told,) if "II" in expected else ())


def test_a_window_holds_its_own_samples_in_millivolts(tmp_path: Path) -> None:
    write_record(tmp_path, "100", "N" * 30, {0: "(N"})
    source = source_of(tmp_path)
    raw = source.load(source.entries()[2])
    counts = np.arange(2 * WINDOW, 3 * WINDOW) % 400 - 150
    np.testing.assert_allclose(raw.leads["II"], (counts - 1024) / 200, atol=1e-12)
    np.testing.assert_allclose(raw.leads["V1"], (counts + 100 - 1024) / 200, atol=1e-12)


@pytest.mark.parametrize("harm", ["cut", "flip", "gone"])
def test_a_damaged_signal_is_said_without_its_folder(tmp_path: Path, harm: str) -> None:
    write_record(tmp_path, "100", "N" * 20, {0: "(N"})
    source, data = source_of(tmp_path), tmp_path / "100.dat"
    (first, _) = source.entries()
    content = bytearray(data.read_bytes())
    content[5000] ^= 0x10
    harms = {"cut": lambda: data.write_bytes(bytes(content[:5000])), "flip": lambda: data.write_bytes(bytes(content))}
    harms.get(harm, data.unlink)()
    with pytest.raises(DamagedRecordError) as caught:
        source.load(first)
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("ending", ["atr", "hea"])
def test_annotations_or_a_header_that_cannot_be_read_stop_with_the_file_s_name(tmp_path: Path, ending: str) -> None:
    write_record(tmp_path, "100", "N" * 20, {0: "(N"})
    (tmp_path / f"100.{ending}").write_bytes(b"\xff" * 11)
    with pytest.raises(EcgbenchError, match=r"^100\.hea or 100\.atr in .* cannot be read \(\w+\): fetch them again\.$"):
        source_of(tmp_path).entries()


def test_a_record_without_annotations_is_named(tmp_path: Path) -> None:
    write_record(tmp_path, "100", "N" * 20, {0: "(N"})
    (tmp_path / "100.atr").unlink()
    with pytest.raises(EcgbenchError, match=r"100\.atr is missing; fetch the record again"):
        source_of(tmp_path)


def test_a_folder_of_other_records(tmp_path: Path) -> None:
    write_record(tmp_path, "999", "N" * 10, {0: "(N"})
    with pytest.raises(EcgbenchError, match=r"holds none of the records 100\.hea to 234\.hea"):
        source_of(tmp_path)


def test_an_entry_of_another_source_is_no_entry_of_this_one(tmp_path: Path) -> None:
    write_record(tmp_path, "100", "N" * 10, {0: "(N"})
    with pytest.raises(TypeError, match="does not come from this source"):
        source_of(tmp_path).load(Entry("x", "x", "train", ()))


def test_every_record_of_the_database_is_in_one_split() -> None:
    named = [name for names in CARD.params["splits"].values() for name in names]
    assert len(named) == len(set(named)) == 48 and set(named) == DS1 | DS2 | {102, 104, 107, 217}


def test_the_splits_are_those_of_de_chazal_but_for_what_the_card_says() -> None:
    splits = {split: set(names) for split, names in CARD.params["splits"].items()}
    assert splits["test"] == DS2 | {201, 102}
    assert splits["train"] | splits["validation"] == (DS1 - {201}) | {104, 107, 217}
    assert splits["validation"] == {115, 119, 207, 220, 217}


def test_no_subject_is_in_two_splits() -> None:
    split_of = {name: split for split, names in CARD.params["splits"].items() for name in names}
    assert CARD.params["same_subject"] == [[201, 202]]
    for group in CARD.params["same_subject"]:
        assert len({split_of[name] for name in group}) == 1
