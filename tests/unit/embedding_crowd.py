"""Many processes at one tower's cache: they embed, some are killed, files are joined while others read. Run by test_text_cache.

`python -m tests.unit.embedding_crowd kills|joins` prints what happened as JSON. The tower is the real `random`, slowed
down, and notes in a file of each process what it is given to embed.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ecgbench.cards import PromptSet, TextCard
from ecgbench.catalogue import load_card
from ecgbench.files import cache_folder
from ecgbench.findings import label_bank
from ecgbench.text import cache, embed, tower
from ecgbench.text.cache import VectorCache, prompt_key
from ecgbench.text.cache_care import join_small, survey
from ecgbench.text.controls import RandomTower
from ecgbench.text.embed import embed_prompts
from ecgbench.text.prompts import Prompt, label_prompts

CARD = load_card(TextCard, "random")
CHUNK = 4
KILLS = 6


class Slow(RandomTower):
    """Notes each prompt before it embeds it, so that a kill can strike between embedding and saving."""

    def embed(self, prompts: Sequence[Prompt]) -> np.ndarray:
        with (cache_folder() / f"{os.getpid()}.log").open("a", encoding="utf-8") as log:
            log.write("".join(f"{prompt_key(CARD, prompt)}\n" for prompt in prompts))
        time.sleep(0.004)
        return super().embed(prompts)


def prompts() -> list[Prompt]:
    return label_prompts(load_card(PromptSet, "paper"), label_bank(), "en")


def start(work: Callable[[], None]) -> int:
    process = os.fork()
    if process:
        return process
    status = 1
    try:
        work()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def embeds(part: Sequence[Prompt]) -> Callable[[], None]:
    def work() -> None:
        got = embed_prompts(CARD, part).vectors
        assert np.array_equal(got, RandomTower(CARD, text_path=None).embed(part)), "a wrong vector"

    return work


def log_of(process: int) -> Path:
    return cache_folder() / f"{process}.log"


def kills() -> dict[str, object]:
    """Waves of four processes with overlapping prompts; in each the first that embeds is killed."""
    every, rng = prompts(), random.Random(0)
    killed = 0
    for wave in range(KILLS):
        part = every[: (wave + 1) * len(every) // KILLS]
        crowd = [start(embeds(rng.sample(part, len(part)) if i else part)) for i in range(4)]
        while not (begun := [each for each in crowd if log_of(each).exists()]):
            time.sleep(0.001)
        time.sleep(rng.random() * 0.03)
        os.kill(begun[0], signal.SIGKILL)
        states = {each: os.waitpid(each, 0)[1] for each in crowd}
        killed += os.WIFSIGNALED(states.pop(begun[0]))
        assert not any(states.values()), states
    embedded = Counter(line for log in cache_folder().glob("*.log") for line in log.read_text(encoding="utf-8").split())
    held = VectorCache(CARD, None).find(embedded)
    right = RandomTower(CARD, text_path=None).embed(every)
    return {
        "distinct": len({prompt_key(CARD, prompt) for prompt in every}),
        "embedded": sum(embedded.values()),
        "held": len(held),
        "right": sum(
            bool(np.array_equal(held[prompt_key(CARD, prompt)], row)) for prompt, row in zip(every, right, strict=True)
        ),
        "asked": len(every),
        "killed": killed,
        "damaged": sum(len(each.damaged) for each in survey()),
    }


def joins() -> dict[str, object]:
    """One process writes the same vectors again in small files, one joins them, two read: nothing is ever missing."""
    every = prompts()[:64]
    vectors = dict(zip([prompt_key(CARD, prompt) for prompt in every], embed_prompts(CARD, every).vectors, strict=True))
    place = VectorCache(CARD, None)
    until = time.monotonic() + 1.0

    def writes() -> None:
        rng = random.Random(1)
        while time.monotonic() < until:
            place.add({key: vectors[key] for key in rng.sample(list(vectors), 5)})

    def joining() -> None:
        while time.monotonic() < until:
            join_small(place.folder)

    def reads() -> None:
        times = 0
        while time.monotonic() < until:
            found = place.find(vectors)
            assert found.keys() == vectors.keys(), f"{len(vectors) - len(found)} vectors were missing"
            assert all(np.array_equal(found[key], vectors[key]) for key in vectors)
            times += 1
        assert times > 10, times

    crowd = [start(work) for work in (writes, joining, reads, reads)]
    failed = sum(os.waitpid(each, 0)[1] != 0 for each in crowd)
    join_small(place.folder)
    return {"failed": failed, "files": len(list(place.folder.glob(cache.SHARDS))), "held": len(place.find(vectors))}


def main() -> None:
    tower.KINDS["random"] = f"{__spec__.name if __name__ == '__main__' else __name__}:Slow"
    embed.CHUNK, embed.SAVE_SECONDS, cache.LOOK_AGAIN_SECONDS = CHUNK, -1.0, 0.05
    print(json.dumps({"kills": kills, "joins": joins}[sys.argv[1]]()))


if __name__ == "__main__":
    main()
