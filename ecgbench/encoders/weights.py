"""Published weights -> a freshly built encoder: the file found and held to its sha256, then copied key by key.

Nothing of a file is executed: safetensors, or torch's own format with `weights_only`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ecgbench.cards import EncoderCard, Weights
from ecgbench.encoders.merl import LEFT_OUT as MERL_LEFT_OUT
from ecgbench.encoders.merl import published_key as merl_key
from ecgbench.errors import EcgbenchError, unknown_name
from ecgbench.files import hash_file

FOLDER_VARIABLE = "ECGBENCH_WEIGHTS"


class WeightsAbsentError(EcgbenchError):
    """The file with the weights is not on this machine: nothing is wrong with the card."""


@dataclass(frozen=True)
class Layout:
    """How a file names what the module holds: `published` gives the file's key for the module's; `left_out` are keys of the
    file that the module is known not to have."""

    published: Callable[[str], str]
    left_out: frozenset[str] = frozenset()


LAYOUTS = {"own": Layout(lambda key: key), "merl-resnet18": Layout(merl_key, MERL_LEFT_OUT)}


def weights_file(card: EncoderCard) -> Path:
    """The file that a card's `weights` name, its bytes held to the card's sha256."""
    weights = _weights(card)
    path = next((place for place in _places(card, weights) if place.is_file()), None)
    if path is None:
        looked = " or ".join(str(place.parent) for place in _places(card, weights))
        here = "" if os.environ.get(FOLDER_VARIABLE) else f" or set {FOLDER_VARIABLE} to the folder that holds it"
        raise WeightsAbsentError(
            f"{_where(card)}: weights.file: '{weights.file}' is not in {looked}: get it from "
            f"{weights.url or 'its publisher'} and put it there{here}, or write its path on the card."
        )
    found = hash_file(path)
    if weights.sha256 is None:
        raise EcgbenchError(
            f"{_where(card)}: weights.sha256: the card does not say which bytes are meant, and {path} has sha256 {found}: if you "
            "trust that file, copy the card to registry/encoders/ of your own folder (--path DIR) and write that number there."
        )
    if found != weights.sha256:
        raise EcgbenchError(
            f"{_where(card)}: weights.sha256: {path} has sha256 {found}, but the card says {weights.sha256}: it is another "
            "file, get the one that is meant or write a card of your own for it."
        )
    return path


def load_weights(encoder: nn.Module, card: EncoderCard) -> None:
    """Copy a card's weights into the module; a key that is missing, unexpected, of another shape or not finite is an
    error that names the first of its kind."""
    weights = _weights(card)
    if weights.layout not in LAYOUTS:
        raise EcgbenchError(f"{_where(card)}: weights.layout: {unknown_name('layout', weights.layout, LAYOUTS)}")
    layout = LAYOUTS[weights.layout]
    path = weights_file(card)
    held = _read(card, path)
    own = encoder.state_dict()
    wanted = {layout.published(key): tensor for key, tensor in own.items()}
    _refuse(card, path, "lacks", [key for key in wanted if key not in held])
    _refuse(
        card, path, "holds the unexpected", [key for key in held if key not in wanted and key not in layout.left_out]
    )
    with torch.no_grad():
        for key, tensor in wanted.items():
            tensor.copy_(_fitted(card, path, key, held[key], tensor))


def _weights(card: EncoderCard) -> Weights:
    if card.weights is None:
        raise EcgbenchError(f"{_where(card)}: weights: the card names none.")
    return card.weights


def _where(card: EncoderCard) -> str:
    return f"encoder card {card.path or card.name}"


def _places(card: EncoderCard, weights: Weights) -> list[Path]:
    """Where a file may lie, in this order; an absolute path lies in one place."""
    file = Path(os.path.expanduser(weights.file))  # noqa: PTH111 - Path.expanduser raises where there is no home
    folders = [card.path.parent] if card.path else []
    folders += [Path(os.environ[FOLDER_VARIABLE])] if os.environ.get(FOLDER_VARIABLE) else []
    return list(dict.fromkeys(folder / file for folder in folders)) or [file]


def _read(card: EncoderCard, path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            held = load_file(path)
        else:
            held = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle, zip and safetensors each raise their own for a damaged file
        detail = " ".join(str(error).split())[:160]
        raise EcgbenchError(f"{_where(card)}: weights.file: {path} cannot be read as weights: {detail}") from error
    if not isinstance(held, dict) or not all(isinstance(value, Tensor) for value in held.values()):
        raise EcgbenchError(
            f"{_where(card)}: weights.file: {path} holds no plain state dict: keys with a tensor each are wanted."
        )
    return held


def _refuse(card: EncoderCard, path: Path, what: str, keys: list[str]) -> None:
    if keys:
        more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
        raise EcgbenchError(
            f"{_where(card)}: weights.layout: {path} {what} key '{keys[0]}'{more}: it is not of this layout."
        )


def _fitted(card: EncoderCard, path: Path, key: str, tensor: Tensor, own: Tensor) -> Tensor:
    """The file's tensor in the module's shape: a one-dimensional kernel becomes one of height 1."""
    flat = tensor.dim() + 1 == own.dim() == 4 and own.shape[2] == 1
    fitted = tensor.unsqueeze(2) if flat else tensor
    if fitted.shape != own.shape:
        wanted = tuple(own.squeeze(2).shape if flat else own.shape)
        raise EcgbenchError(
            f"{_where(card)}: weights.layout: key '{key}' of {path} has shape {tuple(tensor.shape)}, {wanted} is wanted."
        )
    if not torch.isfinite(tensor).all():
        raise EcgbenchError(f"{_where(card)}: weights.file: key '{key}' of {path} holds NaN or infinity.")
    return fitted
