"""A model and a training set that take milliseconds a step, with batch normalisation as real encoders have it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from ecgbench.contrastive.data import ContrastiveSet, TextTargets
from ecgbench.contrastive.model import ContrastiveModel
from ecgbench.recipe import Recipe, load_recipe


def recipe(**changes: object) -> Recipe:
    small = {"epochs": 3, "batch_size": 8, "head_dim": 6, "precision": "fp32", "memory_format": "contiguous"}
    return load_recipe("quick").model_copy(update={**small, **changes})


class Mean(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 5)
        self.norm = nn.BatchNorm1d(5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.linear(x.mean(2)))


def model(asked: Recipe, seed: int = 0) -> ContrastiveModel:
    torch.manual_seed(seed)
    return ContrastiveModel(Mean(), 5, 4, asked)


def data(records: int = 40, *, draw: bool = False) -> ContrastiveSet:
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(records + 3, 3, 20)).astype(np.float32)
    text = rng.normal(size=(7, 4)).astype(np.float32)
    members = [[i % 7, (i + 1) % 7] if i % 2 else [i % 7] for i in range(records)]
    findings = torch.zeros(records, 7)
    for row, places in enumerate(members):
        findings[row, places] = 1
    targets = TextTargets.of(text, members, 5 if draw else None)
    return ContrastiveSet(inputs, np.arange(3, records + 3), targets, findings)


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder
