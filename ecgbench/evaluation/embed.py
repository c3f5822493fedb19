"""Trained model -> scores of every validation and test record, for every task. The only part here that needs torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from ecgbench.contrastive.model import ContrastiveModel, SupervisedModel

BATCH = 64


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[torch.device]:
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield next(model.parameters()).device
    finally:
        model.train(was_training)


def _batched(
    function: Callable[[Tensor], Tensor], inputs: np.ndarray, rows: np.ndarray, device: torch.device
) -> np.ndarray:
    parts = [
        function(torch.from_numpy(inputs[rows[start : start + BATCH]]).to(device)).cpu().numpy()
        for start in range(0, len(rows), BATCH)
    ]
    return np.concatenate(parts)


def embed_ecgs(model: ContrastiveModel, inputs: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Unit vectors (n, common dimension) float32 of the given rows; fp32 whatever the recipe trained in."""
    with _evaluating(model) as device:
        return _batched(model.embed_ecg, inputs, rows, device)


def embed_classes(model: ContrastiveModel, vectors: np.ndarray) -> np.ndarray:
    """Unit vectors (classes, common dimension) float32 of the tower's vectors of the class prompts."""
    with _evaluating(model) as device:
        return model.embed_text(torch.from_numpy(vectors).to(device)).cpu().numpy()


def finding_logits(model: SupervisedModel, inputs: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Logits (n, findings) float32 of the `supervised` control."""
    with _evaluating(model) as device:
        return _batched(model.logits, inputs, rows, device)
