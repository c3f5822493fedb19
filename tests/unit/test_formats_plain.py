"""CSV, TSV, NPY, NPZ and Parquet files of samples, with the layout that they do not state."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgbench.ecg.formats.layout import PlainLayout
from ecgbench.ecg.formats.read import read_file
from ecgbench.ecg.recording import LEADS, DamagedRecordError, RawEcg
from ecgbench.errors import EcgbenchError

SAMPLES = np.random.default_rng(0).normal(size=(40, 12)).round(3)
"""(samples, leads) in mV."""
LAYOUT = PlainLayout(rate=500, unit="mV", leads=LEADS)
NAMED = PlainLayout(rate=500, unit="mV")


def read(content: bytes | str, folder: Path, layout: PlainLayout = LAYOUT, encoding: str = "utf-8") -> RawEcg:
    path = folder / "ecg"
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return read_file(path, layout)


def text(separator: str = ",", heading: str = "", decimal: str = ".") -> str:
    rows = [separator.join(str(value).replace(".", decimal) for value in row) for row in SAMPLES.tolist()]
    return heading + "\n".join(rows) + "\n"


def saved(array: Any, **options: Any) -> bytes:
    written = io.BytesIO()
    np.save(written, array, **options)
    return written.getvalue()


def archive(**arrays: Any) -> bytes:
    written = io.BytesIO()
    np.savez(written, **arrays)
    return written.getvalue()


def parquet(frame: pd.DataFrame, folder: Path) -> bytes:
    frame.to_parquet(folder / "frame.parquet")
    return (folder / "frame.parquet").read_bytes()


def assert_all(raw: RawEcg, samples: np.ndarray = SAMPLES, leads: tuple[str, ...] = LEADS) -> None:
    assert tuple(raw.leads) == leads and raw.rate == 500
    for place, lead in enumerate(leads):
        np.testing.assert_array_equal(raw.leads[lead], samples[:, place])


@pytest.mark.parametrize("separator", [",", "\t", ";", " ", "  ", ", "])
@pytest.mark.parametrize("heading", [True, False])
def test_text_between_any_separator_with_and_without_a_heading(separator: str, heading: bool, tmp_path: Path) -> None:
    first = separator.join(LEADS) + "\n" if heading else ""
    assert_all(read(text(separator, first), tmp_path, NAMED if heading else LAYOUT))


@pytest.mark.parametrize("separator", [";", "\t"])
def test_decimal_commas_beside_semicolons_and_tabs(separator: str, tmp_path: Path) -> None:
    assert_all(read(text(separator, separator.join(LEADS) + "\n", ","), tmp_path, NAMED))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp932"])
def test_headings_in_the_encodings_that_excel_saves(encoding: str, tmp_path: Path) -> None:
    heading = "時刻," + ",".join(f"{lead}誘導" for lead in LEADS) + "\r\n"
    rows = "\r\n".join(f"{n}," + ",".join(map(str, row)) for n, row in enumerate(SAMPLES.tolist()))
    assert_all(read(heading + rows + "\r\n", tmp_path, NAMED, encoding))


def test_columns_of_another_order_and_a_time_column(tmp_path: Path) -> None:
    order = ("V1", "aVR", "II")
    columns = [LEADS.index(lead) for lead in order]
    rows = "\n".join(f"{n / 500}," + ",".join(map(str, row)) for n, row in enumerate(SAMPLES[:, columns].tolist()))
    assert_all(read(f"Time (s),V1,AVR,ii\n{rows}", tmp_path, NAMED), SAMPLES[:, columns], order)


def test_comments_and_blank_lines_are_passed_over(tmp_path: Path) -> None:
    content = "# made by hand\n\n" + ",".join(LEADS) + "\n\n" + text().replace("\n", "\n\n", 1)
    assert_all(read(content, tmp_path, NAMED))


def test_the_column_numbers_of_pandas_are_a_heading(tmp_path: Path) -> None:
    assert_all(read(pd.DataFrame(SAMPLES).to_csv(), tmp_path))
    assert_all(read(pd.DataFrame(SAMPLES).to_csv(index=False), tmp_path))


def test_quoted_cells(tmp_path: Path) -> None:
    heading = ",".join(f'"{lead}"' for lead in LEADS) + "\n"
    rows = "\n".join(",".join(f'"{value}"' for value in row) for row in SAMPLES.tolist())
    assert_all(read(heading + rows, tmp_path, NAMED))


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda row: [*row[:3], "YAMADA", *row[4:]], "row 8, column 4 is not a number"),
        (lambda row: [*row[:11], ""], "row 8, column 12 is empty"),
        (lambda row: row[:11], "row 8 has 11 columns in place of 12"),
        (lambda row: [*row, "1"], "row 8 has 13 columns in place of 12"),
        (lambda row: [*row[:3], "nan", *row[4:]], "lead aVR has no number at sample 7"),
        (lambda row: [*row[:3], "1e999", *row[4:]], "lead aVR has no number at sample 7"),
    ],
)  # fmt: skip
def test_a_cell_that_is_no_number_is_named_by_row_and_column_alone(harm: Any, says: str, tmp_path: Path) -> None:
    lines = (",".join(LEADS) + "\n" + text()).splitlines()
    lines[7] = ",".join(harm(lines[7].split(",")))
    with pytest.raises(DamagedRecordError, match=says) as caught:
        read("\n".join(lines), tmp_path)
    assert "YAMADA" not in str(caught.value)


@pytest.mark.parametrize("kind", ["<i2", ">i2", "<f4", "<f8", ">f8", "<u2", "|i1", "<i8"])
@pytest.mark.parametrize("across", [False, True])
def test_npy_of_any_number_and_either_orientation(kind: str, across: bool, tmp_path: Path) -> None:
    values = np.arange(40 * 12).reshape(40, 12) % 100
    stored = (values.T if across else values).astype(kind)
    assert_all(read(saved(stored), tmp_path), values.astype(float))
    assert_all(read(saved(np.asfortranarray(stored)), tmp_path), values.astype(float))


def test_npz_of_one_array_and_of_one_array_a_lead(tmp_path: Path) -> None:
    assert_all(read(archive(ecg=SAMPLES.T), tmp_path))
    by_lead = {lead: SAMPLES[:, place] for place, lead in enumerate(LEADS)}
    assert_all(read(archive(**by_lead, rate=np.array(500)), tmp_path, NAMED))


def test_parquet_with_and_without_an_index(tmp_path: Path) -> None:
    frame = pd.DataFrame(SAMPLES, columns=list(LEADS))
    assert_all(read(parquet(frame, tmp_path), tmp_path, NAMED))
    assert_all(read(parquet(frame.astype("float32").astype(float), tmp_path), tmp_path, NAMED),
               SAMPLES.astype("float32").astype(float))  # fmt: skip
    frame.insert(0, "time", np.arange(40) / 500)
    assert_all(read(parquet(frame, tmp_path), tmp_path, NAMED))


@pytest.mark.parametrize(("unit", "factor"), [("mV", 1.0), ("uV", 1e-3), ("V", 1e3)])
def test_the_unit_is_applied(unit: Any, factor: float, tmp_path: Path) -> None:
    raw = read(saved(SAMPLES), tmp_path, PlainLayout(500, unit, LEADS))
    np.testing.assert_array_equal(raw.leads["V6"], SAMPLES[:, 11] * factor)


@pytest.mark.parametrize("shape", [(12, 5), (40, 3), (3, 40), (40, 12, 1), (1, 40, 12), (2, 2)])
def test_a_shape_that_the_lead_order_does_not_fit(shape: tuple[int, ...], tmp_path: Path) -> None:
    layout = PlainLayout(500, "mV", LEADS[:6])
    with pytest.raises(DamagedRecordError, match=r"rows and .* columns, the layout 6 leads|has 3 dimensions"):
        read(saved(np.zeros(shape)), tmp_path, layout)


def test_as_many_samples_as_leads_tell_nothing(tmp_path: Path) -> None:
    with pytest.raises(DamagedRecordError, match="12 by 12, so nothing tells leads from samples"):
        read(saved(np.zeros((12, 12))), tmp_path)


def test_one_lead_in_one_dimension(tmp_path: Path) -> None:
    raw = read(saved(SAMPLES[:, 0]), tmp_path, PlainLayout(500, "mV", ("II",)))
    np.testing.assert_array_equal(raw.leads["II"], SAMPLES[:, 0])


@pytest.mark.parametrize(
    ("layout", "says"),
    [
        (PlainLayout(0, "mV", LEADS), "the rate 0 is not a number of Hz above 0, such as 500"),
        (PlainLayout(float("nan"), "mV", LEADS), "the rate nan is not a number of Hz"),
        (PlainLayout(float("inf"), "mV", LEADS), "the rate inf"),
        (PlainLayout(500, "kV", LEADS), "the unit 'kV' is unknown; valid are mV, uV, V"),  # type: ignore[arg-type]
        (PlainLayout(500, "mV", ("I", "MLII")), "the lead 'MLII' is unknown; valid are I, II, III"),
        (PlainLayout(500, "mV", ("I", "lead I")), "the lead I is named twice"),
        (NAMED, "the file does not name its leads: give their order"),
    ],
)  # fmt: skip
def test_a_layout_that_cannot_be_is_the_users_to_mend(layout: PlainLayout, says: str, tmp_path: Path) -> None:
    with pytest.raises(EcgbenchError, match=says):
        read(saved(SAMPLES), tmp_path, layout)


def test_without_a_layout_it_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "ecg.npy"
    path.write_bytes(saved(SAMPLES))
    with pytest.raises(EcgbenchError, match=r"'ecg\.npy' is a table of samples.*--rate 500 --unit mV --leads I,II"):
        read_file(path)


def test_headings_against_the_layout(tmp_path: Path) -> None:
    swapped = ("II", "I", *LEADS[2:])
    with pytest.raises(DamagedRecordError, match=r"its columns are headed II, I, III.*, the layout says I, II, III"):
        read(",".join(swapped) + "\n" + text(), tmp_path)


@pytest.mark.parametrize(
    ("heading", "says"),
    [
        (("I", "II", "aVX"), "column 3 is headed by an unknown lead name; near is aVR"),
        (("I", "YAMADA TARO", "II"), "column 2 is headed by an unknown lead name"),
        (("I", "lead i", "II"), "column 2 is a second lead I"),
    ],
)
def test_a_heading_that_is_no_lead_is_not_guessed_and_not_repeated(
    heading: tuple[str, ...], says: str, tmp_path: Path
) -> None:
    frame = pd.DataFrame(SAMPLES[:, :3], columns=list(heading))
    for content in (frame.to_csv(index=False).encode(), parquet(frame, tmp_path)):
        with pytest.raises(DamagedRecordError, match=says) as caught:
            read(content, tmp_path, NAMED)
        assert "YAMADA" not in str(caught.value)


def test_headings_of_which_none_is_a_lead_leave_it_to_the_layout(tmp_path: Path) -> None:
    assert_all(read(pd.DataFrame(SAMPLES).add_prefix("ch").to_csv(index=False), tmp_path))


@pytest.mark.parametrize(
    "array", [np.array(["a", "b"]), np.array([True]), np.array([1j]), np.array(["2020"], "M8[D]"),
              np.array([(1, 2)], "i2,i2")]
)  # fmt: skip
def test_an_array_of_other_things_than_numbers(array: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(DamagedRecordError, match="does not hold plain numbers"):
        read(saved(array), tmp_path)


def test_a_parquet_column_of_text(tmp_path: Path) -> None:
    frame = pd.DataFrame({"I": SAMPLES[:, 0], "name": ["YAMADA"] * 40})
    with pytest.raises(DamagedRecordError, match="column 2 does not hold plain numbers") as caught:
        read(parquet(frame, tmp_path), tmp_path, NAMED)
    assert "YAMADA" not in str(caught.value)


class Payload:
    """Unpickled, it makes a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.target,))


