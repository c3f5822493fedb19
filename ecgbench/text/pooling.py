"""Rows of tokens to a rectangle, and hidden states to one vector a row; on whichever side the rectangle is padded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

Side = Literal["right", "left"]


def pad(ids: list[list[int]], padding_id: int, side: Side) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids (n, tokens) int64 with `padding_id` before or after each row's own, and the mask (n, tokens) bool that is
    true for a row's own."""
    import torch

    width = max(map(len, ids))
    padded = torch.full((len(ids), width), padding_id)
    mask = torch.zeros((len(ids), width), dtype=torch.bool)
    for row, tokens in enumerate(ids):
        own = slice(0, len(tokens)) if side == "right" else slice(width - len(tokens), width)
        padded[row, own] = torch.tensor(tokens)
        mask[row, own] = True
    return padded, mask


def positions(mask: torch.Tensor) -> torch.Tensor:
    """(n, tokens) int64: how many of a row's own tokens stand before each; 0 where there is padding before them."""
    return (mask.long().cumsum(dim=1) - 1).clamp(min=0)


def pool(hidden: torch.Tensor, mask: torch.Tensor, pooling: str) -> torch.Tensor:
    """(n, tokens, dim) -> (n, dim) float32. `mask` (n, tokens) is true for a row's own tokens, which stand together; what
    stands elsewhere may be anything, NaN too.

    `cls` is the first own token; `last_token` the last; `eos` the last, of rows that end in an end-of-sequence token;
    `mean` over all of them, special ones included; `weighted_mean` the same with the weights 1, 2, …, n, so that later
    tokens of a causal model, which have seen more, count for more (SGPT: Muennighoff 2022, arXiv:2202.08904).
    """
    import torch

    hidden = hidden.float()
    rows = torch.arange(len(hidden), device=hidden.device)
    if pooling == "cls":
        return hidden[rows, mask.long().argmax(dim=1)]
    if pooling in ("last_token", "eos"):
        return hidden[rows, mask.shape[1] - 1 - mask.long().flip(1).argmax(dim=1)]
    if pooling in ("mean", "weighted_mean"):
        weights = mask.to(hidden.dtype)
        if pooling == "weighted_mean":
            weights = weights * weights.cumsum(dim=1)
        own = hidden.masked_fill(~mask[:, :, None], 0.0)
        return (own * weights[:, :, None]).sum(dim=1) / weights.sum(dim=1, keepdim=True)
    raise ValueError(f"pooling {pooling}")
