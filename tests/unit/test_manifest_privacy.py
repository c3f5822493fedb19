"""No name, birth date, id or free text of a patient stands in a store that was built from a hospital's list.

Every byte of every file of the store is searched, outside its private folder, for each identifier in each encoding.
"""

from __future__ import annotations

import csv
import re
import stat
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from ecgbench.ecg.build import Damaged, build_store
from ecgbench.ecg.pseudonyms import Pseudonyms, read_key
from ecgbench.ecg.recording import LEADS
from ecgbench.ecg.sources import open_source
from ecgbench.ecg.sources.options import SourceOptions
from ecgbench.ecg.store import Store

ENCODINGS = ("utf-8", "cp932", "utf-16-le", "utf-16-be", "iso2022_jp", "euc_jp")
KEY, OTHER_KEY = "0123456789abcdef" * 4, "fedcba9876543210" * 4


@dataclass(frozen=True)
class Person:
    id: str
    kanji: str
    kana: str
    roman: str
    birth: str

    def identifiers(self) -> set[str]:
        """What names this person: the id, the birth date in two forms, each part of each form of the name."""
        names = (self.kanji, self.kanji.replace("髙", "高"), self.kana, self.roman)
        return {self.id, self.birth, self.digits, *(part for name in names for part in name.split("^"))}

    @property
    def digits(self) -> str:
        return "".join(f"{int(part):02d}" for part in self.birth.split("/"))

    @property
    def written(self) -> str:
        return self.kanji.replace("^", "")


PEOPLE = tuple(
    Person(f"{70_040_007 + 131 * number}", f"{family}^{given}", kana, f"{roman}^{first}", birth)
    for number, (family, given, kana, roman, first, birth) in enumerate((
        ("山田", "太郎", "ﾔﾏﾀﾞ^ﾀﾛｳ", "YAMADA", "TAROU", "1955/3/14"),
        ("髙橋", "花子", "ﾀｶﾊｼ^ﾊﾅｺ", "TAKAHASHI", "HANAKO", "1961/12/5"),
        ("渡邉", "一郎", "ﾜﾀﾅﾍﾞ^ｲﾁﾛｳ", "WATANABE", "ICHIROU", "1948/7/30"),
        ("佐々木", "十三", "ｻｻｷ^ｼﾞｭｳｿﾞｳ", "SASAKI", "JUUZOU", "1970/1/21"),
    ))
)  # fmt: skip
REPORT = "前回と比べ変化なし、ご家族に説明済み"
HEADER = (
    "ファイル",
    "患者ID",
    "氏名",
    "カナ氏名",
    "生年月日",
    "所見",
    "報告書",
    "年齢",
    "サンプリング周波数",
    "単位",
    "誘導",
)
LAYOUT = ("500", "μV", "、".join(LEADS))