def test_a_pickled_array_is_refused_without_being_unpickled(tmp_path: Path) -> None:
    target = tmp_path / "it ran"
    harmful = np.array([Payload(target)], dtype=object)
    for content in (saved(harmful, allow_pickle=True), archive(I=harmful)):
        with pytest.raises(DamagedRecordError):
            read(content, tmp_path)
        assert not target.exists()
    np.load(io.BytesIO(saved(harmful, allow_pickle=True)), allow_pickle=True)
    assert target.exists()


def test_a_bare_pickle_is_of_no_format(tmp_path: Path) -> None:
    target = tmp_path / "it ran"
    with pytest.raises(DamagedRecordError, match="no format that is known"):
        read(pickle.dumps(Payload(target)), tmp_path)
    assert not target.exists()


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({"a.txt": b"hello"}, "something else than arrays"),
        ({}, "0 members"),
        ({f"{n}.npy": saved(SAMPLES) for n in range(65)}, "65 members, 1 to 64"),
        ({"I.npy": saved(SAMPLES[:, 0]), "II.npy": saved(SAMPLES[:5, 1])}, "not one lead each, all of one length"),
        ({"a.npy": saved(SAMPLES), "b.npy": saved(SAMPLES)}, "not one lead each"),
        ({"a.npy": saved(SAMPLES)[:200]}, "declares 3840 bytes of samples"),
    ],
)  # fmt: skip
def test_archives_that_are_no_ecg(members: dict[str, bytes], says: str, tmp_path: Path) -> None:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as made:
        for name, content in members.items():
            made.writestr(name, content)
    content = written.getvalue() if members else b"PK\x03\x04" + written.getvalue()
    with pytest.raises(DamagedRecordError, match=says):
        read(content, tmp_path)


@pytest.mark.parametrize("cut", [3, 60, 127, 128, 500, 3000])
def test_a_cut_npy_file(cut: int, tmp_path: Path) -> None:
    with pytest.raises(DamagedRecordError):
        read(saved(SAMPLES)[:cut], tmp_path)


def test_the_file_is_hashed(tmp_path: Path) -> None:
    import hashlib

    content = saved(SAMPLES)
    assert read(content, tmp_path).source_sha256 == hashlib.sha256(content).hexdigest()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=3, max_size=3), min_size=4, max_size=20),
    st.sampled_from([",", "\t", ";", " "]),
)
def test_whatever_python_writes_comes_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[float]], by: str
) -> None:
    content = "I II V1\n".replace(" ", by) + "\n".join(by.join(map(repr, row)) for row in rows)
    raw = read(content, tmp_path_factory.mktemp("rows"), NAMED)
    np.testing.assert_array_equal(np.stack(list(raw.leads.values()), axis=1), np.array(rows))
