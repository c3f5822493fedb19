"""A build goes on with the next file, whatever a file is, through the source that hospitals use."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ecgbench.ecg.build import build_store
from ecgbench.ecg.sources import open_source
from ecgbench.ecg.store import Store
from ecgbench.errors import EcgbenchError
from tests.fuzz.made import KINDS, made_files
from tests.fuzz.made_signal import RATE, SECRETS, STORED, counts
from tests.fuzz.mutations import zeros_archive

TABLES = ("text table", "NPY", "NPZ", "Parquet")
HARMS: dict[str, Callable[[bytes], bytes]] = {
    "cut": lambda content: content[: len(content) // 3],
    "emptied": lambda content: b"",
    "overwritten": lambda content: bytes(len(content)),
    "of another kind": lambda content: b"%PDF-1.7\n" + content,
}
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 12))
BOMBS = {
    "laughs.xml": f'<!DOCTYPE RestingECG [<!ENTITY l0 "l">{LAUGHS}]><RestingECG>&l11;</RestingECG>'.encode(),
    "zeros.npz": zeros_archive(48 << 20, 3, "<i2"),
}


def listed(folder: Path) -> tuple[Path, dict[str, bool]]:
    """A CSV of files of every kind, each whole and in every harmed form. Also: which are whole, by file."""
    whole: dict[str, bool] = {}
    for kind in KINDS:
        made = made_files(kind)[0]
        for harm in ("", *HARMS):
            name = f"{kind} {harm or 'whole'}".replace(" ", "-")
            files = {each.replace("a.", f"{name}."): content for each, content in made.files.items()}
            files = {each: content.replace(b"a.dat", f"{name}.dat".encode()) for each, content in files.items()}
            main = made.name.replace("a.", f"{name}.")
            if harm:
                files[main] = HARMS[harm](files[main])
            for each, content in files.items():
                (folder / each).write_bytes(content)
            whole[main] = not harm
    for name, content in BOMBS.items():
        (folder / name).write_bytes(content)
        whole[name] = False
    whole["absent.dcm"] = False
    with (folder / "list.csv").open("w", encoding="cp932", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(("ファイル", "患者ID", "所見", "サンプリング周波数", "単位", "誘導"))
        for number, name in enumerate(whole):
            table = (
                (RATE, "uV", " ".join(STORED))
                if Path(name).suffix in (".csv", ".npy", ".npz", ".parquet")
                else ("",) * 3
            )
            writer.writerow((name, f"p{number:03d}", "normal", *table))
    return folder / "list.csv", whole


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("hospital")
    table, whole = listed(folder)
    card, source = open_source(f"manifest:{table}")
    entries = [entry.record for entry in source.entries()]
    damaged = build_store(card, source, folder / "store", damaged_allowed=0.9)
    return Store(folder / "store"), damaged, dict(zip(entries, whole.items(), strict=True))


def test_every_whole_file_is_in_the_store_and_every_other_is_named(built) -> None:
    store, damaged, files = built
    assert len(store) + len(store.manifest.duplicates) == len(KINDS)
    assert {files[each.record][0] for each in damaged} == {name for name, sound in files.values() if not sound}


def test_each_file_that_is_not_read_has_its_reason(built) -> None:
    _, damaged, files = built
    reasons = {files[each.record][0]: each.reason for each in damaged}
    assert reasons["absent.dcm"] == "the file is not there"
    assert reasons["EDF-emptied.edf"] == "the file is empty"
    assert reasons["DICOM-of-another-kind.dcm"] == "it is a PDF, a picture of an ECG; export the samples"
    assert reasons["EDF-cut.edf"] == "the file is cut short"
    assert all(reasons.values()) and not [
        s for s in (*SECRETS, "-cut", "-whole") if any(s in r for r in reasons.values())
    ]


def test_one_ecg_in_every_format_is_one_signal(built) -> None:
    """The store keeps equal signals once: the ECG, and the same numbers taken as µV from the plain tables."""
    store, _, _ = built
    assert len(store) == 2
    of = {each["record"]: each["same_as"] for each in store.manifest.duplicates}
    assert sorted(list(of.values()).count(name) for name in set(of.values())) == [
        len(TABLES) - 1,
        len(KINDS) - len(TABLES) - 1,
    ]
    peaks = sorted(float(store[row].signal[0].max()) for row in range(2))
    np.testing.assert_allclose(peaks, [counts()["I"].max() * 0.001, counts()["I"].max() * 0.005], rtol=0.01)


def test_more_damage_than_is_allowed_ends_the_build(tmp_path: Path) -> None:
    table, _ = listed(tmp_path)
    card, source = open_source(f"manifest:{table}")
    with pytest.raises(EcgbenchError, match=r"records are damaged, more than 1 %, so nothing was built"):
        build_store(card, source, tmp_path / "store")
    assert not (tmp_path / "store").exists()
