"""Made folders in MIMIC-IV-ECG's official layout: statements to findings by whole wording, and every broken table."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from ecgbench.cards import DatasetCard
from ecgbench.catalogue import load_card
from ecgbench.ecg.build import build_store
from ecgbench.ecg.recording import DamagedRecordError, Entry
from ecgbench.ecg.sources import open_source
from ecgbench.ecg.sources.mimic_iv_ecg import MimicIvEcg
from ecgbench.ecg.sources.options import SourceOptions
from ecgbench.ecg.store import Store
from ecgbench.errors import EcgbenchError
from ecgbench.findings import label_bank

RECORD_COLUMNS = ("subject_id", "study_id", "file_name", "ecg_time", "path")
REPORT_COLUMNS = (
    "subject_id", "study_id", "cart_id", "ecg_time", *(f"report_{number}" for number in range(18)), "bandwidth",
    "filtering", "rr_interval", "p_onset", "p_end", "qrs_onset", "qrs_end", "t_end", "p_axis", "qrs_axis", "t_axis",
)  # fmt: skip
MEASURED = ("0.005-150 Hz", "60 Hz notch Baseline filter", "659", "40", "128", "170", "258", "518", "81", "77", "79")
TIME = "2180-07-23 08:44:00"
MIMIC_ORDER = ("I", "II", "III", "aVR", "aVF", "aVL", "V1", "V2", "V3", "V4", "V5", "V6")
"""The release has aVF before aVL."""


def table(path: Path, columns: tuple[str, ...], rows: list[list[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as handle:
        csv.writer(handle).writerows([columns, *rows])


def path_of(subject: int, study: int) -> str:
    return f"files/p{subject // 10000}/p{subject}/s{study}/{study}"


def made(folder: Path, *studies: tuple[int, int, tuple[str, ...]]) -> Path:
    """A folder of (subject, study, statements), every group of recordings there, no recording in it."""
    records = [[str(p), str(s), str(s), TIME, path_of(p, s)] for p, s, _ in studies]
    reports = [[str(p), str(s), "6848296", TIME, *said, *[""] * (18 - len(said)), *MEASURED] for p, s, said in studies]
    table(folder / "record_list.csv", RECORD_COLUMNS, records)
    table(folder / "machine_measurements.csv", REPORT_COLUMNS, reports)
    for subject, _, _ in studies:
        (folder / f"files/p{subject // 10000}").mkdir(parents=True, exist_ok=True)
    return folder


def recording(folder: Path, subject: int, study: int, seed: int = 0) -> np.ndarray:
    """A recording as the release has it, 200 counts a mV; returns the counts, leads in the release's order."""
    counts = np.random.default_rng(seed).integers(-400, 400, (12, 5000)).astype("<i2")
    path = folder / path_of(subject, study)
    path.parent.mkdir(parents=True, exist_ok=True)
    sums = [(int(row.sum()) + 32768) % 65536 - 32768 for row in counts]
    lines = [
        f"{study}.dat 16 200.0(0)/mV 16 0 {row[0]} {total} 0 {lead}"
        for lead, row, total in zip(MIMIC_ORDER, counts, sums, strict=True)
    ]
    first = f"{study} 12 500 5000 08:44:00 23/07/2180"
    path.with_suffix(".hea").write_text("\n".join([first, *lines, f"# <subject_id>: {subject}", ""]), encoding="utf-8")
    path.with_suffix(".dat").write_bytes(counts.T.tobytes())
    return counts


def source_of(folder: Path, options: SourceOptions | None = None) -> MimicIvEcg:
    card = load_card(DatasetCard, "mimic-iv-ecg")
    return MimicIvEcg(str(folder), card, label_bank(card.labels), options or SourceOptions())


def entry_of(folder: Path, *statements: str, options: SourceOptions | None = None) -> Entry:
    (entry,) = source_of(made(folder, (10000032, 40689238, statements)), options).entries()
    return entry


def findings(folder: Path, *statements: str) -> set[str]:
    return set(entry_of(folder, *statements).findings)


