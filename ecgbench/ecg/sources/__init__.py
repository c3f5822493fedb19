"""SOURCE as a user types it -> the data set card and an object that lists and loads its records.

A source is built as `build(argument, card, bank, options)`. It has `entries() -> list[Entry]`, `load(entry) -> RawEcg`
and `fingerprint()`, a JSON value that changes when what it would load may have changed. It may have `remarks() ->
dict[str, Any]`: what a store's manifest should say of its records, as JSON, asked for after `entries`. Worker processes
open it by the same SOURCE text and options and call `load` alone: building one reads no signal and no table.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from ecgbench.cards import DatasetCard
from ecgbench.catalogue import card_paths, load_card
from ecgbench.ecg.recording import Entry, RawEcg
from ecgbench.ecg.sources.options import DEFAULT, SourceOptions
from ecgbench.entry_points import load_entry_point
from ecgbench.errors import EcgbenchError, unknown_name
from ecgbench.findings import label_bank


class Source(Protocol):
    """Where recordings come from."""

    def fingerprint(self) -> Any: ...

    def entries(self) -> list[Entry]: ...

    def load(self, entry: Entry) -> RawEcg: ...


def source_path(text: str) -> Path:
    """The path a user typed, with `~` and `~user` put in."""
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise EcgbenchError(f"'{text}' begins with the home of no user known here: write the whole path.") from None


def open_source(spec: str, options: SourceOptions = DEFAULT) -> tuple[DatasetCard, Source]:
    """The card and the source of `NAME` or `NAME:ARGUMENT`, split at the first colon only."""
    name, colon, argument = spec.partition(":")
    if name not in card_paths(DatasetCard):
        if not colon and ("/" in name or "\\" in name):
            raise EcgbenchError(
                f"'{spec}' is neither a built store's folder nor a source: write synth98 or ptbxl:PATH."
            )
        raise unknown_name("data set", name, card_paths(DatasetCard))
    card = load_card(DatasetCard, name)
    if options.labels:
        card = card.model_copy(update={"labels": options.labels})
    build = load_entry_point(card, card.entry_point)
    source: Source = build(argument if colon else None, card, label_bank(card.labels), options)
    return card, source
