"""`manifest:FILE.csv` as a source: its fingerprint, its recordings of real formats, and a hospital's own label set."""

from __future__ import annotations

import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import manifest_made as made
import numpy as np
import pytest

from ecgbench.ecg.build import build_store
from ecgbench.ecg.formats.layout import PlainLayout
from ecgbench.ecg.formats.site_readers import site_readers
from ecgbench.ecg.recording import LEADS, DamagedRecordError, RawEcg
from ecgbench.ecg.sources import Source, open_source
from ecgbench.ecg.sources.options import SourceOptions
from ecgbench.ecg.store import Store
from ecgbench.errors import EcgbenchError
from tests.conftest import ROOT

LAYOUT = ",サンプリング周波数,単位,誘導"


def source_of(folder: Path, *rows: str, more: str = "", options: SourceOptions | None = None) -> Source:
    path = folder / "list.csv"
    path.write_text("\n".join((f"ファイル,患者ID,所見{more}", *rows)) + "\n", encoding="cp932")
    return open_source(f"manifest:{path}", options or SourceOptions())[1]


def a_signal(seed: int = 0) -> np.ndarray:
    """12 leads of 10 s in whole µV."""
    return np.random.default_rng(seed).integers(-900, 900, (12, 5000)).astype(np.int16)


def loaded(folder: Path, row: str, more: str = "", options: SourceOptions | None = None) -> RawEcg:
    source = source_of(folder, row, more=more, options=options)
    (entry,) = source.entries()
    return source.load(entry)


def same(raw: RawEcg, expected: np.ndarray, rate: float = 500.0) -> bool:
    """Whether a recording is 12 leads of `expected` (µV)."""
    return raw.rate == rate and all(
        np.allclose(raw.leads[lead], samples / 1000, atol=1e-9) for lead, samples in zip(LEADS, expected, strict=True)
    )


def test_a_source_needs_its_table(tmp_path: Path) -> None:
    for spec, told in (
        ("manifest", "the source manifest needs its table: write manifest:FILE.csv."),
        (f"manifest:{tmp_path}/no.csv", "is not there: write manifest:FILE.csv."),
        (f"manifest:{tmp_path}", "is a folder: name the CSV in it."),
    ):
        with pytest.raises(EcgbenchError) as raised:
            open_source(spec)
        assert str(raised.value).endswith(told)