# --- statements -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "Atrial fibrillation",
        "ATRIAL FIBRILLATION",
        "Atrial fibrillation.",
        "  atrial  fibrillation . ",
        "Atrial Fibrillation...",
    ],
)
def test_case_white_space_and_a_full_stop_do_not_count(tmp_path: Path, statement: str) -> None:
    assert findings(tmp_path, statement) == {"atrial-fibrillation"}


@pytest.mark.parametrize(
    "statement",
    [
        "Probable atrial fibrillation", "Atrial fibrillation or flutter", "No atrial fibrillation", "Atrial fib",
        "Atrial fibrillation, rate 150", "Atrial flutter/fibrillation", "(Atrial fibrillation)", "Atrial_fibrillation",
        "164889003", "Borderline prolonged PR interval", "Possible left atrial abnormality", "Consider acute MI",
        "Sinus rhythm with borderline 1st degree A-V block", "Left bundle branch block or pacing",
    ],
)  # fmt: skip
def test_a_statement_that_is_more_less_or_other_than_a_known_one_says_nothing(tmp_path: Path, statement: str) -> None:
    assert findings(tmp_path, statement) == set()


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        (("Sinus rhythm", "Possible right atrial abnormality", "", "Borderline ECG"), set()),
        (("Sinus tachycardia", "", "Normal ECG except for rate"), {"sinus-tachycardia"}),
        (("Sinus rhythm", "Normal ECG"), {"normal"}),
        (
            ("Sinus bradycardia with 1st degree A-V block",),
            {"sinus-bradycardia", "first-degree-atrioventricular-block"},
        ),
        (("Atrial fibrillation with PVC(s) or aberrant ventricular conduction.",), {"atrial-fibrillation"}),
        (
            ("RBBB with left anterior fascicular block", "Inferior infarct - age undetermined"),
            {"complete-right-bundle-branch-block", "left-anterior-fascicular-block", "inferior-wall-infarction"},
        ),
        (("Possible inferior infarct - age undetermined",), {"possible-inferior-wall-infarction"}),
        (("Incomplete LBBB",), set()),
    ],
)
def test_reports_as_the_release_prints_them(tmp_path: Path, statements: tuple[str, ...], expected: set[str]) -> None:
    assert findings(tmp_path, *statements) == expected


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        (("Left ventricular hypertrophy",), {"left-ventricular-hypertrophy"}),
        (
            ("Left ventricular hypertrophy", "Left atrial enlargement"),
            {"left-ventricular-hypertrophy-with-left-atrial-enlargement"},
        ),
        (("Left ventricular hypertrophy", "Right ventricular hypertrophy"), {"biventricular-hypertrophy"}),
        (("Biventricular hypertrophy", "Left ventricular hypertrophy"), {"biventricular-hypertrophy"}),
        (
            ("Right ventricular hypertrophy", "Biatrial enlargement"),
            {
                "right-ventricular-hypertrophy-with-left-atrial-enlargement",
                "right-ventricular-hypertrophy-with-right-atrial-enlargement",
            },
        ),
    ],
)
def test_two_statements_that_make_one_finding(tmp_path: Path, statements: tuple[str, ...], expected: set[str]) -> None:
    assert findings(tmp_path, *statements) == expected


def test_all_eighteen_columns_are_read(tmp_path: Path) -> None:
    assert findings(tmp_path, *["Sinus rhythm"] * 17, "Atrial flutter") == {"atrial-flutter"}


def test_a_label_s_own_names_and_id_are_known_too(tmp_path: Path) -> None:
    assert findings(tmp_path, "Clockwise Rotation", "洞房ブロック", "qrs") == {"clockwise-rotation", "sinoatrial-block"}


# --- what is not known ------------------------------------------------------------------------------------------------


def test_statements_that_nobody_has_read_are_counted_and_not_kept(tmp_path: Path) -> None:
    """They can hold a name; known wordings cannot."""
    name = "Reviewed by Dr. Tanaka for Suzuki Ichiro"
    source = source_of(made(tmp_path, (10000032, 40689238, ("Sinus rhythm", name, "Atrial flutter"))))
    (entry,) = source.entries()
    assert entry.codes == ("Sinus rhythm", "Atrial flutter") and entry.report is None
    remarks = source.remarks()
    assert "Tanaka" not in repr(entry) and "tanaka" not in repr(remarks).lower()
    assert (remarks["statements"], remarks["statements_not_matched"], remarks["wordings_not_matched"]) == (3, 1, 1)


