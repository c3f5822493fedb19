"""What a text tower cannot tell apart, or cannot read: an English tower given Japanese labels does not fail, it gives
「心房細動」 and 「心房粗動」 the same vector.

Prompts of the same names (`Prompt.parts`) are one thing here, however they are worded. Every function gives at most one
sentence a kind of trouble, with the first prompts named and the rest counted.
"""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Hashable, Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from ecgbench.quiet import quiet
from ecgbench.text.prompts import Prompt

log = logging.getLogger("ecgbench.text")
SHOWN = 3
"""Prompts, or groups of them, that a sentence names."""
LONGEST_NAME = 40
SAME = 1e-5
"""Distance of two vectors, after both were brought to length 1, below which they are the same: what a vector owes to its
neighbours in a batch is less in float32."""
LINES = 8
_told_already: set[tuple[str, str]] = set()


@runtime_checkable
class SeesTokens(Protocol):
    """A tower that can say what its tokenizer makes of prompts."""

    def token_warnings(self, prompts: Sequence[Prompt]) -> list[str]: ...


def tokenizer_warnings(tokenizer: Any, prompts: Sequence[Prompt], prefix: str = "") -> list[str]:
    """`token_warnings` of what a tokenizer of transformers makes of prompts; `prefix` is the card's."""
    ids = _ids(tokenizer, prompts, prefix)
    return token_warnings(ids, _unknown_id(tokenizer), prompts) if ids else []


def tokens_per_prompt(tokenizer: Any, prompts: Sequence[Prompt], prefix: str = "") -> list[int]:
    """How many tokens a tokenizer of transformers makes of each prompt, prefix and special tokens included."""
    return [len(row) for row in _ids(tokenizer, prompts, prefix)]


def token_warnings(ids: Sequence[Sequence[int]], unknown: int | None, prompts: Sequence[Prompt]) -> list[str]:
    """`ids` are each prompt's tokens; `unknown` is the id that stands for what the tokenizer does not know, None where it has
    none. A sentence where prompts hold that id, and one where different prompts are the same tokens."""
    warnings = []
    strange = _once(prompt for row, prompt in zip(ids, prompts, strict=True) if unknown in row)
    if strange:
        several = len(strange) > 1
        warnings.append(
            f"{len(strange)} of {len(_once(prompts))} prompts hold{'' if several else 's'} something that the tokenizer "
            f"does not know: {_listed(strange, ', ', ' and {} more')}"
        )
    same = _alike([tuple(row) for row in ids], prompts)
    return [*warnings, *_told(same, "become the same tokens, so that the tower cannot tell them apart")]


def vector_warnings(prompts: Sequence[Prompt], vectors: np.ndarray) -> list[str]:
    """`vectors` (n, dim), a row a prompt: a sentence where different prompts have the same direction."""
    return _told(_alike(_directions(vectors), prompts), "have the same vector, so that no score can tell them apart")


def warn_once(tower: str, warnings: Iterable[str]) -> None:
    """Log warnings about a tower, each once in the life of the process; of two that name the same prompts the first: prompts
    that are the same tokens have the same vector."""
    for warning in warnings:
        what, _, named = warning.partition(": ")
        if (tower, named or what) not in _told_already:
            _told_already.add((tower, named or what))
            log.warning("text tower %s: %s", tower, warning)


def _unknown_id(tokenizer: Any) -> int | None:
    """None where the tokenizer knows everything, or uses the id for the beginning, the end or padding too, as old Llama files
    do: it would then stand in every prompt."""
    also = [getattr(tokenizer, f"{kind}_token_id", None) for kind in ("bos", "eos", "cls", "sep", "pad")]
    unknown: int | None = tokenizer.unk_token_id
    return None if unknown in also else unknown


def _ids(tokenizer: Any, prompts: Sequence[Prompt], prefix: str) -> list[list[int]]:
    if not prompts:
        return []
    with quiet():
        ids: list[list[int]] = tokenizer([prefix + each.text for each in prompts], padding=False, truncation=False)[
            "input_ids"
        ]
    return ids


def _meaning(prompt: Prompt) -> tuple[str, ...]:
    """What a prompt states, without case and width of letters, and in no order."""
    return tuple(sorted({" ".join(unicodedata.normalize("NFKC", part).casefold().split()) for part in prompt.parts}))


def _once(prompts: Iterable[Prompt]) -> list[str]:
    """The names of prompts, each meaning once, in the order given."""
    return list({_meaning(prompt): _name(prompt) for prompt in reversed(list(prompts))}.values())[::-1]


def _name(prompt: Prompt) -> str:
    name = " + ".join(" ".join(part.split()) for part in prompt.parts)
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def _alike(marks: Sequence[Hashable], prompts: Sequence[Prompt]) -> list[list[str]]:
    """The names of prompts with equal marks and different meanings, group by group."""
    groups: dict[Hashable, list[Prompt]] = {}
    for mark, prompt in zip(marks, prompts, strict=True):
        groups.setdefault(mark, []).append(prompt)
    named = [_once(group) for group in groups.values()]
    return [names for names in named if len(names) > 1]


def _told(groups: Sequence[Sequence[str]], what: str) -> list[str]:
    if not groups:
        return []
    named = [_listed(group, " = ", " and {} more") for group in groups]
    return [f"{sum(map(len, groups))} prompts {what}: {_listed(named, '; ', '; and {} groups more')}"]


def _listed(items: Sequence[str], between: str, rest: str) -> str:
    more = len(items) - SHOWN
    return between.join(items[:SHOWN]) + (rest.format(more) if more > 0 else "")


def _directions(vectors: np.ndarray) -> list[int]:
    """A number for each row, the same for rows of the same direction. Rows are sorted along a fixed line, along which the
    same ones lie side by side; of those beside it a row is compared with the few that lie with it along other lines too."""
    lengths = np.linalg.norm(vectors, axis=1)
    lengths[lengths == 0] = 1
    lines = np.random.RandomState(0).standard_normal((vectors.shape[1], LINES))
    places = vectors @ (lines / np.linalg.norm(lines, axis=0)) / lengths[:, None]
    found = np.zeros(len(vectors), int)
    firsts: list[int] = []  # the first row of each direction that may still have others beside it
    for row in np.argsort(places[:, 0], kind="stable"):
        beside = np.abs(places[firsts] - places[row]) <= SAME
        tried = [first for first, near in zip(firsts, beside.all(axis=1), strict=True) if near]
        firsts = [first for first, near in zip(firsts, beside[:, 0], strict=True) if near]
        unit = vectors[row] / lengths[row]
        same = next((first for first in tried if np.linalg.norm(unit - vectors[first] / lengths[first]) <= SAME), None)
        found[row] = row if same is None else same
        if same is None:
            firsts.append(int(row))
    return found.tolist()
