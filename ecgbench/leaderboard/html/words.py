"""The words of a page in English and Japanese."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from markupsafe import Markup, escape

from ecgbench.leaderboard.tables import Sentence
from ecgbench.pages.words import both, filled, metric_names


@lru_cache
def _tables() -> dict[str, dict[str, Any]]:
    tables: dict[str, dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("words.yaml").read_text("utf-8"))
    return tables


def said(english: str, **values: object) -> Markup:
    """A sentence of `words.yaml` in both languages, its `{fields}` filled in; KeyError where it is not there."""
    japanese = _tables()["sentences"][english]
    return filled(english, japanese, values)


def sentence(told: Sentence) -> Markup:
    """A sentence of the markdown page in both languages, without its marks; in English where its Japanese is not there."""
    values = {name: unmarked(each) if isinstance(each, str) else each for name, each in told.values.items()}
    text = re.sub(r"[*`]", "", told.text)
    return said(text, **values) if text in _tables()["sentences"] else escape(text).format(**values)


def unmarked(text: str) -> str:
    """Markdown text made by `tables.plain` as it was."""
    return re.sub(r"\\([\\`*\[\]|_])", r"\1", text).replace("&lt;", "<")


def translated(english: str) -> Markup:
    """A word or sentence from a card or a result: in both languages where its Japanese is known, else as it stands."""
    japanese = _tables()["card_texts"].get(english)
    return escape(english) if japanese is None else both(english, japanese)


def metric_attributes(metric: str) -> Markup:
    """The same for an element that can hold no markup."""
    return _as_attributes(*metric_names(metric))


def attributes(english: str, **values: object) -> Markup:
    """A sentence for an element that can hold no markup: both languages as attributes, of which the script shows the one
    that is chosen. A field without a value stays, for the script to fill in."""
    texts = (english, _tables()["sentences"][english])
    return _as_attributes(*(text.format(**values) if values else text for text in texts))


def marked_attributes(name: str, marks: Sequence[str]) -> Markup:
    """A name with its marks behind it, in the same way."""
    if not marks:
        return _as_attributes(name, name)
    japanese = [_tables()["card_texts"].get(mark, mark) for mark in marks]
    return _as_attributes(f"{name} ({', '.join(marks)})", f"{name}（{'、'.join(japanese)}）")


def _as_attributes(english: str, japanese: str) -> Markup:
    return Markup('data-en="{}" data-ja="{}"').format(english, japanese)
