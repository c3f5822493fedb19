"""`ecgbench new encoder`: what it writes passes as it stands, and what it refuses."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ecgbench.cards import EncoderCard, read_card
from ecgbench.cli.main import run_command


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to stand in; `--path` stays no longer than the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ECGBENCH_PATH", "")
    return tmp_path


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_what_is_written_passes_check_and_pytest_at_once(inside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["new", "encoder", "my-net"]) == 0
    assert files(inside) == ["my-net/my_net.py", "my-net/registry/encoders/my-net.yaml", "my-net/test_my_net.py"]
    said = capsys.readouterr().out
    check, test = (line.strip() for line in said.splitlines() if "check" in line or "pytest" in line)
    assert run_command(check.split()[1:]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| my-net")]
    assert len(rows) == 2 and all("9 of 9" in row for row in rows)
    command = [sys.executable, *test.split()[1:], "-q", "-W", "error", "-p", "no:cacheprovider"]
    environment = {key: value for key, value in os.environ.items() if key != "ECGBENCH_PATH"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0 and "3 passed" in done.stdout


@pytest.mark.parametrize("name", ["1d", "none", "12", "1.5", "a.b_c-d"])
def test_every_name_that_a_card_may_have_makes_a_card_and_code_that_can_be_read(name: str, inside: Path) -> None:
    assert run_command(["new", "encoder", name, "--dir", "of mine"]) == 0
    assert read_card(EncoderCard, inside / "of mine" / "registry" / "encoders" / f"{name}.yaml").name == name
    for path in (inside / "of mine").glob("*.py"):
        compile(path.read_text(encoding="utf-8"), str(path), "exec")
    assert len(files(inside)) == 3


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("My-Net", "'My-Net' is no name for an encoder: write small letters, digits"),
        ("心電図", "'心電図' is no name for an encoder"),
        ("../mine", "'../mine' is no name for an encoder"),
        ("", "'' is no name for an encoder"),
        ("mine\n", "is no name for an encoder"),
        ("-mine", "Type `ecgbench new encoder --help`"),
        ("resnet1d18", "there is an encoder 'resnet1d18' already"),
        ("torch", "'torch' would hide the Python module torch: choose another name, such as torch-net"),
    ],
)
def test_a_bad_name_is_one_sentence_and_nothing_is_written(
    name: str, message: str, inside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["new", "encoder", name, "--dir", "mine"]) == 2
    said = capsys.readouterr()
    assert message in said.err and said.err.startswith("ecgbench: ") and not said.out
    assert files(inside) == []


@pytest.mark.parametrize("there", ["registry/encoders/mine.yaml", "mine.py", "test_mine.py"])
def test_a_file_that_is_there_is_left_alone_and_nothing_is_written(
    there: str, inside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (inside / "own" / there).parent.mkdir(parents=True)
    (inside / "own" / there).write_text("precious", encoding="utf-8")
    assert run_command(["new", "encoder", "mine", "--dir", "own"]) == 2
    assert f"own/{there} is there already, and nothing was written" in capsys.readouterr().err
    assert files(inside) == [f"own/{there}"] and (inside / "own" / there).read_text("utf-8") == "precious"


def test_a_second_encoder_may_stand_in_the_same_folder(inside: Path) -> None:
    assert [run_command(["new", "encoder", name, "--dir", "own"]) for name in ("one-net", "two-net")] == [0, 0]
    assert len(files(inside / "own")) == 6


def test_a_file_in_place_of_the_folder_is_said(inside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (inside / "own").write_text("", encoding="utf-8")
    assert run_command(["new", "encoder", "mine", "--dir", "own"]) == 2
    assert "--dir own is a file: name a folder" in capsys.readouterr().err
