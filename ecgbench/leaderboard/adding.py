"""A run's folder -> a committed result: the result file as it is, its scores in half precision; of private data, bootstrap
values in their place."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

import numpy as np

from ecgbench.errors import EcgbenchError
from ecgbench.evaluation.scores import Scores
from ecgbench.evaluation.values import BootstrapValues
from ecgbench.leaderboard.collect import Boards
from ecgbench.leaderboard.rescore import card_of
from ecgbench.results import Result, read_result, write_result


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
    target = leaderboards / "results" / Boards().name(result) / submission_name(result)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".adding-", dir=target.parent) as workplace:
        folder = Path(workplace, target.name)
        folder.mkdir()
        if result.data.public:
            shutil.copyfile(run / "result.json", folder / "result.json")
            for path in sorted((run / "scores").rglob("*.npz")):
                Scores.load(path).save(folder / path.relative_to(run), dtype=np.float16)
        else:
            write_result(folder / "result.json", without_ids(result))
            write_values(run / "scores", result.data.data_hash, folder / "values")
        if target.exists():
            shutil.rmtree(target)
        folder.rename(target)
    return target


def without_ids(result: Result) -> Result:
    """The result with the records that did not enter the data counted and not named."""
    kept = ("reason", "of_another")
    lists = {
        name: [
            {key: value if key in kept else "—" for key, value in each.items()} for each in getattr(result.data, name)
        ]
        for name in ("damaged", "duplicates")
    }
    return result.model_copy(update={"data": result.data.model_copy(update=lists)})


def write_values(scores_folder: Path, data_hash: str, target: Path) -> list[Path]:
    """Write the bootstrap values of every scores file below a run's `scores` to the same place below `target`; the files.
    EcgbenchError where there is none."""
    written = []
    for path in sorted(scores_folder.rglob("*.npz")):
        scores = Scores.load(path)
        written.append(target / path.relative_to(scores_folder))
        BootstrapValues.of(scores, card_of(scores), data_hash).save(written[-1])
    if not written:
        raise EcgbenchError(f"there are no scores in {scores_folder}: give a run's folder as the run left it.")
    return written
