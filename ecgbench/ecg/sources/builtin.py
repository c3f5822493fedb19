"""`synth98` as a source: the generator behind the interface that every source has."""

from __future__ import annotations

from typing import Any

from ecgbench.cards import DatasetCard
from ecgbench.ecg.recording import LEADS, Entry, RawEcg
from ecgbench.ecg.sources.code_grammar import refuse_aliases, refuse_unknown
from ecgbench.ecg.sources.options import DEFAULT, SourceOptions
from ecgbench.ecg.sources.synth98 import Synth98
from ecgbench.ecg.sources.synth98.request import read_request
from ecgbench.findings import LabelBank


class SynthSource:
    """`synth98`, `synth98:M`, `synth98:S,seed=3`, `synth98:balanced=20`, `synth98:balanced=20,labels=a+b`."""

    def __init__(
        self, argument: str | None, card: DatasetCard, bank: LabelBank, options: SourceOptions = DEFAULT
    ) -> None:
        refuse_aliases(card.name, "id", options)
        refuse_unknown(card.name, options)
        self.request = read_request(argument, card.params)
        self.counts = bank.column("n_test")
        self.generator = Synth98(
            bank=bank, version=card.version, size=self.request.size, seed=self.request.seed,
            balanced=self.request.balanced, labels=self.request.labels,
        )  # fmt: skip

    def fingerprint(self) -> Any:
        """With the counts that the prevalence follows: they are no part of the label bank's hash."""
        return [self.generator.version, self.request.identity(), self.counts]

    def entries(self) -> list[Entry]:
        return self.generator.entries()

    def remarks(self) -> dict[str, Any]:
        """Request, findings a record, and how far the floor raised rare findings."""
        return self.generator.remarks()

    def load(self, entry: Entry) -> RawEcg:
        return RawEcg(dict(zip(LEADS, self.generator.load(entry), strict=True)), self.generator.rate)
