"""What a user may ask of a source beyond its name and argument."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from ecgbench.ecg.formats.layout import PlainLayout
from ecgbench.ecg.standardise import Window
from ecgbench.files import hash_file

Unknown = Literal["error", "drop", "keep"]
SplitBy = Literal["patient", "site"]


@dataclass(frozen=True)
class SourceOptions:
    """`aliases`: a CSV from the source's own wordings to label ids. `unknown`: what becomes of a wording that the label
    table does not know; None for the source's own habit. `labels`: another label table than the card's. `split_by` and
    `split_seed`: how splits are dealt out where the source has none. `window`: which 10 s of a longer recording.
    `keep_ids`: keep patient and record ids of a source that is not public as they are. `layout`: of plain files."""

    aliases: Path | None = None
    unknown: Unknown | None = None
    labels: str | None = None
    split_by: SplitBy = "patient"
    split_seed: int = 0
    window: Window = "first"
    keep_ids: bool = False
    layout: PlainLayout | None = None

    def identity(self) -> dict[str, Any]:
        """The options as JSON, the alias file by its content."""
        said = {**asdict(self), "aliases": hash_file(self.aliases) if self.aliases else None}
        return {name: value for name, value in said.items() if value != getattr(DEFAULT, name)}


DEFAULT = SourceOptions()
