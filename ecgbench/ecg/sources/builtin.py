"""`synth98` as a source: the generator behind the interface that every source has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ecgbench.cards import DatasetCard
from ecgbench.ecg.recording import LEADS, Entry
from ecgbench.ecg.sources.synth98 import Synth98
from ecgbench.findings import LabelBank


class SynthSource:
    """`synth98` or `synth98:SIZE`, the size being S, M or L."""

    def __init__(self, argument: str | None, card: DatasetCard, bank: LabelBank) -> None:
        self.size = argument or str(card.params["size"])
        self.seed = int(card.params["seed"])
        self.version = card.version
        self.counts = bank.column("n_test")
        self.generator = Synth98(bank=bank, version=card.version, size=self.size, seed=self.seed)

    def fingerprint(self) -> Any:
        """With the counts that the prevalence follows: they are no part of the label bank's hash."""
        return [self.version, self.size, self.seed, self.counts]

    def entries(self) -> list[Entry]:
        return self.generator.entries()

    def load(self, entry: Entry) -> tuple[Mapping[str, np.ndarray], float]:
        return dict(zip(LEADS, self.generator.load(entry), strict=True)), self.generator.rate
