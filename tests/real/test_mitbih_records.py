"""Records 100, 101 and 105 of the MIT-BIH Arrhythmia Database: every window against a count of its own annotations."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import wfdb

from ecgbench.ecg.build import build_store
from ecgbench.ecg.recording import LEADS, Entry
from ecgbench.ecg.sources import open_source
from ecgbench.ecg.store import Store
from tests.conftest import REAL_ECGS

WINDOW = 3600
RECORDS = ("100", "101", "105")
BEATS = set("NLRBAaJSVrFejnE/fQ?")


@pytest.fixture(scope="module")
def folder() -> Path:
    folder = REAL_ECGS / "mitbih"
    if not folder.is_dir():
        pytest.skip(f"real recordings are absent: {folder} is not there")
    return folder


@pytest.fixture(scope="module")
def entries(folder: Path) -> dict[str, Entry]:
    return {entry.record: entry for entry in open_source(f"mitbih:{folder}")[1].entries()}


@pytest.fixture(scope="module")
def store(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    target = tmp_path_factory.mktemp("mitbih") / "store"
    assert build_store(*open_source(f"mitbih:{folder}"), target) == []
    return Store(target)


def beats_by_window(folder: Path, name: str) -> list[list[tuple[int, str]]]:
    """Place among the record's beats and symbol, of each window and of the tail under 10 s."""
    read = wfdb.rdann(str(folder / name), "atr")
    found: list[list[tuple[int, str]]] = [[] for _ in range(181)]
    place = 0
    for sample, symbol in zip(read.sample, read.symbol, strict=True):
        if symbol in BEATS:
            found[sample // WINDOW].append((place, symbol))
            place += 1
    return found


def naive_findings(window: list[tuple[int, str]], runs: dict[int, int]) -> set[str]:
    """By hand for the kinds of beat that these records have; all three are in rhythm (N throughout. `runs`: how many of
    its kind stand in a row at each place."""
    kinds = {symbol for _, symbol in window}
    found = {"normal"} if kinds == {"N"} else set()
    names = {
        "V": ("ventricular-premature-contractions", "ventricular-couplet"),
        "A": ("supraventricular-premature-contractions", "ventricular-premature-contractions-couplets"),
    }
    inside = {place for place, _ in window}
    for place, symbol in window:
        if symbol in names:
            pair = runs[place] == 2 and any(
                other in inside and dict(window)[other] == symbol for other in (place - 1, place + 1)
            )
            found.add(names[symbol][pair])
    return found


def runs_of(symbols: list[str]) -> dict[int, int]:
    runs = {}
    for place, symbol in enumerate(symbols):
        first = last = place
        while first > 0 and symbols[first - 1] == symbol:
            first -= 1
        while last + 1 < len(symbols) and symbols[last + 1] == symbol:
            last += 1
        runs[place] = last - first + 1
    return runs


@pytest.mark.parametrize(
    ("name", "beats"),
    [
        # the directory of the database, https://archive.physionet.org/physiobank/database/html/mitdbdir/records.htm
        ("100", {"N": 2239, "A": 33, "V": 1}),
        ("101", {"N": 1860, "A": 3, "Q": 2}),
        ("105", {"N": 2526, "V": 41, "Q": 5}),
    ],
)
def test_the_naive_count_is_that_of_the_database_s_directory(folder: Path, name: str, beats: dict[str, int]) -> None:
    assert Counter(symbol for window in beats_by_window(folder, name) for _, symbol in window) == beats


@pytest.mark.parametrize("name", RECORDS)
def test_every_window_names_the_kinds_of_beat_in_it(folder: Path, entries: dict[str, Entry], name: str) -> None:
    for number, window in enumerate(beats_by_window(folder, name)[:180]):
        counts = Counter(symbol for _, symbol in window)
        codes = entries[f"{name}-{number * 10:04d}"].codes
        kinds = [code.removeprefix("beat:") for code in codes if code.startswith("beat:")]
        assert set(kinds) == set(counts)
        assert [counts[kind] for kind in kinds] == sorted(counts.values(), reverse=True)


@pytest.mark.parametrize("name", RECORDS)
def test_every_window_names_the_rhythm_it_is_in(folder: Path, entries: dict[str, Entry], name: str) -> None:
    read = wfdb.rdann(str(folder / name), "atr")
    notes = [note.strip("\0") for note, symbol in zip(read.aux_note, read.symbol, strict=True) if symbol == "+"]
    assert notes == ["(N"]
    for number in range(180):
        codes = entries[f"{name}-{number * 10:04d}"].codes
        assert [code for code in codes if code.startswith("rhythm:")] == ["rhythm:(N"]


@pytest.mark.parametrize("name", RECORDS)
def test_every_window_has_the_findings_of_the_naive_count(folder: Path, entries: dict[str, Entry], name: str) -> None:
    windows = beats_by_window(folder, name)
    runs = runs_of([symbol for window in windows for _, symbol in window])
    for number, window in enumerate(windows[:180]):
        entry = entries[f"{name}-{number * 10:04d}"]
        assert set(entry.findings) == naive_findings(window, runs), entry.record


def test_windows_patients_and_splits(entries: dict[str, Entry]) -> None:
    assert len(entries) == 540
    about = Counter((e.patient, e.split, e.age, e.sex) for e in entries.values())
    assert about == {
        ("100", "test", 69.0, "male"): 180,
        ("101", "train", 75.0, "female"): 180,
        ("105", "test", 73.0, "female"): 180,
    }


def test_nothing_that_a_header_says_of_a_patient_s_drugs_is_kept(entries: dict[str, Entry]) -> None:
    text = repr(list(entries.values()))
    assert not any(word in text for word in ("Aldomet", "Diapres", "Digoxin", "noise"))


@pytest.mark.parametrize("number", [0, 90, 179])
def test_a_window_s_samples_are_those_that_wfdb_reads(folder: Path, entries: dict[str, Entry], number: int) -> None:
    source = open_source(f"mitbih:{folder}")[1]
    for name, second in (("100", "V5"), ("101", "V1")):
        raw = source.load(entries[f"{name}-{number * 10:04d}"])
        begin = number * WINDOW
        expected = wfdb.rdrecord(str(folder / name), sampfrom=begin, sampto=begin + WINDOW).p_signal.T
        assert list(raw.leads) == ["II", second]
        np.testing.assert_allclose(np.stack(list(raw.leads.values())), expected, atol=1e-12)


def test_a_store_of_the_windows_has_two_real_leads_at_500_hz(store: Store) -> None:
    assert len(store) == 540 == store.manifest.resampled_records
    second = {"100": "V5", "101": "V1", "105": "V1"}
    for row in range(0, 540, 60):
        recording = store[row]
        real = {"II", second[recording.patient]}
        assert recording.real_leads == tuple(lead in real for lead in LEADS) and recording.signal.shape == (12, 5000)


def test_a_store_of_the_windows_keeps_their_waveform(folder: Path, store: Store) -> None:
    """Against samples of the whole record brought to 500 Hz by Fourier's method, away from the window's edges."""
    from scipy.signal import resample

    record = wfdb.rdrecord(str(folder / "100")).p_signal[:, 0]
    expected = resample(record[: 4 * WINDOW], 4 * 5000)[2 * 5000 : 3 * 5000]
    row = list(store.records["record"]).index("100-0020")
    difference = store[row].signal[1][250:-250] - expected[250:-250]
    assert np.abs(difference).max() < 0.02


def test_a_store_tells_that_lead_ii_is_an_approximation(store: Store) -> None:
    assert store.manifest.remarks["treated"] == {"lead II is MLII, recorded with electrodes on the chest": 540}
