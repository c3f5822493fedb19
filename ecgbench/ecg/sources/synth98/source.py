"""The data set itself: its entries and their signals."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from ecgbench.ecg.recording import STORE_RATE, Entry
from ecgbench.ecg.sources.synth98.criteria import criteria
from ecgbench.ecg.sources.synth98.hospital import admit
from ecgbench.ecg.sources.synth98.prevalence import LEAST, by_prevalence, proportional_records
from ecgbench.ecg.sources.synth98.record import generate
from ecgbench.ecg.sources.synth98.request import SIZES, Request
from ecgbench.errors import EcgbenchError, unknown_name
from ecgbench.files import hash_of
from ecgbench.findings import LabelBank


class Synth98:
    """The synthetic data set, as a source of entries and signals.

    `bank`: the label table with `n_test` counts. `version`: the data set card's; other bits, other version.
    `size`, `seed`, `balanced`, `labels`: see `Request`. EcgbenchError for a request that cannot be met.
    """

    name = "synth98"
    rate: float = float(STORE_RATE)

    def __init__(
        self,
        *,
        bank: LabelBank,
        version: int,
        size: str = "S",
        seed: int = 0,
        balanced: int | None = None,
        labels: tuple[str, ...] = (),
    ) -> None:
        if version < 1:
            raise EcgbenchError(f"synth98 was given version {version}: a version is 1 or more.")
        self.request = Request(size, seed, balanced, labels)
        for label in labels:
            if label not in bank:
                raise unknown_name("finding", label, bank.ids, "ecgbench data info synth98 --json")
        self.bank, self.version, self.seed = bank, version, seed
        self._entries: list[Entry] | None = None

    def entries(self) -> list[Entry]:
        """Every record without its signal, the same list on every call and machine."""
        if self._entries is None:
            self._entries = self._admit()
        return list(self._entries)

    def load(self, entry: Entry) -> np.ndarray:
        """float32 (12, 5000), mV, leads in the order of `LEADS`; it depends on the entry alone.

        Raises `EcgbenchError` for an entry that another source, version or request has made.
        """
        if entry.source_sha256 != self._hash(entry.record, entry.findings):
            raise EcgbenchError(
                f"record '{entry.record}' is not one of synth98 version {self.version}, {self.request}: "
                "load an entry from this source's entries()."
            )
        return generate(entry, version=self.version, seed=self.seed)

    def remarks(self) -> dict[str, Any]:
        """What a manifest should say: the request, findings a record, and where the floor of patients raised a count.

        `proportional` is what a finding would have by the paper's test counts alone, `wanted` what was aimed at,
        `actual` what there is; `excess_records` sums actual - proportional over these findings.
        """
        counts = Counter(finding for entry in self.entries() for finding in entry.findings)
        said: dict[str, Any] = {
            "version": self.version,
            **self.request.identity(),
            "records": len(self.entries()),
            "findings_per_record": round(counts.total() / len(self.entries()), 3),
        }
        if self.request.balanced is not None:
            return said
        records = SIZES[self.request.size]
        wanted = {name: sum(by.values()) for name, by in by_prevalence(self.bank, records).items()}
        raised = {
            name: {"proportional": round(share, 2), "wanted": wanted[name], "actual": counts[name]}
            for name, share in proportional_records(self.bank, records).items()
            if share < LEAST
        }
        excess = sum(row["actual"] - row["proportional"] for row in raised.values())
        return {**said, "floor_patients": LEAST, "raised_by_floor": raised, "excess_records": round(excess, 1)}

    def _admit(self) -> list[Entry]:
        admissions = admit(self.bank, criteria(), self.request, self._stream())
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

    def _stream(self) -> np.random.Generator:
        """The random stream that deals findings and patients."""
        request = self.request
        if request.balanced is None:
            return np.random.default_rng([self.version, self.seed, SIZES[request.size]])
        return np.random.default_rng([self.version, self.seed, 0, request.balanced])

    def _hash(self, record: str, findings: tuple[str, ...]) -> str:
        return hash_of(["synth98", self.version, self.request.identity(), record, *findings])
