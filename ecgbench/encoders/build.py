"""Encoder card -> module, held to its card."""

from __future__ import annotations

import torch
from torch import nn

from ecgbench.cards import EncoderCard
from ecgbench.ecg.inputs import input_rate, input_samples
from ecgbench.encoders.weights import load_weights, weights_file
from ecgbench.entry_points import load_entry_point
from ecgbench.errors import EcgbenchError


def build_encoder(card: EncoderCard, rate: int | None = None, *, weights: bool = True) -> nn.Module:
    """The encoder that a card names: with its published weights where it has some, else freshly initialised from torch's
    current random state.

    `rate`: Hz to feed, one of the card's. `weights`: false leaves published weights unread. EcgbenchError, naming card and
    field, where the entry point fails, builds something that is no module, or gives another shape than the card says;
    WeightsAbsentError where the file with the weights is not there.
    """
    if card.weights is not None and weights:
        weights_file(card)  # before anything is built
    fed = input_rate(card.input, rate, card.name)
    samples = input_samples(card.input, fed)
    leads = len(card.input.leads)
    where = f"encoder card {card.path or card.name}"
    try:
        encoder = load_entry_point(card, card.entry_point)(leads=leads, samples=samples, rate=fed, **card.params)
    except EcgbenchError:
        raise
    except Exception as error:
        raise EcgbenchError(
            f"{where}: entry_point: {card.entry_point}(leads={leads}, samples={samples}, rate={fed}, **params) "
            f"raised {type(error).__name__}: {error}"
        ) from error
    if not isinstance(encoder, nn.Module):
        raise EcgbenchError(
            f"{where}: entry_point: {card.entry_point} builds a {type(encoder).__name__}, not a torch.nn.Module."
        )
    _check_dim(encoder, card, leads, samples, where)
    if card.weights is not None and weights:
        load_weights(encoder, card)
    return encoder


def _check_dim(encoder: nn.Module, card: EncoderCard, leads: int, samples: int, where: str) -> None:
    was_training = encoder.training
    encoder.eval()
    try:
        with torch.no_grad():
            out = encoder(torch.zeros(1, leads, samples))
    except Exception as error:
        raise EcgbenchError(
            f"{where}: the module does not take (1, {leads}, {samples}): {type(error).__name__}: {error}"
        ) from error
    encoder.train(was_training)
    if not isinstance(out, torch.Tensor) or tuple(out.shape) != (1, card.dim):
        got = tuple(out.shape) if isinstance(out, torch.Tensor) else type(out).__name__
        raise EcgbenchError(
            f"{where}: dim: the card says {card.dim}, but one recording gives {got}; (1, {card.dim}) is wanted."
        )


def count_parameters(encoder: nn.Module) -> int:
    return sum(parameter.numel() for parameter in encoder.parameters())
