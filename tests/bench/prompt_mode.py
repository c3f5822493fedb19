"""How `quick` pairs a record with its findings: `joined`, `one` or `mean`, judged on the validation split only.

    python tests/bench/prompt_mode.py SOURCE [--seeds 0,1,2] [--epochs N] [--out runs]

Prints a markdown table of validation scores; test rows are not looked at. The table stands in `docs/recipes.md`.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import yaml

from ecgbench.cards import TaskCard
from ecgbench.catalogue import load_card
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


def validation_values(folder: Path) -> list[float]:
    values = []
    for task, metric in MEASURED:
        load_card(TaskCard, task)
        rows = Scores.load(folder / "scores" / f"{task}.npz").rows("validation")
        weights = np.ones((1, len(rows.labels)))
        values.append(float(metric_named(metric).values(rows.scores, rows.labels, weights)[0][0]))
    return values


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
    print("| setting | " + " | ".join(f"{task} {metric}" for task, metric in MEASURED) + " |")
    print("|---|" + "---:|" * len(MEASURED))
    for field, value in settings:
        found = []
        for seed in map(int, asked.seeds.split(",")):
            request = make_request(
                encoder=asked.encoder,
                text=asked.text,
                data=asked.source,
                recipe="quick",
                epochs=asked.epochs,
                seed=seed,
            )
            recipe = check_recipe("quick", {**request.recipe.model_dump(mode="json"), field: yaml.safe_load(value)})
            result = execute(replace(request, recipe=recipe), asked.out, again=False, resume=False, reporter=Silent())
            found.append(validation_values(asked.out / result.run_id))
        means = [f"{mean:.3f}" for mean in np.mean(found, axis=0)]
        if len(found) > 1:
            means = [f"{m} ± {s:.3f}" for m, s in zip(means, np.std(found, axis=0, ddof=1), strict=True)]
        print(f"| {field}: {value} | " + " | ".join(means) + " |", flush=True)


if __name__ == "__main__":
    main()
