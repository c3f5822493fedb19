"""A run's folder -> a committed result: the result file as it is, its scores in half precision."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

import numpy as np

from ecgbench.errors import EcgbenchError
from ecgbench.evaluation.scores import Scores
from ecgbench.leaderboard.collect import Boards
from ecgbench.results import Result, read_result


def submission_name(result: Result) -> str:
    """A folder name that a person can read; the run id makes it unique."""
    parts = [result.encoder.name, result.text.name, result.recipe.name]
    parts += [] if result.control == "none" else [result.control]
    plain = [re.sub(r"[^A-Za-z0-9._-]+", "-", part) for part in parts]  # timm:NAME, hf:OWNER/NAME
    return "--".join([*plain, f"seed{result.seed}", result.run_id])


def add_run(run: Path, leaderboards: Path) -> Path:
    """Copy a finished run below `leaderboards/results`, whole or not at all; the folder it went to."""
    result = read_result(run / "result.json")
    if result.status != "ok":
        raise EcgbenchError(f"the run {run} failed ({result.reason}): only finished runs go on a board.")
    if result.encoder.name.startswith("hf:") and Path(result.encoder.name.removeprefix("hf:")).is_absolute():
        raise EcgbenchError(
            f"the run {run} names its encoder by a folder of this machine: run it by its name on the hub."
        )
    if not result.data.public:
        raise EcgbenchError(f"the run {run} is on data that are not public: its scores hold record ids and stay here.")
    target = leaderboards / "results" / Boards().name(result) / submission_name(result)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".adding-", dir=target.parent) as workplace:
        folder = Path(workplace, target.name)
        folder.mkdir()
        shutil.copyfile(run / "result.json", folder / "result.json")
        for path in sorted((run / "scores").rglob("*.npz")):
            Scores.load(path).save(folder / path.relative_to(run), dtype=np.float16)
        if target.exists():
            shutil.rmtree(target)
        folder.rename(target)
    return target
