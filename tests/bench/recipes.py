"""Recipes beside each other, judged on the validation split only.

    python -m tests.bench.recipes SOURCE[,SOURCE] RECIPE [RECIPE …] [--seeds 0,1] [--out runs]

Prints, for each source, validation scores of each recipe, and how far each is from the first one, paired by seed. The last column is
what `strong` was chosen by: the mean of retrieval98's and superclass's macro AUROC. Test rows are not looked at. Runs that are
done are read, not repeated.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from ecgbench.pipeline.run import run
from tests.bench.prompt_mode import MEASURED, heading, row, validation_values

MORE = (*MEASURED, ("rhythm", "accuracy"), ("mitbih", "accuracy"))
CHOSEN_BY = [MORE.index((task, "macro_auroc")) for task in ("retrieval98", "superclass")]
COLUMNS = (*MORE, ("chosen", "by"))


def values_of(source: str, recipe: str, seed: int, asked: argparse.Namespace) -> list[float]:
    result = run(encoder=asked.encoder, text=asked.text, data=source, recipe=recipe, seed=seed, out=asked.out)
    values = validation_values(asked.out / result.run_id, MORE)
    return [*values, float(np.mean([values[index] for index in CHOSEN_BY]))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources")
    parser.add_argument("recipes", nargs="+")
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--encoder", default="resnet1d18")
    parser.add_argument("--text", default="use-multilingual")
    parser.add_argument("--out", type=Path, default=Path("runs"))
    asked = parser.parse_args()
    seeds = [int(seed) for seed in asked.seeds.split(",")]
    for source in asked.sources.split(","):
        print(f"\n{source}, seeds {asked.seeds}\n\n{heading(COLUMNS, 'recipe')}", flush=True)
        found: dict[str, list[list[float]]] = {}
        for recipe in asked.recipes:
            start = time.monotonic()
            found[recipe] = [values_of(source, recipe, seed, asked) for seed in seeds]
            print(row(f"`{recipe}`", found[recipe]), flush=True)
            print(f"{recipe}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
        first = np.array(found[asked.recipes[0]])
        print(f"\n{heading(COLUMNS, f'less `{asked.recipes[0]}`')}")
        for recipe in asked.recipes[1:]:
            print(row(f"`{recipe}`", np.array(found[recipe]) - first), flush=True)


if __name__ == "__main__":
    main()
