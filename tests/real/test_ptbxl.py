"""PTB-XL as it lies on disk: read right, and every way it can be broken."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from ecgbench.ecg.build import store_for
from ecgbench.ecg.formats.wfdb_file import read_wfdb
from ecgbench.ecg.recording import DamagedRecordError
from ecgbench.ecg.sources import open_source
from ecgbench.errors import EcgbenchError

RECORD = Path("records500", "00000", "00005_hr")


@pytest.fixture
def copy(ptbxl_folder: Path, tmp_path: Path) -> Path:
    """A writable copy whose path holds a space, a colon and Japanese."""
    folder = tmp_path / "心電図 a:b"
    (folder / "records500").mkdir(parents=True)
    shutil.copyfile(ptbxl_folder / "ptbxl_database.csv", folder / "ptbxl_database.csv")
    shutil.copytree(
        ptbxl_folder / "records500", folder / "records500", dirs_exist_ok=True, copy_function=shutil.copyfile
    )
    for path in folder.rglob("*"):
        path.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def store(ptbxl_folder: Path):
    return store_for(f"ptbxl:{ptbxl_folder}")


def test_the_500_records_without_their_duplicates(store) -> None:
    assert len(store) == 495
    pairs = {(d["record"], d["same_as"]) for d in store.manifest.duplicates}
    assert pairs == {("138", "137"), ("144", "143"), ("463", "145"), ("457", "456"), ("460", "459")}
    assert store.records["split"].value_counts().to_dict() == {"train": 349, "validation": 80, "test": 66}
    assert not store.manifest.damaged and not store.manifest.clipped_records and not store.manifest.resampled_records


def test_no_patient_and_no_signal_stands_in_two_splits(store) -> None:
    assert store.records.groupby("patient")["split"].nunique().max() == 1
    signals = {store.counts(np.array([row])).tobytes() for row in range(len(store))}
    assert len(signals) == len(store)


def test_age_300_is_kept_as_over_89(store) -> None:
    ages = store.records.set_index("record")["age"]
    assert ages["279"] == "90" and not any(float(age) > 90 for age in ages if age)


def test_the_library_reads_the_same_samples(store, ptbxl_folder: Path) -> None:
    import wfdb

    for row in (0, 250, 494):
        number = int(store.records["record"].iloc[row])
        physical = wfdb.rdrecord(str(ptbxl_folder / f"records500/00000/{number:05d}_hr")).p_signal.T
        np.testing.assert_allclose(store[row].signal, physical, atol=0.0005)


def test_a_path_with_colon_space_and_japanese(copy: Path, store) -> None:
    assert store_for(f"ptbxl:{copy}").data_hash == store.data_hash


@pytest.mark.parametrize("missing", ["ptbxl_database.csv", "records500"])
def test_a_missing_part_is_named(copy: Path, missing: str) -> None:
    path = copy / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(EcgbenchError, match=f"{missing}' is missing"):
        store_for(f"ptbxl:{copy}")


def test_a_folder_that_is_not_there() -> None:
    with pytest.raises(EcgbenchError, match="there is no folder '/no/such'"):
        store_for("ptbxl:/no/such")


@pytest.mark.parametrize("harm", ["cut", "flip", "gone", "header"])
def test_a_damaged_record_is_named_and_left_out(copy: Path, store, harm: str) -> None:
    data, header = copy / f"{RECORD}.dat", copy / f"{RECORD}.hea"
    if harm == "cut":
        data.write_bytes(data.read_bytes()[:60000])
    elif harm == "flip":
        damaged = bytearray(data.read_bytes())
        damaged[5000] ^= 0x10
        data.write_bytes(bytes(damaged))
    elif harm == "gone":
        data.unlink()
    else:
        header.write_text("not a header\n", encoding="utf-8")
    built = store_for(f"ptbxl:{copy}")
    assert len(built) == 494 and [d["record"] for d in built.manifest.damaged] == ["5"]
    reason = built.manifest.damaged[0]["reason"]
    assert reason and str(copy) not in reason and copy.name not in reason
    assert built.data_hash != store.data_hash


def test_a_row_that_cannot_be_understood_names_line_and_record(copy: Path) -> None:
    table = copy / "ptbxl_database.csv"
    text = table.read_text(encoding="utf-8")
    table.write_text(text.replace("{'NORM': 100.0, 'LVOLT': 0.0, 'SR': 0.0}", "{'NORM': ", 1), encoding="utf-8")
    with pytest.raises(EcgbenchError, match=r"line 2 \(ecg_id 1\)"):
        open_source(f"ptbxl:{copy}")[1].entries()


def test_the_data_hash_is_the_one_that_the_board_stands_on(store) -> None:
    assert store.data_hash == "757b4fc8b0d1815c3d300b7153598b226d0bd8516a28293c10b3ef4725e23771"


def test_a_changed_file_is_read_again(copy: Path) -> None:
    """The cache knows a store by its files: what changed is not served from the store built before."""
    before = store_for(f"ptbxl:{copy}")
    table = copy / "ptbxl_database.csv"
    table.write_text(table.read_text(encoding="utf-8").replace("'NORM': 100.0", "'NORM': 10.0", 1), encoding="utf-8")
    assert store_for(f"ptbxl:{copy}").data_hash != before.data_hash


def test_a_sample_marked_invalid_is_damage(copy: Path) -> None:
    data = copy / f"{RECORD}.dat"
    samples = np.frombuffer(data.read_bytes(), "<i2").copy()
    samples[0] = -32768
    data.write_bytes(samples.tobytes())
    with pytest.raises(DamagedRecordError, match="invalid"):
        read_wfdb(copy / RECORD)
