"""The data set itself: its entries and their signals."""

from __future__ import annotations

import numpy as np

from ecgbench.ecg.recording import STORE_RATE, Entry
from ecgbench.ecg.sources.synth98.criteria import criteria
from ecgbench.ecg.sources.synth98.hospital import admit
from ecgbench.ecg.sources.synth98.record import generate
from ecgbench.errors import EcgbenchError
from ecgbench.files import hash_of
from ecgbench.findings import LabelBank

SIZES = {"S": 1000, "M": 10000, "L": 37285}
"""Records by size; L is the paper's data set."""


class Synth98:
    """The synthetic data set, as a source of entries and signals.

    `bank`: the label table with `n_test` counts. `version`: the data set card's; other bits, other version.
    `size`: S, M or L. `seed`: another seed is another hospital.
    """

    name = "synth98"
    rate: float = float(STORE_RATE)

    def __init__(self, *, bank: LabelBank, version: int, size: str = "S", seed: int = 0) -> None:
        if size not in SIZES:
            raise EcgbenchError(f"synth98 has no size '{size}': it is S (1,000 records), M (10,000) or L (37,285).")
        if seed < 0 or version < 1:
            raise EcgbenchError(
                f"synth98 was given seed {seed}, version {version}: a seed is 0 or more, a version 1 or more."
            )
        self.bank, self.version, self.size, self.seed = bank, version, size, seed
        self._entries: list[Entry] | None = None

    def entries(self) -> list[Entry]:
        """Every record without its signal, the same list on every call and machine."""
        if self._entries is None:
            self._entries = self._admit()
        return list(self._entries)

    def load(self, entry: Entry) -> np.ndarray:
        """float32 (12, 5000), mV, leads in the order of `LEADS`; it depends on the entry alone.

        Raises `EcgbenchError` for an entry that another source, version, size or seed has made.
        """
        if entry.source_sha256 != self._hash(entry.record, entry.findings):
            raise EcgbenchError(
                f"record '{entry.record}' is not one of synth98 version {self.version}, size {self.size}, "
                f"seed {self.seed}: load an entry from this source's entries()."
            )
        return generate(entry, version=self.version, seed=self.seed)

    def _admit(self) -> list[Entry]:
        rng = np.random.default_rng([self.version, self.seed, SIZES[self.size]])
        admissions = admit(self.bank, criteria(), SIZES[self.size], rng)
        entries = []
        for number, admission in enumerate(admissions, start=1):
            record = f"s{number:05d}"
            findings = self.bank.in_order(admission.findings)
            entries.append(
                Entry(
                    record=record,
                    patient=f"p{admission.patient + 1:05d}",
                    split=admission.split,
                    findings=findings,
                    source_sha256=self._hash(record, findings),
                    age=admission.age,
                    sex=admission.sex,
                )
            )
        return entries

    def _hash(self, record: str, findings: tuple[str, ...]) -> str:
        return hash_of(["synth98", self.version, self.size, self.seed, record, *findings])
