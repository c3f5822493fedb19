"""Whatever comes to a reader, only this project's own error comes out, within 2 s and 1 GB."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecgbench.ecg.formats.read import PLAIN, read_file
from ecgbench.ecg.formats.sniff import Kind
from tests.fuzz.made import KINDS, LAYOUT, made_files
from tests.fuzz.made_signal import counts, millivolts

ROOT = Path(__file__).resolve().parents[2]
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def cases(*arguments: str, timeout: float = 600, also: Path | None = None) -> list[dict[str, Any]]:
    """What `tests.fuzz.cases` prints. `also`: a folder of further packages."""
    paths = [str(also)] if also else []
    paths += filter(None, [os.environ.get("PYTHONPATH")])
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.cases", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False,
        env={**os.environ, **ONE_THREAD, "PYTHONPATH": os.pathsep.join(paths)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def failures_of(told: list[dict[str, Any]]) -> str:
    failed = [each for each in told if each.get("what") == "fails"]
    return "\n\n".join(f"python -m tests.fuzz.cases {each['case'].rpartition(' ')[0]!r} "
                       f"{each['case'].rpartition(' ')[2]} 1\n{each['why']}" for each in failed)  # fmt: skip


@pytest.fixture(scope="module")
def twenty() -> list[dict[str, Any]]:
    return cases("every", "0", "20")


@pytest.mark.parametrize("kind", KINDS)
def test_20_harmed_files(kind: Kind, twenty: list[dict[str, Any]]) -> None:
    told = [each for each in twenty if kind in (each.get("kind"), each.get("case", "").rpartition(" ")[0])]
    assert not failures_of(told), failures_of(told)
    totals = told[-1]
    assert (
        totals["cases"] == totals.get("read", 0) + totals["DamagedRecordError"] + totals.get("EcgbenchError", 0) == 20
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_2000_harmed_files(kind: Kind) -> None:
    told = cases(kind, "0", "2000", timeout=3600)
    assert not failures_of(told), failures_of(told)
    totals = told[-1]
    # Harm that is not felt anywhere would prove nothing, and neither would harm that every reader meets at the door.
    assert totals["read"] >= 20 and totals["DamagedRecordError"] >= 400


@pytest.mark.parametrize("kind", KINDS)
def test_the_files_that_are_harmed_are_valid(kind: Kind, tmp_path: Path) -> None:
    for number, made in enumerate(made_files(kind)):
        folder = tmp_path / str(number)
        folder.mkdir()
        raw = read_file(made.write(folder), LAYOUT)
        wanted = {name: samples.astype(float) for name, samples in counts().items()}
        wanted = wanted if kind in PLAIN else millivolts(counts())
        assert raw.format == kind and set(raw.leads) == set(wanted) and raw.rate == LAYOUT.rate
        for name, samples in wanted.items():
            np.testing.assert_allclose(raw.leads[name], samples, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("import os; os.kill(os.getpid(), 11)", "the process ended by SIGSEGV"), ("raise SystemExit(0)", "SystemExit"),
        ("import time\n    while time.process_time() < 3: pass", "s of processor time"),
    ],
)  # fmt: skip
def test_what_must_not_happen_is_told_as_a_failure(source: str, why: str, tmp_path: Path) -> None:
    """The harness itself, by a site's reader that ends its process, wants to end the program, or takes its time."""
    (tmp_path / "bad.py").write_text(f"def read(path, head):\n    {source}\n", "utf-8")
    info = tmp_path / "bad-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bad\nVersion: 1.0\n", "utf-8")
    (info / "entry_points.txt").write_text("[ecgbench.readers]\nbad = bad:read\n", "utf-8")
    (tmp_path / "any.txt").write_text("x", "utf-8")
    told = cases("files", str(tmp_path / "any.txt"), also=tmp_path)
    assert told[0]["what"] == "fails" and why in told[0]["why"]
