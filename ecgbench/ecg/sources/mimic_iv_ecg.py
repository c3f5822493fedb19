"""MIMIC-IV-ECG in its official layout (Gow et al. 2023): findings from the machine's statements, by exact wording.

record_list.csv has a row for each recording, machine_measurements.csv one for each recording's report of up to 18
statements. Both are read a row at a time; no time, date or measurement is kept. A record's statements are kept only where
their wording is known: of a text that nobody has read before, no one can say whom it names. `unknown: keep` keeps all, and
with them the report, a statement a line; without all it would be a report with gaps, and is none.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from ecgbench.cards import DatasetCard
from ecgbench.catalogue import table_path
from ecgbench.ecg.formats.wfdb_plain import read_wfdb_fast
from ecgbench.ecg.recording import DamagedRecordError, Entry, RawEcg
from ecgbench.ecg.sources import source_path
from ecgbench.ecg.sources.code_grammar import MOST_SHOWN
from ecgbench.ecg.sources.manifest.aliases import read_aliases
from ecgbench.ecg.sources.manifest.vocabulary import fold, vocabulary_of
from ecgbench.ecg.sources.options import DEFAULT, SourceOptions
from ecgbench.errors import EcgbenchError
from ecgbench.files import hash_file, hash_files
from ecgbench.findings import LabelBank, label_bank

RECORDS = "record_list.csv"
REPORTS = "machine_measurements.csv"
REPORT_COLUMNS = tuple(f"report_{number}" for number in range(18))
SEVERAL = 5
"""Patients whose ECGs a wording must stand in for a store's manifest to tell it."""


def wording_key(statement: str) -> str:
    """The form in which statements are compared: NFKC, white-space and letter case folded, no full stop at the end.
    The release writes 'Sinus rhythm', 'SINUS RHYTHM' and 'Sinus rhythm.'."""
    return fold(statement).rstrip(". ")


class MimicIvEcg:
    """The recordings of one MIMIC-IV-ECG folder; no splits of their own."""

    def __init__(
        self, argument: str | None, card: DatasetCard, bank: LabelBank, options: SourceOptions = DEFAULT
    ) -> None:
        if not argument:
            raise EcgbenchError(
                f"the source mimic-iv-ecg needs its folder: write mimic-iv-ecg:PATH, the folder that holds {RECORDS}."
            )
        self.folder = source_path(argument)
        self.argument = argument
        for name, there in (("", Path.is_dir), (RECORDS, Path.is_file), (REPORTS, Path.is_file)):
            if not there(self.folder / name):
                raise EcgbenchError(
                    f"mimic-iv-ecg:{argument}: '{self.folder / name}' is missing; MIMIC-IV-ECG's official layout has it."
                )
        self.bank = bank
        self.options = options
        self.wordings = table_path(card.params["wordings"])
        self.wordings_labels = str(card.params["wordings_labels"])
        self.composites = {
            whole: frozenset(parts)
            for whole, parts in card.params["composites"].items()
            if whole in bank and all(part in bank for part in parts)
        }
        self._remarks: dict[str, Any] = {}

    def fingerprint(self) -> list[Any]:
        """Tables by size and time of change, wordings by content, and the folders of recordings that were fetched."""
        stats = [(name, (self.folder / name).stat()) for name in (RECORDS, REPORTS)]
        tables = [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats]
        return [tables, hash_file(self.wordings), sorted(self._groups())]

    def _groups(self) -> set[str]:
        """`files/p1000` and so on: the release is fetched folder by folder."""
        return {path.relative_to(self.folder).as_posix() for path in self.folder.glob("files/p*") if path.is_dir()}

    def entries(self) -> list[Entry]:
        """One entry a recording whose folder `files/pNNNN` was fetched; EcgbenchError, with the line, where a row cannot
        be understood."""
        reader = _Statements(self._meanings(), self.composites, self.bank)
        reports = self._reports(reader)
        in_reports = len(reports)
        groups = self._groups()
        if not groups:
            raise EcgbenchError(
                f"mimic-iv-ecg:{self.argument}: no folder files/p1000 to files/p1999 is there: fetch one."
            )
        entries: list[Entry] = []
        patients: dict[str, str] = {}
        seen: set[str] = set()
        not_fetched = without_report = 0
        for line, (subject, study, path) in self._rows(RECORDS, ("subject_id", "study_id", "path")):
            file = PurePosixPath(path)
            if not (subject and study and file.name) or file.is_absolute() or ".." in file.parts:
                raise self._fault(RECORDS, line, "a row needs subject_id, study_id and a path as files/p1000/…")
            if study in seen:
                raise self._fault(RECORDS, line, f"the study {study} stands there a second time")
            seen.add(study)
            if "/".join(file.parts[:2]) not in groups:
                not_fetched += 1
                continue
            without_report += study not in reports
            said = reports.pop(study, ())
            patient = patients.setdefault(subject, subject)
            reader.tally(said, patient)
            codes = said if self.options.unknown == "keep" else reader.known(said)
            report = "\n".join(said) if self.options.unknown == "keep" else ""
            entries.append(
                Entry(study, patient, "", reader.findings(said), codes=codes, report=report or None, origin=path)
            )
        self._remarks = {
            "recordings_not_fetched": not_fetched,
            "recordings_without_report": without_report,
            "reports_read": in_reports,
            "records_with_findings": sum(bool(entry.findings) for entry in entries),
            **reader.remarks(),
        }
        if self.options.unknown == "error" and reader.unknown:
            raise self._unknown(reader.unknown)
        return entries

    def _meanings(self) -> dict[str, tuple[str, ...]]:
        """Wording -> findings: the label table's names, the shipped wordings, the user's aliases, the last winning."""
        shipped = read_aliases(self.wordings, label_bank(self.wordings_labels)).meanings
        meanings = dict(vocabulary_of(self.bank).meanings)
        for wording, labels in shipped.items():
            known = tuple(label for label in labels if label in self.bank)
            if known or not labels:  # none on purpose: it says nothing that any label says
                meanings[wording] = known
        if self.options.aliases is not None:
            meanings |= read_aliases(self.options.aliases, self.bank).meanings
        return {wording_key(wording): labels for wording, labels in meanings.items()}

    def _reports(self, reader: _Statements) -> dict[str, tuple[str, ...]]:
        """Study -> its statements as they stand there, empty columns left out."""
        reports: dict[str, tuple[str, ...]] = {}
        for line, (study, *statements) in self._rows(REPORTS, ("study_id", *REPORT_COLUMNS)):
            if study in reports:
                raise self._fault(REPORTS, line, f"the study {study} stands there a second time")
            reports[study] = tuple(reader.one_of_each(text) for text in statements if text)
        return reports

    def _rows(self, name: str, columns: tuple[str, ...]) -> Iterator[tuple[int, list[str]]]:
        """The line a row ends at, and its cells of these columns, stripped."""
        with (self.folder / name).open(encoding="utf-8-sig", errors="replace", newline="") as handle:
            reader = csv.reader(handle, strict=True)
            try:
                header = next(reader, [])
                missing = [column for column in columns if column not in header]
                if missing:
                    raise EcgbenchError(f"'{self.folder / name}' lacks the column {', '.join(missing)}.")
                places = [header.index(column) for column in columns]
                for cells in reader:
                    if cells and len(cells) != len(header):
                        what = f"the row has {len(cells)} cells, the header has {len(header)}"
                        raise self._fault(name, reader.line_num, what)
                    if cells:
                        yield reader.line_num, [cells[place].strip() for place in places]
            except csv.Error as error:
                raise self._fault(name, reader.line_num, f"the quotes of this row are broken ({error})") from None

    def _fault(self, name: str, line: int, what: str) -> EcgbenchError:
        return EcgbenchError(f"{self.folder / name}, line {line}: {what}; fetch the file again.")

    def _unknown(self, unknown: Counter[str]) -> EcgbenchError:
        told = ", ".join(f"'{wording}' ({count})" for wording, count in unknown.most_common(MOST_SHOWN))
        return EcgbenchError(
            f"{len(unknown)} wordings of the machine's statements mean no finding of the label "
            f"table, the most frequent: {told}; give them a label, or - to drop them, in a CSV with the columns wording "
            "and label (--aliases FILE), or leave out --unknown error."
        )

    def remarks(self) -> dict[str, Any]:
        """What was read, and the statements that no finding is made of, with the most frequent of them."""
        return self._remarks

    def load(self, entry: Entry) -> RawEcg:
        """DamagedRecordError as `read_wfdb_fast`; the hash is over the bytes of header and signal file."""
        if not isinstance(entry.origin, str):
            raise TypeError(f"entry {entry.record} does not come from this source")
        record = self.folder / entry.origin
        try:
            digest = hash_files(record.with_name(record.name + ending) for ending in (".hea", ".dat"))
        except OSError as error:
            raise DamagedRecordError(f"{entry.origin}{Path(error.filename).suffix} is missing") from None
        return replace(read_wfdb_fast(record), source_sha256=digest)


