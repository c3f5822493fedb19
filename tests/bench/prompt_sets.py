"""What the prompt set does to the tasks: one training a seed, its classes asked for by each set in turn.

    python tests/bench/prompt_sets.py SOURCE [--seeds 0,1] [--epochs N] [--lang ja] [--mapping paper] [--prompts A,B]

Prints markdown tables of validation scores; test rows are not looked at. The table stands in `docs/prompts.md`.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from ecgbench.ecg.inputs import encoder_inputs
from ecgbench.evaluation.metrics import metric_named
from ecgbench.pipeline.model import build_side
from ecgbench.pipeline.request import make_request
from ecgbench.pipeline.run import Clock, Silent, prepare

SETS = ("retrieval98", "superclass", "rhythm", "mitbih")
PROMPTS = ("paper", "bare", "paraphrases", "members", "descriptors")
METRICS = {"retrieval": ("top1", "top5", "macro_auroc"), "zero_shot": ("accuracy", "macro_auroc")}


def asked_by(prompts: str, seed: int, given: argparse.Namespace) -> Any:
    request = make_request(
        encoder=given.encoder, text=given.text, data=given.source, recipe=given.recipe, tasks=SETS, language=given.lang,
        mapping=given.mapping, prompts=prompts, epochs=given.epochs, seed=seed,
    )  # fmt: skip
    return prepare(request, Silent(), Clock())


def validation(side: Any, inputs: np.ndarray) -> dict[tuple[str, str], float]:
    """Every metric of every task, and the accuracy of each class of a zero-shot set, on validation rows."""
    found = {}
    for task, matrix in side.matrices(inputs):
        rows = task.scores(matrix).rows("validation")
        for name in METRICS[task.card.kind]:
            found[task.card.name, name] = metric_named(name).values(
                rows.scores, rows.labels, np.ones((1, len(rows.labels)))
            )[0][0]
        best = rows.scores.argmax(1)
        for place, item in enumerate(task.card.classes):
            n = rows.labels[:, place]
            found[task.card.name, item.value] = float(n[best == place].sum() / n.sum()) if n.sum() else np.nan
    return found


def shown_as(cell: list[float]) -> str:
    """Mean and spread over the seeds; a dash where the validation rows cannot say."""
    if np.isnan(cell).any():
        return "—"
    return f"{np.mean(cell):.3f}" + (f" ± {np.std(cell, ddof=1):.3f}" if len(cell) > 1 else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source")
    parser.add_argument("--encoder", default="resnet1d18")
    parser.add_argument("--text", default="use-multilingual")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--lang", default="ja")
    parser.add_argument("--mapping", default="paper")
    parser.add_argument("--prompts", default=",".join(PROMPTS))
    parser.add_argument("--recipe", default="quick")
    given = parser.parse_args()
    asked = given.prompts.split(",")
    values: dict[str, list[dict[tuple[str, str], float]]] = {name: [] for name in asked}
    for seed in map(int, given.seeds.split(",")):
        prepared = asked_by(asked[0], seed, given)
        side = build_side(prepared)
        inputs = encoder_inputs(prepared.store, prepared.request.encoder.input, prepared.request.rate, lambda *_: None)
        with tempfile.TemporaryDirectory() as folder:
            side.train(inputs, Path(folder), resume=False, quiet=True)
        for name in asked:
            side.prepared = asked_by(name, seed, given)
            values[name].append(validation(side, inputs))
    print(f"| set | validation score | {' | '.join(asked)} |\n|---|---|" + "---:|" * len(asked))
    for key in values[asked[0]][0]:
        cells = [[each[key] for each in values[name]] for name in asked]
        shown = [shown_as(cell) for cell in cells]
        print(f"| {key[0]} | {key[1]} | {' | '.join(shown)} |")


if __name__ == "__main__":
    main()