def test_unknown_keep_keeps_every_statement_as_it_stands(tmp_path: Path) -> None:
    entry = entry_of(tmp_path, "Sinus rhythm", "Something New.", options=SourceOptions(unknown="keep"))
    assert entry.codes == ("Sinus rhythm", "Something New.") and entry.findings == ()
    assert entry.report == "Sinus rhythm\nSomething New."  # without this option there would be gaps in it


def test_unknown_drop_is_what_is_done_unasked(tmp_path: Path) -> None:
    asked = entry_of(tmp_path, "Atrial flutter", "Something new", options=SourceOptions(unknown="drop"))
    assert asked == entry_of(tmp_path, "Atrial flutter", "Something new") and asked.codes == ("Atrial flutter",)


@pytest.mark.parametrize(("patients", "told"), [(4, {}), (5, {"baseline drift": 5})])
def test_a_manifest_tells_unknown_wordings_of_several_patients_alone(
    tmp_path: Path, patients: int, told: dict[str, int]
) -> None:
    studies = [(10000032 + number, 40000000 + number, ("Baseline drift",)) for number in range(patients)]
    source = source_of(made(tmp_path, *studies))
    source.entries()
    assert source.remarks()["most_frequent_not_matched"] == told
    assert source.remarks()["statements_not_matched"] == patients


def test_one_patient_s_many_ecgs_are_not_several_patients(tmp_path: Path) -> None:
    source = source_of(made(tmp_path, *[(10000032, 40000000 + number, ("Mr Suzuki",)) for number in range(9)]))
    source.entries()
    assert source.remarks()["most_frequent_not_matched"] == {}
    assert source.remarks()["statements_not_matched"] == 9


def test_unknown_error_lists_wordings_with_their_counts_and_what_to_write(tmp_path: Path) -> None:
    studies = [(10000032, 40000000, ("Odd thing", "ODD THING.", "Other thing", "Sinus rhythm"))]
    with pytest.raises(EcgbenchError) as caught:
        source_of(made(tmp_path, *studies), SourceOptions(unknown="error")).entries()
    message = str(caught.value)
    assert message.startswith("2 wordings of the machine's statements mean no finding of the label table, the most ")
    assert "'odd thing' (2), 'other thing' (1)" in message and "--aliases FILE" in message and "\n" not in message


def test_aliases_win_over_the_shipped_wordings(tmp_path: Path) -> None:
    aliases = tmp_path / "aliases.csv"
    aliases.write_text("wording,label\nOdd thing,atrial-flutter\nAtrial fibrillation,-\n", encoding="utf-8")
    options = SourceOptions(aliases=aliases, unknown="error")
    assert entry_of(tmp_path, "ODD  thing.", "Atrial fibrillation", options=options).findings == ("atrial-flutter",)


def test_an_alias_to_no_label_is_an_error(tmp_path: Path) -> None:
    aliases = tmp_path / "aliases.csv"
    aliases.write_text("wording,label\nOdd thing,atrial-flatter\n", encoding="utf-8")
    with pytest.raises(
        EcgbenchError, match=r"'atrial-flatter' is no label of labels98\.csv; near ones: atrial-flutter"
    ):
        entry_of(tmp_path, "Odd thing", options=SourceOptions(aliases=aliases))


# --- folders ----------------------------------------------------------------------------------------------------------


def test_patients_studies_and_nothing_of_time_or_cart(tmp_path: Path) -> None:
    studies = [(10000032, 40689238, ("Sinus rhythm",)), (10000032, 49036311, ()), (10000635, 43522917, ())]
    found = source_of(made(tmp_path, *studies)).entries()
    assert [(e.record, e.patient, e.split) for e in found] == [
        ("40689238", "10000032", ""), ("49036311", "10000032", ""), ("43522917", "10000635", "")
    ]  # fmt: skip
    assert all(e.age is None and e.sex is None and e.site is None for e in found)
    assert not any(told in repr(found) for told in ("2180", "6848296", "659", "150 Hz"))


