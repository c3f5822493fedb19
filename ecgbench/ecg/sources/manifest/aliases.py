"""A hospital's own wordings and the labels they stand for, as a CSV that is filled in with Excel."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ecgbench.csv_table import Row, Table, read_table, shown
from ecgbench.ecg.sources.manifest.columns import find_columns
from ecgbench.ecg.sources.manifest.findings import split_findings
from ecgbench.ecg.sources.manifest.vocabulary import Vocabulary, fold, vocabulary_of
from ecgbench.errors import EcgbenchError, near_names
from ecgbench.findings import LabelBank

HEADER = ("wording", "label", "count", "nearest", "nearest_name")
DROPPED = ("-", "ー")
"""The second one is what the key of the first one writes in Japanese."""

_NAMES = {"wording": ("wording", "表記", "所見"), "label": ("label", "label id", "label_id", "ラベル", "ラベルID")}


@dataclass(frozen=True)
class Aliases:
    """`meanings`: folded wording -> label ids, none where the label is `-`. `rows`: wording and label as they stand in
    the file, those without a label too. `renamed`: how many of them give a name of the label table another meaning."""

    meanings: dict[str, tuple[str, ...]]
    rows: tuple[tuple[str, str], ...] = ()
    renamed: int = 0


def read_aliases(path: Path, bank: LabelBank) -> Aliases:
    """Read an alias file. A label is a label id or name, several of them with `;` between, or `-` to drop the wording;
    a row without a label says nothing. EcgbenchError for a label that the table does not know and for a wording that
    stands there with two meanings."""
    table = read_table(path)
    place = find_columns(table, _NAMES, ("wording", "label"))
    own = vocabulary_of(bank)
    meanings: dict[str, tuple[str, ...]] = {}
    first: dict[str, int] = {}
    for row in table.rows:
        wording, label = fold(row.cells[place["wording"]]), row.cells[place["label"]]
        if not wording:
            raise table.fault(row, place["wording"], "it is empty; every label needs the wording that it stands for")
        if not label.strip():
            continue
        meaning = () if fold(label) in DROPPED else _labels(table, row, place["label"], own, bank)
        if meanings.setdefault(wording, meaning) != meaning:
            what = (
                f"{shown(row.cells[place['wording']])} has another label in row {first[wording]}; keep one of the rows"
            )
            raise table.fault(row, place["label"], what)
        first.setdefault(wording, row.number)
    renamed = sum(own.meanings.get(wording, meaning) != meaning for wording, meaning in meanings.items())
    rows = tuple((row.cells[place["wording"]], row.cells[place["label"]]) for row in table.rows)
    return Aliases(meanings, rows, renamed)


def _labels(table: Table, row: Row, place: int, own: Vocabulary, bank: LabelBank) -> tuple[str, ...]:
    ids: set[str] = set()
    for wording in split_findings(row.cells[place], own):
        meaning = own.meaning(wording)
        if meaning is None:
            near = near_names(wording, bank.ids)
            hint = f"near ones: {', '.join(near)}" if near else f"valid are its ids, as {bank.ids[0]}"
            raise table.fault(row, place, f"{shown(wording)} is no label of {bank.table}; {hint}; - drops the wording")
        ids.update(meaning)
    return bank.in_order(ids)


def free_name(folder: Path) -> Path:
    """`aliases.csv` in a folder, or the first of `aliases-2.csv`, `aliases-3.csv` … that is not there."""
    for name in ("aliases.csv", *(f"aliases-{number}.csv" for number in range(2, 1000))):
        path = folder / name
        if not (path.exists() or path.is_symlink()):
            return path
    raise EcgbenchError(f"{folder} holds a thousand alias files: delete those that you do not need.")
