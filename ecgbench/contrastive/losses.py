"""How a batch of ECGs and texts becomes one number to lower.

Every loss takes the unit vectors of the whole batch (of all processes, where there are several) and is the same on each.
`sentences` (n,) int64 says which training text a record is paired with: equal numbers, equal texts. `findings` (n, labels)
float32 is 1 where a record has the finding.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ecgbench.recipe import Recipe

Targets = Callable[[Tensor, Tensor], Tensor]
"""(sentences, findings) -> (n, n): how much text j counts as a match of ECG i; each row sums to 1."""


class PairLoss(nn.Module):
    """Cross-entropy of each ECG over the texts and of each text over the ECGs, against targets that may have several
    matches in a row. With one match a row it is open_clip's `ClipLoss` (the paper's equations 2 to 4)."""

    def __init__(self, targets: Targets) -> None:
        super().__init__()
        self.targets = targets

    def forward(
        self, ecg: Tensor, text: Tensor, scale: Tensor, bias: Tensor | None, sentences: Tensor, findings: Tensor
    ) -> Tensor:
        wanted = self.targets(sentences, findings)
        logits = scale * ecg @ text.T
        return (F.cross_entropy(logits, wanted) + F.cross_entropy(logits.T, wanted)) / 2


class OwnPairLoss(nn.Module):
    """open_clip's `ClipLoss` or `SigLipLoss`: record i belongs to text i and to no other."""

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    def forward(
        self, ecg: Tensor, text: Tensor, scale: Tensor, bias: Tensor | None, sentences: Tensor, findings: Tensor
    ) -> Tensor:
        return self.loss(ecg, text, scale) if bias is None else self.loss(ecg, text, scale, bias)


def same_sentence(sentences: Tensor, findings: Tensor) -> Tensor:
    """Records with the same text match each other alike (Yang et al. 2022, UniCL, arXiv:2204.03610)."""
    same = (sentences[:, None] == sentences[None, :]).float()
    return same / same.sum(1, keepdim=True)


def shared_findings(sentences: Tensor, findings: Tensor) -> Tensor:
    """Records match by the share of their findings that both have, |A ∩ B| / |A ∪ B| (Jaccard); symmetric before each
    row is brought to 1. A record without findings matches itself."""
    both = findings @ findings.T
    counts = findings.sum(1)
    either = counts[:, None] + counts[None, :] - both
    overlap = torch.where(either > 0, both / either.clamp(min=1), 0.0)
    overlap.fill_diagonal_(1.0)
    return overlap / overlap.sum(1, keepdim=True)


def build_loss(recipe: Recipe) -> nn.Module:
    """The loss of a recipe."""
    from open_clip.loss import ClipLoss, SigLipLoss

    if recipe.loss == "clip":
        return OwnPairLoss(ClipLoss())
    if recipe.loss == "siglip":
        return OwnPairLoss(SigLipLoss())
    return PairLoss(same_sentence if recipe.loss == "multi-positive" else shared_findings)


def share_of_duplicates(sentences: Tensor) -> Tensor:
    """The share of a batch's records whose text stands in it more than once: to `clip`, false negatives."""
    same = sentences[:, None] == sentences[None, :]
    return (same.sum(1) > 1).float().mean()


def mean_pairwise_cosine(vectors: Tensor) -> Tensor:
    """Of unit vectors (n, dim), over all pairs of two: near 1 where they have collapsed to one direction."""
    n = len(vectors)
    return ((vectors.sum(0) ** 2).sum() - n) / (n * (n - 1))
