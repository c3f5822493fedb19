"""Leads as a recorder's counts, turned to mV when asked for.

Most files hold 16-bit counts of 1 µV already: kept as counts they reach a store without a detour over floats.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np


class DigitalLeads(Mapping[str, np.ndarray]):
    """A mapping from lead name to float64 mV over counts.

    `counts`: int16 (leads, samples). `per_mv`: counts that are 1 mV, by lead. `baseline`: the count that is 0 mV.
    """

    def __init__(
        self, names: Sequence[str], counts: np.ndarray, per_mv: Sequence[float], baseline: Sequence[int]
    ) -> None:
        self.names = tuple(names)
        self.counts = counts
        self.per_mv = tuple(per_mv)
        self.baseline = tuple(baseline)
        self._row = {name: row for row, name in enumerate(self.names)}

    def __getitem__(self, lead: str) -> np.ndarray:
        row = self._row[lead]
        samples = self.counts[row].astype(np.float64)
        if self.baseline[row]:
            samples -= self.baseline[row]
        samples /= self.per_mv[row]
        return samples

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def are_counts_of(self, per_mv: float) -> bool:
        """Whether every lead is in counts of `per_mv` a mV around 0."""
        return all(each == per_mv for each in self.per_mv) and not any(self.baseline)
