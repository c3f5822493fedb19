"""`ecgbench data`: what it builds, what it says, what it draws, and how it says no."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from ecgbench.cli.data_build import with_options
from ecgbench.cli.data_info import facts, summary
from ecgbench.cli.data_show import heading
from ecgbench.cli.main import run_command
from ecgbench.ecg.lookup import find_record
from ecgbench.ecg.sources import open_source
from ecgbench.ecg.sources.synth98 import Synth98
from ecgbench.ecg.store import Store, open_store
from ecgbench.errors import EcgbenchError
from ecgbench.findings import label_bank

ROOT = Path(__file__).resolve().parents[2]
SMALL = "synth98:balanced=6,labels=atrial-fibrillation+flat-t-wave"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store of 18 records or fewer, built by the command."""
    folder = tmp_path_factory.mktemp("data") / "store"
    assert run_command(["data", "build", SMALL, "--out", str(folder)]) == 0
    return open_store(folder)


@pytest.fixture
def private(store: Store, tmp_path: Path) -> Path:
    """The same store, not public."""
    folder = tmp_path / "private"
    folder.mkdir()
    for path in store.folder.iterdir():
        text = path.read_bytes().replace(b'"public": true', b'"public": false')
        (folder / path.name).write_bytes(text)
    assert not open_store(folder).manifest.public
    return folder


def test_a_store_is_built_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "ストア 1"
    folder.mkdir()  # an empty folder is as good as none
    assert run_command(["data", "build", "synth98", "--balanced", "6", "--seed", "2", "--out", str(folder)]) == 0
    out, err = capsys.readouterr()
    built = open_store(folder)
    assert built.manifest.remarks["balanced"] == 6 and built.manifest.remarks["seed"] == 2
    assert f"{len(built)} records of {built.records['patient'].nunique()} patients" in out
    assert f"data hash: {built.data_hash}" in out and "98 of the 98" in out and "0 damaged, 0 duplicates" in out
    assert str(folder) in err


def test_the_excess_of_rare_findings_is_told(store: Store) -> None:
    remarks = Synth98(bank=label_bank(), version=1).remarks()
    plain = open_store(store.folder)
    assert "more records than their share" not in summary(plain, facts(plain))
    plain.manifest = plain.manifest.model_copy(update={"remarks": remarks})
    raised, excess = len(remarks["raised_by_floor"]), remarks["excess_records"]
    assert f"{raised} findings have more records than their share, {excess:g} in all" in summary(plain, facts(plain))


