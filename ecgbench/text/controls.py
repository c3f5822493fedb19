"""Towers that know nothing about language: what a score is worth above them is what the language model
brought.

`char-ngram` sees how alike two sentences are spelt; `random` sees only which findings are meant.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ecgbench.cards import TextCard
from ecgbench.errors import EcgbenchError
from ecgbench.text.prompts import Prompt
from ecgbench.text.tower import refuse_unknown_params, texts_of


class CharNgramTower:
    """Hashed character n-grams, signed and counted, l2-normalised (scikit-learn's HashingVectorizer, whose
    MurmurHash3 does not change between versions or machines). Card `params`: `analyzer`, `ngram_range`,
    `lowercase`."""

    def __init__(self, card: TextCard, *, text_path: Path | None = None, threads: int | None = None) -> None:
        from sklearn.feature_extraction.text import HashingVectorizer

        self.card = card
        self.dim = card.dim
        refuse_unknown_params(card, {"analyzer", "ngram_range", "lowercase"})
        params: dict[str, Any] = dict(card.params)
        if "ngram_range" in params:
            params["ngram_range"] = tuple(params["ngram_range"])
        self._vectorizer = HashingVectorizer(n_features=card.dim, norm="l2", dtype=np.float32, **params)

    def embed(self, prompts: Sequence[Prompt]) -> np.ndarray:
        """(n, dim) float32, rows of length 1."""
        try:
            return self._vectorizer.transform(texts_of(self.card, prompts)).toarray()
        except ValueError as error:
            raise EcgbenchError(f"text tower {self.card.name}: {' '.join(str(error).split())}") from None


class RandomTower:
    """One fixed random unit vector a name; a prompt of several names is the normalised mean of theirs. Card
    `params`: `seed`. The sentence around the names is not looked at."""

    def __init__(self, card: TextCard, *, text_path: Path | None = None, threads: int | None = None) -> None:
        self.card = card
        self.dim = card.dim
        refuse_unknown_params(card, {"seed"})
        self._seed = int(card.params.get("seed", 0))

    def embed(self, prompts: Sequence[Prompt]) -> np.ndarray:
        """(n, dim) float32, rows of length 1."""
        names = {name: self._unit(name) for prompt in prompts for name in prompt.parts}
        means = np.array([np.mean([names[name] for name in prompt.parts], axis=0) for prompt in prompts])
        means = means.reshape(len(prompts), self.dim)
        return (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32)

    def _unit(self, name: str) -> np.ndarray:
        """(dim,) float64. RandomState, because numpy promises that its stream never changes."""
        digest = hashlib.sha256(f"{self._seed}:{name}".encode()).digest()
        vector = np.random.RandomState(np.frombuffer(digest, dtype="<u4")).standard_normal(self.dim)
        return vector / np.linalg.norm(vector)
