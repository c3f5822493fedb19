"""What is seen on the ECG of a finding or class, in words: the table beside a prompt set that states `descriptors`.

A CSV file in `tasks/prompts/`: a row an id, with the columns `id` and `descriptor_ja` or `descriptor_en` or both; what else
stands there (a `source`) is for people. Ids are matched whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ecgbench.cards import PromptSet
from ecgbench.catalogue import FOLDERS, card_folders
from ecgbench.csv_table import read_table
from ecgbench.errors import EcgbenchError

PREFIX = "descriptor_"
MOST_NAMED = 5


@dataclass(frozen=True)
class Descriptors:
    """`texts`: language -> id -> one or two sentences; an id whose cell is empty is not there."""

    path: Path
    texts: dict[str, dict[str, str]]

    def of(self, ids: Sequence[str], language: str, asked_for: str) -> list[str]:
        """The descriptor of each id. EcgbenchError that names those without one, or two that have the same; `asked_for` is
        what they belong to."""
        known = self.texts.get(language, {})
        lacking = [each for each in ids if each not in known]
        if lacking:
            more = f" and {len(lacking) - MOST_NAMED} more" if len(lacking) > MOST_NAMED else ""
            raise EcgbenchError(
                f"{self.path} has no descriptor in '{language}' for {', '.join(lacking[:MOST_NAMED])}{more} of {asked_for}: add "
                "the rows to a copy of it in tasks/prompts/ of a folder of your own (--path DIR), or take another prompt set."
            )
        first: dict[str, str] = {}
        for each in ids:
            other = first.setdefault(known[each], each)
            if other != each:
                raise EcgbenchError(
                    f"{self.path} describes {other} and {each} of {asked_for} in the same words: change one."
                )
        return [known[each] for each in ids]


def descriptor_path(name: str) -> Path:
    """The file of that name in `tasks/prompts/`, the last folder that has one winning."""
    for folder in reversed(card_folders()):
        path = folder / FOLDERS[PromptSet] / name
        if path.is_file():
            return path
    raise EcgbenchError(
        f"there is no descriptor table '{name}' in {FOLDERS[PromptSet]}/: put it beside the prompt set's card (--path DIR)."
    )


def read_descriptors(path: Path) -> Descriptors:
    """Read a table. EcgbenchError, with row and column, for an id that is empty or stands twice."""
    table = read_table(path)
    columns = {name.removeprefix(PREFIX): i for i, name in enumerate(table.header) if name.startswith(PREFIX)}
    if "id" not in table.header or not columns:
        raise EcgbenchError(f"descriptor table {path} needs the columns id and {PREFIX}ja or {PREFIX}en.")
    place = table.header.index("id")
    texts: dict[str, dict[str, str]] = {language: {} for language in columns}
    seen: set[str] = set()
    for row in table.rows:
        item = row.cells[place].strip()
        if not item or item in seen:
            raise table.fault(row, place, f"the id '{item}' stands there twice" if item else "it is empty")
        seen.add(item)
        for language, column in columns.items():
            text = " ".join(row.cells[column].split())
            if text:
                texts[language][item] = text
    return Descriptors(path, texts)


def descriptors_of(prompt_set: PromptSet) -> Descriptors:
    """The table of a prompt set that states descriptors."""
    return _table_at(descriptor_path(str(prompt_set.descriptors)))


@lru_cache
def _table_at(path: Path) -> Descriptors:
    return read_descriptors(path)
