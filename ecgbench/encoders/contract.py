"""What every encoder must do, whatever it is."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ecgbench.cards import EncoderCard
from ecgbench.ecg.inputs import input_rate, input_samples
from ecgbench.encoders.build import build_encoder, count_parameters
from ecgbench.encoders.made_input import MadeInput, fed
from ecgbench.encoders.weights import WeightsAbsentError
from ecgbench.errors import EcgbenchError

BATCH, SMALL_BATCH = 3, 2
LARGE = 10_000_000
"""Parameters from which on a smaller batch has to do."""


@dataclass(frozen=True)
class Checked:
    """What was found out about an encoder at one rate. `faults`: name of a check -> what is wrong, a sentence."""

    card: EncoderCard
    rate: int
    parameters: int
    flops: int
    faults: dict[str, str]
    weights_read: bool

    @property
    def row(self) -> list[str]:
        """In words, under `HEADERS`."""
        passed = f"{len(CHECKS) - len(self.faults)} of {len(CHECKS)}"
        passed += f", not: {', '.join(self.faults)}" if self.faults else ""
        passed += "" if self.weights_read else ", without its weights"
        counts = [f"{self.parameters:,}", megaflops(self.flops)]
        return [self.card.name, str(self.rate), input_text(self.card, self.rate), *counts, passed]


HEADERS = ("encoder", "Hz", "input", "parameters", "MFLOPs", "checks")


def input_text(card: EncoderCard, rate: int) -> str:
    """`12 × 1000, mV, center`."""
    contract = card.input
    return f"{len(contract.leads)} × {input_samples(contract, rate)}, {contract.unit}, {contract.normalisation}"


def megaflops(flops: int) -> str:
    return f"{flops / 1e6:,.0f}" if flops >= 1e8 else f"{flops / 1e6:.3g}"


def check_contract(card: EncoderCard, rate: int | None = None) -> Checked:
    """Build the encoder at `rate` Hz (the card's first where None), count it, and hold it to each of `CHECKS`.

    EcgbenchError, naming card and field, where it cannot be built. Published weights whose file is not on this machine
    are left out, and `weights_read` says so.
    """
    rate = input_rate(card.input, rate, card.name)
    torch.manual_seed(0)
    encoder, weights_read = built(card, rate)
    encoder.eval()
    subject = Subject(card, rate, encoder, BATCH if count_parameters(encoder) < LARGE else SMALL_BATCH, weights_read)
    flops = count_flops(encoder, len(card.input.leads), input_samples(card.input, rate))
    faults: dict[str, str] = {}
    for name, check in CHECKS.items():
        try:
            check(subject)
        except EcgbenchError as error:
            faults[name] = str(error)
        except Exception as error:  # a stranger's module may raise anything
            said = " ".join(str(error).split())[:200]
            faults[name] = str(subject.broken(f"raises {type(error).__name__} in the check '{name}': {said}"))
    return Checked(card, rate, count_parameters(encoder), flops, faults, weights_read)


def built(card: EncoderCard, rate: int) -> tuple[nn.Module, bool]:
    """The encoder, and whether it has all the weights that its card names."""
    try:
        return build_encoder(card, rate), True
    except WeightsAbsentError:
        return build_encoder(card, rate, weights=False), False


def count_flops(encoder: nn.Module, leads: int, samples: int) -> int:
    """Of one recording: two for each multiply-add of matrix products, convolutions and attention, as torch counts."""
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        encoder(torch.zeros(1, leads, samples))
    return int(counter.get_total_flops())


@dataclass(frozen=True)
class Subject:
    """An encoder in evaluation mode and what it is fed."""

    card: EncoderCard
    rate: int
    encoder: nn.Module
    size: int
    weights_read: bool

    def batch(self) -> Tensor:
        """Random recordings, the same at each call."""
        shape = (self.size, len(self.card.input.leads), input_samples(self.card.input, self.rate))
        return torch.randn(shape, generator=torch.Generator().manual_seed(1))

    def vectors(self, batch: Tensor) -> Tensor:
        with torch.no_grad():
            return self.encoder(batch)

    def broken(self, what: str) -> EcgbenchError:
        return EcgbenchError(f"encoder card {self.card.path or self.card.name}: the encoder {what}.")


def shapes(subject: Subject) -> None:
    """A vector of the card's dimension for each recording, of a batch of one too."""
    for batch in (subject.batch(), subject.batch()[:1]):
        got, wanted = tuple(subject.vectors(batch).shape), (len(batch), subject.card.dim)
        if got != wanted:
            raise subject.broken(f"gives {got} for a batch of {len(batch)}, not {wanted}")


def dtype(subject: Subject) -> None:
    """Vectors are float32, as what is fed."""
    got = subject.vectors(subject.batch()).dtype
    if got != torch.float32:
        raise subject.broken(f"gives {got}, not torch.float32")


def input_left_alone(subject: Subject) -> None:
    """What it is given is a training set's own memory."""
    batch = subject.batch()
    subject.vectors(batch)
    if not torch.equal(batch, subject.batch()):
        raise subject.broken("changes the recordings that it is given, in place")


def finite(subject: Subject) -> None:
    """No NaN or infinity, whatever a store may hold."""
    made = MadeInput(subject.card.input, subject.rate)
    inputs = {"random input": subject.batch().numpy(), **made.extremes()}
    for what, batch in inputs.items():
        if not torch.isfinite(subject.vectors(torch.from_numpy(batch))).all():
            raise subject.broken(f"gives NaN or infinity for {what}")


def deterministic(subject: Subject) -> None:
    """In evaluation mode the same recording has the same vector."""
    if not torch.equal(subject.vectors(subject.batch()), subject.vectors(subject.batch())):
        raise subject.broken("gives another output the second time, in evaluation mode")


def batch_invariant(subject: Subject) -> None:
    """A recording's vector does not depend on what stands beside it."""
    batch = subject.batch()
    out = subject.vectors(batch)
    alone = torch.cat([subject.vectors(batch[row : row + 1]) for row in range(len(batch))])
    if not torch.allclose(out, alone, rtol=1e-3, atol=1e-4 * float(out.abs().max())):
        raise subject.broken("gives a recording another vector when other recordings are in the batch")


def saved_and_loaded(subject: Subject) -> None:
    """All that decides a vector is in the weights file."""
    from safetensors.torch import load_model, save_model

    torch.manual_seed(2)
    other = build_encoder(subject.card, subject.rate, weights=False).eval()
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "weights.safetensors")
        save_model(subject.encoder, path)
        load_model(other, path, strict=True)
    with torch.no_grad():
        if not torch.equal(other(subject.batch()), subject.vectors(subject.batch())):
            raise subject.broken(
                "gives other vectors after its weights are saved and loaded: not all it needs is saved"
            )


