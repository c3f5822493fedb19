"""Towers of the Hugging Face hub: tokenizer and model from a folder, the last hidden layer, pooled to one
vector.

Nothing is downloaded here and no code of a repository is run; `weights.fetch` has found the folder before.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ecgbench.cards import TextCard
from ecgbench.errors import EcgbenchError
from ecgbench.quiet import quiet
from ecgbench.text.prompts import Prompt
from ecgbench.text.tower import refuse_unknown_params, texts_of
from ecgbench.text.weights import fetch

if TYPE_CHECKING:
    import torch

log = logging.getLogger("ecgbench.text")
# Tokens of a batch, padding counted: a few hundred MB of activations for a model of 8 billion parameters.
BATCH_TOKENS = 4096


class HuggingFaceTower:
    """A frozen language model. `dim` is the model's real width; on the accelerator where torch finds one.
    Card `params`: `tokenizer`, arguments for the tokenizer that its own files do not state."""

    def __init__(self, card: TextCard, *, text_path: Path | None = None, threads: int | None = None) -> None:
        import torch

        refuse_unknown_params(card, {"tokenizer"})
        folder = fetch(card, text_path)
        self.card = card
        self._threads = threads
        self._tokenizer = _load_tokenizer(card, folder)
        self._model = _load_model(card, folder)
        self.dim = int(self._model.config.hidden_size)
        if self.dim != card.dim:
            _other_width(card, text_path, self.dim)
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._model.to(self._device)

    def embed(self, prompts: Sequence[Prompt]) -> np.ndarray:
        """(n, dim) float32. Prompts of like length share a batch, padded on the right; what a vector owes to
        its neighbours is rounding (under 1e-5 in float32). A prompt longer than the card's `max_tokens` is
        refused, not cut."""
        import torch

        ids = self._tokens(texts_of(self.card, prompts))
        vectors = np.empty((len(ids), self.dim), np.float32)
        with _threads(self._threads), torch.inference_mode():
            for rows in _batches([len(row) for row in ids]):
                vectors[rows] = self._embed_batch([ids[row] for row in rows])
        return vectors

    def _tokens(self, texts: list[str]) -> list[list[int]]:
        """Token ids of each text, special tokens included, neither padded nor cut."""
        if not texts:
            return []
        with quiet():
            ids = self._tokenizer(texts, padding=False, truncation=False)["input_ids"]
        limit = self.card.max_tokens or 0
        for text, row in zip(texts, ids, strict=True):
            if not 0 < len(row) <= limit:
                raise EcgbenchError(
                    f"text tower {self.card.name} reads 1 to {limit} tokens, but the prompt "
                    f"'{text[:60]}' has {len(row)}: shorten it, or state single "
                    "findings (prompt: one or mean)."
                )
        return ids

    def _embed_batch(self, ids: list[list[int]]) -> np.ndarray:
        """(n, dim) float32 of one padded batch."""
        import torch

        lengths = torch.tensor([len(row) for row in ids])
        padded = torch.full((len(ids), int(lengths.max())), self._padding_id())
        for row, tokens in enumerate(ids):
            padded[row, : len(tokens)] = torch.tensor(tokens)
        mask = torch.lt(torch.arange(padded.shape[1])[None, :], lengths[:, None])
        hidden = self._model(
            input_ids=padded.to(self._device), attention_mask=mask.long().to(self._device)
        ).last_hidden_state
        return pool(hidden, mask.to(self._device), str(self.card.pooling)).cpu().numpy()

    def _padding_id(self) -> int:
        """Any id would do, since padding is masked; Llama's tokenizer has none of its own."""
        for token in (self._tokenizer.pad_token_id, self._tokenizer.eos_token_id):
            if token is not None:
                return int(token)
        return 0


def pool(hidden: torch.Tensor, mask: torch.Tensor, pooling: str) -> torch.Tensor:
    """(n, tokens, dim) -> (n, dim) float32. `mask` (n, tokens) is true for real tokens, which stand first.
    `mean` is over the real tokens, special ones included; `last_token` is the last real one; `cls` the
    first."""
    import torch

    hidden = hidden.float()
    if pooling == "cls":
        return hidden[:, 0]
    if pooling == "last_token":
        return hidden[torch.arange(len(hidden), device=hidden.device), mask.sum(dim=1) - 1]
    if pooling == "mean":
        kept = mask[:, :, None].to(hidden.dtype)
        return (hidden * kept).sum(dim=1) / kept.sum(dim=1)
    raise ValueError(f"pooling {pooling}")


def _batches(lengths: list[int]) -> Iterator[list[int]]:
    """Row numbers in batches of like length, each of at most BATCH_TOKENS tokens with its padding."""
    batch: list[int] = []
    for row in sorted(range(len(lengths)), key=lambda row: lengths[row]):
        if batch and (len(batch) + 1) * lengths[row] > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _load_tokenizer(card: TextCard, folder: Path) -> Any:
    from transformers import AutoTokenizer

    extra = card.params.get("tokenizer", {})
    try:
        with quiet():
            return AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False, **extra)
    except Exception as error:  # tokenizers raises bare Exception for a damaged file
        raise _not_loaded(card, folder, "tokenizer", error) from error


def _load_model(card: TextCard, folder: Path) -> Any:
    """The bare model in the card's dtype, every weight of it read from the folder."""
    import torch
    from transformers import AutoModel

    options = {"local_files_only": True, "trust_remote_code": False, "output_loading_info": True}
    try:
        with quiet():
            model, info = AutoModel.from_pretrained(str(folder), dtype=getattr(torch, card.dtype), **options)
    except Exception as error:  # safetensors, torch and transformers each raise their own for a damaged file
        raise _not_loaded(card, folder, "model", error) from error
    # What a folder lacks, transformers fills with random numbers. Only BERT's pooler is not used here.
    lacking = sorted(key for key in info["missing_keys"] if not key.startswith("pooler."))
    lacking += sorted(str(item[0]) for item in info["mismatched_keys"])
    if lacking or info["error_msgs"]:
        what = f"{len(lacking)} weights are not in its files, {lacking[0]} first" if lacking else info["error_msgs"][0]
        raise _not_loaded(card, folder, "model", ValueError(what))
    return model.eval().requires_grad_(False)


def _not_loaded(card: TextCard, folder: Path, what: str, error: Exception) -> EcgbenchError:
    detail = " ".join(str(error).split())[:300] or type(error).__name__
    return EcgbenchError(
        f"text tower {card.name}: the {what} in {folder} cannot be loaded ({detail}): "
        f"fetch {card.hub_id} again, or name another folder with --text-path."
    )


def _other_width(card: TextCard, text_path: Path | None, dim: int) -> None:
    """The user's own folder may hold a model of another width, and is told; the hub's own may not."""
    if text_path is None:
        raise EcgbenchError(
            f"text tower {card.name}: the model {card.hub_id} is {dim} wide, but its card says {card.dim}: "
            "correct dim on the card."
        )
    log.warning(
        "text tower %s: the model in %s is %d wide, the card says %d; its width is used and recorded",
        card.name, text_path, dim, card.dim,
    )  # fmt: skip


@contextmanager
def _threads(threads: int | None) -> Iterator[None]:
    """torch's CPU threads for the block; the process's own number afterwards."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
