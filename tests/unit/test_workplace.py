"""A build that is killed at any point goes on behind what it had made sure of: nothing is lost, nothing stands twice."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ecgbench.cards import DatasetCard
from ecgbench.catalogue import load_card
from ecgbench.ecg import workplace
from ecgbench.ecg.build import build_store
from ecgbench.ecg.recording import LEADS, DamagedRecordError, Entry, RawEcg
from ecgbench.ecg.sources.options import SourceOptions
from ecgbench.ecg.store import Store

RECORDS = 40
CARD = load_card(DatasetCard, "ptbxl")


class Ward:
    """`RECORDS` short recordings of noise, every ninth damaged, every seventh 32 s long. `deadly`: the record at which the
    process is killed, the hard way."""

    def __init__(self, deadly: int | None = None, version: int = 1) -> None:
        self.deadly = deadly
        self.version = version
        self.loaded: list[int] = []

    def fingerprint(self) -> int:
        return self.version

    def entries(self) -> list[Entry]:
        return [
            Entry(f"r{n:02d}", f"p{n}", ("train", "validation", "test")[n % 3], ("normal",), f"{n:064d}", origin=n)
            for n in range(RECORDS)
        ]

    def load(self, entry: Entry) -> RawEcg:
        number = int(entry.record[1:])
        self.loaded.append(number)
        if number == self.deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        if number % 9 == 4:
            raise DamagedRecordError("it is torn")
        rng = np.random.default_rng(number + 1000 * self.version)
        leads = {lead: rng.normal(0, 0.3, 8000 if number % 7 == 3 else 2500) for lead in LEADS}
        return RawEcg(leads, 250.0, format="made", remarks=("shortened",) if number % 5 == 0 else ())


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards of 6 records and a journal line for every 5 items, so that few records cross many borders."""
    monkeypatch.setattr(workplace, "SHARD_RECORDS", 6)
    monkeypatch.setattr(workplace, "COMMIT_EVERY", 5)


def build(source: Ward, target: Path, window: str = "first") -> None:
    build_store(CARD, source, target, options=SourceOptions(window=window), damaged_allowed=0.5)  # type: ignore[arg-type]


def killed(source: Ward, target: Path, window: str = "first") -> None:
    """Build in a child process that is expected to be killed."""
    child = os.fork()
    if child == 0:
        try:
            build(source, target, window)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def contents(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """Window -> the files of a build that nobody disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    patch = pytest.MonkeyPatch()
    patch.setattr(workplace, "SHARD_RECORDS", 6)
    for window in ("first", "all"):
        build(Ward(), folder / window, window)
    patch.undo()
    return {window: contents(folder / window) for window in ("first", "all")}


@pytest.mark.parametrize("window", ["first", "all"])
@pytest.mark.parametrize("kills", [[0], [1], [13], [RECORDS - 1], [3, 3, 11, 26, 27], list(range(0, RECORDS, 6))])
def test_killed_again_and_again_it_is_the_same_store(
    tmp_path: Path, whole: dict[str, dict[str, str]], kills: list[int], window: str
) -> None:
    target = tmp_path / "store"
    for deadly in kills:
        killed(Ward(deadly), target, window)
        assert not target.exists()
    build(Ward(), target, window)
    assert contents(target) == whole[window]
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_what_was_made_sure_of_is_not_read_again(tmp_path: Path) -> None:
    killed(Ward(30), tmp_path / "store")
    second = Ward()
    build(second, tmp_path / "store")
    again = second.loaded
    assert len(set(again)) == len(again) and 24 <= min(again) <= 30 and max(again) == RECORDS - 1


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_journal_and_shards_cut_anywhere_are_taken_up_or_begun_anew(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory, whole: dict[str, dict[str, str]], broken_off: Path
) -> None:
    folder = tmp_path_factory.mktemp("torn")
    part = folder / ".store.part"
    shutil.copytree(broken_off / ".store.part", part)
    journal = part / workplace.JOURNAL
    lines = journal.read_bytes()
    journal.write_bytes(lines[: data.draw(st.integers(0, len(lines)), label="journal bytes")])
    shards = sorted(part.glob("signals-*.npy"))
    last = data.draw(st.sampled_from(shards), label="shard")
    with last.open("ab") as handle:  # samples that were written and not yet vouched for
        handle.write(b"\7" * data.draw(st.integers(0, 300_000), label="bytes behind"))
    if data.draw(st.booleans(), label="a flipped journal byte") and len(lines) > 1:
        at = data.draw(st.integers(0, max(0, journal.stat().st_size - 1)), label="at")
        held = bytearray(journal.read_bytes())
        if held:
            held[at] ^= 0x80
            journal.write_bytes(bytes(held))
    build(Ward(), folder / "store")
    assert contents(folder / "store") == whole["first"]
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def broken_off(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the workplace of a build that was killed at record 33."""
    folder = tmp_path_factory.mktemp("broken")
    patch = pytest.MonkeyPatch()
    patch.setattr(workplace, "SHARD_RECORDS", 6)
    patch.setattr(workplace, "COMMIT_EVERY", 5)
    killed(Ward(33), folder / "store")
    patch.undo()
    return folder


def test_a_changed_source_is_read_from_the_start(tmp_path: Path) -> None:
    killed(Ward(30), tmp_path / "store")
    changed = Ward(version=2)
    build(changed, tmp_path / "store")
    assert changed.loaded[:RECORDS] == list(range(RECORDS))
    build(Ward(version=2), tmp_path / "fresh")
    assert contents(tmp_path / "store") == contents(tmp_path / "fresh")


def test_shards_hold_what_was_loaded(tmp_path: Path) -> None:
    build(Ward(), tmp_path / "store", "all")
    store = Store(tmp_path / "store")
    assert store.manifest.shards == [6] * (len(store) // 6) + [len(store) % 6] * (len(store) % 6 > 0)
    for row, name in enumerate(store.records["record"]):
        record, _, start = name.partition("@")
        number = int(record[1:])
        samples = Ward().load(Entry(record, "", "", ())).leads["V3"]
        assert samples.size == (8000 if number % 7 == 3 else 2500)
        expected = np.rint(1000 * samples)[int(250 * float(start)) :][:2500]
        got = store.counts(np.array([row]))[0, LEADS.index("V3"), ::2][: len(expected)]
        assert np.abs(got - expected).mean() < 30  # the same stretch of time, resampled from 250 Hz


def test_a_build_beside_another_one_has_a_folder_of_its_own(tmp_path: Path) -> None:
    first = workplace.Workplace(tmp_path / "store", "one")
    second = workplace.Workplace(tmp_path / "store", "one")
    assert first.folder != second.folder
    second.discard()
    first.discard()
    assert not list(tmp_path.iterdir())
