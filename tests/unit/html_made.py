"""The pages that the tests of the HTML boards look at, made once a session."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from ecgbench.cli.main import run_command
from ecgbench.leaderboard import write_pages
from tests.unit.leaderboard_made import DATA, make, scores_of

BOARD = f"made-{DATA[:8]}"
HOSTILE = "</script><script>alert('e')</script>\"><img src=x onerror=alert(1)>{{ 7 * 7 }}"


@cache
def boards(parent: Path) -> Path:
    """A folder of boards with the pages of a few results, below the session's own folder."""
    folder = parent / "ボード #1 100%"  # as people name folders
    results = folder / "results"
    results.mkdir(parents=True)
    make(results, "a0", skill=2.0, tasks=("superclass", "retrieval98"))
    make(results, "a1", skill=2.0, seed=1)
    make(results, "vit", encoder="vit1d-tiny", skill=1.0)
    make(results, "random", text="random", text_control=True, skill=0.3)
    make(results, "hostile", encoder=HOSTILE, text="*t*_<b>", skill=0.5)
    make(results, "bare", encoder="bare", with_scores=False)
    make(results, "failed", seed=7, failed=f"the loss was {HOSTILE}.")
    scores_of("superclass", DATA, 1.5, 5).save(parent / "theirs.npz")
    asked = ("--task", "superclass", "--data-hash", DATA, "--name", "our-net", "--trained-on", "MIMIC-IV-ECG")
    where = ("--folder", str(folder), "--out", str(results / "made"))
    assert run_command(["submit", str(parent / "theirs.npz"), *asked, *where, "--parameters", "1200000"]) == 0
    write_pages(folder)
    return folder
