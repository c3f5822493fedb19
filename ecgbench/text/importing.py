"""An embedding pack put into the cache, so that a run needs neither the model nor the file again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecgbench.cards import TextCard
from ecgbench.errors import EcgbenchError
from ecgbench.text.cache import VectorCache, prompt_key
from ecgbench.text.imported import imported_weights, remember_import
from ecgbench.text.pack import Pack, read_any_pack
from ecgbench.text.prompts import Prompt
from ecgbench.text.weights import weights_here, weights_identity

SAME_COSINE = 0.99
"""Vectors of one prompt by one model on two machines: what rounding in 16 bits leaves between them is far nearer to 1, and
what another model gives far from it."""


@dataclass(frozen=True)
class Imported:
    """`added` vectors are new in the cache, `known` were there."""

    pack: Pack
    added: int
    known: int


def import_pack(path: Path, *, replace: bool = False) -> Imported:
    """Put a pack's vectors into the cache and note which weights made them. EcgbenchError where the pack is not sound, does
    not fit the tower's card here, or was made with other weights than those that the tower's name stands for on this
    machine; `replace` lets the pack's weights take the place of others that are not here themselves."""
    pack = read_any_pack(path)
    weights = str(pack.weights)
    _refuse_other_weights(pack.card, path, weights, replace)
    cache = VectorCache(pack.card, weights)
    keys = [prompt_key(pack.card, Prompt(text, (text,))) for text in pack.texts]
    known = cache.find(keys)
    _refuse_other_vectors(pack, keys, known)
    cache.add({key: vector for key, vector in zip(keys, pack.vectors, strict=True) if key not in known})
    remember_import(pack.card, weights)
    return Imported(pack, len(keys) - len(known), len(known))


def _refuse_other_weights(card: TextCard, path: Path, weights: str, replace: bool) -> None:
    here, before = weights_here(card), imported_weights(card)
    if here not in (None, weights):
        raise EcgbenchError(
            f"the weights of text tower {card.name} on this machine are {here}, and the embedding pack {path} was made with "
            f"{weights}: vectors of two models are not mixed; --text-pack FILE gives a run the pack's."
        )
    if replace or here is not None:
        return
    if before not in (None, weights):
        raise EcgbenchError(
            f"the embedding packs imported so far for the model of {card.name} were made with {before}, and {path} with "
            f"{weights}: vectors of two models are not mixed; --replace has runs use the new one's alone from now on."
        )
    if before is None and _has_vectors(card, now := weights_identity(card, None)) and now != weights:
        raise EcgbenchError(
            f"the cache holds vectors of text tower {card.name} made with {now}, which runs use, and {path} was made with "
            f"{weights}: vectors of two models are not mixed; --replace has runs use the pack's alone from now on."
        )


def _has_vectors(card: TextCard, weights: str | None) -> bool:
    return VectorCache(card, weights).holds_any()


def _refuse_other_vectors(pack: Pack, keys: list[str], known: dict[str, np.ndarray]) -> None:
    """EcgbenchError where the cache has another vector of a prompt: two models then go by one name of weights."""
    for key, text, own in zip(keys, pack.texts, pack.vectors, strict=True):
        if key in known and _cosine(own, known[key]) < SAME_COSINE:
            raise EcgbenchError(
                f"the embedding pack {pack.path} and the cache both name the weights {pack.weights}, but their vectors of "
                f"'{text}' differ: one was made with another model. `ecgbench text cache --prune --tower {pack.card.name}` "
                "removes the cache's."
            )


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    if a.shape != b.shape:
        return 0.0
    norms = float(np.linalg.norm(a.astype(np.float64)) * np.linalg.norm(b.astype(np.float64)))
    return float(a.astype(np.float64) @ b.astype(np.float64)) / norms if norms else float(np.array_equal(a, b))
