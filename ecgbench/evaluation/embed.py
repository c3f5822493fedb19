"""Trained model -> scores of every validation and test record, for every task. The only part here that needs torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from ecgbench.cards import Combine
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


def embed_sentences(model: ContrastiveModel, vectors: np.ndarray) -> np.ndarray:
    """Unit vectors (sentences, common dimension) float32 of the tower's vectors."""
    with _evaluating(model) as device:
        return model.embed_text(torch.from_numpy(vectors).to(device)).cpu().numpy()


def class_scores(
    ecgs: np.ndarray, sentences: np.ndarray, classes: Sequence[Sequence[int]], combine: Combine
) -> np.ndarray:
    """Scores (n, classes) float32 of unit vectors `ecgs` (n, dimension): the cosine to a class's sentence. `classes`
    names each class's rows of the unit vectors `sentences`. Of a class with several, `mean` takes the cosine to their mean
    direction, `max` the highest of their cosines."""
    if all(len(rows) == 1 for rows in classes):  # whatever `combine` is: equal to the last bit
        return np.asarray(ecgs @ sentences[[rows[0] for rows in classes]].T)
    if combine == "max":
        cosines = ecgs @ sentences.T
        return np.stack([cosines[:, list(rows)].max(1) for rows in classes], axis=1)
    return np.asarray(ecgs @ np.stack([_mean_direction(sentences[list(rows)]) for rows in classes]).T)


def _mean_direction(vectors: np.ndarray) -> np.ndarray:
    """Vectors that cancel out have no direction: all their cosines are 0."""
    mean = vectors.mean(0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), np.finfo(np.float32).tiny))


def finding_logits(model: SupervisedModel, inputs: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Logits (n, findings) float32 of the `supervised` control."""
    with _evaluating(model) as device:
        return _batched(model.logits, inputs, rows, device)


def encoder_features(encoder: nn.Module, inputs: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """What the encoder gives before any head: (n, dim) float32 of the given rows."""
    with _evaluating(encoder) as device:
        return _batched(lambda ecg: encoder(ecg).float(), inputs, rows, device)
