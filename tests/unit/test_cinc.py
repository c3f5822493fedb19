"""Challenge records: what a header says, in every spelling and every state, and folders of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import savemat

from ecgbench.cards import DatasetCard
from ecgbench.catalogue import load_card
from ecgbench.ecg.recording import LEADS, DamagedRecordError, Entry
from ecgbench.ecg.sources import open_source
from ecgbench.ecg.sources.cinc import Cinc, header_comments
from ecgbench.ecg.sources.options import SourceOptions
from ecgbench.errors import EcgbenchError
from ecgbench.findings import label_bank

AF, RBBB_ANY, SINUS = "164889003", "59118001", "426783006"


def cinc(folder: Path, options: SourceOptions | None = None) -> Cinc:
    card = load_card(DatasetCard, "cinc")
    return Cinc(str(folder), card, label_bank(card.labels), options or SourceOptions())


def header(folder: Path, name: str, *comments: str, first: str = "12 500 5000") -> Path:
    path = folder / f"{name}.hea"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([f"{path.stem} {first}", *comments, ""]), encoding="utf-8")
    return path


def signal(path: Path, leads: tuple[str, ...] = LEADS) -> np.ndarray:
    """A .mat file and the header that goes with it; returns counts (leads, 5000)."""
    counts = np.arange(len(leads) * 5000, dtype=np.int16).reshape(len(leads), 5000) % 700 - 300
    savemat(path.with_suffix(".mat"), {"val": counts}, format="4")
    lines = [
        f"{path.stem}.mat 16+24 1000/mV 16 0 {row[0]} {checksum(row)} 0 {lead}"
        for lead, row in zip(leads, counts, strict=True)
    ]
    path.with_suffix(".hea").write_text(
        "\n".join([f"{path.stem} {len(leads)} 500 5000 12-May-2020 12:33:59", *lines, f"#Dx: {AF}", ""]),
        encoding="utf-8",
    )
    return counts


def checksum(row: np.ndarray) -> int:
    total = int(row.sum()) % 65536
    return total - 65536 if total > 32767 else total


def entries(folder: Path) -> dict[str, Entry]:
    return {entry.record: entry for entry in cinc(folder).entries()}


@pytest.mark.parametrize(
    "line", [f"#Dx: {AF},{SINUS}", f"# Dx: {AF}, {SINUS}", f"#dx:{AF} , {SINUS}", f"#  DX :\t{AF},{SINUS},", f"##Dx: {AF},{SINUS}"]
)  # fmt: skip
def test_codes_in_every_spelling(line: str) -> None:
    said = header_comments(f"A0001 12 500 5000\n{line}\n")
    assert said.codes == (AF, SINUS) and said.has_dx and said.other == ()


@pytest.mark.parametrize(
    ("text", "codes", "other"),
    [
        (f"#Dx: {AF},{AF}, {AF}", (AF,), ()),
        (f"#Dx: {AF}\n#Dx: {SINUS},{AF}", (AF, SINUS), ()),
        (f"#Dx: {AF} {SINUS}", (), (f"{AF} {SINUS}",)),
        (f"#Dx: {AF};{SINUS}", (), (f"{AF};{SINUS}",)),
        (f"#Dx: atrial fibrillation,{AF}", (AF,), ("atrial fibrillation",)),
        (f"#Dx: {AF}.0", (), (f"{AF}.0",)),
        ("#Dx: １６４８８９００３", (), ("１６４８８９００３",)),
        ("#Dx: Unknown", (), ()),
        ("#Dx: NaN,none,", (), ()),
        ("#Dx:", (), ()),
    ],
)
def test_what_counts_as_a_code(text: str, codes: tuple[str, ...], other: tuple[str, ...]) -> None:
    said = header_comments(text)
    assert (said.codes, said.other, said.has_dx) == (codes, other, True)


@pytest.mark.parametrize(
    "text", ["", "A0001 12 500 5000\n", "#Rx: Unknown", "#Dx 164889003", f"Dx: {AF}", f"#Hx: Dx: {AF}"]
)
def test_a_header_that_says_no_dx(text: str) -> None:
    assert not header_comments(text).has_dx and header_comments(text).codes == ()


@pytest.mark.parametrize(
    ("said", "age"),
    [
        ("80", 80.0), ("0", 0.0), ("0.5", 0.5), ("89", 89.0), ("90", 90.0), ("91", 90.0), ("300", 90.0), ("NaN", None),
        ("nan", None), ("inf", None), ("-inf", None), ("-1", None), ("-1e9", None), ("", None), ("Unknown", None),
        ("eighty", None), ("1e999", None),
    ],
)  # fmt: skip
def test_ages(said: str, age: float | None) -> None:
    assert header_comments(f"#Age: {said}").age == age


@pytest.mark.parametrize(
    ("said", "sex"),
    [
        ("Male", "male"),
        ("FEMALE", "female"),
        ("M", "male"),
        ("f", "female"),
        ("Unknown", None),
        ("NaN", None),
        ("", None),
    ],
)
def test_sexes(said: str, sex: str | None) -> None:
    assert header_comments(f"# Sex: {said}").sex == sex


@given(
    st.one_of(
        st.text(),
        st.lists(st.sampled_from(["#", "Dx", ":", ",", AF, "Age", "Sex", " ", "\n", "nan", "-", "\0"])).map("".join),
    )
)
def test_no_text_makes_the_reader_of_headers_fail(text: str) -> None:
    said = header_comments(text)
    assert all(code.isascii() and code.isdigit() for code in said.codes)
    assert len(set(said.codes)) == len(said.codes)
    assert said.age is None or 0 <= said.age <= 90
    assert said.sex in (None, "male", "female")
    assert said.has_dx or not (said.codes or said.other)


@pytest.mark.parametrize(
    ("name", "site"),
    [
        ("A0001", "CPSC"), ("Q0001", "CPSC-Extra"), ("I0001", "INCART"), ("S0001", "PTB"), ("HR00001", "PTB-XL"),
        ("E00001", "Georgia"), ("JS00001", "Chapman-Shaoxing"), ("JS10646", "Chapman-Shaoxing"), ("JS10647", "Ningbo"),
        ("JS45551", "Ningbo"), ("H00001", None), ("HRX0001", None), ("A", None), ("A0001b", None), ("J00001", None),
        ("a0001", None), ("B0001", None), ("A１", None),
    ],
)  # fmt: skip
def test_the_hospital_follows_from_the_name(tmp_path: Path, name: str, site: str | None) -> None:
    header(tmp_path, name, f"#Dx: {AF}")
    assert entries(tmp_path)[name].site == site


def test_findings_are_matched_whole_and_codes_kept(tmp_path: Path) -> None:
    header(tmp_path, "A0001", f"#Dx: {AF},{RBBB_ANY},{AF}0")
    entry = entries(tmp_path)["A0001"]
    assert entry.findings == ("atrial-fibrillation",) and entry.codes == (AF, RBBB_ANY, f"{AF}0")


def test_what_is_no_code_is_counted_and_not_kept(tmp_path: Path) -> None:
    """A statement in words may name somebody."""
    header(tmp_path, "A0001", f"#Dx: {AF},seen by Dr Tanaka", "#Name: Tanaka", "#Hx: Tanaka")
    source = cinc(tmp_path)
    (entry,) = source.entries()
    assert entry.codes == (AF,) and "Tanaka" not in repr(entry) + repr(source.remarks())
    assert source.remarks()["statements_that_are_no_code"] == 1


def test_records_lie_in_folders_of_any_depth_and_hidden_ones_do_not_count(tmp_path: Path) -> None:
    for name in ("A0001", "training/georgia/g1/E00001", ".cache/A0002", "g/._E00002"):
        header(tmp_path, name, f"#Dx: {AF}")
    found = entries(tmp_path)
    assert sorted(found) == ["A0001", "E00001"]
    assert found["E00001"].origin == "training/georgia/g1/E00001" and found["E00001"].patient == "E00001"


def test_copies_of_a_record_are_one_patient_s(tmp_path: Path) -> None:
    for name in ("two_leads/E07500", "six_leads/E07500", "six_leads/E07501"):
        header(tmp_path, name, f"#Dx: {AF}")
    found = entries(tmp_path)
    assert {record: entry.patient for record, entry in found.items()} == {
        "six_leads/E07500": "E07500", "two_leads/E07500": "E07500", "E07501": "E07501"
    }  # fmt: skip


def test_the_manifest_is_told_what_no_finding_is_made_of(tmp_path: Path) -> None:
    header(tmp_path, "A0001", f"#Dx: {AF},{SINUS}")
    header(tmp_path, "A0002", f"#Dx: {SINUS}")
    header(tmp_path, "X1", "#Dx: Unknown")
    source = cinc(tmp_path)
    source.entries()
    assert source.remarks() == {
        "record_names": 3, "records_with_codes": 2, "records_with_findings": 1, "sites": {"": 1, "CPSC": 2},
        "codes_without_finding": {SINUS: 2}, "statements_that_are_no_code": 0,
    }  # fmt: skip


def test_unknown_error_lists_the_codes_with_their_counts(tmp_path: Path) -> None:
    header(tmp_path, "A0001", f"#Dx: {AF},{SINUS}")
    header(tmp_path, "A0002", f"#Dx: {SINUS},{RBBB_ANY}")
    with pytest.raises(EcgbenchError, match=rf"2 SNOMED-CT codes .*most frequent: {SINUS} \(2\), {RBBB_ANY} \(1\)"):
        cinc(tmp_path, SourceOptions(unknown="error")).entries()


def test_unknown_error_is_content_where_every_code_is_known(tmp_path: Path) -> None:
    header(tmp_path, "A0001", f"#Dx: {AF}")
    assert len(cinc(tmp_path, SourceOptions(unknown="error")).entries()) == 1


def test_a_folder_without_headers(tmp_path: Path) -> None:
    with pytest.raises(EcgbenchError, match=r"no \.hea file is in"):
        cinc(tmp_path).entries()


def test_a_folder_of_other_records(tmp_path: Path) -> None:
    header(tmp_path, "100", "# 69 M 1085 1629 x1")
    with pytest.raises(EcgbenchError, match=r"none of the 1 headers has a #Dx comment; .*ptbxl:PATH and mitbih:PATH"):
        cinc(tmp_path).entries()


def test_a_record_without_dx_among_others_has_no_finding(tmp_path: Path) -> None:
    header(tmp_path, "A0001", f"#Dx: {AF}")
    header(tmp_path, "A0002")
    assert entries(tmp_path)["A0002"].findings == ()


def test_a_header_that_is_no_text_harms_no_other(tmp_path: Path) -> None:
    header(tmp_path, "A0001", f"#Dx: {AF}")
    (tmp_path / "A0002.hea").write_bytes(bytes(range(256)) * 1000)
    (tmp_path / "A0003.hea").symlink_to(tmp_path / "nowhere")
    found = entries(tmp_path)
    assert len(found) == 3 and found["A0002"].codes == found["A0003"].codes == ()


@pytest.mark.parametrize("gone", [".mat", ".hea"])
def test_a_record_with_a_file_missing_is_damaged_and_names_no_folder(tmp_path: Path, gone: str) -> None:
    signal(tmp_path / "A0001")
    source = cinc(tmp_path)
    (entry,) = source.entries()
    (tmp_path / f"A0001{gone}").unlink()
    with pytest.raises(DamagedRecordError, match=r"^A0001\.hea or A0001\.mat is missing$"):
        source.load(entry)


def test_a_signal_comes_in_millivolts_with_the_hash_of_its_files(tmp_path: Path) -> None:
    counts = signal(tmp_path / "A0001", ("I", "II", "V2"))
    source = cinc(tmp_path)
    raw = source.load(source.entries()[0])
    assert list(raw.leads) == ["I", "II", "V2"] and raw.rate == 500 and raw.format == "WFDB"
    np.testing.assert_array_equal(np.stack(list(raw.leads.values())), counts / 1000)
    before = raw.source_sha256
    path = tmp_path / "A0001.hea"
    path.write_text(path.read_text(encoding="utf-8") + "#Rx: Unknown\n", encoding="utf-8")
    assert len(before) == 64 and source.load(source.entries()[0]).source_sha256 != before


def test_the_fingerprint_changes_with_the_files(tmp_path: Path) -> None:
    signal(tmp_path / "A0001")
    before = cinc(tmp_path).fingerprint()
    assert before[0] == 2 and cinc(tmp_path).fingerprint() == before
    (tmp_path / "notes.txt").write_text("x", encoding="utf-8")
    assert cinc(tmp_path).fingerprint() == before
    header(tmp_path, "A0002", f"#Dx: {AF}")
    assert cinc(tmp_path).fingerprint() != before


def test_an_entry_of_another_source_is_no_entry_of_this_one(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="does not come from this source"):
        cinc(tmp_path).load(Entry("x", "x", "train", ()))


# --- cards that take some hospitals only --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("cpsc2018", {"A0001": "CPSC", "deep/A6877": "CPSC"}),
        ("csn38", {"JS00001": "Chapman-Shaoxing", "JS10646": "Chapman-Shaoxing", "deep/JS10647": "Ningbo"}),
    ],
)
def test_a_card_takes_the_records_of_its_sites_alone(name: str, taken: dict[str, str], tmp_path: Path) -> None:
    for record in (
        "A0001",
        "deep/A6877",
        "JS00001",
        "JS10646",
        "deep/JS10647",
        "Q0001",
        "E00001",
        "HR00001",
        "AB1",
        "x",
    ):
        header(tmp_path, record, f"#Dx: {AF}")
    _, source = open_source(f"{name}:{tmp_path}")
    listed = source.entries()
    assert {str(entry.origin): entry.site for entry in listed} == taken
    assert all(entry.findings == ("atrial-fibrillation",) for entry in listed)


def test_a_folder_without_a_record_of_the_card_s_sites_says_which_card_reads_it(tmp_path: Path) -> None:
    header(tmp_path, "E00001", f"#Dx: {AF}")
    with pytest.raises(
        EcgbenchError, match=r"^csn38:.* is of Chapman-Shaoxing or Ningbo, by its name; cinc:PATH reads"
    ):
        open_source(f"csn38:{tmp_path}")[1].entries()


@pytest.mark.parametrize(
    ("name", "codes", "findings"),
    [
        ("csn38", "270492004", ("first-degree-atrioventricular-block",)),  # neither AVB nor VB nor 2AVB
        ("csn38", "164889003", ("atrial-fibrillation",)),  # AFIB is not AF
        ("csn38", "251199005", ("counterclockwise-rotation",)),  # CCR is not CR
        ("csn38", "164930006", ("st-extension",)),  # STE is not ST
        ("csn38", "251146004", ()),  # LVQRSAL is not SA
        ("csn38", "54016002", ("second-degree-atrioventricular-block-type-one",)),  # 2AVB1 is not 2AVB
        ("csn38", "426177001", ()),  # sinus bradycardia is none of the 38
        ("csn38", "713427006,427172004", ("right-bundle-branch-block", "ventricular-premature-beat")),
        ("csn38", "713426002", ()),  # an incomplete block is scored as nothing of the 38
        ("cpsc2018", "426783006", ("normal",)),
        ("cpsc2018", "164884008", ("premature-ventricular-contraction",)),
        ("cpsc2018", "427172004,713427006", ()),  # codes of other hospitals' records
    ],
)
def test_a_code_gives_the_finding_whose_code_it_is(
    name: str, codes: str, findings: tuple[str, ...], tmp_path: Path
) -> None:
    record = "JS00001" if name == "csn38" else "A0001"
    header(tmp_path, record, f"#Dx: {codes}")
    (entry,) = open_source(f"{name}:{tmp_path}")[1].entries()
    assert entry.findings == findings


@pytest.mark.parametrize(("name", "size"), [("cpsc2018", 9), ("csn38", 38)])
def test_no_code_is_of_two_classes(name: str, size: int) -> None:
    bank = label_bank(f"labels-{name}.csv")
    codes = [code for cell in bank.column("snomed").values() for code in cell.split("|")]
    assert len(bank) == len(bank.column("snomed")) == size
    assert len(set(codes)) == len(codes) and not any("+" in code or "~" in code for code in codes)
