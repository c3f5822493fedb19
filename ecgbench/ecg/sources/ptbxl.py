"""PTB-XL in its official layout (Wagner et al. 2020): findings from `scp_codes`, splits from `strat_fold`.

A card's `params: {statements: SET}` gives one of PTB-XL's own label sets in place of the label table's grammar.
"""

from __future__ import annotations

import ast
import csv
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from ecgbench.cards import DatasetCard
from ecgbench.ecg.formats.wfdb_plain import read_wfdb_fast
from ecgbench.ecg.recording import OVER_89, DamagedRecordError, Entry, RawEcg
from ecgbench.ecg.sources import source_path
from ecgbench.ecg.sources.code_grammar import refuse_aliases, refuse_unknown
from ecgbench.ecg.sources.options import DEFAULT, SourceOptions
from ecgbench.ecg.sources.ptbxl_statements import STATEMENTS, StatementLabeller
from ecgbench.ecg.sources.scp_grammar import ScpLabeller, Statements
from ecgbench.errors import EcgbenchError
from ecgbench.files import hash_files
from ecgbench.findings import LabelBank

DATABASE = "ptbxl_database.csv"
COLUMNS = (
    "ecg_id", "patient_id", "age", "sex", "site", "report", "scp_codes", "heart_axis", "infarction_stadium1",
    "infarction_stadium2", "strat_fold", "filename_hr",
)  # fmt: skip
SPLIT_OF_FOLD = {**dict.fromkeys(range(1, 9), "train"), 9: "validation", 10: "test"}
SEX = {"0": "male", "1": "female"}
_NOT_UTF8 = re.compile("[\udc80-\udcff]")