class _Statements:
    """Statements -> findings. The release has a few thousand distinct statements in millions of cells: each is looked up
    once and held once in memory."""

    def __init__(
        self, meanings: dict[str, tuple[str, ...]], composites: dict[str, frozenset[str]], bank: LabelBank
    ) -> None:
        self.meanings = meanings
        self.composites = composites
        self.bank = bank
        self.statements = 0
        self.unknown: Counter[str] = Counter()
        self._patients: dict[str, set[str]] = {}
        self._same: dict[str, str] = {}
        self._meaning: dict[str, tuple[str, ...] | None] = {}
        self._findings: dict[frozenset[str], tuple[str, ...]] = {}

    def one_of_each(self, statement: str) -> str:
        return self._same.setdefault(statement, statement)

    def meaning(self, statement: str) -> tuple[str, ...] | None:
        """The findings of one statement, none where it is dropped on purpose, None where it is not known."""
        if statement not in self._meaning:
            self._meaning[statement] = self.meanings.get(wording_key(statement))
        return self._meaning[statement]

    def findings(self, statements: tuple[str, ...]) -> tuple[str, ...]:
        """Finding ids in table order; a composite of the card replaces its parts."""
        said = frozenset(finding for statement in statements for finding in self.meaning(statement) or ())
        if said not in self._findings:
            whole = {finding for finding, parts in self.composites.items() if parts <= said or finding in said}
            parts = {part for finding in whole for part in self.composites[finding]}
            self._findings[said] = self.bank.in_order((said | whole) - parts)
        return self._findings[said]

    def known(self, statements: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(statement for statement in statements if self.meaning(statement) is not None)

    def tally(self, statements: tuple[str, ...], patient: str) -> None:
        """Count the statements of one record, the unknown ones by their wording and patient."""
        self.statements += len(statements)
        for statement in statements:
            if self.meaning(statement) is None:
                wording = wording_key(statement)
                self.unknown[wording] += 1
                patients = self._patients.setdefault(wording, set())
                if len(patients) < SEVERAL:
                    patients.add(patient)

    def remarks(self) -> dict[str, Any]:
        several = Counter({w: count for w, count in self.unknown.items() if len(self._patients[w]) >= SEVERAL})
        return {
            "statements": self.statements,
            "statements_not_matched": self.unknown.total(),
            "wordings_not_matched": len(self.unknown),
            "most_frequent_not_matched": dict(several.most_common(MOST_SHOWN)),
        }
