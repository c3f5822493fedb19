"""What a user asks of synth98 behind the colon: `M`, `S,seed=3`, `balanced=20,labels=normal+atrial-flutter`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ecgbench.ecg.sources.synth98.prevalence import LEAST
from ecgbench.errors import EcgbenchError

SIZES = {"S": 1000, "M": 10000, "L": 37285}
"""Records by size; L is the paper's data set."""

MOST_BALANCED = 1000
OPTIONS = ("size", "seed", "balanced", "labels")
_NUMBER = re.compile(r"-?[0-9]{1,18}")


@dataclass(frozen=True)
class Request:
    """One synthetic data set. `size` S, M or L; or `balanced`: that many records for each finding, at least, of all
    98 or of `labels` (then with `normal`). `seed`: another seed is another hospital. EcgbenchError where it cannot be."""

    size: str = "S"
    seed: int = 0
    balanced: int | None = None
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.size not in SIZES:
            raise EcgbenchError(
                f"synth98 has no size '{self.size}': it is S (1,000 records), M (10,000) or L (37,285)."
            )
        if self.seed < 0:
            raise EcgbenchError(f"synth98 was given seed {self.seed}: a seed is 0 or more, as in synth98:seed=3.")
        if self.balanced is not None and self.balanced < LEAST:
            raise EcgbenchError(
                f"synth98 was given balanced={self.balanced}: under {LEAST} records a label some split would be left "
                f"without enough patients (3 train, 1 validation, 2 test); write balanced={LEAST} or more."
            )
        if self.balanced is not None and self.balanced > MOST_BALANCED:
            raise EcgbenchError(
                f"synth98 was given balanced={self.balanced}: it makes at most {MOST_BALANCED} records a label."
            )
        if self.labels and self.balanced is None:
            raise EcgbenchError("synth98 takes labels= only with balanced=, as in synth98:balanced=20,labels=a+b.")

    def identity(self) -> dict[str, Any]:
        """What decides the records, as JSON: equal for two ways of writing the same request."""
        if self.balanced is None:
            return {"size": self.size, "seed": self.seed}
        return {"balanced": self.balanced, "labels": sorted(set(self.labels)), "seed": self.seed}

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self.identity().items() if value != [])


def read_request(argument: str | None, params: Mapping[str, Any]) -> Request:
    """The request of SOURCE's part after the colon (None: no colon), the card's `params` where it says nothing."""
    given = {} if argument is None else _options(argument)
    if "size" in given and "balanced" in given:
        raise EcgbenchError(
            f"synth98:{argument} asks for a size and for balanced records: leave one of them out, as in synth98:balanced=20."
        )
    strange = sorted(set(params) - {"size", "seed"})
    if strange:
        raise EcgbenchError(f"synth98's card gives params {', '.join(strange)}: a card may give size and seed.")
    card = Request(size=str(params.get("size", "S")), seed=_number("seed", str(params.get("seed", 0))))
    balanced = _number("balanced", given["balanced"]) if "balanced" in given else None
    return Request(
        size=given.get("size", card.size),
        seed=_number("seed", given["seed"]) if "seed" in given else card.seed,
        balanced=balanced,
        labels=tuple(given["labels"].split("+")) if "labels" in given else (),
    )


def _options(argument: str) -> dict[str, str]:
    """`M,seed=3` -> {size: M, seed: 3}; a word without `=` is a size."""
    found: dict[str, str] = {}
    for part in argument.split(","):
        name, equals, value = (text.strip() for text in part.partition("="))
        if not equals:
            name, value = "size", name
        if name not in OPTIONS:
            raise EcgbenchError(
                f"synth98 has no option '{name}': write size=, seed=, balanced= or labels=, as in synth98:M,seed=3."
            )
        if not value:
            raise EcgbenchError(f"synth98:{argument} leaves {name} empty: write as synth98:M,seed=3, or just synth98.")
        if name in found:
            raise EcgbenchError(f"synth98:{argument} gives {name} twice: give it once.")
        found[name] = value
    return found


def _number(name: str, text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise EcgbenchError(
            f"synth98 was given {name}={text}: {name} is a whole number of at most 18 digits, as in {name}=20."
        )
    return int(text)
