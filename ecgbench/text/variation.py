"""A hub tower read otherwise than its card says: `medllama3-jp+pooling=mean+layer=-2`.

The name says it all, so that a run, its result, a pack and a board row need nothing else to name the same tower.
"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from ecgbench.cards import TextCard, problems_of
from ecgbench.errors import EcgbenchError
from ecgbench.variations import variation_name

SETTINGS = ("pooling", "layer", "dtype", "max_tokens", "normalise")
"""Fields of the card that a name may set."""


def varied(card: TextCard, settings: dict[str, Any]) -> TextCard:
    """The tower read so, under its canonical name; a value that the card has already changes nothing. EcgbenchError for a
    field that is not one of `SETTINGS`, a value that it cannot have, or a tower that is not of the hub."""
    strange = sorted(set(settings) - set(SETTINGS))
    if strange or card.kind != "huggingface":
        what = f"'{strange[0]}' is none of them" if strange else f"{card.name} is no model of the hub"
        raise EcgbenchError(
            f"--text {card.name}+…: what a name may set of a model of the hub is {', '.join(SETTINGS)}, and {what}: write "
            "--text medllama3-jp+pooling=mean, say."
        )
    try:
        changed = TextCard.model_validate({**card.model_dump(mode="json"), **settings})
    except ValidationError as error:
        raise EcgbenchError(f"text tower {card.name}: {problems_of(error)}") from None
    own = {key: getattr(changed, key) for key in settings if getattr(changed, key) != getattr(card, key)}
    return changed.model_copy(update={"name": variation_name(card.name, own), "path": card.path})
