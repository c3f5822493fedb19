"""One-dimensional residual networks of bottleneck blocks (He et al. 2016, Table 1: ResNet-50 and -101, with every 3 x 3
kernel made 1 x 3); the stride stands at the wide convolution, as in torchvision.

Convolutions are written as two-dimensional ones of height 1, as in `resnet1d.py`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

EXPANSION = 4


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, (1, kernel), (1, stride), (0, kernel // 2), bias=False)


class Bottleneck(nn.Module):
    """Convolutions of width 1, 3, 1 and the identity (He et al. 2016, Figure 5 right; projection shortcut, option B)."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = EXPANSION * width
        self.conv1, self.norm1 = _conv(inputs, width, 1), nn.BatchNorm2d(width)
        self.conv2, self.norm2 = _conv(width, width, 3, stride), nn.BatchNorm2d(width)
        self.conv3, self.norm3 = _conv(width, outputs, 1), nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(_conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        inner = torch.relu(self.norm1(self.conv1(x)))
        inner = torch.relu(self.norm2(self.conv2(inner)))
        return torch.relu(self.norm3(self.conv3(inner)) + self.shortcut(x))


class BottleneckResNet1d(nn.Module):
    """(batch, leads, samples) -> (batch, 32 * width). `blocks`: residual blocks in each of the four stages."""

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
            inner = width * 2**stage
            for block in range(count):
                stages.append(Bottleneck(channels, inner, 2 if block == 0 and stage > 0 else 1))
                channels = EXPANSION * inner
        self.stages = nn.Sequential(*stages)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        return self.stages(self.stem(x.unsqueeze(2))).mean((2, 3))
