"""The order in which an epoch meets the records, where it is not the Trainer's own."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import Sampler


class BalancedSampler(Sampler[int]):
    """As many draws an epoch as there are records, with replacement, each record with a probability in proportion to the mean
    of 1/count over its findings: a rare finding's records come as often, together, as a frequent one's. What is drawn
    follows from seed and epoch alone."""

    def __init__(self, findings: torch.Tensor, seed: int) -> None:
        """`findings` (records, labels) float32, 1 where a record has the finding; each record has one at least."""
        self.weights = balanced_weights(findings.numpy())
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.weights)

    def __iter__(self) -> Iterator[int]:
        source = np.random.default_rng([self.seed, self.epoch])
        yield from source.choice(len(self.weights), size=len(self.weights), p=self.weights).tolist()


def balanced_weights(findings: np.ndarray) -> np.ndarray:
    """(records,) float64 that sum to 1."""
    counts = findings.sum(0)
    rarity = np.divide(1.0, counts, out=np.zeros(counts.shape), where=counts > 0)
    weights = (findings * rarity).sum(1) / findings.sum(1)
    return np.asarray(weights / weights.sum())
