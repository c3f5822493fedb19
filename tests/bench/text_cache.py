"""What it saves to embed every distinct prompt once, and what a cache of many files costs.

The records are those of synth98:L, the paper's number, with the joined prompt of each (no signal is made). The tower is a
Llama of a few million random weights. `--epochs`: a loop that embeds each batch of 32 with the tower inside the step, in
a new order every epoch, as published code does, against `embed_prompts` into an empty cache and the same loop over its
vectors. Both are measured on the first N records for 1 and 2 epochs; what all records and more epochs cost is
worked out from the seconds a record and a prompt. `--find`: seconds to find prompts among 1,000 files of 100.

python -m tests.bench.text_cache [--records 1000] [--epochs | --find]
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecgbench.cards import PromptSet, TextCard
from ecgbench.catalogue import load_card
from ecgbench.cli.tables import table
from ecgbench.ecg.sources import open_source
from ecgbench.files import cache_folder
from ecgbench.findings import label_bank
from ecgbench.text.cache import VectorCache
from ecgbench.text.cache_care import join_small
from ecgbench.text.embed import embed_prompts
from ecgbench.text.prompts import Prompt, joined_prompt
from ecgbench.text.tower import Tower, open_tower
from tests.unit.tiny_llama import save_tiny_llama

CARD = load_card(TextCard, "medllama3-jp+dtype=float32")
BATCH = 32
ROUNDS = 3
EPOCHS = (1, 2, 10, 50, 200)


def joined_prompts(source: str) -> list[Prompt]:
    """The prompt of every record with a finding, Japanese, as recipe `paper` makes it."""
    card, opened = open_source(source)
    bank, prompt_set = label_bank(card.labels), load_card(PromptSet, "paper")
    return [joined_prompt(prompt_set, bank, "ja", each.findings) for each in opened.entries() if each.findings]


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def in_the_step(tower: Tower, prompts: list[Prompt], epochs: int) -> None:
    """What published code does: tokens and forward pass of every batch of every epoch."""
    for epoch in range(epochs):
        order = np.random.default_rng(epoch).permutation(len(prompts))
        for start in range(0, len(order), BATCH):
            tower.embed([prompts[row] for row in order[start : start + BATCH]])


def looked_up(vectors: np.ndarray, places: np.ndarray, epochs: int) -> None:
    for epoch in range(epochs):
        order = np.random.default_rng(epoch).permutation(len(places))
        for start in range(0, len(order), BATCH):
            vectors[places[order[start : start + BATCH]]].copy()


@dataclass(frozen=True)
class Measured:
    """Seconds of the text side on `records` records with `distinct` prompts: `loop` with the tower in the step, for 1 and for
    2 epochs; `embedding` of the distinct prompts, once; `look_up` of their vectors, an epoch."""

    records: int
    distinct: int
    loop: tuple[float, float]
    embedding: float
    look_up: float


def measure(folder: Path, prompts: list[Prompt]) -> Measured:
    tower = open_tower(CARD, text_path=folder, threads=1)
    tower.embed(prompts[:BATCH])  # the first batch pays for what is made once
    loop = [min(seconds(lambda n=n: in_the_step(tower, prompts, n)) for _ in range(ROUNDS)) for n in (1, 2)]
    place = {prompt: row for row, prompt in enumerate(dict.fromkeys(prompts))}
    places = np.array([place[prompt] for prompt in prompts])
    held: list[np.ndarray] = []

    def into_an_empty_cache() -> None:
        shutil.rmtree(cache_folder("text"), ignore_errors=True)
        held.append(embed_prompts(CARD, list(place), text_path=folder, threads=1).vectors)

    embedding = min(seconds(into_an_empty_cache) for _ in range(ROUNDS))
    look_up = min(seconds(lambda: looked_up(held[0], places, 20)) for _ in range(ROUNDS)) / 20
    return Measured(len(prompts), len(place), (loop[0], loop[1]), embedding, look_up)


def epochs_table(measured: Measured, all_records: int, all_distinct: int) -> str:
    """The measured rows, then the arithmetic: loop = epochs x records x seconds a record; once = distinct x seconds a prompt
    + epochs x records x seconds a look-up."""
    a_record = measured.loop[1] / 2 / measured.records
    a_prompt = measured.embedding / measured.distinct
    a_look = measured.look_up / measured.records
    rows = []
    for records, distinct in ((measured.records, measured.distinct), (all_records, all_distinct)):
        for epochs in EPOCHS:
            own = records == measured.records and epochs <= 2
            loop = measured.loop[epochs - 1] if own else epochs * records * a_record
            once = distinct * a_prompt + epochs * records * a_look
            rows.append([f"{records:,}", f"{distinct:,}", epochs, "measured" if own else "worked out",
                         f"{loop:,.1f}", f"{once:,.1f}", f"{loop / once:,.1f}"])  # fmt: skip
    headers = ["records", "distinct prompts", "epochs", "", "s, tower in the step", "s, embedded once", "ratio"]
    said = (
        f"{a_record * 1e3:.2f} ms a record in the step, {a_prompt * 1e3:.2f} ms a distinct prompt embedded once (opening the "
        f"model and writing the cache counted), {a_look * 1e6:.2f} µs a record looked up; best of {ROUNDS}"
    )
    return f"{said}\n\n{table(headers, rows, right=(0, 1, 2, 4, 5, 6))}"


def find_table(files: int = 1000, each: int = 100, dim: int = 512) -> str:
    """Seconds of `VectorCache.find` in a cache of many files, and after `join_small`."""
    place = VectorCache(load_card(TextCard, "use-multilingual"), "made up")
    keys = [f"{n:064x}" for n in np.random.default_rng(0).permutation(files * each)]
    vectors = np.random.default_rng(0).normal(size=(each, dim)).astype(np.float32)
    for start in range(0, len(keys), each):
        place.add(dict(zip(keys[start : start + each], vectors, strict=True)))
    asked = {
        "300 of one run": keys[len(keys) // 2 :][:300],
        "300 that are not there": [f"{n:063x}x" for n in range(300)],
    }
    asked["all"] = keys
    before = {name: min(seconds(lambda k=k: place.find(k)) for _ in range(ROUNDS)) for name, k in asked.items()}
    joining = seconds(lambda: join_small(place.folder))
    after = {name: min(seconds(lambda k=k: place.find(k)) for _ in range(ROUNDS)) for name, k in asked.items()}
    left = len(list(place.folder.glob("*.safetensors")))
    headers = ["prompts asked for", f"s, {files:,} files", f"s, {left} files"]
    rows = [[name, f"{before[name]:.3f}", f"{after[name]:.3f}"] for name in asked]
    shown = table(headers, rows, right=(1, 2))
    return f"{len(keys):,} prompts, {dim} wide; joining took {joining:.1f} s\n\n{shown}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=1000)
    parser.add_argument("--epochs", action="store_true")
    parser.add_argument("--find", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ECGBENCH_CACHE"] = str(Path(folder) / "cache")
        if asked.find or not asked.epochs:
            print(find_table(), end="\n\n")
        if asked.epochs or not asked.find:
            every = joined_prompts("synth98:L")
            llama = save_tiny_llama(Path(folder) / "llama", hidden_size=256, layers=4)
            print(epochs_table(measure(llama, every[: asked.records]), len(every), len(set(every))))


if __name__ == "__main__":
    main()