def test_recordings_of_groups_that_were_not_fetched_are_counted_and_left_out(tmp_path: Path) -> None:
    made(tmp_path, (10000032, 40689238, ()), (10010000, 40000001, ()), (10000635, 43522917, ()))
    (tmp_path / "files/p1001").rmdir()
    source = source_of(tmp_path)
    assert [e.record for e in source.entries()] == ["40689238", "43522917"]
    assert source.remarks()["recordings_not_fetched"] == 1 and source.remarks()["reports_read"] == 3


def test_a_recording_without_a_report_has_no_finding_and_is_counted(tmp_path: Path) -> None:
    made(tmp_path, (10000032, 40689238, ("Atrial flutter",)))
    table(tmp_path / "machine_measurements.csv", REPORT_COLUMNS, [])
    source = source_of(tmp_path)
    (entry,) = source.entries()
    assert entry.findings == entry.codes == () and source.remarks()["recordings_without_report"] == 1


def test_columns_are_found_by_name(tmp_path: Path) -> None:
    made(tmp_path, (10000032, 40689238, ("Atrial flutter",)))
    turned = RECORD_COLUMNS[::-1]
    table(tmp_path / "record_list.csv", turned, [[path_of(10000032, 40689238), TIME, "x", "40689238", "10000032"]])
    (entry,) = source_of(tmp_path).entries()
    assert (entry.record, entry.patient, entry.findings) == ("40689238", "10000032", ("atrial-flutter",))


def test_no_group_at_all(tmp_path: Path) -> None:
    made(tmp_path, (10000032, 40689238, ()))
    (tmp_path / "files/p1000").rmdir()
    with pytest.raises(EcgbenchError, match="no folder files/p1000 to files/p1999 is there: fetch one"):
        source_of(tmp_path).entries()


@pytest.mark.parametrize("missing", ["record_list.csv", "machine_measurements.csv"])
def test_a_missing_table_is_named(tmp_path: Path, missing: str) -> None:
    (made(tmp_path, (10000032, 40689238, ())) / missing).unlink()
    with pytest.raises(EcgbenchError, match=rf"{missing}' is missing; MIMIC-IV-ECG's official layout has it"):
        source_of(tmp_path)


ROW = f"10000032,40689238,40689238,{TIME},files/p1000/p10000032/s40689238/40689238\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"record_list\.csv' lacks the column subject_id, study_id, path"),
        ("subject_id,study_id,file_name\n", r"record_list\.csv' lacks the column path"),
        (",".join(RECORD_COLUMNS) + "\n" + ROW + ROW, r"line 3: the study 40689238 stands there a second time"),
        (",".join(RECORD_COLUMNS) + "\n" + ROW[:30], r"line 2: the row has 4 cells, the header has 5"),
        (",".join(RECORD_COLUMNS) + "\n" + ROW.replace("10000032", "", 1), r"line 2: a row needs subject_id, study_id"),
        (",".join(RECORD_COLUMNS) + "\n" + ROW.replace("files/", "/files/"), "line 2: a row needs"),
        (",".join(RECORD_COLUMNS) + "\n" + ROW.replace("files/", "files/../../"), "line 2: a row needs"),
        (",".join(RECORD_COLUMNS) + '\n"1"0,2,3,4,5\n', r"line 2: the quotes of this row are broken"),
    ],
)
def test_a_list_of_records_that_cannot_be_understood(tmp_path: Path, text: str, message: str) -> None:
    made(tmp_path, (10000032, 40689238, ()))
    (tmp_path / "record_list.csv").write_text(text, encoding="utf-8")
    with pytest.raises(EcgbenchError, match=message) as caught:
        source_of(tmp_path).entries()
    assert "\n" not in str(caught.value)


