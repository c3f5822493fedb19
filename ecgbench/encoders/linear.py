"""The humblest encoder: one linear layer on the downsampled signal. What does not beat it has learned nothing that needs
depth."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class LinearEncoder(nn.Module):
    """(batch, leads, samples) -> (batch, width). The signal is brought to `target_rate` Hz by the mean of the samples that
    fall together, then all of it goes through one linear layer with a bias."""

    def __init__(self, *, leads: int, samples: int, rate: int, width: int, target_rate: int = 50) -> None:
        super().__init__()
        if rate % target_rate or samples < rate // target_rate:
            raise ValueError(f"{rate} Hz is no multiple of target_rate {target_rate} Hz")
        self.together = rate // target_rate
        self.layer = nn.Linear(leads * (samples // self.together), width)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(F.avg_pool1d(x, self.together).flatten(1))
