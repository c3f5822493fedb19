"""PTB-XL in its official layout (Wagner et al. 2020): findings from `scp_codes`, splits from `strat_fold`."""

from __future__ import annotations

import ast
import csv
import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from ecgbench.cards import DatasetCard
from ecgbench.ecg.recording import Entry
from ecgbench.ecg.sources.scp_grammar import ScpLabeller, Statements
from ecgbench.ecg.wfdb_file import DamagedRecordError, read_wfdb
from ecgbench.errors import EcgbenchError
from ecgbench.findings import LabelBank

DATABASE = "ptbxl_database.csv"
COLUMNS = (
    "ecg_id", "patient_id", "age", "sex", "site", "report", "scp_codes", "heart_axis", "infarction_stadium1",
    "infarction_stadium2", "strat_fold", "filename_hr",
)  # fmt: skip
SPLIT_OF_FOLD = {**dict.fromkeys(range(1, 9), "train"), 9: "validation", 10: "test"}
SEX = {"0": "male", "1": "female"}
OVER_89 = 90.0
"""PTB-XL writes 300 for every age over 89; it is kept as 90, which stands for "90 or more"."""


class PtbXl:
    """The records of one PTB-XL folder, 500 Hz."""

    def __init__(self, argument: str | None, card: DatasetCard, bank: LabelBank) -> None:
        if not argument:
            raise EcgbenchError(
                "the source ptbxl needs its folder: write ptbxl:PATH, the folder that holds ptbxl_database.csv."
            )
        self.folder = Path(argument).expanduser()
        self.labeller = ScpLabeller(bank, card.label_column or "scp")
        if not self.folder.is_dir():
            raise EcgbenchError(f"ptbxl:{argument}: there is no folder '{self.folder}'.")
        for name in (DATABASE, "records500"):
            if not (self.folder / name).exists():
                raise EcgbenchError(
                    f"ptbxl:{argument}: '{self.folder / name}' is missing; PTB-XL's official layout has it."
                )

    def fingerprint(self) -> list[Any]:
        """What tells cheaply whether the files are still the same ones: relative path, size, time of change."""
        files = [self.folder / DATABASE, *sorted((self.folder / "records500").rglob("*.*"))]
        stats = [(str(path.relative_to(self.folder)), path.stat()) for path in files]
        return [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats]

    def entries(self) -> list[Entry]:
        """One entry a row of ptbxl_database.csv; a row that cannot be understood stops with its number."""
        with (self.folder / DATABASE).open(encoding="utf-8", newline="") as handle:
            reader = csv.DictReader(handle, strict=True)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise EcgbenchError(f"{self.folder / DATABASE} lacks the column {', '.join(missing)}.")
            return [self._entry(row, line) for line, row in enumerate(reader, start=2)]

    def _entry(self, row: dict[str, str], line: int) -> Entry:
        try:
            codes = {str(code): float(value) for code, value in ast.literal_eval(row["scp_codes"]).items()}
            split = SPLIT_OF_FOLD[int(float(row["strat_fold"]))]
            age = float(row["age"]) if row["age"] else None
            patient = str(int(float(row["patient_id"])))
        except (ValueError, SyntaxError, KeyError, AttributeError, TypeError) as error:
            raise EcgbenchError(
                f"{self.folder / DATABASE}, line {line} (ecg_id {row.get('ecg_id')}): {type(error).__name__}: {error}."
            ) from None
        stadiums = tuple(s for s in (row["infarction_stadium1"], row["infarction_stadium2"]) if s)
        record = self.folder / row["filename_hr"]
        return Entry(
            record=row["ecg_id"],
            patient=patient,
            split=split,
            findings=self.labeller.findings(Statements(codes, row["heart_axis"], stadiums)),
            source_sha256=_hash_record(record),
            age=min(age, OVER_89) if age is not None else None,
            sex=SEX.get(row["sex"]),
            site=row["site"].removesuffix(".0") or None,
            report=row["report"] or None,
            origin=record,
        )

    def load(self, entry: Entry) -> tuple[dict[str, np.ndarray], float]:
        """Lead -> mV, and the rate. DamagedRecordError as `read_wfdb`."""
        if not isinstance(entry.origin, Path):
            raise TypeError(f"entry {entry.record} does not come from this source")
        if not entry.source_sha256:
            raise DamagedRecordError(f"{entry.origin}.hea or {entry.origin}.dat is missing")
        return read_wfdb(entry.origin)


def _hash_record(record: Path) -> str:
    """sha256 over the header's and the signal's bytes; '' where a file is missing (the build counts it as damaged)."""
    digest = hashlib.sha256()
    for suffix in (".hea", ".dat"):
        path = record.with_name(record.name + suffix)
        if not path.is_file():
            return ""
        digest.update(path.read_bytes())
    return digest.hexdigest()
