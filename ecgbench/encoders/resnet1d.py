"""One-dimensional residual networks (He et al. 2016, Table 1, with every 3 x 3 kernel made 1 x 3).

The paper (section 2.2) names ResNet1d-18 and cites He et al. 2016; it does not state the stem. Convolutions are written as
two-dimensional ones of height 1: the same numbers, and the CPU's and GPU's channels-last kernels can be used.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, (1, kernel), (1, stride), (0, kernel // 2), bias=False)


class BasicBlock(nn.Module):
    """Two convolutions and the identity (He et al. 2016, Figure 5 left; projection shortcut, option B)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = _conv(inputs, outputs, 3, stride), nn.BatchNorm2d(outputs)
        self.conv2, self.norm2 = _conv(outputs, outputs, 3), nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(_conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        inner = torch.relu(self.norm1(self.conv1(x)))
        return torch.relu(self.norm2(self.conv2(inner)) + self.shortcut(x))


class ResNet1d(nn.Module):
    """(batch, leads, samples) -> (batch, 8 * width). `blocks`: residual blocks in each of the four stages."""

    def __init__(
        self, *, leads: int, samples: int, rate: int, blocks: list[int], width: int = 64, stem_pool: bool = True
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            _conv(leads, width, 7, 2),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.MaxPool2d((1, 3), (1, 2), (0, 1)) if stem_pool else nn.Identity(),
        )
        stages: list[nn.Module] = []
        channels = width
        for stage, count in enumerate(blocks):
            outputs = width * 2**stage
            for block in range(count):
                stages.append(BasicBlock(channels, outputs, 2 if block == 0 and stage > 0 else 1))
                channels = outputs
        self.stages = nn.Sequential(*stages)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        return self.stages(self.stem(x.unsqueeze(2))).mean((2, 3))
