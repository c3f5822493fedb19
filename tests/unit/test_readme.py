"""The README's own lines, run as they stand."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from ecgbench.cli.main import run_command
from tests.conftest import OVERLAY, ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(heading: str) -> list[str]:
    """The first indented block below a heading."""
    lines = README.partition(f"## {heading}\n")[2].splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("    "))
    end = next((i for i, line in enumerate(lines) if i > start and line and not line.startswith("    ")), len(lines))
    return [line[4:] for line in lines[start:end] if line.strip()]


def test_the_two_commands_stand_first() -> None:
    assert [line.split("#")[0].strip() for line in README.splitlines() if line.startswith("    make")] == [
        "make demo",
        "make test",
    ]


def test_an_encoder_is_added_in_under_twenty_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = block("Add your encoder")
    assert len(lines) < 20
    assert lines[-1] == "ECGBENCH_PATH=mine ecgbench run --encoder mine --text use-multilingual"
    subprocess.run(["bash", "-eu"], input="\n".join(lines[:-1]) + "\n", text=True, cwd=tmp_path, check=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ECGBENCH_PATH", os.pathsep.join(["mine", str(OVERLAY)]))
    assert run_command(["check", "mine", "--load"]) == 0
    assert (
        run_command(["run", "--encoder", "mine", "--text", "use-multilingual", "--data", "tiny", "--epochs", "1"]) == 0
    )
    assert "mine x use-multilingual on tiny" in capsys.readouterr().out


def test_every_linked_file_is_there() -> None:
    import re

    for page in (
        "README.md",
        "CONTRIBUTING.md",
        "docs/pitfalls.md",
        "docs/recipes.md",
        "docs/performance.md",
        "docs/synth98.md",
    ):
        text = (ROOT / page).read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            assert ((ROOT / page).parent / target).exists(), f"{page} links to {target}"
