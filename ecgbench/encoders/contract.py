"""What every encoder must do, whatever it is."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ecgbench.cards import EncoderCard
from ecgbench.ecg.inputs import input_samples
from ecgbench.encoders.build import build_encoder, count_parameters
from ecgbench.errors import EcgbenchError


def check_contract(card: EncoderCard, rate: int) -> str:
    """Build the encoder at `rate` Hz and feed it. Returns a line of facts; EcgbenchError says what it breaks.

    Checked: shape and dtype, finite output on random, flat and saturated input, the same output twice in evaluation mode,
    an output that does not depend on the rest of the batch, a gradient in every parameter.
    """
    torch.manual_seed(0)
    encoder = build_encoder(card, rate).eval()
    leads, samples = len(card.input.leads), input_samples(card.input, rate)
    batch = torch.randn(3, leads, samples)
    with torch.no_grad():
        out = _output(encoder, batch, card, "random input")
        if not torch.equal(out, encoder(batch)):
            raise _broken(card, "gives another output the second time, in evaluation mode")
        alone = torch.cat([encoder(batch[row : row + 1]) for row in range(len(batch))])
        if not torch.allclose(out, alone, rtol=1e-3, atol=1e-4 * float(out.abs().max())):
            raise _broken(card, "gives a recording another vector when other recordings are in the batch")
        _output(encoder, torch.zeros_like(batch), card, "a flat signal")
        _output(encoder, torch.full_like(batch, 32.767), card, "a saturated signal")
    _check_gradients(encoder, batch, card)
    return f"{count_parameters(encoder):,} parameters, input ({leads}, {samples}), output {card.dim}"


def _output(encoder: nn.Module, batch: Tensor, card: EncoderCard, what: str) -> Tensor:
    out = encoder(batch)
    if tuple(out.shape) != (len(batch), card.dim) or out.dtype != torch.float32:
        raise _broken(card, f"gives {tuple(out.shape)} {out.dtype} for {what}, not ({len(batch)}, {card.dim}) float32")
    if not torch.isfinite(out).all():
        raise _broken(card, f"gives NaN or infinity for {what}")
    return out


def _check_gradients(encoder: nn.Module, batch: Tensor, card: EncoderCard) -> None:
    encoder.train()
    weights = torch.randn(len(batch), card.dim)
    (encoder(batch) * weights).sum().backward()
    without = [n for n, p in encoder.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    if without:
        raise _broken(card, f"has parameters without a gradient: {', '.join(without[:5])}")


def _broken(card: EncoderCard, what: str) -> EcgbenchError:
    return EcgbenchError(f"encoder card {card.path}: the encoder {what}.")
