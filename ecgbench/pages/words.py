"""Words in English and Japanese, both in the page: the reader chooses which is seen."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import yaml
from markupsafe import Markup, escape

_PAIR = Markup('<span class="en" lang="en">{}</span><span class="ja" lang="ja">{}</span>')


def both(english: str, japanese: str) -> Markup:
    """Two names of one thing."""
    return escape(english) if english == japanese else _PAIR.format(english, japanese)


def filled(english: str, japanese: str, fields: Mapping[str, object]) -> Markup:
    """A sentence in both languages, its `{fields}` filled in."""
    return _PAIR.format(*(escape(text).format(**fields) for text in (english, japanese)))


def metric_title(metric: str) -> Markup:
    """What a metric, or its number of one class, is called on a page; an unknown one by its name."""
    return both(*metric_names(metric))


def metric_names(metric: str) -> tuple[str, str]:
    """Its name in English and in Japanese."""
    names = named_metrics().get(metric, {"en": metric, "ja": metric})
    return names["en"], names["ja"]


@lru_cache
def named_metrics() -> dict[str, dict[str, str]]:
    """Every metric that has a name -> its names by language."""
    metrics: dict[str, dict[str, str]] = yaml.safe_load(Path(__file__).with_name("metrics.yaml").read_text("utf-8"))
    return metrics
