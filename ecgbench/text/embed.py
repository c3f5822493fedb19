"""Prompts in, vectors out: from a pack, from the cache, and only then from the model."""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ecgbench.cards import TextCard
from ecgbench.errors import EcgbenchError
from ecgbench.text import tower as towers
from ecgbench.text.cache import VectorCache, prompt_key, tower_identity
from ecgbench.text.imported import imported_weights
from ecgbench.text.pack import named, read_pack
from ecgbench.text.prompts import Prompt
from ecgbench.text.tokenizer_checks import SeesTokens, vector_warnings, warn_once
from ecgbench.text.weights import fetch, require_here, weights_here, weights_identity

# Prompts handed to the tower at once, and seconds after which what is done is put on disk.
CHUNK = 256
SAVE_SECONDS = 30.0


@dataclass(frozen=True)
class Embedded:
    """`vectors` (n, dim) float32, one row a prompt in the order asked for. `identity` is what decides them
    besides the prompts: the card's identity, the real width and the weights; the same whether they came from
    the model, the cache or a pack made with that model."""

    vectors: np.ndarray
    identity: dict[str, Any]


def embed_prompts(
    card: TextCard,
    prompts: Sequence[Prompt],
    *,
    text_path: Path | None = None,
    pack: Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Embedded:
    """Embed prompts with the tower of a card; equal prompts are embedded once. The tower is opened only when
    some prompt is neither in the cache nor in the pack, and closed afterwards. `pack` is an embedding pack
    that stands in for the model; `device` is where it is run (`ecgbench.text.devices`) and decides no vector;
    `progress` is called with (done, total) of those the tower embeds.
    EcgbenchError where the weights are absent, the pack is of another tower or lacks a prompt."""
    _refuse_both(card, text_path, pack)
    if pack is not None:
        opened = read_pack(pack, card)
        return _assemble(card, prompts, opened.find(prompts), opened.weights)
    by_key = {prompt_key(card, prompt): prompt for prompt in prompts}
    cache = VectorCache(card, weights_identity(card, text_path))
    found = cache.find(by_key)
    if len(found) < len(by_key):
        _refuse_beyond_import(card, text_path, [prompt for key, prompt in by_key.items() if key not in found])
    if card.kind == "huggingface" and len(found) < len(by_key):
        towers.check_fits(card, text_path, device)  # before a download of many GB
        fetch(card, text_path)
        # A download may have settled which commit the card's revision means.
        cache = VectorCache(card, weights_identity(card, text_path))
        found = cache.find(by_key)
    missing = by_key.keys() - found.keys()
    if missing:
        with cache.turn(missing) as meanwhile:
            found |= meanwhile
            missing -= meanwhile.keys()
            if missing:
                asked = {key: prompt for key, prompt in by_key.items() if key in missing}
                found |= _run_tower(card, asked, cache, text_path, device, threads, progress)
    return _assemble(card, prompts, found, cache.identity["weights"])


def check_available(
    card: TextCard,
    text_path: Path | None = None,
    pack: Path | None = None,
    prompts: Sequence[Prompt] = (),
    *,
    device: str = "auto",
) -> None:
    """The early check of a run, before anything is built or trained: EcgbenchError within 10 s where the
    tower cannot be had. `prompts`, where given, are all the prompts that the run will ask for: when the cache
    holds every one of them no weights are needed, and a pack must hold every one of them; where one is lacking, `device`
    must be here and have the memory that the model needs. The model is not loaded."""
    _refuse_both(card, text_path, pack)
    if pack is not None:
        read_pack(pack, card).find(prompts)
        return
    by_key = {prompt_key(card, prompt): prompt for prompt in prompts}
    if by_key:
        found = VectorCache(card, weights_identity(card, text_path)).find(by_key)
        missing = [prompt for key, prompt in by_key.items() if key not in found]
        if not missing:
            return
        _refuse_beyond_import(card, text_path, missing)
    elif _stands_on_import(card, text_path):
        return  # whether the packs cover the data is known once there are data
    require_here(card, text_path)
    if by_key:
        towers.check_fits(card, text_path, device)


def _stands_on_import(card: TextCard, text_path: Path | None) -> bool:
    """Whether imported packs are all there is of a tower."""
    return text_path is None and imported_weights(card) is not None and weights_here(card) is None


def _refuse_beyond_import(card: TextCard, text_path: Path | None, missing: Sequence[Prompt]) -> None:
    """EcgbenchError, naming the first, where prompts are missing and imported packs are all there is of the tower: who
    imported a pack did not ask for a download of many GB."""
    if _stands_on_import(card, text_path):
        raise EcgbenchError(
            f"the embedding packs imported for text tower {card.name} lack the prompt {named(missing)}, and its "
            "model is not here: import a pack that covers it (one for the joined findings of a data set is made by `ecgbench "
            "text export --for STORE`), give the model by --text-path DIR, or forget the import by `ecgbench text cache "
            f"--prune --tower {card.name} --yes`."
        )


def _run_tower(
    card: TextCard,
    missing: dict[str, Prompt],
    cache: VectorCache,
    text_path: Path | None,
    device: str,
    threads: int | None,
    progress: Callable[[int, int], None] | None,
) -> dict[str, np.ndarray]:
    """Embed with the model and keep what is done, at the latest every half minute."""
    done: dict[str, np.ndarray] = {}
    unsaved: dict[str, np.ndarray] = {}
    tower = towers.open_tower(card, text_path=text_path, device=device, threads=threads)
    try:
        if isinstance(tower, SeesTokens):
            warn_once(card.name, tower.token_warnings(list(missing.values())))
        saved = time.monotonic()
        keys = sorted(missing, key=lambda key: (len(missing[key].text), key))  # neighbours of like length
        for start in range(0, len(keys), CHUNK):
            part = keys[start : start + CHUNK]
            vectors = towers.embed_checked(tower, [missing[key] for key in part])
            unsaved |= zip(part, vectors, strict=True)
            if progress is not None:
                progress(start + len(part), len(keys))
            if time.monotonic() - saved > SAVE_SECONDS:
                cache.add(unsaved)
                done, unsaved, saved = done | unsaved, {}, time.monotonic()
    finally:
        cache.add(unsaved)
        del tower
        if card.kind == "huggingface":
            _free_memory()
    return done | unsaved


def _free_memory() -> None:
    """Give back what a language model held; on the accelerator too."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def _assemble(card: TextCard, prompts: Sequence[Prompt], found: dict[str, np.ndarray], weights: str | None) -> Embedded:
    rows = [found[prompt_key(card, prompt)] for prompt in prompts]
    vectors = np.stack(rows) if rows else np.empty((0, card.dim), np.float32)
    warn_once(card.name, vector_warnings(prompts, vectors))
    return Embedded(vectors, {**tower_identity(card, weights), "dim": int(vectors.shape[1])})


def _refuse_both(card: TextCard, text_path: Path | None, pack: Path | None) -> None:
    towers.refuse_text_path(card, text_path)
    if text_path is not None and pack is not None:
        raise EcgbenchError("--text-path and --text-pack were both given: give the model or the pack, not both.")
