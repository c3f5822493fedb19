"""InceptionTime (Ismail Fawaz et al. 2020), as in PTB-XL's supervised reference (Strodthoff et al. 2021).

Six modules, each with kernels of 39, 19 and 9 samples behind a bottleneck of 32 channels and a max-pooled path beside them;
a shortcut over every three. The reference's classifier is left out; the vector is the maximum and the mean over time that go
into it. Convolutions are written as two-dimensional ones of height 1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

SPAN = 3
"""Modules under one shortcut."""


def _conv(inputs: int, outputs: int, kernel: int) -> nn.Conv2d:
    convolution = nn.Conv2d(inputs, outputs, (1, kernel), padding=(0, kernel // 2), bias=False)
    nn.init.kaiming_normal_(convolution.weight)
    return convolution


class InceptionModule(nn.Module):
    """Convolutions of several widths side by side, and a path of max-pool and width 1; then batch norm."""

    def __init__(self, inputs: int, filters: int, kernels: list[int]) -> None:
        super().__init__()
        self.bottleneck = _conv(inputs, filters, 1)
        self.convolutions = nn.ModuleList(_conv(filters, filters, kernel) for kernel in kernels)
        self.pooled = nn.Sequential(nn.MaxPool2d((1, 3), 1, (0, 1)), _conv(inputs, filters, 1))
        self.norm = nn.BatchNorm2d(filters * (len(kernels) + 1))

    def forward(self, x: Tensor) -> Tensor:
        narrow = self.bottleneck(x)
        paths = [convolution(narrow) for convolution in self.convolutions]
        return torch.relu(self.norm(torch.cat([*paths, self.pooled(x)], 1)))


class Inception1d(nn.Module):
    """(batch, leads, samples) -> (batch, 2 * filters * (kernels + 1)): maximum and mean over time. `depth`: modules, a
    multiple of three. `kernels`: in samples, odd."""

    def __init__(
        self,
        *,
        leads: int,
        samples: int,
        rate: int,
        depth: int = 6,
        filters: int = 32,
        kernels: list[int] | None = None,
    ) -> None:
        super().__init__()
        widths = kernels or [39, 19, 9]
        if depth < SPAN or depth % SPAN or any(kernel % 2 == 0 for kernel in widths):
            raise ValueError(f"depth {depth} must be a multiple of {SPAN}, and kernels {widths} odd")
        outputs = filters * (len(widths) + 1)
        channels = [leads] + [outputs] * depth
        self.modules_in_line = nn.ModuleList(InceptionModule(channels[step], filters, widths) for step in range(depth))
        self.shortcuts = nn.ModuleList(
            nn.Sequential(_conv(channels[step], outputs, 1), nn.BatchNorm2d(outputs)) for step in range(0, depth, SPAN)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x.unsqueeze(2)
        start = x
        for step, module in enumerate(self.modules_in_line):
            x = module(x)
            if step % SPAN == SPAN - 1:
                start = x = torch.relu(x + self.shortcuts[step // SPAN](start))
        return torch.cat([x.amax((2, 3)), x.mean((2, 3))], 1)
