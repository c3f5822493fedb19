"""Two processes never work on one run."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import filelock
import pytest

import ecgbench
from ecgbench.errors import EcgbenchError
from ecgbench.pipeline.alone import alone_on
from ecgbench.pipeline.reporting import Silent
from tests.conftest import OVERLAY

HOLD = "import sys, time; from pathlib import Path; from ecgbench.pipeline.alone import alone_on\n\
from ecgbench.pipeline.reporting import Silent\n\
with alone_on(Path(sys.argv[1]), Silent()): print('held', flush=True); time.sleep(600)"

ASKED: dict[str, Any] = {"encoder": "pooled", "text": "char-ngram", "data": "tiny", "epochs": 1}
TASKS = ("retrieval98", "superclass")


def test_a_run_that_another_process_carries_out_is_refused_and_left_alone(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECGBENCH_PATH", str(OVERLAY))
    folder = tmp_path / tiny_run.name
    with subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == "held\n"
            with pytest.raises(EcgbenchError, match="being carried out by another process"):
                ecgbench.run(out=tmp_path, tasks=TASKS, **ASKED)
            assert not folder.exists()
            shutil.copytree(tiny_run, folder)  # the other one has finished it: it is read, whoever holds the lock
            assert ecgbench.run(out=tmp_path, tasks=TASKS, **ASKED).status == "ok"
        finally:
            other.send_signal(signal.SIGKILL)
    with alone_on(folder, Silent()):  # a killed process holds nothing
        pass


def test_a_file_system_without_locks_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Told(Silent):
        def __init__(self) -> None:
            self.said: list[str] = []

        def say(self, text: str) -> None:
            self.said.append(text)

    def without(self: object, timeout: float) -> None:
        raise NotImplementedError

    monkeypatch.setattr(filelock.FileLock, "acquire", without)
    told = Told()
    with alone_on(tmp_path / "run", told):
        pass
    assert "does not lock files" in told.said[0]
