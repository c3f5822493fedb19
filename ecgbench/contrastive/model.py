"""Encoder and heads: the part of a run that learns (the paper's section 2.3)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ecgbench.contrastive.losses import build_loss, mean_pairwise_cosine, share_of_duplicates
from ecgbench.contrastive.synchronised import gathered
from ecgbench.processes import rank
from ecgbench.recipe import Recipe


class ContrastiveModel(nn.Module):
    """An ECG encoder and a linear head a side to a common dimension, compared by cosine over a temperature.

    ecg (batch, leads, samples), text (batch, text dim), sentences (batch,), findings (batch, labels) -> "loss" by the
    recipe's loss over the batches of all processes, and of that batch "duplicates", the share of records whose text stands in
    it more than once, and "ecg_cosine", the mean cosine between its ECGs. The logit scale is 1/temperature, kept as its
    logarithm; `logit_bias` is there for `siglip` alone.
    """

    def __init__(self, encoder: nn.Module, encoder_dim: int, text_dim: int, recipe: Recipe) -> None:
        super().__init__()
        self.encoder = encoder
        self.ecg_head = nn.Linear(encoder_dim, recipe.head_dim, bias=recipe.head_bias)
        self.text_head = nn.Linear(text_dim, recipe.head_dim, bias=recipe.head_bias)
        self.logit_scale = nn.Parameter(
            torch.tensor(-math.log(recipe.temperature)), requires_grad=recipe.temperature_learned
        )
        self.max_logit_scale = -math.log(recipe.temperature_floor)
        self.loss = build_loss(recipe)
        self.logit_bias = None if recipe.logit_bias is None else nn.Parameter(torch.tensor(recipe.logit_bias))
        freeze_unless(recipe.train_encoder, encoder)

    def train(self, mode: bool = True) -> ContrastiveModel:
        """A frozen encoder stays in evaluation mode: its normalisation statistics are part of what is frozen."""
        super().train(mode)
        if mode and not any(parameter.requires_grad for parameter in self.encoder.parameters()):
            self.encoder.eval()
        return self

    @property
    def temperature(self) -> float:
        return math.exp(-self.logit_scale.detach().item())

    def embed_ecg(self, ecg: Tensor) -> Tensor:
        """Unit vectors (batch, common dimension)."""
        return F.normalize(self.ecg_head(self.encoder(ecg)).float(), dim=-1)

    def embed_text(self, text: Tensor) -> Tensor:
        """Unit vectors (batch, common dimension)."""
        return F.normalize(self.text_head(text).float(), dim=-1)

    def forward(
        self, ecg: Tensor, text: Tensor, sentences: Tensor | None = None, findings: Tensor | None = None
    ) -> dict[str, Tensor]:
        ecg_vectors, text_vectors = gathered(self.embed_ecg(ecg)), gathered(self.embed_text(text))
        if sentences is None:  # every text its own
            sentences = torch.arange(len(ecg), device=ecg.device) + rank() * len(ecg)
        sentences = gathered(sentences)
        findings = gathered(ecg.new_zeros(len(ecg), 0) if findings is None else findings)
        with torch.autocast(ecg.device.type, enabled=False):
            scale = self.logit_scale.exp()
            loss = self.loss(ecg_vectors, text_vectors, scale, self.logit_bias, sentences, findings)
        return {
            "loss": loss,
            "duplicates": share_of_duplicates(sentences),
            "ecg_cosine": mean_pairwise_cosine(ecg_vectors.detach()),
        }

    @property
    def at_temperature_floor(self) -> Tensor:
        """Whether the temperature stands at its floor, as a tensor on the model's device: asking it waits for nothing."""
        return self.logit_scale.detach() >= self.max_logit_scale - 1e-6

    def bound_temperature(self) -> None:
        """Put the temperature back to its floor, to be called after each step, as CLIP does: bounded inside the loss it would
        have no gradient beyond the floor and stay there."""
        with torch.no_grad():
            self.logit_scale.clamp_(max=self.max_logit_scale)


class SupervisedModel(nn.Module):
    """The `supervised` control: the same encoder, one linear layer, binary cross-entropy on the findings."""

    def __init__(self, encoder: nn.Module, encoder_dim: int, findings: int, recipe: Recipe) -> None:
        super().__init__()
        self.encoder = encoder
        self.classifier = nn.Linear(encoder_dim, findings)
        freeze_unless(recipe.train_encoder, encoder)

    def logits(self, ecg: Tensor) -> Tensor:
        """(batch, findings)."""
        return self.classifier(self.encoder(ecg)).float()

    def forward(self, ecg: Tensor, labels: Tensor) -> dict[str, Tensor]:
        return {"loss": F.binary_cross_entropy_with_logits(self.logits(ecg), labels)}


def freeze_unless(trained: bool, encoder: nn.Module) -> None:
    if not trained:
        encoder.requires_grad_(False)
