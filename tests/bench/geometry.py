"""What `none`, `center`, `standardize` and `whiten` make of each text tower's vectors.

    python -m tests.bench.geometry SOURCE [--texts use-multilingual,char-ngram,random] [--seeds 0,1,2] [--out runs]
    python -m tests.bench.geometry vectors [--texts …] [--prompts paper]

The first trains `quick` with resnet1d18 under each `text_geometry` and prints validation scores, and their differences to
`none` paired by seed; test rows are not looked at. Runs that are done are read, not repeated. Its tables stand in
`docs/recipes.md`. The second trains nothing: it prints what `ecgbench text show` measures, tower by tower (`docs/text.md`).
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from ecgbench.cards import PromptSet, TextCard
from ecgbench.catalogue import load_card
from ecgbench.findings import label_bank
from ecgbench.pipeline.tower_diagnosis import diagnose
from ecgbench.text.geometry import GEOMETRIES
from tests.bench.prompt_mode import MEASURED, heading, row, validated

MORE = (*MEASURED, ("rhythm", "accuracy"), ("mitbih", "accuracy"))
VECTORS = (
    *("norm left", "mean cosine", "effective rank", "ends alike", "by chance", "to the other language: top1", "mrr"),
    *("superclass", "rhythm", "mitbih"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source")
    parser.add_argument("--texts", default="use-multilingual,char-ngram,random")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--encoder", default="resnet1d18")
    parser.add_argument("--prompts", default="paper")
    parser.add_argument("--out", type=Path, default=Path("runs"))
    asked = parser.parse_args()
    texts = asked.texts.split(",")
    if asked.source == "vectors":
        of_vectors(texts, asked.prompts)
    else:
        trained(texts, [int(seed) for seed in asked.seeds.split(",")], asked)


def trained(texts: list[str], seeds: list[int], asked: argparse.Namespace) -> None:
    found: dict[tuple[str, str], list[list[float]]] = {}
    started, total = time.monotonic(), len(texts) * len(GEOMETRIES) * len(seeds)
    print(heading(MORE, "tower, geometry"))
    for text in texts:
        for how in GEOMETRIES:
            values = found[text, how] = []
            for seed in seeds:
                values.append(
                    validated(
                        {"text_geometry": how}, asked.out, MORE, encoder=asked.encoder, text=text, data=asked.source,
                        epochs=asked.epochs, seed=seed,
                    )
                )  # fmt: skip
                done = sum(map(len, found.values()))
                left = (time.monotonic() - started) / done * (total - done)
                print(f"{done} of {total} runs, {left / 60:.0f} min left", file=sys.stderr)
            print(row(f"{text}, {how}", values), flush=True)
    print(f"\n{heading(MORE, 'difference to none, paired by seed')}")
    gained = {each: np.subtract(values, found[each[0], "none"]) for each, values in found.items()}
    for text in texts:
        for how in GEOMETRIES[1:]:
            print(row(f"{text}, {how}", gained[text, how]))
    for how in GEOMETRIES[1:]:
        print(row(f"all towers, {how}", np.concatenate([gained[text, how] for text in texts])))


def of_vectors(texts: list[str], prompts: str) -> None:
    print(f"| tower, language, geometry | {' | '.join(VECTORS)} |\n|---|{'---:|' * len(VECTORS)}")
    for text in texts:
        found = diagnose(load_card(TextCard, text), label_bank(), load_card(PromptSet, prompts))
        for language, said in found.languages.items():
            for how, shape in said.shapes.items():
                across = shape.across or {}
                cells = [
                    f"{shape.spread.norm_left:.1%}",
                    f"{shape.spread.mean_cosine:.3f}",
                    f"{shape.spread.effective_rank:.1f}",
                    f"{shape.same_ending.value:.2f}",
                    f"{shape.same_ending.chance:.2f}",
                    *(f"{across[each]:.3f}" if across else "—" for each in ("top1", "mrr")),
                    *("/".join(map(str, map(sum, zip(*shape.classes[each], strict=True)))) for each in VECTORS[-3:]),
                ]
                print(f"| {text}, {language}, {how} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
