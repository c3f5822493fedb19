"""The words of a run's page, in English and Japanese."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import yaml
from markupsafe import Markup

from ecgbench.pages.words import filled


def said(english: str, **fields: object) -> Markup:
    """A sentence of `words.yaml` in both languages, its `{fields}` filled in; KeyError where it is not there."""
    return filled(english, _japanese()[english], fields)


@lru_cache
def _japanese() -> dict[str, str]:
    words: dict[str, str] = yaml.safe_load(Path(__file__).with_name("words.yaml").read_text("utf-8"))
    return words