def test_info_counts_records_and_patients(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["data", "info", str(store.folder), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["data_hash"] == store.data_hash and told["records"] == len(store)
    naive: dict[tuple[str, str], tuple[set[int], set[str]]] = defaultdict(lambda: (set(), set()))
    for row in range(len(store)):
        recording = store[row]
        split = store.records["split"].iloc[row]
        for finding in recording.findings:
            for which in (split, "all"):
                naive[finding, which][0].add(row)
                naive[finding, which][1].add(recording.patient)
    rows = {row["id"]: row for row in told["findings"]}
    assert set(rows) == {finding for finding, _ in naive} >= {"normal", "atrial-fibrillation", "flat-t-wave"}
    for finding, row in rows.items():
        assert row["ja"] == label_bank()[finding].names["ja"]
        for which in ("train", "validation", "test", "all"):
            records, patients = naive[finding, which]
            assert row[which] == {"records": len(records), "patients": len(patients)}
    assert sum(split["records"] for split in told["splits"].values()) == len(store)


def test_info_shows_both_names_in_straight_columns(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    from wcwidth import wcswidth

    assert run_command(["data", "info", str(store.folder)]) == 0
    lines = capsys.readouterr().out.rstrip().splitlines()
    rows = [line for line in lines if line.rstrip().endswith(")") or "所見" in line]
    rows = rows[next(i for i, line in enumerate(rows) if "所見" in line) :]
    assert any("Atrial Fibrillation" in line and "心房細動" in line for line in rows)
    assert len({wcswidth(line) for line in rows}) == 1


def test_a_record_is_drawn(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    record = next(
        r
        for r, labels in zip(store.records["record"], store.records["labels"], strict=True)
        if "fibrillation" in labels
    )
    assert run_command(["data", "show", str(store.folder), record]) == 0
    assert capsys.readouterr().out == f"{record}.svg\n"
    svg = (tmp_path / f"{record}.svg").read_text(encoding="utf-8")
    for words in (record, "心房細動", "Atrial Fibrillation", "Not a medical device", "synth98", "25 mm/s"):
        assert words in svg
    assert len(svg.encode()) < 400_000
    assert run_command(["data", "show", SMALL, record, "--out", "sub/sheet.svg"]) == 0
    assert (tmp_path / "sub" / "sheet.svg").read_text(encoding="utf-8") == svg  # from the source as from its store


def test_the_heading_says_who_and_what(store: Store) -> None:
    found = find_record(str(store.folder), str(store.records["record"].iloc[0]))
    r = found.recording
    lines = heading(found)
    assert lines[0] == f"{r.record} · {r.age:g} y · {r.sex} · {store.manifest.name} version {store.manifest.version}"
    assert lines[1] == "、".join(label_bank()[name].names["ja"] for name in r.findings)
    assert lines[2] == ", ".join(label_bank()[name].names["en"] for name in r.findings)


def test_a_source_is_looked_through_without_building_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECGBENCH_CACHE", str(tmp_path))
    _, source = open_source(SMALL)
    entry = source.entries()[3]
    found = find_record(SMALL, entry.record)
    assert (found.recording.findings, found.recording.age, found.public) == (entry.findings, entry.age, True)
    assert found.recording.signal.shape == (12, 5000) and not list(tmp_path.iterdir())


def test_a_record_of_a_private_store_is_drawn_only_when_asked_for(
    private: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record, target = str(open_store(private).records["record"].iloc[0]), tmp_path / "x.svg"
    assert run_command(["data", "show", str(private), record, "--out", str(target)]) == 2
    assert "add --with-signals" in capsys.readouterr().err and not target.exists()
    assert run_command(["data", "show", str(private), record, "--out", str(target), "--with-signals"]) == 0
    assert target.is_file()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("data build STORE --out new", "is a built store already"),
        ("data build synth98 --out STORE", "is there already and not an empty folder"),
        ("data build synth98 --out here.txt", "is there already and not an empty folder"),
        ("data build synth98", "Missing option '--out'. Type `ecgbench data build --help`."),
        ("data build synth98 --out new --balanced 5", "write balanced=6 or more"),
        ("data build synth98 --out new --balanced 0", "write balanced=6 or more"),
        ("data build synth98 --out new --seed -1", "a seed is 0 or more"),
        ("data build synth98:M --out new --balanced 20", "leave one of them out"),
        ("data build synth98:seed=1 --out new --seed 2", "gives seed twice"),
        ("data build synth98:XL --out new", "it is S (1,000 records)"),
        ("data build synth98 --out new --workers 0", "0 workers were asked for"),
        ("data build synth98 --out new --workers many", "Type `ecgbench data build --help`."),
        ("data build ptbxl:/no/such --out new", "there is no folder '/no/such'"),
        ("data build ptbxl:/no/such --balanced 20 --out new", "belongs to the source synth98"),
        ("data build synth89 --out new", "did you mean synth98 or "),
        ("data info ./no/such", "neither a built store's folder nor a source"),
        ("data info", "Type `ecgbench data info --help`."),
        ("data show STORE s0001", "has no record 's0001': did you mean s000"),
        ("data show STORE zzz", "it has records such as s00001"),
        ("data show STORE s00001 --out sheet.png", "write a name that ends in .svg"),
        ("data shw", "Type `ecgbench data --help`."),
        ("data", "Missing command. Type `ecgbench data --help`."),
    ],
)
def test_a_wrong_request_is_one_line_and_exit_2(
    line: str,
    message: str,
    store: Store,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here.txt").write_text("x", encoding="utf-8")
    assert run_command([str(store.folder) if word == "STORE" else word for word in line.split()]) == 2
    out, err = capsys.readouterr()
    assert out == "" and message in err and err.count("\n") == 1 and "Traceback" not in err
    assert [path.name for path in tmp_path.iterdir()] == ["here.txt"]


def test_options_become_part_of_the_source() -> None:
    assert with_options("synth98", balanced=None, seed=None) == "synth98"
    assert with_options("synth98:M", balanced=None, seed=3) == "synth98:M,seed=3"
    assert with_options("synth98", balanced=20, seed=0) == "synth98:balanced=20,seed=0"
    with pytest.raises(EcgbenchError, match="belongs to the source synth98"):
        with_options("store", balanced=20, seed=None)


@pytest.mark.parametrize("verb", [[], ["build"], ["info"], ["show"]], ids=str)
def test_help_has_an_example_and_imports_nothing_heavy(verb: list[str]) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "ecgbench", "data", *verb, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    names = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "ecgbench" in names
    assert not names & {"torch", "pandas", "scipy", "numpy", "ecg_plot", "wfdb", "threadpoolctl"}
    assert "ecgbench data" in " ".join(done.stdout.split()).partition("Examples" if verb else "First steps")[2]
