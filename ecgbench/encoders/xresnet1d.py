"""The xresnet of PTB-XL's supervised reference (Strodthoff et al. 2021, Deep learning for ECG analysis: benchmarks and
insights from PTB-XL): the residual network of He et al. 2019 (Bag of tricks, ResNet-D) in one dimension.

What that reference changed: kernels of 5, a stem of three convolutions (32, 32, 64), and the same 64 channels (256 between
blocks) in every stage. Its classifier's hidden layer is left out; the vector is what goes into it. As in its training, no
scale of a batch norm starts at 0. Convolutions are written as two-dimensional ones of height 1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

EXPANSION = 4


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, (1, kernel), (1, stride), (0, kernel // 2), bias=False)
    nn.init.kaiming_normal_(convolution.weight)
    return [convolution, nn.BatchNorm2d(outputs)]


class Block(nn.Module):
    """A bottleneck; where it strides, the shortcut takes means of two samples instead of every second one (ResNet-D)."""

    def __init__(self, inputs: int, width: int, kernel: int, stride: int) -> None:
        super().__init__()
        outputs = EXPANSION * width
        self.path = nn.Sequential(
            *_conv(inputs, width, 1),
            nn.ReLU(),
            *_conv(width, width, kernel, stride),
            nn.ReLU(),
            *_conv(width, outputs, 1),
        )
        shortcut: list[nn.Module] = []
        if stride != 1:
            shortcut.append(nn.AvgPool2d((1, 2), (1, 2), ceil_mode=True))
        if inputs != outputs:
            shortcut += _conv(inputs, outputs, 1)
        self.shortcut = nn.Sequential(*shortcut)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.path(x) + self.shortcut(x))


class XResNet1d(nn.Module):
    """(batch, leads, samples) -> (batch, 8 * width): maximum and mean over time of 4 * width channels. `blocks`: residual
    blocks in each stage."""

    def __init__(
        self, *, leads: int, samples: int, rate: int, blocks: list[int], width: int = 64, kernel: int = 5
    ) -> None:
        super().__init__()
        stem: list[nn.Module] = []
        sizes = [leads, width // 2, width // 2, width]
        for step in range(3):
            stem += [*_conv(sizes[step], sizes[step + 1], kernel, 2 if step == 0 else 1), nn.ReLU()]
        stages: list[nn.Module] = [nn.MaxPool2d((1, 3), (1, 2), (0, 1))]
        channels = width
        for stage, count in enumerate(blocks):
            for block in range(count):
                stages.append(Block(channels, width, kernel, 2 if block == 0 and stage > 0 else 1))
                channels = EXPANSION * width
        self.layers = nn.Sequential(*stem, *stages)

    def forward(self, x: Tensor) -> Tensor:
        out = self.layers(x.unsqueeze(2))
        return torch.cat([out.amax((2, 3)), out.mean((2, 3))], 1)
