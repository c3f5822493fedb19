"""`kill -9` at every step of a training and in every part of writing a checkpoint: `--resume` ends with the very weights of a
run that was never stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def outcomes(folder: Path, where: str, cases: tuple[str, ...]) -> list[dict[str, object]]:
    told = subprocess.run(
        [sys.executable, "-m", "tests.unit.killed_training", where, str(folder), *cases],
        cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return list(json.loads(told.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    ("where", "cases"),
    [("three", ("one",)), pytest.param("every", ("one", "bf16", "balanced"), marks=pytest.mark.slow)],
)
def test_weights_after_a_kill_are_bit_identical(tmp_path: Path, where: str, cases: tuple[str, ...]) -> None:
    found = outcomes(tmp_path, where, cases)
    assert [each for each in found if not each["same"]] == []
    killed = [each for each in found if each["killed"] == signal.SIGKILL]
    assert len(killed) >= len(found) - len(cases)  # only the last batch's number may lie beyond the end
    assert sum(each["again"] == signal.SIGKILL for each in found) > len(found) // 2