class PtbXl:
    """The records of one PTB-XL folder, 500 Hz."""

    def __init__(
        self, argument: str | None, card: DatasetCard, bank: LabelBank, options: SourceOptions = DEFAULT
    ) -> None:
        if not argument:
            raise EcgbenchError(
                f"the source {card.name} needs its folder: write {card.name}:PATH, the folder that holds {DATABASE}."
            )
        self.folder = source_path(argument)
        self.bank = bank
        self.statements: str | None = card.params.get("statements")
        self.column = card.label_column or ("code" if self.statements else "scp")
        refuse_aliases(card.name, self.column, options)
        refuse_unknown(card.name, options)
        if not self.folder.is_dir():
            raise EcgbenchError(f"{card.name}:{argument}: there is no folder '{self.folder}'.")
        needed = [(DATABASE, Path.is_file), ("records500", Path.is_dir)]
        needed += [(STATEMENTS, Path.is_file)] if self.statements else []
        for name, there in needed:
            if not there(self.folder / name):
                raise EcgbenchError(
                    f"{card.name}:{argument}: '{self.folder / name}' is missing; PTB-XL's official layout has it."
                )

    def fingerprint(self) -> list[Any]:
        """What tells cheaply whether the files are still the same ones: relative path, size, time of change."""
        tables = [DATABASE, STATEMENTS] if self.statements else [DATABASE]
        files = [*(self.folder / name for name in tables), *sorted((self.folder / "records500").rglob("*.*"))]
        stats = [(str(path.relative_to(self.folder)), path.stat()) for path in files if path.exists()]
        return [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats]

    def entries(self) -> list[Entry]:
        """One entry a row of ptbxl_database.csv; EcgbenchError with line and ecg_id where a row cannot be understood."""
        entries: list[Entry] = []
        findings_of = self._labeller()
        line_of: dict[str, int] = {}
        for line, row in self._rows():
            try:
                if not row["ecg_id"]:
                    raise ValueError("every record needs an ecg_id")
                first = line_of.setdefault(row["ecg_id"], line)
                if first != line:
                    raise ValueError(f"the same ecg_id stands in line {first} already")
                entries.append(self._entry(row, findings_of))
            except ValueError as error:
                raise self._fault(line, row["ecg_id"], str(error)) from None
        return entries

    def _labeller(self) -> Callable[[Statements], tuple[str, ...]]:
        if self.statements is None:
            return ScpLabeller(self.bank, self.column).findings
        by_code = StatementLabeller(self.bank, self.column, self.folder / STATEMENTS, self.statements)
        return lambda said: by_code.findings(said.codes)

    def _rows(self) -> Iterator[tuple[int, dict[str, str]]]:
        """The line a row begins at, and its cells by column name, every cell there."""
        # A byte that is not UTF-8 is read as a lone surrogate, so that the row it stands in can be named.
        with (self.folder / DATABASE).open(encoding="utf-8-sig", errors="surrogateescape", newline="") as handle:
            lines = list(handle)
        reader = csv.reader(lines, strict=True)
        header: list[str] | None = None
        begin = 1
        try:
            for cells in reader:
                if header is None:
                    header = self._header(cells)
                elif cells:
                    yield begin, self._cells(header, cells, begin)
                begin = reader.line_num + 1
        except csv.Error as error:
            ecg_id = lines[begin - 1].partition(",")[0].strip()
            what = f"the quotes of this row are broken ({error}); fetch the file again"
            raise self._fault(begin, ecg_id, what) from None
        if header is None:
            self._header([])

    def _header(self, names: list[str]) -> list[str]:
        missing = [name for name in COLUMNS if name not in names]
        if missing:
            raise EcgbenchError(f"{self.folder / DATABASE} lacks the column {', '.join(missing)}.")
        return names

    def _cells(self, header: list[str], cells: list[str], line: int) -> dict[str, str]:
        if len(cells) != len(header):
            what = f"the row has {len(cells)} cells, the header has {len(header)}; fetch the file again"
            raise self._fault(line, cells[0], what)
        row = dict(zip(header, cells, strict=True))
        broken = [name for name, cell in row.items() if _NOT_UTF8.search(cell)]
        if broken:
            raise self._fault(line, row["ecg_id"], f"{broken[0]} holds a byte that is not UTF-8; fetch the file again")
        return row

    def _fault(self, line: int, ecg_id: str, what: str) -> EcgbenchError:
        shown = ecg_id.encode("utf-8", "backslashreplace").decode()
        return EcgbenchError(f"{self.folder / DATABASE}, line {line} (ecg_id {shown or 'empty'}): {what}.")

    def _entry(self, row: dict[str, str], findings_of: Callable[[Statements], tuple[str, ...]]) -> Entry:
        """ValueError, naming the column, where a cell cannot be understood."""
        codes = _likelihoods(row["scp_codes"])
        fold = _number(row, "strat_fold")
        if fold not in SPLIT_OF_FOLD:
            raise ValueError(f"strat_fold is {row['strat_fold']}; valid are 1 to 10")
        age = _number(row, "age") if row["age"] else None
        patient = _number(row, "patient_id")
        if not patient.is_integer():
            raise ValueError(f"patient_id is {row['patient_id']}; valid is a whole number")
        file = PurePosixPath(row["filename_hr"])
        if not file.name or file.is_absolute() or ".." in file.parts:
            raise ValueError(f"filename_hr is '{file}'; valid is a path in the folder, as records500/00000/00001_hr")
        stadiums = tuple(s for s in (row["infarction_stadium1"], row["infarction_stadium2"]) if s)
        return Entry(
            record=row["ecg_id"],
            patient=str(int(patient)),
            split=SPLIT_OF_FOLD[int(fold)],
            findings=findings_of(Statements(codes, row["heart_axis"], stadiums)),
            age=min(age, OVER_89) if age is not None else None,  # 300 is PTB-XL's word for over 89
            sex=SEX.get(row["sex"]),
            site=row["site"].removesuffix(".0") or None,
            report=row["report"] or None,
            codes=tuple(f"{code}={likelihood:g}" for code, likelihood in codes.items()),
            origin=self.folder / file,
        )

    def load(self, entry: Entry) -> RawEcg:
        """DamagedRecordError as `read_wfdb_fast`; the hash is over the bytes of header and signal file."""
        if not isinstance(entry.origin, Path):
            raise TypeError(f"entry {entry.record} does not come from this source")
        record = entry.origin
        try:
            digest = hash_files(record.with_name(record.name + ending) for ending in (".hea", ".dat"))
        except OSError:
            file = record.relative_to(self.folder).as_posix()  # reasons are published, a user's folders are not
            raise DamagedRecordError(f"{file}.hea or {file}.dat is missing") from None
        return replace(read_wfdb_fast(record), source_sha256=digest)


def _number(row: dict[str, str], column: str) -> float:
    try:
        number = float(row[column])
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{column} is '{row[column]}'; valid is a number")
    return number


def _likelihoods(cell: str) -> dict[str, float]:
    """SCP code -> likelihood in percent, of a cell such as {'NORM': 100.0, 'SR': 0.0}."""
    try:
        return {str(code): float(value) for code, value in ast.literal_eval(cell).items()}
    except (ValueError, SyntaxError, AttributeError, TypeError, OverflowError, MemoryError, RecursionError):
        raise ValueError(f"scp_codes is \"{cell[:60]}\"; valid is as {{'NORM': 100.0, 'SR': 0.0}}") from None