def signal_of(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(-900, 900, (12, 5000)).astype(np.int16)


def write_wfdb(folder: Path, person: Person, number: int, signal_file: bool = True) -> str:
    """A record with a comment, as an ECG cart's export has it."""
    name = f"{person.roman.replace('^', '_')}-{person.id}-{number}"
    signal = signal_of(number)
    lines = [f"{name} 12 500 5000 10:30:00 14/03/2020"]
    for lead, samples in zip(LEADS, signal, strict=True):
        checksum = (int(samples.sum(dtype=np.int64)) + 32768) % 65536 - 32768
        lines.append(f"{name}.dat 16 1000(0)/mV 16 0 {samples[0]} {checksum} 0 {lead}")
    lines.append(f"# 氏名 {person.written}様 {person.birth} ID {person.id}")
    (folder / f"{name}.hea").write_text("\n".join(lines) + "\n", encoding="utf-8")
    if signal_file:
        (folder / f"{name}.dat").write_bytes(signal.T.astype("<i2").tobytes())
    return f"{name}.hea"


def write_npy(folder: Path, person: Person, number: int) -> str:
    name = f"{person.written}_{number}.npy"
    np.save(folder / name, signal_of(number).T, allow_pickle=False)
    return name


def write_text(folder: Path, person: Person, number: int) -> str:
    name = f"{person.id}_{number}.csv"
    rows = [f"# {person.written}様 {person.birth}", ",".join(LEADS)]
    rows += [",".join(map(str, column)) for column in signal_of(number).T.tolist()]
    (folder / name).write_text("\n".join(rows), encoding="cp932")
    return name


def waveform(signal: np.ndarray) -> object:
    """The 12 leads as one group of a DICOM ECG, 1 µV a count."""
    from pydicom import Dataset

    def coded(value: str, scheme: str = "UCUM") -> list[Dataset]:
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, value
        return [item]

    group = Dataset()
    group.WaveformOriginality, group.NumberOfWaveformChannels = "ORIGINAL", len(LEADS)
    group.NumberOfWaveformSamples, group.SamplingFrequency = signal.shape[1], 500
    group.ChannelDefinitionSequence = []
    for lead in LEADS:
        channel = Dataset()
        channel.ChannelSourceSequence = coded(f"Lead {lead}", "mine")
        channel.ChannelSensitivity, channel.ChannelSensitivityUnitsSequence = 1, coded("uV")
        channel.ChannelSensitivityCorrectionFactor, channel.ChannelBaseline, channel.WaveformBitsStored = 1, 0, 16
        group.ChannelDefinitionSequence.append(channel)
    group.WaveformBitsAllocated, group.WaveformSampleInterpretation = 16, "SS"
    group.add_new(0x54001010, "OW", signal.T.astype("<i2").tobytes())
    return group


def write_dicom(folder: Path, person: Person, number: int) -> str:
    """A 12-lead ECG object whose patient stands in it in ISO 2022, in UTF-8 or in the Shift_JIS of older devices."""
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid
    from pydicom.valuerep import PersonName

    full = f"{person.roman}={person.kanji.replace('髙', '高')}={person.kana}"
    data = Dataset()
    data.SpecificCharacterSet, data.PatientName = (
        (["", "ISO 2022 IR 13", "ISO 2022 IR 87"], full), ("ISO_IR 192", full), ("ISO_IR 13", PersonName(full.encode("cp932")))
    )[number % 3]  # fmt: skip
    data.PatientID, data.PatientAge, data.PatientSex, data.PatientBirthDate = person.id, "065Y", "M", person.digits
    data.SOPClassUID, data.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.9.1.1", generate_uid(entropy_srcs=[str(number)])
    data.WaveformSequence = [waveform(signal_of(number))]
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    name = f"{person.written}_{person.id}_{number}.dcm"
    data.save_as(folder / name, enforce_file_format=True)
    return name


def write_damaged(folder: Path) -> list[tuple[Person, str]]:
    """Files that cannot be read, each of which could make a reader quote the patient."""
    first, second, third, fourth = PEOPLE
    cut = folder / write_dicom(folder, second, 91)
    cut.write_bytes(cut.read_bytes()[:-30_000])
    objects = f"{third.written}_92.npy"
    np.save(folder / objects, np.array([third.written, third.id], object), allow_pickle=True)
    table = folder / write_text(folder, fourth, 93)
    table.write_text(table.read_text(encoding="cp932") + f"\n{fourth.written},{fourth.id}", encoding="cp932")
    broken = {
        f"{first.written}.xml": f"<AnnotatedECG xmlns='urn:hl7-org:v3'><name>{first.written}</name><id>{first.id}",
        f"{second.id}.XML": f"<RestingECG><PatientLastName>{second.roman}</PatientLastName>{second.digits}</wrong>",
        f"{third.roman}.txt": f"{third.written} {third.birth}",
        f"{fourth.id}.hea": f"{fourth.id} 2 500 5000\n{first.written}.dat 16 200/{fourth.roman} 16 0 0 0 0 {fourth.roman}\n",
    }
    for name, text in broken.items():
        (folder / name).write_text(text, encoding="utf-8")
    people = dict(zip(broken, PEOPLE, strict=True))
    return [
        (first, write_wfdb(folder, first, 90, signal_file=False)), (second, cut.name), (third, objects),
        (fourth, table.name), *((people[name], name) for name in broken), (first, f"{first.written}_absent.dcm"),
    ]  # fmt: skip


@dataclass(frozen=True)
class Hospital:
    table: Path
    records: int
    damaged: int

    def build(self, store: Path, *, key: str | None = KEY, keep_ids: bool = False) -> list[Damaged]:
        options = SourceOptions(keep_ids=keep_ids)
        card, source = open_source(f"manifest:{self.table}", options)
        return build_store(card, source, store, options=options, damaged_allowed=1.0, key=key)


def hospital(folder: Path, *, record_column: bool) -> Hospital:
    """Sixteen recordings in four formats of four people, eight files and a missing one that cannot be read, and their table."""
    (folder / "患者別").mkdir(parents=True)
    writers = (write_wfdb, write_npy, write_text, write_dicom)
    listed = [
        (person, writers[(number + round_) % 4](folder / "患者別", person, 4 * round_ + number))
        for round_ in range(4) for number, person in enumerate(PEOPLE)
    ]  # fmt: skip
    damaged = write_damaged(folder / "患者別")
    rows = []
    for number, (person, file) in enumerate([*listed, *damaged]):
        findings, layout = (
            ("心房細動", "正常範囲；左軸偏位", "")[number % 3],
            LAYOUT if file[-3:] in ("npy", "csv") else ("", "", ""),
        )
        row = [f"患者別\\{file}", person.id, person.written, person.kana.replace("^", " "), person.birth, findings]
        rows.append(
            [
                *row,
                f"{person.written}様。{REPORT}",
                "65",
                *layout,
                *([f"R{person.id}-{number}"] if record_column else []),
            ]
        )
    table = folder / "一覧.csv"
    with table.open("w", encoding="cp932", newline="") as handle:
        csv.writer(handle).writerows([[*HEADER, *(["記録ID"] if record_column else [])], *rows])
    return Hospital(table, len(listed), len(damaged))


IDENTIFIERS = sorted({REPORT, "様", "患者別", "一覧"}.union(*(person.identifiers() for person in PEOPLE)))


def found_in(folder: Path, identifiers: list[str]) -> set[tuple[str, str]]:
    """(identifier, encoding) of all that stands in a file or a file's name below a folder, `private` left out."""
    found = set()
    forms = {}
    for identifier in identifiers:
        for encoding in ENCODINGS:
            form = identifier.encode(encoding, "ignore")
            if form.decode(encoding) == identifier:
                forms.setdefault(form, (identifier, encoding))
    for path in folder.rglob("*"):
        if path.is_file() and path.relative_to(folder).parts[0] != "private":
            data = str(path.relative_to(folder)).encode() + b"\n" + path.read_bytes()
            found |= {told for form, told in forms.items() if form in data}
    return found


@pytest.fixture(scope="module", params=(False, True), ids=("records by path", "records by id"))
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    return hospital(tmp_path_factory.mktemp("hospital"), record_column=request.param)


@pytest.fixture(scope="module")
def built(made: Hospital, tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("stores") / "store"
    made.build(store)
    return store


def test_the_search_finds_what_is_there(made: Hospital) -> None:
    """Every identifier stands in the hospital's own folder, and in each encoding that its files are in."""
    found = found_in(made.table.parent, IDENTIFIERS)
    assert {identifier for identifier, _ in found} == set(IDENTIFIERS)
    assert {("山田", "cp932"), ("山田", "utf-8"), ("太郎", "iso2022_jp"), ("山田", "iso2022_jp")} <= found


def test_no_identifier_stands_in_the_store(made: Hospital, built: Path) -> None:
    store = Store(built)
    assert len(store) == made.records and len(store.manifest.damaged) == made.damaged
    assert store.manifest.remarks["formats"] == {"WFDB": 4, "NPY": 4, "text table": 4, "DICOM": 4}
    assert found_in(built, IDENTIFIERS) == set()


def test_no_name_of_a_file_stands_in_the_store(made: Hospital, built: Path) -> None:
    files = [path for path in made.table.parent.rglob("*") if path.is_file()]
    assert len(files) > 20
    assert found_in(built, sorted({form for path in files for form in (path.name, path.stem)})) == set()


def test_the_reasons_of_damaged_records_hold_no_identifier(made: Hospital, built: Path) -> None:
    reasons = [damage["reason"] for damage in Store(built).manifest.damaged]
    assert len(reasons) == made.damaged and all(reason.isascii() and len(reason) > 8 for reason in reasons)
    assert not [(reason, name) for reason in reasons for name in IDENTIFIERS if name in reason]


def test_no_report_stands_in_the_index(built: Path) -> None:
    assert set(Store(built).records["report"]) == {""} and set(Store(built).records["codes"]) == {""}


def test_ids_are_keyed_and_the_key_is_for_its_owner_alone(made: Hospital, built: Path) -> None:
    store = Store(built)
    assert store.manifest.ids == "keyed"
    assert all(re.fullmatch("r-[0-9a-f]{16}", record) for record in store.records["record"])
    names = Pseudonyms(KEY)
    assert set(store.records["patient"]) == {names.of("patient", person.id) for person in PEOPLE}
    assert [path.name for path in (built / "private").iterdir()] == ["key"]
    assert stat.S_IMODE((built / "private").stat().st_mode) == 0o700
    assert stat.S_IMODE((built / "private" / "key").stat().st_mode) == 0o600
    assert read_key(built / "private" / "key") == KEY
    public = b"".join(path.read_bytes() for path in built.iterdir() if path.is_file())
    assert KEY.encode() not in public and bytes.fromhex(KEY) not in public


def test_a_store_without_a_key_given_has_a_new_one(made: Hospital, tmp_path: Path) -> None:
    made.build(tmp_path / "one", key=None)
    made.build(tmp_path / "other", key=None)
    keys = [read_key(tmp_path / name / "private" / "key") for name in ("one", "other")]
    assert keys[0] != keys[1]
    assert not set(Store(tmp_path / "one").records["patient"]) & set(Store(tmp_path / "other").records["patient"])


def test_the_same_key_gives_the_same_pseudonyms_and_another_key_the_same_hashes(
    made: Hospital, built: Path, tmp_path: Path
) -> None:
    made.build(tmp_path / "same")
    made.build(tmp_path / "other", key=OTHER_KEY)
    store, same, other = (Store(folder) for folder in (built, tmp_path / "same", tmp_path / "other"))
    assert (built / "index.csv").read_bytes() == (tmp_path / "same" / "index.csv").read_bytes()
    assert not set(store.records["record"]) & set(other.records["record"])
    assert store.data_hash == same.data_hash == other.data_hash
    assert store.manifest.splits_hash == other.manifest.splits_hash
    assert list(store.records["split"]) == list(other.records["split"])


def test_kept_ids_are_kept_and_nothing_else(made: Hospital, tmp_path: Path) -> None:
    made.build(tmp_path / "store", keep_ids=True)
    store = Store(tmp_path / "store")
    assert store.manifest.ids == "kept" and not (tmp_path / "store" / "private").exists()
    assert set(store.records["patient"]) == {person.id for person in PEOPLE}
    names = {
        part for person in PEOPLE for part in (person.birth, *person.kana.split("^"))
    }  # file names hold the others
    assert found_in(tmp_path / "store", sorted({REPORT, "様"} | names)) == set()


def test_what_a_killed_build_leaves_behind_holds_no_identifier(made: Hospital, tmp_path: Path) -> None:
    def killed(done: int, of: int) -> None:
        if done == made.records + 6:
            raise KeyboardInterrupt

    card, source = open_source(f"manifest:{made.table}")
    with pytest.raises(KeyboardInterrupt):
        build_store(card, source, tmp_path / "store", killed, damaged_allowed=1.0)
    (left,) = tmp_path.iterdir()
    assert (left / "journal.jsonl").stat().st_size > 1000
    assert found_in(tmp_path, IDENTIFIERS) == set()
