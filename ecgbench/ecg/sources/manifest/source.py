"""`manifest:FILE.csv`: the recordings that a hospital's table lists."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

from ecgbench.cards import DatasetCard
from ecgbench.ecg.recording import DamagedRecordError, Entry, RawEcg
from ecgbench.ecg.sources import source_path
from ecgbench.ecg.sources.manifest.aliases import Aliases, read_aliases
from ecgbench.ecg.sources.manifest.checks import check_rows, origin_of
from ecgbench.ecg.sources.manifest.columns import find_columns
from ecgbench.ecg.sources.manifest.findings import split_findings
from ecgbench.ecg.sources.manifest.rows import Rows
from ecgbench.ecg.sources.manifest.table import read_table
from ecgbench.ecg.sources.manifest.unknown import Unknown, unknown_error
from ecgbench.ecg.sources.manifest.vocabulary import vocabulary_of
from ecgbench.ecg.sources.options import DEFAULT, SourceOptions
from ecgbench.errors import EcgbenchError
from ecgbench.files import hash_file, hash_of
from ecgbench.findings import LabelBank

_SIGNALS_OF = (".dat", ".mat")
"""Beside a WFDB header."""


class Manifest:
    """The rows of one CSV as entries. Its columns: see `columns.NAMES`; a report stays in the CSV, for it is free text
    of a patient. Building one reads no table."""

    def __init__(
        self, argument: str | None, card: DatasetCard, bank: LabelBank, options: SourceOptions = DEFAULT
    ) -> None:
        if not argument:
            raise EcgbenchError("the source manifest needs its table: write manifest:FILE.csv.")
        self.argument, self.bank, self.options = argument, bank, options
        self.path = source_path(argument)
        if not self.path.is_file():
            what = "is a folder: name the CSV in it" if self.path.is_dir() else "is not there: write manifest:FILE.csv"
            raise EcgbenchError(f"manifest:{argument}: '{self.path}' {what}.")
        if options.aliases and not options.aliases.is_file():
            raise EcgbenchError(
                f"--aliases {options.aliases}: there is no such file: name a CSV with wording and label."
            )
        self._remarks: dict[str, Any] = {}

    @cached_property
    def _rows(self) -> Rows:
        table = read_table(self.path)
        return Rows(table, find_columns(table), self.options.layout)

    def fingerprint(self) -> dict[str, Any]:
        """The table's bytes, what the options say, and size and time of change of every file that the table names."""
        stats = [_stats(self._rows.file(row)) for row in self._rows.table.rows]
        return {"table": hash_file(self.path), "files": hash_of(stats), "options": self.options.identity()}

    def entries(self) -> list[Entry]:
        """One entry a row. EcgbenchError with row and column where the table cannot be understood, and for findings
        that no label knows (unless `unknown` is drop or keep), then with an alias file written to the current folder."""
        rows, options = self._rows, self.options
        aliases = read_aliases(options.aliases, self.bank) if options.aliases else Aliases({})
        vocabulary = vocabulary_of(self.bank).with_aliases(aliases.meanings)
        unknown, entries, dropped = Unknown(), [], 0
        for row in rows.table.rows:
            wordings = split_findings(rows.text(row, "findings"), vocabulary)
            meanings = [vocabulary.meaning(wording) for wording in wordings]
            strange = [wording for wording, meaning in zip(wordings, meanings, strict=True) if meaning is None]
            unknown.count(strange)
            dropped += sum(meaning == () for meaning in meanings)
            findings = self.bank.in_order({label for meaning in meanings for label in meaning or ()})
            entries.append(rows.entry(row, findings, tuple(strange) if options.unknown == "keep" else ()))
        check_rows(rows, entries)
        if unknown and options.unknown in (None, "error"):
            raise unknown_error(unknown, aliases, self.bank, self.argument, options.labels)
        self._remarks = {
            "rows": len(entries),
            "rows_without_findings": sum(not entry.findings for entry in entries),
            "unknown_findings": {
                "are": options.unknown or "error", "wordings": len(unknown), "instances": sum(unknown.rows.values()),
            },
            "findings_dropped_by_aliases": dropped,
            "label_names_with_another_meaning": aliases.renamed,
            "report_column": "there, not kept" if "report" in rows.columns else "none",
        }  # fmt: skip
        return entries

    def remarks(self) -> dict[str, Any]:
        """Counts alone: a wording may be a patient's own text."""
        return self._remarks

    def load(self, entry: Entry) -> RawEcg:
        """DamagedRecordError where the file is not there; else as `read_file`."""
        from ecgbench.ecg.formats.read import read_file

        origin = origin_of(entry)
        if not origin.path.exists():
            raise DamagedRecordError("the file is not there")
        return read_file(origin.path, origin.layout)


def _stats(file: Path) -> list[list[int]]:
    """Size and time of change of a file, and of what belongs to a WFDB header."""
    beside = [file.with_suffix(suffix) for suffix in _SIGNALS_OF] if file.suffix == ".hea" else []
    found = [path.stat() for path in (file, *beside) if path.exists()]
    return [[stat.st_size, stat.st_mtime_ns] for stat in found]
