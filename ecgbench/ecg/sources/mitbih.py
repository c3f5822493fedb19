"""MIT-BIH Arrhythmia Database (Moody & Mark 2001) as 10-s windows: our own conversion of half-hour, 2-lead records.

What a window says (`WindowStatements`), by the annotations in it:

- a beat counts for itself, or, where exactly so many of a kind follow one another as the label table names
  (`beat:V beat:V` is a couplet, three are none) and all of them are in the window, for that run;
- a rhythm holds where `rhythm_beats` beats of the window or all of its span are under it;
- what the card lists in `throughout` (the normal beat, the normal rhythm) says that nothing else is there, and holds
  only where that is so in all of the window.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import groupby, pairwise
from typing import Any

import numpy as np

from ecgbench.cards import DatasetCard
from ecgbench.ecg.formats.wfdb_file import LEAD_OF
from ecgbench.ecg.recording import DamagedRecordError, Entry, RawEcg
from ecgbench.ecg.sources import source_path
from ecgbench.ecg.sources.code_grammar import Beats, Rhythm, Rules, mitbih_term, refuse_aliases, refuse_unknown
from ecgbench.ecg.sources.options import DEFAULT, SourceOptions
from ecgbench.errors import EcgbenchError
from ecgbench.files import hash_files
from ecgbench.findings import LabelBank

SECONDS = 10
BEATS = frozenset("NLRBAaJSVrFejnE/fQ?")
"""The symbols that annotate a beat (https://archive.physionet.org/physiobank/annotations.shtml)."""
_PERSON = re.compile(r"\s*(?P<age>-?\d+)\s+(?P<sex>[MF])\b")


@dataclass(frozen=True)
class Annotations:
    """Of one record: `beats` as (sample, symbol), `rhythms` as (first sample, name), both in order of time."""

    beats: tuple[tuple[int, str], ...]
    rhythms: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class WindowStatements:
    """What the annotations say of one window. `units`: runs that the label table names, and single beats; `beats`: of
    each kind; `beats_under`: beats under each rhythm that is in force in any part of the window."""

    units: frozenset[tuple[str, ...]]
    beats: dict[str, int]
    beats_under: dict[str, int]

    @property
    def codes(self) -> tuple[str, ...]:
        """As `beat:N`, `rhythm:(N`: the kinds of beat and every rhythm, the frequent first."""
        beats = sorted(self.beats, key=lambda symbol: -self.beats[symbol])
        return (*(f"beat:{symbol}" for symbol in beats), *(f"rhythm:{name}" for name in self.beats_under))


def window_statements(
    annotations: Annotations, begin: int, end: int, named: frozenset[tuple[str, ...]]
) -> WindowStatements:
    """The statements of the samples from `begin` up to `end`; `named`: the runs that the label table has a word for."""
    beats = annotations.beats
    low, high = (bisect_left(beats, sample, key=lambda beat: beat[0]) for sample in (begin, end))
    units: set[tuple[str, ...]] = set()
    place = low
    for symbol, run in groupby(symbol for _, symbol in beats[low:high]):
        symbols = tuple(run)
        around = beats[max(place - 1, 0) : place] + beats[place + len(symbols) : place + len(symbols) + 1]
        whole = all(other != symbol for _, other in around)  # else it goes on, before or after the window
        units.add(symbols if whole and symbols in named else (symbol,))
        place += len(symbols)
    spans = [(first, name) for first, name in annotations.rhythms if first < end]
    under: dict[str, int] = {}
    for (first, name), (until, _) in pairwise([*spans, (end, "")]):
        if until > max(begin, first):  # else it is over before the window, or another begins where it does
            under[name] = under.get(name, 0) + sum(first <= sample < until for sample, _ in beats[low:high])
    return WindowStatements(frozenset(units), dict(Counter(symbol for _, symbol in beats[low:high])), under)


class MitBih:
    """The records of one folder, each as 180 windows; splits by subject from the card."""

    def __init__(
        self, argument: str | None, card: DatasetCard, bank: LabelBank, options: SourceOptions = DEFAULT
    ) -> None:
        if not argument:
            raise EcgbenchError("the source mitbih needs its folder: write mitbih:PATH, the folder that holds 100.hea.")
        column = card.label_column or "mitbih"
        refuse_aliases("mitbih", column, options)
        refuse_unknown("mitbih", options)
        self.folder = source_path(argument)
        if not self.folder.is_dir():
            raise EcgbenchError(f"mitbih:{argument}: there is no folder '{self.folder}'.")
        self.rules = Rules(bank, column, mitbih_term)
        self.named = frozenset(term.symbols for term in self.rules.terms if isinstance(term, Beats))
        self.leads = {**LEAD_OF, **{name.upper(): lead for name, lead in card.params["leads"].items()}}
        self.renamed = {name.upper(): name for name in card.params["leads"]}
        self.rhythm_beats = int(card.params["rhythm_beats"])
        self.throughout = frozenset(card.params["throughout"])
        self.subject = {str(other): str(group[0]) for group in card.params["same_subject"] for other in group}
        self.split_of = {str(name): split for split, names in card.params["splits"].items() for name in names}
        self.records = [name for name in sorted(self.split_of) if (self.folder / f"{name}.hea").is_file()]
        if not self.records:
            raise EcgbenchError(
                f"mitbih:{argument}: '{self.folder}' holds none of the records 100.hea to 234.hea of the MIT-BIH "
                "Arrhythmia Database."
            )
        missing = [name for name in self.records if not (self.folder / f"{name}.atr").is_file()]
        if missing:
            raise EcgbenchError(f"mitbih:{argument}: {missing[0]}.atr is missing; fetch the record again.")
        self._read = lru_cache(maxsize=1)(self._read_record)

    def fingerprint(self) -> list[Any]:
        files = [self.folder / f"{name}{ending}" for name in self.records for ending in (".hea", ".dat", ".atr")]
        stats = [(path.name, path.stat()) for path in files if path.exists()]
        return [[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats]

    def entries(self) -> list[Entry]:
        """One entry a whole window, named by record and the second it begins at, as 100-0010."""
        return [entry for name in self.records for entry in self._windows(name)]

    def _windows(self, name: str) -> Iterator[Entry]:
        header, annotations = self._annotated(name)
        person = _PERSON.match(header.comments[0]) if header.comments else None
        age = float(person["age"]) if person and int(person["age"]) >= 0 else None
        length = round(header.fs * SECONDS)
        for number in range(header.sig_len // length):
            said = window_statements(annotations, number * length, (number + 1) * length, self.named)
            yield Entry(
                record=f"{name}-{number * SECONDS:04d}",
                patient=self.subject.get(name, name),
                split=self.split_of[name],
                findings=self.rules.findings(partial(self._holds, said)),
                age=age,
                sex={"M": "male", "F": "female"}[person["sex"]] if person else None,
                codes=said.codes,
                origin=(name, number),
            )

    def _annotated(self, name: str) -> tuple[Any, Annotations]:
        """The header and the reference annotations; EcgbenchError where they cannot be read."""
        import wfdb

        try:
            header = wfdb.rdheader(str(self.folder / name))
            read = wfdb.rdann(str(self.folder / name), "atr")
        except Exception as error:  # the library raises many types on a damaged file
            raise EcgbenchError(
                f"{name}.hea or {name}.atr in '{self.folder}' cannot be read ({type(error).__name__}): fetch them again."
            ) from None
        marks = sorted(zip((int(s) for s in read.sample), read.symbol, read.aux_note, strict=True), key=lambda m: m[0])
        rhythms = [(sample, note.rstrip("\0")) for sample, symbol, note in marks if symbol == "+"]
        rhythms = [(sample, name) for sample, name in rhythms if name.startswith("(")]
        # the first rhythm of a record is noted at its first beat, some tenths of a second in
        rhythms[:1] = [(0, name) for _, name in rhythms[:1]]
        beats = tuple((sample, symbol) for sample, symbol, _ in marks if symbol in BEATS)
        return header, Annotations(beats, tuple(rhythms))

    def _holds(self, said: WindowStatements, term: Hashable) -> bool:
        if isinstance(term, Beats):
            if "+".join(f"beat:{symbol}" for symbol in term.symbols) in self.throughout:
                return set(said.beats) == set(term.symbols)
            return term.symbols in said.units
        assert isinstance(term, Rhythm)
        alone = set(said.beats_under) == {term.name}
        if f"rhythm:{term.name}" in self.throughout:
            return alone
        return alone or said.beats_under.get(term.name, 0) >= self.rhythm_beats

    def load(self, entry: Entry) -> RawEcg:
        """The window's samples in mV; DamagedRecordError where the record's files are missing or not sound."""
        if not isinstance(entry.origin, tuple):
            raise TypeError(f"entry {entry.record} does not come from this source")
        name, number = entry.origin
        whole = self._read(name)
        length = round(whole.rate * SECONDS)
        window = slice(number * length, (number + 1) * length)
        leads = {lead: samples[window] for lead, samples in whole.leads.items()}
        return RawEcg(leads, whole.rate, whole.source_sha256, format="WFDB", remarks=whole.remarks)

    def _read_record(self, name: str) -> RawEcg:
        """All of a record: its windows are asked for one after another."""
        import wfdb

        files = [self.folder / f"{name}{ending}" for ending in (".hea", ".dat")]
        if not all(path.is_file() for path in files):
            raise DamagedRecordError(f"{name}.hea or {name}.dat is missing")
        try:
            read = wfdb.rdrecord(str(self.folder / name), physical=False)
        except Exception as error:  # the library raises many types on a damaged file
            raise DamagedRecordError(f"{name}.dat cannot be read: {type(error).__name__}") from None
        leads: dict[str, np.ndarray] = {}
        remarks: list[str] = []
        for column, label in enumerate(read.sig_name):
            lead = self.leads.get(label.upper())
            if lead is None or lead in leads:
                continue
            samples = read.d_signal[:, column].astype(np.int64)
            if (int(samples.sum()) - read.checksum[column]) % 65536:
                raise DamagedRecordError(f"the samples of lead {label} do not sum to the header's checksum")
            if read.fmt[column] == "212" and (samples == -2048).any():
                raise DamagedRecordError(f"lead {label} has samples marked invalid")
            leads[lead] = (samples - read.baseline[column]) / read.adc_gain[column]
            if label.upper() in self.renamed:
                remarks.append(f"lead {lead} is {self.renamed[label.upper()]}, recorded with electrodes on the chest")
        return RawEcg(leads, float(read.fs), hash_files(files), format="WFDB", remarks=tuple(remarks))