def input_honoured(subject: Subject) -> None:
    """What the toolkit feeds is what the card says, where a lead is missing too."""
    made = MadeInput(subject.card.input, subject.rate)
    reached = fed(subject.encoder, made.stored(2), subject.card.input, subject.rate)
    for what in made.differences(reached):
        raise subject.broken(f"is fed another {what} than its card says")
    missing = subject.card.input.leads[-1]
    try:
        reached = fed(subject.encoder, made.stored(1, missing), subject.card.input, subject.rate)
    except EcgbenchError:
        if subject.card.input.missing_lead != "refuse":
            raise
        return
    if subject.card.input.missing_lead != "zero" or np.any(reached[0, -1]):
        raise subject.broken(f"is fed something where lead {missing} is missing")


def gradients(subject: Subject) -> None:
    """Every parameter that is said to learn can. Run last: the encoder is not what it was."""
    torch.manual_seed(3)
    encoder = subject.encoder.train()
    learned = {name: each for name, each in encoder.named_parameters() if each.requires_grad}
    if not learned:
        return
    with torch.no_grad():  # layers that start at zero (the last scale of a residual block) hide what lies before them
        for each in learned.values():
            each.add_(0.01 * torch.randn_like(each))
    (encoder(subject.batch()) * torch.randn(subject.size, subject.card.dim)).sum().backward()
    without = [name for name, each in learned.items() if each.grad is None or not each.grad.any()]
    if without:
        raise subject.broken(f"has parameters without a gradient: {', '.join(without[:5])}")


Check = Callable[[Subject], None]

CHECKS: dict[str, Check] = {
    "shapes": shapes,
    "dtype": dtype,
    "input left alone": input_left_alone,
    "finite": finite,
    "deterministic": deterministic,
    "batch invariance": batch_invariant,
    "save and load": saved_and_loaded,
    "input contract": input_honoured,
    "gradients": gradients,
}
