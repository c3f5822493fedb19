"""One-dimensional vision transformers on timm's blocks (Dosovitskiy et al. 2021).

The signal is cut into patches of `patch_seconds` over all leads (Liu et al. 2024, MERL, uses 0.1 s); each becomes a token;
the mean of the last layer's tokens is the recording's vector.
"""

from __future__ import annotations

import torch
from timm.models.vision_transformer import Block
from torch import Tensor, nn


class Vit1d(nn.Module):
    """(batch, leads, samples) -> (batch, width). Samples beyond the last whole patch are left out."""

    def __init__(
        self, *, leads: int, samples: int, rate: int, width: int, depth: int, heads: int, patch_seconds: float = 0.1
    ) -> None:
        super().__init__()
        patch = round(patch_seconds * rate)
        if patch < 1 or samples < patch:
            raise ValueError(f"{samples} samples at {rate} Hz hold no patch of {patch_seconds} s")
        self.patches = nn.Conv2d(leads, width, (1, patch), (1, patch))
        self.position = nn.Parameter(torch.zeros(1, samples // patch, width))
        nn.init.trunc_normal_(self.position, std=0.02)
        self.blocks = nn.Sequential(*(Block(width, heads, qkv_bias=True) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x.unsqueeze(2)).flatten(2).transpose(1, 2) + self.position
        return self.norm(self.blocks(tokens)).mean(1)
