"""One field of `quick` varied, judged on the validation split only.

    python tests/bench/prompt_mode.py SOURCE [--seeds 0,1,2] [--epochs N] [--set FIELD=VALUE …] [--out runs]

By default the field is `prompt`: how a record is paired with its findings (`joined`, `one` or `mean`). Prints a markdown table
of validation scores; test rows are not looked at. The tables stand in `docs/recipes.md`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from ecgbench.evaluation.metrics import metric_named
from ecgbench.evaluation.scores import Scores
from ecgbench.pipeline.reporting import Silent
from ecgbench.pipeline.request import make_request
from ecgbench.pipeline.run import execute
from ecgbench.recipe import check_recipe

MEASURED = (
    ("retrieval98", "macro_auroc"),
    ("retrieval98", "top1"),
    ("superclass", "accuracy"),
    ("superclass", "macro_auroc"),
)
Measured = Sequence[tuple[str, str]]


def heading(measured: Measured, first: str) -> str:
    """The first two lines of a markdown table."""
    return f"| {first} | " + " | ".join(map(" ".join, measured)) + " |\n|---|" + "---:|" * len(measured)


def validation_values(folder: Path, measured: Measured = MEASURED) -> list[float]:
    values = []
    for task, metric in measured:
        rows = Scores.load(folder / "scores" / f"{task}.npz").rows("validation")
        weights = np.ones((1, len(rows.labels)))
        values.append(float(metric_named(metric).values(rows.scores, rows.labels, weights)[0][0]))
    return values


def validated(changed: dict[str, Any], out: Path, measured: Measured = MEASURED, **asked: Any) -> list[float]:
    """Validation values of a run of `quick` with some recipe fields changed; `asked` as for `make_request`."""
    request = make_request(recipe="quick", **asked)
    recipe = check_recipe("quick", {**request.recipe.model_dump(mode="json"), **changed})
    result = execute(replace(request, recipe=recipe), out, again=False, resume=False, reporter=Silent())
    return validation_values(out / result.run_id, measured)


def row(first: str, found: Sequence[Sequence[float]] | np.ndarray) -> str:
    """A line of a markdown table: means over the seeds, with their standard deviation where there are several."""
    cells = [f"{mean:.3f}" for mean in np.mean(found, axis=0)]
    if len(found) > 1:
        cells = [f"{m} ± {s:.3f}" for m, s in zip(cells, np.std(found, axis=0, ddof=1), strict=True)]
    return f"| {first} | " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("source")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--encoder", default="resnet1d18")
    parser.add_argument("--text", default="use-multilingual")
    parser.add_argument("--out", type=Path, default=Path("runs"))
    parser.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", help="vary another field instead of `prompt`"
    )
    asked = parser.parse_args()
    settings = [pair.split("=", 1) for pair in asked.set] or [["prompt", mode] for mode in ("joined", "one", "mean")]
    print(heading(MEASURED, "setting"))
    for field, value in settings:
        found = [
            validated(
                {field: yaml.safe_load(value)}, asked.out, encoder=asked.encoder, text=asked.text, data=asked.source,
                epochs=asked.epochs, seed=seed,
            )
            for seed in map(int, asked.seeds.split(","))
        ]  # fmt: skip
        print(row(f"{field}: {value}", found), flush=True)


if __name__ == "__main__":
    main()