def test_building_a_source_reads_no_table(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes(b"\xff\xff no table at all")
    source = open_source(f"manifest:{tmp_path / 'list.csv'}")[1]
    with pytest.raises(EcgbenchError, match="holds the byte 0xFF"):
        source.entries()


def test_remarks_count_and_quote_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.xml").touch()
    rows = ("a.xml,1,頻脈、山田太郎様,様の心電図", "b.xml,2,,")
    source = source_of(tmp_path, *rows, more=",レポート", options=SourceOptions(unknown="drop"))
    source.entries()
    assert source.remarks() == {  # type: ignore[attr-defined]
        "rows": 2,
        "columns_read": ["findings", "path", "patient", "report"],
        "rows_without_findings": 1,
        "unknown_findings": {"are": "drop", "wordings": 1, "instances": 1, "wordings_of_few_patients_left_out": 0},
        "findings_dropped_by_aliases": 0,
        "label_names_with_another_meaning": 0,
        "report_column": "there, not kept",
    }


def test_a_report_is_not_taken_along(tmp_path: Path) -> None:
    (tmp_path / "a.xml").touch()
    (entry,) = source_of(tmp_path, "a.xml,1,頻脈,山田太郎様の心電図", more=",レポート").entries()
    assert entry.report is None


def test_a_report_is_taken_along_where_a_card_of_one_s_own_says_that_the_data_are_public(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.xml", "b.xml"):
        (tmp_path / name).touch()
    source_of(tmp_path, "a.xml,1,頻脈, 洞性頻脈。  ST は保たれる ", "b.xml,2,頻脈,", more=",レポート")
    folder = tmp_path / "registry" / "datasets"
    folder.mkdir(parents=True)
    card = (ROOT / "registry/datasets/manifest.yaml").read_text(encoding="utf-8")
    card = card.replace("name: manifest", "name: ours").replace("public: false", "public: true")
    (folder / "ours.yaml").write_text(card, encoding="utf-8")
    monkeypatch.setenv("ECGBENCH_PATH", str(tmp_path))
    source = open_source(f"ours:{tmp_path / 'list.csv'}")[1]
    assert [entry.report for entry in source.entries()] == ["洞性頻脈。  ST は保たれる", None]
    assert source.remarks()["report_column"] == "kept"  # type: ignore[attr-defined]


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """A folder with a WFDB record of one header and two signal files, an XML file, and a table of them."""
    (tmp_path / "r.hea").write_text("r 2 500 5000\nr.dat 16 1000/mV 16 0 0 0 0 I\nother.bin 16 1000/mV 16 0 0 0 0 II\n")
    for name in ("r.dat", "other.bin", "a.xml", "beside.txt"):
        (tmp_path / name).write_bytes(b"1234")
    return tmp_path


def fingerprint(folder: Path, options: SourceOptions | None = None, first: str = "r") -> object:
    return source_of(folder, f"{first},1,頻脈", "a.xml,2,徐脈", "absent.xml,3,徐脈", options=options).fingerprint()


def test_a_fingerprint_is_that_of_the_same_files(listed: Path) -> None:
    assert fingerprint(listed) == fingerprint(listed)
    os.utime(listed / "beside.txt", (1, 1))
    assert fingerprint(listed) == fingerprint(listed)


@pytest.mark.parametrize("change", ("size", "time"))
@pytest.mark.parametrize("name", ("a.xml", "r.hea", "r.dat", "other.bin"))
@pytest.mark.parametrize("first", ("r", "r.hea", "r.dat"))
def test_a_fingerprint_changes_with_every_file_of_a_recording(listed: Path, name: str, first: str, change: str) -> None:
    before = fingerprint(listed, first=first)
    stat = (listed / name).stat()
    if change == "size":
        with (listed / name).open("ab") as handle:
            handle.write(b"\n")
        os.utime(listed / name, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    else:
        os.utime(listed / name, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1_000_000))
    assert fingerprint(listed, first=first) != before


def test_a_fingerprint_changes_when_a_file_comes_or_goes(listed: Path) -> None:
    before = fingerprint(listed)
    (listed / "absent.xml").write_bytes(b"now")
    assert fingerprint(listed) != before
    (listed / "absent.xml").unlink()
    assert fingerprint(listed) == before
    (listed / "other.bin").unlink()
    assert fingerprint(listed) != before


def test_a_fingerprint_changes_with_the_table_and_the_options(listed: Path) -> None:
    before = fingerprint(listed)
    assert fingerprint(listed, first="r.hea") != before
    aliases = listed / "aliases.csv"
    seen = [before, fingerprint(listed, SourceOptions(unknown="drop"))]
    for label in ("normal", "-"):
        aliases.write_text(f"wording,label\nX,{label}\n")
        seen.append(fingerprint(listed, SourceOptions(aliases=aliases)))
    assert all(one != other for place, one in enumerate(seen) for other in seen[:place])


def test_a_wfdb_record(tmp_path: Path) -> None:
    signal = a_signal()
    file, layout = made._wfdb(tmp_path, "rec", signal / 1000)
    for written in (file, "rec", "rec.dat"):
        raw = loaded(tmp_path, f"{written},1,頻脈,{','.join(layout)}", LAYOUT)
        assert raw.format == "WFDB" and same(raw, signal)


def test_an_npy_file_whose_row_states_its_layout(tmp_path: Path) -> None:
    signal = a_signal(1)
    np.save(tmp_path / "心電図.npy", signal.T, allow_pickle=False)
    raw = loaded(tmp_path, f"心電図.npy,1,頻脈,２５０,μV,{'、'.join(LEADS)}", LAYOUT)
    assert raw.format == "NPY" and same(raw, signal, 250.0)


@pytest.mark.parametrize(("separator", "encoding"), ((",", "utf-8-sig"), ("\t", "utf-16"), (";", "cp932")))
def test_a_text_table_that_names_its_leads(tmp_path: Path, separator: str, encoding: str) -> None:
    signal = a_signal(2)
    head = separator.join(("時刻", *(f"{lead}誘導" for lead in LEADS)))
    lines = (separator.join((str(t), *map(str, column))) for t, column in enumerate(signal.T.tolist()))
    (tmp_path / "e.csv").write_text("\n".join((head, *lines)), encoding=encoding)
    raw = loaded(tmp_path, "e.csv,1,頻脈", options=SourceOptions(layout=PlainLayout(500.0, "uV")))
    assert raw.format == "text table" and same(raw, signal)


def test_a_plain_file_without_a_layout_says_what_to_give(tmp_path: Path) -> None:
    np.save(tmp_path / "e.npy", a_signal(), allow_pickle=False)
    with pytest.raises(EcgbenchError, match=r"'e\.npy' is a table of samples, which does not say its rate"):
        loaded(tmp_path, "e.npy,1,頻脈")


@pytest.mark.parametrize(
    ("options", "told"),
    (
        (SourceOptions(), "it is a table of samples, and neither its row nor an option says its rate, unit and leads"),
        (SourceOptions(layout=PlainLayout(500.0, "uV")), "the file does not name its leads: give their order"),
    ),
)
def test_one_file_that_turns_out_to_be_a_table_does_not_end_a_build(
    tmp_path: Path, options: SourceOptions, told: str
) -> None:
    """It is a damaged record as any other; its name told nobody that a rate is needed."""
    (tmp_path / "e.xml").write_text("1,2\n3,4\n")
    with pytest.raises(DamagedRecordError) as raised:
        loaded(tmp_path, "e.xml,1,頻脈", options=options)
    assert str(raised.value).startswith(told)


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    (tmp_path / "e.xml").touch()
    source = source_of(tmp_path, "e.xml,1,頻脈")
    (entry,) = source.entries()
    (tmp_path / "e.xml").unlink()
    with pytest.raises(DamagedRecordError, match=r"^the file is not there$"):
        source.load(entry)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    (
        ("e.xml", b"", "the file is empty"),
        ("e.xml", b"not an ECG at all", "no format that is known"),
        ("e.pdf", b"%PDF-1.7", "a picture of an ECG"),
        ("e.hea", b"e 1 500 5000\ne.dat 16 1000/mV 16 0 0 0 0 I\n", "is missing"),
    ),
)
def test_a_file_that_is_no_recording(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DamagedRecordError) as raised:
        loaded(tmp_path, f"{name},1,頻脈")
    assert told in str(raised.value) and str(tmp_path) not in str(raised.value)


def test_a_reason_names_no_file(tmp_path: Path) -> None:
    """The header of one patient's record can name another's file."""
    text = "YAMADA_TARO 1 500 5000\nSATO_HANAKO.dat 16 1000/mV 16 0 0 0 0 I\n"
    (tmp_path / "YAMADA_TARO.hea").write_text(text)
    with pytest.raises(DamagedRecordError) as raised:
        loaded(tmp_path, "YAMADA_TARO.hea,1,頻脈")
    assert "YAMADA" not in str(raised.value) and "SATO" not in str(raised.value)


@pytest.fixture
def site_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module that an installed package names as a site's reader; to be written."""
    package = tmp_path / "installed"
    (package / "mine-1.0.dist-info").mkdir(parents=True)
    (package / "mine-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (package / "mine-1.0.dist-info" / "entry_points.txt").write_text(
        "[ecgbench.readers]\nmine = the_sites_reader:read\n"
    )
    monkeypatch.syspath_prepend(package)
    site_readers.cache_clear()
    yield package / "the_sites_reader.py"
    site_readers.cache_clear()
    sys.modules.pop("the_sites_reader", None)


def test_a_site_reader_that_quotes_the_patient_is_not_quoted(tmp_path: Path, site_reader: Path) -> None:
    site_reader.write_text(
        "from ecgbench.ecg.recording import DamagedRecordError\n"
        "def read(path, head):\n"
        "    raise DamagedRecordError(f\"{path}: {path.stem} of '{head.decode()}' 山田 has no samples\")\n",
        encoding="utf-8",
    )
    (tmp_path / "SATO_1.xyz").write_text("SATO HANAKO")
    with pytest.raises(DamagedRecordError) as raised:
        loaded(tmp_path, "SATO_1.xyz,1,頻脈")
    assert str(raised.value) == "the file: ... of ... has no samples"


def test_a_site_reader_that_cannot_be_imported_ends_the_build(tmp_path: Path, site_reader: Path) -> None:
    site_reader.write_text("import a_module_that_nobody_has\n")
    (tmp_path / "e.xml").touch()
    with pytest.raises(EcgbenchError, match=r"the reader 'mine' .* cannot be imported"):
        loaded(tmp_path, "e.xml,1,頻脈")


OWN = SourceOptions(labels="labels-mine.csv")


@pytest.fixture
def own_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The hospital's own 12 labels, in an overlay."""
    monkeypatch.setenv("ECGBENCH_PATH", str(made.overlay(tmp_path / "overlay")))
    yield


@pytest.mark.parametrize(("encoding", "delimiter"), (("cp932", ","), ("utf-8-sig", "\t"), ("utf-16", "\t")))
@pytest.mark.usefixtures("own_labels")
def test_a_store_over_the_hospitals_own_labels(tmp_path: Path, encoding: str, delimiter: str) -> None:
    """12 Japanese labels, one of them with a separator in its name, in other widths and spaces than the table's."""
    listed = made.hospital(tmp_path / "病院", 24, encoding, delimiter)
    card, source = open_source(f"manifest:{listed}", OWN)
    assert build_store(card, source, tmp_path / "store", options=OWN) == []
    store = Store(tmp_path / "store")
    expected = Counter({(label.id,): 2 for label in made.LABELS})
    expected[("tachy",)], expected[("tachy", "lvh")] = 1, 1
    assert Counter(store.findings()) == expected
    assert store.manifest.labels == "labels-mine.csv" and len(store) == 24
    assert set(store.records["site"]) == set(made.SITES)
    assert Counter(store.records["sex"]) == {"male": 13, "female": 11}  # 19 patients in turn, the first five twice


@pytest.mark.usefixtures("own_labels")
def test_unknown_findings_are_told_by_the_own_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    listed = made.hospital(tmp_path / "病院", 12, unknown=True)
    with pytest.raises(EcgbenchError) as raised:
        open_source(f"manifest:{listed}", OWN)[1].entries()
    told = str(raised.value)
    assert "3 findings are not in labels-mine.csv: 'Ａｆ' (1 row, nearest afib 心房細動)" in told
    assert "'左室肥大の疑い' (1 row, nearest lvh 左室肥大); '要再検' (1 row, nothing near)" in told
    assert "--labels labels-mine.csv --aliases aliases.csv" in told
    options = SourceOptions(labels="labels-mine.csv", aliases=made.aliases(tmp_path))
    first, second, *_ = open_source(f"manifest:{listed}", options)[1].entries()
    assert (first.findings, second.findings) == (("afib",), ("tachy", "lvh"))


@pytest.mark.usefixtures("own_labels")
def test_labels_of_the_98_are_unknown_to_an_own_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.xml").touch()
    with pytest.raises(
        EcgbenchError, match=r"1 finding is not in labels-mine\.csv: '洞性頻脈' \(1 row, nearest tachy 洞頻脈\)"
    ):
        source_of(tmp_path, "a.xml,1,洞性頻脈、洞頻脈", options=OWN).entries()


@pytest.mark.usefixtures("own_labels")
def test_a_store_is_the_same_wherever_the_folder_lies(tmp_path: Path) -> None:
    listed = made.hospital(tmp_path / "一", 12)
    shutil.copytree(tmp_path / "一", tmp_path / "二")
    hashes = []
    for number, table in enumerate((listed, tmp_path / "二" / listed.name)):
        card, source = open_source(f"manifest:{table}", OWN)
        build_store(card, source, tmp_path / f"store{number}", options=OWN)
        hashes.append(Store(tmp_path / f"store{number}").data_hash)
    assert hashes[0] == hashes[1]
