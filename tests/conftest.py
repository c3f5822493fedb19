"""Fixtures that every room's tests share. No test reaches a hub; the toolkit's cache is a folder of the test run's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
REAL_ECGS = ROOT.parent / "shared" / "ecg"
OVERLAY = ROOT / "tests" / "overlay"


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the user's cache and cards out of the tests."""
    os.environ["ECGBENCH_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ.pop("ECGBENCH_PATH", None)


@pytest.fixture(scope="session")
def ptbxl_folder() -> Path:
    """500 real PTB-XL records in the official layout."""
    folder = REAL_ECGS / "ptbxl"
    if not folder.is_dir():
        pytest.skip(f"real recordings are absent: {folder} is not there")
    return folder


@pytest.fixture
def overlay(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tests' own cards: data set `tiny` (a slice of synth98) and encoder `pooled` (fast to train)."""
    monkeypatch.setenv("ECGBENCH_PATH", str(OVERLAY))
    return OVERLAY


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run: `pooled` with `char-ngram` on `tiny`, one epoch, two tasks. Not to be changed."""
    import ecgbench

    out = tmp_path_factory.mktemp("runs")
    asked = {"encoder": "pooled", "text": "char-ngram", "data": "tiny", "epochs": 1}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ECGBENCH_PATH", str(OVERLAY))
        return Path(out / ecgbench.run(out=out, tasks=("retrieval98", "superclass"), **asked).run_id)
