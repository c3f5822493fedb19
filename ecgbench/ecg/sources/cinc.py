"""PhysioNet/CinC Challenge 2020 and 2021 records (Perez Alday et al. 2020, Reyna et al. 2021): findings from `#Dx`."""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ecgbench.cards import DatasetCard
from ecgbench.ecg.formats.wfdb_plain import read_wfdb_fast
from ecgbench.ecg.recording import OVER_89, DamagedRecordError, Entry, RawEcg
from ecgbench.ecg.sources import source_path
from ecgbench.ecg.sources.code_grammar import MOST_SHOWN, CodeLabeller, refuse_aliases
from ecgbench.ecg.sources.options import DEFAULT, SourceOptions
from ecgbench.errors import EcgbenchError
from ecgbench.files import hash_files
from ecgbench.findings import LabelBank

SIGNALS = (".mat", ".dat")
"""Endings of a record's signal file, the first that is there being taken."""
SEX = {"male": "male", "m": "male", "female": "female", "f": "female"}
_UNSAID = {"", "unknown", "nan", "none"}
_HEADER_BYTES = 65536
_CODE = re.compile(r"[0-9]+")


@dataclass(frozen=True)
class HeaderComments:
    """What a challenge header says of its patient. `codes`: SNOMED-CT, each once; `other`: statements that are none."""

    codes: tuple[str, ...] = ()
    other: tuple[str, ...] = ()
    age: float | None = None
    sex: str | None = None
    has_dx: bool = False


def header_comments(text: str) -> HeaderComments:
    """The comments of a header's text: `#Dx: …` or `# Dx: …`, a wrong or empty value counting as not said."""
    said: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("#"):
            key, colon, value = line.lstrip("#").partition(":")
            if colon:
                said.setdefault(key.strip().casefold(), []).append(value.strip())
    statements = [part.strip() for value in said.get("dx", ()) for part in value.split(",")]
    statements = [part for part in dict.fromkeys(statements) if part.casefold() not in _UNSAID]
    return HeaderComments(
        codes=tuple(part for part in statements if _CODE.fullmatch(part)),
        other=tuple(part for part in statements if not _CODE.fullmatch(part)),
        age=_age(said.get("age", [""])[0]),
        sex=SEX.get(said.get("sex", [""])[0].casefold()),
        has_dx="dx" in said,
    )


def _age(text: str) -> float | None:
    try:
        age = float(text)
    except ValueError:
        return None
    return min(age, OVER_89) if math.isfinite(age) and age >= 0 else None


@dataclass(frozen=True)
class _Site:
    """Records `prefix` with a number up to `last` are of `site`."""

    prefix: str
    site: str
    last: int | None = None

    def has(self, name: str) -> bool:
        number = name.removeprefix(self.prefix)
        if not name.startswith(self.prefix) or not _CODE.fullmatch(number):
            return False
        return self.last is None or int(number) <= self.last


