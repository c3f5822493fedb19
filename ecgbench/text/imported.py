"""Which weights a tower's imported vectors were made with: one note a model under `$ECGBENCH_CACHE/text/imported/`.

An embedding pack that was imported stands in for a model that is not on this machine. The note says whose vectors the
tower's name means, so that a run finds them and no other's. Weights that lie here go before it (`weights.weights_here`).
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from ecgbench.cards import TextCard
from ecgbench.files import cache_folder, hash_of
from ecgbench.text.notes import read_note, write_note


def imported_weights(card: TextCard) -> str | None:
    """What identifies the weights of the packs imported for the model of a card, None where there are none. Cards that read
    one model in several ways (`medllama3-jp+pooling=mean`) share it."""
    return read_note(_note(card), "weights")


def remember_import(card: TextCard, weights: str) -> None:
    """From now on the model of this card is the one with these weights, as far as it is not here itself."""
    write_note(_note(card), {"weights": weights, **_model(card)})


def forget_imports(kept: Collection[str]) -> list[str]:
    """Take back the imports whose vectors are gone; `kept` are the weights that there are vectors of. Which they were."""
    forgotten = []
    for path in sorted(cache_folder("text", "imported").glob("*.json")):
        weights = read_note(path, "weights")
        if weights not in kept:
            path.unlink(missing_ok=True)
            forgotten.append(weights or path.name)
    return forgotten


def _note(card: TextCard) -> Path:
    return cache_folder("text", "imported", f"{hash_of(_model(card))}.json")


def _model(card: TextCard) -> dict[str, Any]:
    return {"kind": card.kind, "hub_id": card.hub_id, "revision": card.revision}
