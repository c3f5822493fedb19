"""`timm:NAME`: any image backbone of timm, with the ECG as its image.

The image: each lead's samples are folded into `fold` rows of equal length (10 s as four rows of 2.5 s, as on paper), the rows
of all leads stand below each other in the card's order, and the brightness is the voltage. This is resized bilinearly, with
antialiasing, to the size that the model was made for. Unfolded, 10 s on 224 columns would leave 11 Hz.
"""

from __future__ import annotations

import functools
import importlib.metadata
from typing import Any

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ecgbench.cards import InputContract, NamedEncoderCard
from ecgbench.ecg.recording import LEADS
from ecgbench.errors import EcgbenchError, unknown_name

INPUT = {
    "leads": LEADS, "rates": (500, 100), "seconds": 10, "unit": "mV", "normalisation": "center", "missing_lead": "zero",
}  # fmt: skip


class TimmImage(nn.Module):
    """(batch, leads, samples) -> (batch, the backbone's width). `name`: timm's. `channels`: of the image, all alike.
    `pretrained`: timm's own weights, from its cache or the hub. Samples beyond the last whole row are left out."""

    def __init__(
        self,
        *,
        leads: int,
        samples: int,
        rate: int,
        name: str,
        channels: int = 1,
        fold: int = 4,
        pretrained: bool = False,
    ) -> None:
        super().__init__()
        if fold < 1 or samples < fold or channels not in (1, 3):
            raise ValueError(f"fold {fold} must be 1 to {samples} rows a lead, and channels {channels} must be 1 or 3")
        self.channels, self.fold = channels, fold
        self.backbone = timm.create_model(name, pretrained=pretrained, num_classes=0, in_chans=channels)
        config: dict[str, Any] = self.backbone.pretrained_cfg  # type: ignore[assignment]
        self.size = tuple(config["input_size"][1:])

    def image(self, x: Tensor) -> Tensor:
        """(batch, leads, samples) -> (batch, channels, height, width)."""
        batch, leads, samples = x.shape
        length = samples // self.fold
        rows = x[:, :, : self.fold * length].reshape(batch, 1, leads * self.fold, length)
        resized = F.interpolate(rows, size=self.size, mode="bilinear", antialias=True)
        return resized.expand(-1, self.channels, -1, -1)

    def forward(self, x: Tensor) -> Tensor:
        return self.backbone(self.image(x))


@functools.lru_cache(maxsize=64)
def timm_card(name: str) -> NamedEncoderCard:
    """The card of `timm:NAME`, NAME as in timm's list, with or without its tag; not pretrained. Its hash covers the name, how
    the image is made, and timm's version."""
    model = name.partition(":")[2]
    known = {*timm.list_models(), *timm.list_models(pretrained=True)}
    if model not in known:
        raise unknown_name("timm model", model, known, 'python -c "import timm; print(*timm.list_models())"')
    return NamedEncoderCard(
        name=name,
        summary=f"timm's {model}, not pretrained, with the ECG as an image",
        entry_point="ecgbench.encoders.timm_image:TimmImage",
        params={"name": model, "channels": 1, "fold": 4, "pretrained": False},
        library=f"timm {importlib.metadata.version('timm')}",
        dim=_width(model),
        input=InputContract.model_validate(INPUT),
        licence="Apache-2.0",
        reference="Wightman 2019, PyTorch Image Models, https://github.com/huggingface/pytorch-image-models",
    )


def _width(model: str) -> int:
    """The length of the vector that a backbone gives, asked of it without storing a weight or drawing a random number."""
    try:
        with torch.random.fork_rng(devices=[]), torch.device("meta"), torch.no_grad():
            encoder = TimmImage(leads=12, samples=1000, rate=100, name=model).eval()
            out = encoder.backbone(torch.zeros(1, 1, *encoder.size))
    except Exception as error:  # an architecture may raise anything on an image of one channel
        detail = " ".join(str(error).split())[:200]
        raise EcgbenchError(
            f"encoder timm:{model} cannot be built for an ECG: {type(error).__name__}: {detail}"
        ) from error
    if not isinstance(out, Tensor) or out.dim() != 2:
        raise EcgbenchError(f"encoder timm:{model} gives no single vector for an image, so it cannot be used.")
    return int(out.shape[1])