class Cinc:
    """The records below one folder, in however many folders deep; no splits of their own. A card's `only` names the sites
    whose records are taken."""

    def __init__(
        self, argument: str | None, card: DatasetCard, bank: LabelBank, options: SourceOptions = DEFAULT
    ) -> None:
        if not argument:
            raise EcgbenchError(
                f"the source {card.name} needs its folder: write {card.name}:PATH, a folder with .hea and .mat files."
            )
        refuse_aliases(card.name, card.label_column or "snomed", options)
        self.folder = source_path(argument)
        if not self.folder.is_dir():
            raise EcgbenchError(f"{card.name}:{argument}: there is no folder '{self.folder}'.")
        self.spec = f"{card.name}:{argument}"
        self.unknown = options.unknown
        self.labeller = CodeLabeller(bank, card.label_column or "snomed")
        sites = [_Site(**site) for site in card.params.get("sites", ())]
        self.sites = sorted(sites, key=lambda site: (-len(site.prefix), site.last or math.inf))
        self.only = frozenset(card.params.get("only", ()))
        self._remarks: dict[str, Any] = {}

    def fingerprint(self) -> list[Any]:
        """The number of files and the hash over their relative paths, sizes and times of change."""
        digest = hashlib.sha256()
        files = self._files((".hea", *SIGNALS))
        for name in files:
            try:
                stat = (self.folder / name).stat()
            except OSError:  # a link to nowhere
                continue
            digest.update(f"{name}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
        return [len(files), digest.hexdigest()]

    def _files(self, endings: tuple[str, ...]) -> list[str]:
        """Relative paths with `/`, in order; hidden files and folders left out."""
        found: list[str] = []
        for folder, folders, files in os.walk(self.folder):
            folders[:] = [name for name in folders if not name.startswith(".")]
            below = Path(folder).relative_to(self.folder).as_posix()
            before = "" if below == "." else below + "/"
            found += [before + name for name in files if name.endswith(endings) and not name.startswith(".")]
        return sorted(found)

    def entries(self) -> list[Entry]:
        """One entry a header. EcgbenchError where there is none, or none is of the challenge."""
        records = [name.removesuffix(".hea") for name in self._files((".hea",))]
        if not records:
            raise EcgbenchError(f"{self.spec}: no .hea file is in '{self.folder}' or in a folder below it.")
        records = [record for record in records if self._is_taken(record)]
        if not records:
            raise EcgbenchError(
                f"{self.spec}: none of the records in '{self.folder}' is of {' or '.join(sorted(self.only))}, by its name; "
                "cinc:PATH reads those of every hospital."
            )
        names = Counter(record.rpartition("/")[2] for record in records)
        entries: list[Entry] = []
        tally = _Tally()
        for record in records:
            header = self._header(record)
            name = record.rpartition("/")[2]
            entry = Entry(
                # a name that stands in several folders (the reduced-lead copies do) is one patient's, told apart by path
                record=name if names[name] == 1 else record,
                patient=name,
                split="",
                findings=self.labeller.findings(header.codes),
                age=header.age,
                sex=header.sex,
                site=self._site(name),
                codes=header.codes,
                origin=record,
            )
            entries.append(entry)
            tally.add(entry, header, self.labeller.known)
        if not tally.with_dx:
            raise EcgbenchError(
                f"{self.spec}: none of the {len(records)} headers has a #Dx comment; a folder of challenge "
                "records is needed (ptbxl:PATH and mitbih:PATH read those data sets)."
            )
        self._remarks = tally.remarks(len(names))
        if self.unknown == "error" and tally.unmatched:
            raise EcgbenchError(
                f"{len(tally.unmatched)} SNOMED-CT codes of these records mean no finding of the label table, the most "
                f"frequent: {', '.join(f'{c} ({n})' for c, n in tally.unmatched.most_common(MOST_SHOWN))}; leave out "
                "--unknown error to go on without them."
            )
        return entries

    def _header(self, record: str) -> HeaderComments:
        try:
            with (self.folder / f"{record}.hea").open("rb") as handle:
                return header_comments(handle.read(_HEADER_BYTES).decode("utf-8", "replace"))
        except OSError:
            return HeaderComments()  # `load` says that it is missing

    def _is_taken(self, record: str) -> bool:
        return not self.only or self._site(record.rpartition("/")[2]) in self.only

    def _site(self, name: str) -> str | None:
        return next((site.site for site in self.sites if site.has(name)), None)

    def remarks(self) -> dict[str, Any]:
        """How many records carry codes and findings, and the codes that no finding is made of."""
        return self._remarks

    def load(self, entry: Entry) -> RawEcg:
        """DamagedRecordError as `read_wfdb_fast`; the hash is over the bytes of header and signal file."""
        if not isinstance(entry.origin, str):
            raise TypeError(f"entry {entry.record} does not come from this source")
        record = self.folder / entry.origin
        header, *signals = (record.with_name(record.name + ending) for ending in (".hea", *SIGNALS))
        try:
            digest = hash_files([header, next((path for path in signals if path.is_file()), signals[0])])
        except OSError:
            raise DamagedRecordError(f"{entry.origin}.hea or {entry.origin}.mat is missing") from None
        return replace(read_wfdb_fast(record), source_sha256=digest)


class _Tally:
    """What is said of the records in a store's manifest."""

    def __init__(self) -> None:
        self.with_dx = self.with_codes = self.with_findings = 0
        self.unmatched: Counter[str] = Counter()
        self.other: Counter[str] = Counter()
        self.sites: Counter[str] = Counter()

    def add(self, entry: Entry, header: HeaderComments, known: frozenset[str]) -> None:
        self.with_dx += header.has_dx
        self.with_codes += bool(header.codes)
        self.with_findings += bool(entry.findings)
        self.unmatched.update(code for code in header.codes if code not in known)
        self.other.update(header.other)
        self.sites[entry.site or ""] += 1

    def remarks(self, patients: int) -> dict[str, Any]:
        return {
            "record_names": patients,
            "records_with_codes": self.with_codes,
            "records_with_findings": self.with_findings,
            "sites": dict(sorted(self.sites.items())),
            "codes_without_finding": dict(self.unmatched.most_common(MOST_SHOWN)),
            "statements_that_are_no_code": sum(self.other.values()),
        }
