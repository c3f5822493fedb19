"""Wordings that no label knows: counted, and told to the person who can say what they mean."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from ecgbench.csv_table import shown, write_csv
from ecgbench.ecg.recording import Entry
from ecgbench.ecg.sources.manifest.aliases import HEADER, Aliases, free_name
from ecgbench.ecg.sources.manifest.nearest import Nearest
from ecgbench.ecg.sources.manifest.vocabulary import fold
from ecgbench.errors import MOST_LISTED, EcgbenchError
from ecgbench.findings import LabelBank

_MOST_COMPARED = 1000
"""Wordings whose nearest label is looked for: past that, the column holds prose and no findings."""

FEWEST_PATIENTS = 3
"""A wording of fewer may be text about one of them: it is no finding that a store should tell."""


@dataclass
class Unknown:
    """Unknown wordings by their folded form: `rows` in which each stands, and how it is `written` first."""

    rows: Counter[str] = field(default_factory=Counter)
    written: dict[str, str] = field(default_factory=dict)

    def count(self, wordings: Iterable[str]) -> None:
        """Count the unknown wordings of one row, each once."""
        for folded, wording in {fold(wording): wording for wording in wordings}.items():
            self.rows[folded] += 1
            self.written.setdefault(folded, wording)

    def __len__(self) -> int:
        return len(self.rows)


def without_rare(entries: list[Entry]) -> tuple[list[Entry], int]:
    """The entries without codes that stand with fewer than `FEWEST_PATIENTS` patients, and how many wordings that is."""
    patients: dict[str, set[str]] = {}
    for entry in entries:
        for code in entry.codes:
            patients.setdefault(fold(code), set()).add(entry.patient)
    rare = {wording for wording, who in patients.items() if len(who) < FEWEST_PATIENTS}
    kept = [replace(entry, codes=tuple(code for code in entry.codes if fold(code) not in rare)) for entry in entries]
    return kept, len(rare)


def unknown_error(
    unknown: Unknown, aliases: Aliases, bank: LabelBank, argument: str, labels: str | None
) -> EcgbenchError:
    """The error that lists the most frequent unknown wordings, after all of them were written to an alias file in the
    current folder, the earlier aliases with them. `argument`: the CSV as the user typed it."""
    nearest = Nearest(bank)
    ordered = unknown.rows.most_common()
    near = {folded: nearest.of(unknown.written[folded]) for folded, _ in ordered[:_MOST_COMPARED]}
    listed = "; ".join(
        _told(unknown.written[folded], rows, near[folded], bank) for folded, rows in ordered[:MOST_LISTED]
    )
    more = f"; and {len(ordered) - MOST_LISTED} more" if len(ordered) > MOST_LISTED else ""
    what = "1 finding is" if len(ordered) == 1 else f"{len(ordered)} findings are"
    typed = (
        shlex.quote(f"manifest:{argument}") + " --out STORE" + (f" --labels {shlex.quote(labels)}" if labels else "")
    )
    file = free_name(Path())
    try:
        write_csv(file, _file_rows(unknown, aliases, near, bank))
        advice = (
            f"all are in {file}, written here: fill in its column label (a label id, or - to drop the wording), then "
            f"type the same command with --aliases {file}, as `ecgbench data build {typed} --aliases {file}`"
        )
    except OSError as error:
        advice = f"no alias file could be written here ({error.strerror}): type the command in a folder of your own"
    return EcgbenchError(
        f"{argument}: {what} not in {bank.table}: {listed}{more}; {advice}; --unknown drop or keep goes on without them."
    )


def _told(wording: str, rows: int, near: str | None, bank: LabelBank) -> str:
    hint = f"nearest {near} {_name(near, bank)}" if near else "nothing near"
    return f"{shown(wording)} ({rows} {'row' if rows == 1 else 'rows'}, {hint})"


def _name(label: str, bank: LabelBank) -> str:
    names = bank[label].names
    return names["ja"] or names["en"]


def _file_rows(
    unknown: Unknown, aliases: Aliases, near: dict[str, str | None], bank: LabelBank
) -> Iterator[tuple[str, ...]]:
    """Earlier aliases that have a label, then the unknown wordings, the most frequent first."""
    yield HEADER
    for wording, label in aliases.rows:
        if label.strip():
            yield (wording, label, "", "", "")
    for folded, rows in unknown.rows.most_common():
        nearest = near.get(folded)
        yield (unknown.written[folded], "", str(rows), nearest or "", _name(nearest, bank) if nearest else "")