def test_a_study_with_two_reports_is_named(tmp_path: Path) -> None:
    made(tmp_path, (10000032, 40689238, ()))
    rows = [["10000032", "40689238", "1", TIME, *[""] * 18, *MEASURED]] * 2
    table(tmp_path / "machine_measurements.csv", REPORT_COLUMNS, rows)
    with pytest.raises(
        EcgbenchError, match=r"machine_measurements\.csv, line 3: the study 40689238 stands there a second"
    ):
        source_of(tmp_path).entries()


def test_bytes_that_are_not_utf8_spoil_their_own_statement_alone(tmp_path: Path) -> None:
    made(tmp_path, (10000032, 40689238, ("Atrial flutter", "Odd?thing")))
    path = tmp_path / "machine_measurements.csv"
    path.write_bytes(path.read_bytes().replace(b"Odd?thing", b"Odd\xffthing"))
    (entry,) = source_of(tmp_path).entries()
    assert entry.findings == ("atrial-flutter",) and entry.codes == ("Atrial flutter",)


# --- signals ----------------------------------------------------------------------------------------------------------


def test_a_signal_is_read_by_the_names_of_its_leads(tmp_path: Path) -> None:
    made(tmp_path, (10000032, 40689238, ()))
    counts = recording(tmp_path, 10000032, 40689238)
    source = source_of(tmp_path)
    raw = source.load(source.entries()[0])
    assert raw.rate == 500 and len(raw.source_sha256) == 64
    for row, lead in enumerate(MIMIC_ORDER):
        np.testing.assert_array_equal(raw.leads[lead], counts[row] / 200)


@pytest.mark.parametrize("ending", [".hea", ".dat"])
def test_a_missing_file_is_damage_and_names_no_folder_of_the_user(tmp_path: Path, ending: str) -> None:
    made(tmp_path, (10000032, 40689238, ()))
    recording(tmp_path, 10000032, 40689238)
    (tmp_path / f"{path_of(10000032, 40689238)}{ending}").unlink()
    source = source_of(tmp_path)
    with pytest.raises(DamagedRecordError, match=rf"^files/p1000/p10000032/s40689238/40689238\{ending} is missing$"):
        source.load(source.entries()[0])


def test_an_entry_of_another_source_is_no_entry_of_this_one(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="does not come from this source"):
        source_of(made(tmp_path, (10000032, 40689238, ()))).load(Entry("x", "x", "train", ()))


def test_a_store_is_built_with_leads_in_order_and_nothing_else_of_the_tables(tmp_path: Path) -> None:
    folder = tmp_path / "mimic"
    folder.mkdir()
    studies = [(10000032 + n // 2, 40000000 + n, ("Atrial flutter", f"Mr Suzuki {n}")) for n in range(12)]
    made(folder, *studies)
    counts = [recording(folder, subject, study, seed=study) for subject, study, _ in studies]
    assert build_store(*open_source(f"mimic-iv-ecg:{folder}"), tmp_path / "store") == []
    store = Store(tmp_path / "store")
    assert len(store) == 12 and store.records.groupby("patient")["split"].nunique().max() == 1
    first = store[list(store.records["record"]).index("40000000")]
    assert first.findings == ("atrial-flutter",)
    np.testing.assert_allclose(first.signal[4], counts[0][MIMIC_ORDER.index("aVL")] / 200, atol=1e-6)
    np.testing.assert_allclose(first.signal[5], counts[0][MIMIC_ORDER.index("aVF")] / 200, atol=1e-6)
    kept = b"".join(path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.suffix != ".npy")
    assert not any(told in kept for told in (b"Suzuki", b"suzuki", b"2180", b"6848296"))
    assert json.loads((tmp_path / "store" / "manifest.json").read_text())["remarks"]["statements_not_matched"] == 12


def test_the_fingerprint_changes_with_tables_and_fetched_groups(tmp_path: Path) -> None:
    made(tmp_path, (10000032, 40689238, ()))
    before = source_of(tmp_path).fingerprint()
    assert source_of(tmp_path).fingerprint() == before
    (tmp_path / "files/p1001").mkdir()
    fetched = source_of(tmp_path).fingerprint()
    made(tmp_path, (10000032, 40689238, ("Atrial flutter",)))
    assert before != fetched != source_of(tmp_path).fingerprint()
