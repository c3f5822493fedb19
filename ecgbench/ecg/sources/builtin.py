"""`synth98` as a source: the generator behind the interface that every source has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ecgbench.cards import DatasetCard
from ecgbench.ecg.recording import LEADS, Entry
from ecgbench.ecg.sources import synth98
from ecgbench.ecg.sources.synth98 import Synth98
from ecgbench.files import hash_file
from ecgbench.findings import LabelBank


class SynthSource:
    """`synth98` or `synth98:SIZE`, the size being S, M or L."""

    def __init__(self, argument: str | None, card: DatasetCard, bank: LabelBank) -> None:
        self.size = argument or str(card.params["size"])
        self.seed = int(card.params["seed"])
        self.version = card.version
        self.generator = Synth98(bank=bank, version=card.version, size=self.size, seed=self.seed)

    def fingerprint(self) -> Any:
        """With the generator's own files: while it is worked on, a store of yesterday's is not served from the cache."""
        code = sorted(Path(synth98.__file__).parent.glob("*.[py]*"))
        return [self.version, self.size, self.seed, [hash_file(path) for path in code]]

    def entries(self) -> list[Entry]:
        return self.generator.entries()

    def load(self, entry: Entry) -> tuple[Mapping[str, np.ndarray], float]:
        return dict(zip(LEADS, self.generator.load(entry), strict=True)), self.generator.rate
