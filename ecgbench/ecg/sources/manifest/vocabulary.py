"""Wordings that mean a label: exact ones, once width, letter case and white-space are folded."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

from ecgbench.errors import EcgbenchError
from ecgbench.findings import LabelBank

SEPARATOR = re.compile("\r\n|[;|、\n\r\v\f\x85\u2028\u2029；｜､\u037e\ufe11\ufe14\ufe54]")
"""Where a cell of findings is split: `;` `、` `|` in every width, and line breaks."""

_SEPARATOR_FOLDED = re.compile("[;|、\n]")
_BREAKS = re.compile("[\n\r\v\f\x85\u2028\u2029]")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200d\u2060\ufeff]")
_AS_CP932 = str.maketrans("−〜‖", "-~∥")
"""Characters that cp932 gives back as － ～ ∥: the same wording reads so from one file, and so from another."""

_JAPANESE = "\u2e80-\u2fff\u3000-\u30ff\u3190-\u319f\u31f0-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_APART = re.compile(rf"(?<=[^\W{_JAPANESE}]) (?=[^\W{_JAPANESE}])")
"""The only spaces that count: between two words of a script that is written with spaces."""


@lru_cache(1 << 14)
def fold(text: str) -> str:
    """The form that is compared: NFKC, no letter case, white-space only where it keeps two words apart, a run of
    white-space with a line break in it as one line break. Idempotent."""
    while (folded := _fold_once(text)) != text:
        text = folded
    return text


def _fold_once(text: str) -> str:
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    text = _INVISIBLE.sub("", text.translate(_AS_CP932))
    words = re.sub(r"\s+", lambda run: "\n" if _BREAKS.search(run[0]) else " ", text).strip()
    return " ".join(part.replace(" ", "") for part in _APART.split(words))


@dataclass(frozen=True)
class Vocabulary:
    """Folded wording -> the label ids that it means, none where it is dropped on purpose."""

    meanings: Mapping[str, tuple[str, ...]]

    @cached_property
    def separators(self) -> int:
        """The most separators that stand inside one wording."""
        return max((len(_SEPARATOR_FOLDED.findall(wording)) for wording in self.meanings), default=0)

    def meaning(self, wording: str) -> tuple[str, ...] | None:
        """The label ids of a wording as it was written, None where it is not known."""
        return self.meanings.get(fold(wording))

    def with_aliases(self, aliases: Mapping[str, tuple[str, ...]]) -> Vocabulary:
        """This vocabulary and the aliases (folded wording -> ids), which win over it."""
        return Vocabulary({**self.meanings, **aliases})


def vocabulary_of(bank: LabelBank) -> Vocabulary:
    """The ids, Japanese and English names of a label table. EcgbenchError where one wording names two labels."""
    meanings: dict[str, tuple[str, ...]] = {}
    for finding in bank.findings:
        for name in (finding.id, *finding.names.values()):
            wording = fold(name)
            if not wording:
                continue
            (first,) = meanings.setdefault(wording, (finding.id,))
            if first != finding.id:
                raise EcgbenchError(
                    f"label table {bank.table}: '{name}' names two labels, {first} and {finding.id} (width, letter case "
                    "and white-space do not count): give one of them another name."
                )
    return Vocabulary(meanings)
