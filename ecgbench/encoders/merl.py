"""MERL's ResNet-18 (Liu et al. 2024, ICML): a one-dimensional ResNet-18 without the stem's max-pool, fed with records
scaled to 0..1, its leads in the order of MIMIC-IV-ECG (aVF before aVL).

Architecture and key names: https://github.com/cheliu-computation/MERL-ICML2024, utils/resnet1d.py; scaling and lead order:
finetune/finetune_dataset.py there (MIT licence). The vector is the mean over time, which MERL's linear probes read.
"""

from __future__ import annotations

import re

from torch import Tensor, nn

from ecgbench.encoders.resnet1d import ResNet1d

LEFT_OUT = frozenset({"linear.weight", "linear.bias"})
"""A classifier that MERL's file has and its pre-training never used."""

_NAMES = {"stem.0": "conv1", "stem.1": "bn1", "norm1": "bn1", "norm2": "bn2"}


class MerlResNet18(nn.Module):
    """(batch, 12, samples) -> (batch, 512). Each record is scaled to 0..1 over all its leads and samples, padding and missing
    leads included, as MERL does; so the unit of the input does not matter."""

    def __init__(self, *, leads: int, samples: int, rate: int) -> None:
        super().__init__()
        self.net = ResNet1d(leads=leads, samples=samples, rate=rate, blocks=[2, 2, 2, 2], width=64, stem_pool=False)

    def forward(self, x: Tensor) -> Tensor:
        low, high = x.amin((1, 2), keepdim=True), x.amax((1, 2), keepdim=True)
        return self.net((x - low) / (high - low + 1e-8))


def published_key(key: str) -> str:
    """The name in MERL's file of a key of `MerlResNet18`."""
    key = key.removeprefix("net.")
    block = re.fullmatch(r"stages\.(\d+)\.(.+)", key)
    stage = f"layer{int(block[1]) // 2 + 1}.{int(block[1]) % 2}." if block else ""
    rest = block[2] if block else key
    for own, published in _NAMES.items():
        if rest.startswith(f"{own}."):
            return stage + published + rest[len(own) :]
    return stage + rest
