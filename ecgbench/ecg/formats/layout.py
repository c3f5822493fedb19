"""What a plain table of samples does not say of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Unit = Literal["mV", "uV", "V"]
MV_PER_UNIT: dict[str, float] = {"mV": 1.0, "uV": 1e-3, "V": 1e3}


@dataclass(frozen=True)
class PlainLayout:
    """How CSV, NPY, NPZ and Parquet files of samples are to be understood.

    `rate`: Hz. `unit`: of the samples. `leads`: the order of columns (or rows, where that is the shorter side); empty
    where the file names its columns.
    """

    rate: float
    unit: Unit
    leads: tuple[str, ...] = ()
