"""`medllama3-jp+pooling=mean+layer=-2`: a hub tower read otherwise than its card says, by its name."""

from __future__ import annotations

import pytest

from ecgbench.cards import TextCard
from ecgbench.catalogue import load_card
from ecgbench.errors import EcgbenchError

CARD = load_card(TextCard, "medllama3-jp")


@pytest.mark.parametrize(
    ("said", "name", "fields"),
    [
        ("+pooling=mean", "+pooling=mean", {"pooling": "mean"}),
        ("+pooling=mean+layer=-2", "+layer=-2+pooling=mean", {"pooling": "mean", "layer": -2}),
        ("+layer=-2+pooling=mean", "+layer=-2+pooling=mean", {"pooling": "mean", "layer": -2}),
        ("+dtype=float16+max_tokens=64", "+dtype=float16+max_tokens=64", {"dtype": "float16", "max_tokens": 64}),
        ("+normalise=true", "+normalise=true", {"normalise": True}),
        ("+layer=0", "+layer=0", {"layer": 0}),
        ("+pooling=last_token+layer=last+dtype=bfloat16+normalise=false", "", {}),  # as the card has them
        ("+pooling=last_token+dtype=float32", "+dtype=float32", {"dtype": "float32"}),
    ],
)
def test_the_name_is_canonical_and_the_rest_of_the_card_is_left(
    said: str, name: str, fields: dict[str, object]
) -> None:
    card = load_card(TextCard, f"medllama3-jp{said}")
    assert card.name == f"medllama3-jp{name}" and card.path == CARD.path
    assert card.model_dump(exclude={"name"}) == {**CARD.model_dump(exclude={"name"}), **fields}
    assert (card.hash == CARD.hash) == (not fields)
    assert load_card(TextCard, card.name) == card


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("medllama3-jp+pooling=middle", "text tower medllama3-jp: pooling: Input should be 'last_token', 'mean', .*"),
        ("medllama3-jp+layer=first", "text tower medllama3-jp: layer"),
        ("medllama3-jp+layer=1.5", "text tower medllama3-jp: layer"),
        (
            "medllama3-jp+dtype=int8",
            "text tower medllama3-jp: dtype: Input should be 'float32', 'bfloat16' or 'float16'",
        ),
        ("medllama3-jp+max_tokens=many", "text tower medllama3-jp: max_tokens"),
        ("medllama3-jp+revision=main", "pooling, layer, dtype, max_tokens, normalise, and 'revision' is none of them"),
        ("medllama3-jp+pooling", r"medllama3-jp\+pooling: after the name stand \+field=value, each field once"),
        ("medllama3-jp+pooling=", r"each field once"),
        ("medllama3-jp+layer=1+layer=2", r"each field once"),
        ("medllama3-jp+", r"each field once"),
        ("char-ngram+pooling=mean", "char-ngram is no model of the hub"),
        ("medllama+pooling=mean", "medllama3-jp"),  # near matches of the card's own name
    ],
)
def test_what_a_name_cannot_say(name: str, message: str) -> None:
    with pytest.raises(EcgbenchError, match=message) as caught:
        load_card(TextCard, name)
    assert "\n" not in str(caught.value)
