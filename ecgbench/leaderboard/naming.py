"""One name, one system: a submitted system may not bear the name of another."""

from __future__ import annotations

from collections.abc import Mapping

from ecgbench.cards import EncoderCard
from ecgbench.catalogue import all_cards
from ecgbench.results import Result


def clashing(results: Mapping[str, Result]) -> dict[str, str]:
    """Where -> why, of the submissions of one board whose name another system has. Of two submissions that clash both are
    named: nothing says whose the name is."""
    found = {}
    for where, result in results.items():
        if result.submitted is None:
            continue
        others = {there: other for there, other in results.items() if there != where and other.run_id != result.run_id}
        reason = clash(result, others)
        if reason:
            found[where] = reason
    return found


def clash(result: Result, others: Mapping[str, Result]) -> str:
    """Why a submission cannot have its name beside `others`, in one sentence; '' where it can, or is no submission."""
    submitted = result.submitted
    if submitted is None:
        return ""
    ours = {card.name for card in all_cards(EncoderCard)[0]}
    ours |= {other.encoder.name for other in others.values() if other.submitted is None}
    if submitted.name in ours:
        return (
            f"'{submitted.name}' is the name of an encoder that is run here: give the submitted system one of its own, and say "
            f"with --encoder-name {submitted.name} if that is its encoder."
        )
    for where, other in others.items():
        if other.submitted is not None and other.submitted.name == submitted.name:
            differing = _difference(result, other)
            if differing:
                return f"two systems have the name '{submitted.name}', this one and {where}: {differing}; give one another name."
    return ""


def _difference(one: Result, other: Result) -> str:
    """Why two submissions under one name are two systems, '' where they are one: of one system all claims are equal, and of
    a task, asked in one way, and a seed it has one set of numbers."""
    first, second = _claims(one), _claims(other)
    for claim, value in first.items():
        if value != second[claim]:
            return f"they claim another {claim}, {value!r} and {second[claim]!r}"
    for task in one.tasks:
        if one.seed == other.seed and one.comparable[task] == other.comparable.get(task):
            return f"they have other numbers of {task} and one seed, {one.seed}"
    return ""


def _claims(result: Result) -> dict[str, object]:
    assert result.submitted is not None
    return {
        "encoder": result.encoder.name,
        "text tower": result.text.name,
        "number of parameters": result.encoder.parameters,
        "licence": result.encoder.licence,
        "licence of the text tower": result.text.licence,
        "training data": result.submitted.trained_on,
        "reference": result.submitted.reference,
    }
