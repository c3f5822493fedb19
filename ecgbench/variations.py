"""Names that say how a thing is set otherwise than its file says: `NAME+field=value+field=value`.

The name says it all, so that a run, its result and a board row need nothing else to name the same thing.
"""

from __future__ import annotations

from typing import Any

import yaml

from ecgbench.errors import EcgbenchError


def parse_variation(option: str, name: str) -> tuple[str, dict[str, Any]]:
    """The own name and the settings in it, values read as YAML reads them (numbers, true, null, `{a: 1}`, words).
    EcgbenchError where it is not of this form."""
    own, *said = name.split("+")
    settings: dict[str, Any] = {}
    for each in said:
        field, equals, value = each.partition("=")
        if not equals or not value or field in settings:
            raise EcgbenchError(f"{option} {name}: after the name stand +field=value, each field once.")
        try:
            settings[field] = yaml.safe_load(value)
        except yaml.YAMLError:
            raise EcgbenchError(f"{option} {name}: the value of {field} cannot be read: {value}.") from None
        if isinstance(settings[field], str):  # YAML 1.1 takes 1e-3 for a word
            settings[field] = _number(settings[field])
    return own, settings


def _number(word: str) -> float | str:
    try:
        return float(word)
    except ValueError:
        return word


def variation_name(own: str, settings: dict[str, Any]) -> str:
    """The canonical name: settings in the order of their fields."""
    return own + "".join(f"+{field}={_said(settings[field])}" for field in sorted(settings))


def _said(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_said(each)}" for key, each in sorted(value.items())) + "}"
    return str(value).lower() if isinstance(value, bool) else str(value)
