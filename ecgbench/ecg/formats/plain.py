"""Tables of samples: CSV, TSV, NPY, NPZ and Parquet, understood by a `PlainLayout`."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecgbench.ecg.formats.guard import allowance, limits
from ecgbench.ecg.formats.layout import MV_PER_UNIT, PlainLayout
from ecgbench.ecg.formats.leads import standard_lead
from ecgbench.ecg.recording import LEADS, DamagedRecordError, RawEcg
from ecgbench.errors import EcgbenchError, near_names

NO_LEAD = frozenset(
    {"", "time", "t", "seconds", "sec", "time (s)", "time_s", "ms", "time_ms", "sample", "index", "時刻", "時間"}
)
"""Headings of columns that count or time the samples; they are left out."""


@dataclass(frozen=True)
class Table:
    """`values`: float64. With `names`: (samples, columns), one name a column. Without: as it stands in the file."""

    values: np.ndarray
    names: tuple[str, ...] = ()


def read_plain(path: Path, kind: str, size: int, layout: PlainLayout) -> RawEcg:
    """The leads of a table, in mV. EcgbenchError for an impossible layout, DamagedRecordError for a table that does not
    fit it: the sentence names row and column, never what stands there."""
    from ecgbench.ecg.formats import plain_arrays, plain_text

    leads = check_layout(layout)
    readers = {
        "text table": plain_text.read_text,
        "NPY": plain_arrays.read_npy,
        "NPZ": plain_arrays.read_npz,
        "Parquet": plain_arrays.read_parquet,
    }
    if kind == "Parquet":
        import pyarrow.parquet  # noqa: F401  imported before the limits
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"), limits(*allowance(size)):
            warnings.simplefilter("ignore")
            table = readers[kind](path, size)
            columns = named_columns(table, leads) if table.names else ordered_columns(table.values, leads)
            taken = {lead: _finite(samples, lead) * MV_PER_UNIT[layout.unit] for lead, samples in columns.items()}
    except (DamagedRecordError, EcgbenchError, MemoryError, OSError):
        raise
    except Exception as error:  # whatever a damaged file leads a library to; its words may be the file's
        raise DamagedRecordError(f"{kind}: it cannot be decoded ({type(error).__name__})") from None
    return RawEcg(taken, float(layout.rate), format=kind)


def check_layout(layout: PlainLayout) -> tuple[str, ...]:
    """The layout's leads in their standard spelling; EcgbenchError where rate, unit or leads cannot be."""
    if not 0 < layout.rate < np.inf:
        raise EcgbenchError(f"the rate {layout.rate} is not a number of Hz above 0, such as 500.")
    if layout.unit not in MV_PER_UNIT:
        raise EcgbenchError(f"the unit '{layout.unit}' is unknown; valid are {', '.join(MV_PER_UNIT)}.")
    leads = tuple(standard_lead(name) or "" for name in layout.leads)
    for name, lead in zip(layout.leads, leads, strict=True):
        if not lead:
            raise EcgbenchError(f"the lead '{name}' is unknown; valid are {', '.join(LEADS)}.")
        if leads.count(lead) > 1:
            raise EcgbenchError(f"the lead {lead} is named twice in the lead order; name every lead once.")
    return leads


def named_columns(table: Table, wanted: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Lead -> samples of a table that names its columns. Where no name is a lead, the layout's order counts."""
    places = [(place, standard_lead(name)) for place, name in enumerate(table.names) if not _counts(name)]
    if not any(lead for _, lead in places):
        return ordered_columns(table.values[:, [place for place, _ in places]], wanted)
    columns: dict[str, np.ndarray] = {}
    for place, lead in places:
        if lead is None:
            near = near_names(table.names[place], LEADS)
            hint = f"; near is {near[0]}" if near else ""
            raise DamagedRecordError(f"column {place + 1} is headed by an unknown lead name{hint}")
        if lead in columns:
            raise DamagedRecordError(f"column {place + 1} is a second lead {lead}")
        columns[lead] = table.values[:, place]
    if wanted and tuple(columns) != wanted:
        raise DamagedRecordError(f"its columns are headed {_listed(tuple(columns))}, the layout says {_listed(wanted)}")
    return columns


def ordered_columns(values: np.ndarray, leads: Sequence[str]) -> dict[str, np.ndarray]:
    """Lead -> samples of an array whose side as long as the lead order is that of the leads."""
    if not leads:
        raise EcgbenchError(
            "the file does not name its leads: give their order (`--leads I,II,III,aVR,aVL,aVF,V1,V2,V3,V4,V5,V6`)."
        )
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim != 2:
        raise DamagedRecordError(
            f"its array has {values.ndim} dimensions; one ECG is (samples, leads) or (leads, samples)"
        )
    rows, columns = values.shape
    if rows == columns == len(leads):
        raise DamagedRecordError(f"it is {rows} by {columns}, so nothing tells leads from samples")
    if columns != len(leads) != rows:
        raise DamagedRecordError(f"it has {rows} rows and {columns} columns, the layout {len(leads)} leads")
    across = values.T if columns == len(leads) else values
    return {lead: across[place] for place, lead in enumerate(leads)}


def _counts(name: str) -> bool:
    return " ".join(name.casefold().split()) in NO_LEAD


def _finite(samples: np.ndarray, lead: str) -> np.ndarray:
    absent = np.flatnonzero(~np.isfinite(samples))
    if absent.size:
        raise DamagedRecordError(f"lead {lead} has no number at sample {int(absent[0]) + 1}")
    if not samples.size:
        raise DamagedRecordError("the file holds no samples")
    return np.ascontiguousarray(samples, np.float64)


def _listed(leads: tuple[str, ...]) -> str:
    return ", ".join(leads)
