"""`manifest:FILE.csv`: the recordings that a hospital's table lists."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ecgbench.cards import DatasetCard
from ecgbench.csv_table import read_table
from ecgbench.ecg.formats.reason import published
from ecgbench.ecg.formats.sniff import header_text, is_wfdb_header, signal_files
from ecgbench.ecg.recording import DamagedRecordError, Entry, RawEcg
from ecgbench.ecg.sources import source_path
from ecgbench.ecg.sources.manifest.aliases import Aliases, read_aliases
from ecgbench.ecg.sources.manifest.checks import check_rows, origin_of
from ecgbench.ecg.sources.manifest.columns import find_columns
from ecgbench.ecg.sources.manifest.findings import split_findings
from ecgbench.ecg.sources.manifest.rows import PLAIN, Rows, is_file
from ecgbench.ecg.sources.manifest.unknown import Unknown, unknown_error, without_rare
from ecgbench.ecg.sources.manifest.vocabulary import vocabulary_of
from ecgbench.ecg.sources.options import DEFAULT, SourceOptions
from ecgbench.errors import EcgbenchError
from ecgbench.files import hash_file, hash_of
from ecgbench.findings import LabelBank

_TABLE_WITHOUT_LAYOUT = "it is a table of samples, and neither its row nor an option says its rate, unit and leads"


class Manifest:
    """The rows of one CSV as entries. Its columns: see `columns.NAMES`; a report, being free text of a patient, stays in the
    CSV, but where the card says that its data are public. Building one reads no table."""

    def __init__(
        self, argument: str | None, card: DatasetCard, bank: LabelBank, options: SourceOptions = DEFAULT
    ) -> None:
        if not argument:
            raise EcgbenchError("the source manifest needs its table: write manifest:FILE.csv.")
        self.argument, self.bank, self.options, self.keeps_reports = argument, bank, options, card.public
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
        that no label knows (unless `unknown` is drop or keep), then with an alias file written to the current folder.
        What is kept is what several patients have: the rest may be free text (all is kept where ids are)."""
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
            entry = rows.entry(row, findings, tuple(strange) if options.unknown == "keep" else ())
            entries.append(replace(entry, report=rows.text(row, "report") or None) if self.keeps_reports else entry)
        check_rows(rows, entries)
        if unknown and options.unknown in (None, "error"):
            raise unknown_error(unknown, aliases, self.bank, self.argument, options.labels)
        entries, rare = (entries, 0) if options.keep_ids else without_rare(entries)
        self._remarks = {
            "rows": len(entries),
            "columns_read": sorted(rows.columns),
            "rows_without_findings": sum(not entry.findings for entry in entries),
            "unknown_findings": {
                "are": options.unknown or "error", "wordings": len(unknown), "instances": sum(unknown.rows.values()),
                "wordings_of_few_patients_left_out": rare,
            },
            "findings_dropped_by_aliases": dropped,
            "label_names_with_another_meaning": aliases.renamed,
            "report_column": ("kept" if self.keeps_reports else "there, not kept") if "report" in rows.columns else "none",
        }  # fmt: skip
        return entries

    def remarks(self) -> dict[str, Any]:
        """Counts alone: a wording may be a patient's own text."""
        return self._remarks

    def load(self, entry: Entry) -> RawEcg:
        """As `read_file`; DamagedRecordError where the file is not there, and without names of files in its reason:
        a hospital's files are named after patients. EcgbenchError only for a plain file that nothing is said of."""
        from ecgbench.ecg.formats.read import read_file
        from ecgbench.ecg.formats.site_readers import site_readers

        site_readers()  # one that cannot be imported is no fault of the file's
        origin = origin_of(entry)
        if not is_file(origin.path):
            raise DamagedRecordError("the file is not there")
        try:
            return read_file(origin.path, origin.layout)
        except DamagedRecordError as error:
            reason = str(error)
        except EcgbenchError as error:
            if origin.layout is None and origin.path.suffix.lower() in PLAIN:
                raise
            reason = str(error) if origin.layout else _TABLE_WITHOUT_LAYOUT
        raise DamagedRecordError(_without_names(reason, origin.path))


def _without_names(reason: str, file: Path) -> str:
    stem = re.escape(file.stem)
    return re.sub(rf"(?<![A-Za-z0-9]){stem}(?![A-Za-z0-9])", "...", published(reason, file))


def _stats(file: Path) -> list[list[int]]:
    """Size and time of change of a file and, of a WFDB record, of its header and signal files."""
    if not is_file(file):
        return []
    found = [path.stat() for path in sorted({file, *_record_of(file)}) if is_file(path)]
    return [[stat.st_size, stat.st_mtime_ns] for stat in found]


def _record_of(file: Path) -> list[Path]:
    """The files of the WFDB record that a file belongs to, none where there is no such record."""
    header = file.with_suffix(".hea")
    if not is_file(header):
        return []
    try:
        text = header_text(header)
    except OSError:
        return []
    return [header, *(header.parent / name for name in signal_files(text))] if is_wfdb_header(text) else []
