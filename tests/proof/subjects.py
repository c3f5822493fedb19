"""The ECGs that the proof looks at: generated ones with every finding, generated normals, real normals; measured in
parallel, since one takes about a third of a second."""

from __future__ import annotations

import ast
import csv
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from ecgbench.ecg.recording import LEADS, Entry
from ecgbench.ecg.sources import Source, open_source
from tests.proof.measure import Measured, measure

PTBXL = Path(__file__).resolve().parents[3] / "shared" / "ecg" / "ptbxl"
NORMAL_CODES = {"NORM", "SR"}
"""A real normal carries these SCP statements and no other; heart_axis is normal (MID) or not stated."""


@dataclass(frozen=True)
class Subject:
    """One ECG: a record of a SOURCE."""

    source: str
    record: str


@cache
def opened(spec: str) -> tuple[Source, dict[str, Entry]]:
    """A source and its entries by record."""
    _, source = open_source(spec)
    return source, {entry.record: entry for entry in source.entries()}


def with_finding(label: str, count: int, spec: str) -> list[Subject]:
    """The first `count` records with a finding."""
    _, entries = opened(spec)
    return [Subject(spec, name) for name, entry in entries.items() if label in entry.findings][:count]


def real_normals() -> list[Subject]:
    """PTB-XL records that say nothing but normal ECG in sinus rhythm."""
    with (PTBXL / "ptbxl_database.csv").open(encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    spec = f"ptbxl:{PTBXL}"
    _, entries = opened(spec)
    found = []
    for row in rows:
        codes = set(ast.literal_eval(row["scp_codes"]))
        stated = "NORM" in codes and codes <= NORMAL_CODES and row["heart_axis"] in ("", "MID")
        if stated and row["ecg_id"] in entries:
            found.append(Subject(spec, row["ecg_id"]))
    return found


def measured(subject: Subject) -> Measured:
    """One ECG measured: the analyser gets the leads and the rate and nothing else."""
    source, entries = opened(subject.source)
    raw = source.load(entries[subject.record])
    leads, rate = raw.leads, raw.rate
    return measure(np.stack([np.asarray(leads[name], dtype=np.float64) for name in LEADS]), rate)


def measure_all(subjects: list[Subject], workers: int | None = None) -> dict[Subject, Measured]:
    """Every ECG once, on all cores."""
    distinct = list(dict.fromkeys(subjects))
    workers = workers or len(os.sched_getaffinity(0))
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return dict(zip(distinct, pool.map(measured, distinct, chunksize=16), strict=True))
