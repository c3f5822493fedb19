"""`ecgbench.read` and the sheet of a single file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import ecgbench
from ecgbench.cli.main import run_command
from ecgbench.ecg.recording import LEADS
from ecgbench.errors import EcgbenchError

EIGHT = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")


@pytest.fixture
def eight_leads(tmp_path: Path) -> tuple[Path, np.ndarray]:
    """A CSV of eight named leads in µV at 250 Hz, 12 s, and its samples (8, 3000)."""
    samples = np.random.default_rng(0).integers(-2000, 2000, (8, 3000))
    path = tmp_path / "山田太郎 12345.csv"
    lines = [",".join(EIGHT), *(",".join(map(str, row)) for row in samples.T)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path, samples


def test_a_file_is_read_as_twelve_leads(eight_leads: tuple[Path, np.ndarray]) -> None:
    path, samples = eight_leads
    recording = ecgbench.read(path, rate=250, unit="uV")
    assert recording.signal.shape == (12, 3000) and recording.signal.dtype == np.float32
    assert (recording.rate, recording.patient, recording.real_leads) == (250.0, "", (True,) * 12)
    one, two = samples[0] / 1000, samples[1] / 1000
    expected = dict(zip(EIGHT, samples / 1000, strict=True))
    expected |= {"III": two - one, "aVR": -(one + two) / 2, "aVL": one - two / 2, "aVF": two - one / 2}
    for row, lead in enumerate(LEADS):
        assert np.allclose(recording.signal[row], expected[lead], atol=1e-6), lead


def test_a_lead_that_is_not_there_is_said(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.sin(np.arange(2000.0))[None])
    recording = ecgbench.read(tmp_path / "one.npy", rate=200, unit="mV", leads=["lead ii"])
    assert recording.real_leads == tuple(lead == "II" for lead in LEADS)
    assert recording.signal[1].std() > 0.5 and not np.delete(recording.signal, 1, 0).any()


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        ("x.csv", "", {}, "cannot be read as an ECG: the file is empty"),
        ("x.csv", "I,II\n1,2\n3,4\n", {}, "give them"),
        ("x.csv", "I,II\n1,2\n3,4\n", {"rate": 500}, "there is no unit: add --unit"),
        ("x.csv", "I,II\n1,2\n3,4\n", {"unit": "mV"}, "there is no rate: add --rate"),
        ("x.csv", "I,II\n1,2\n3,4\n", {"rate": -1, "unit": "mV"}, "the rate -1 is not a number of Hz"),
        ("x.csv", "I,II\n1,2\n3,4\n", {"rate": 500, "unit": "mm"}, "the unit 'mm' is unknown; valid are mV, uV, V"),
        ("x.pdf", "%PDF-1.7\n", {}, "a picture of an ECG; export the samples"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(
    tmp_path: Path, name: str, content: str, options: dict[str, object], message: str
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(EcgbenchError, match=message):
        ecgbench.read(tmp_path / name, **options)  # type: ignore[arg-type]


def test_importing_the_package_reads_nothing_in() -> None:
    code = "import sys, ecgbench; ecgbench.read; sys.exit(any(m in sys.modules for m in ('torch', 'pandas', 'wfdb')))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_file_is_drawn_without_its_name(
    eight_leads: tuple[Path, np.ndarray],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert (
        run_command(["data", "show", str(eight_leads[0]), "--rate", "250", "--unit", "uV", "--out", "sheet.svg"]) == 0
    )
    assert capsys.readouterr().out == "sheet.svg\n"
    svg = Path("sheet.svg").read_text(encoding="utf-8")
    assert "text table" in svg and "Not a medical device" in svg and "医療機器ではありません" in svg
    assert "山田" not in svg and "12345" not in svg


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("data show nowhere.dcm", "'nowhere.dcm' is no file: write a file of an ECG, or a store's folder or source"),
        ("data show synth98", "'synth98' is no file"),
        ("data show synth98 s00001 --rate 500", "--rate, --unit and --leads are for a file"),
        ("data show noise.bin", "its content is of no format that is known here"),
        ("data show short.csv --rate 500 --unit mV", "under the 5 s that are needed"),
        ("data show short.csv --rate 500 --unit mV --leads I,,XX", "the lead 'XX' is unknown"),
    ],
)
def test_a_wrong_request_for_a_sheet_is_one_line(
    line: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("noise.bin").write_bytes(bytes(range(256)) * 20)
    Path("short.csv").write_text("I,II\n" + "0.1,0.2\n0.3,0.1\n" * 200, encoding="utf-8")
    assert run_command(line.split()) == 2
    out, err = capsys.readouterr()
    assert out == "" and message in err and err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["noise.bin", "short.csv"]
