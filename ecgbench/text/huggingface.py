"""Towers of the Hugging Face hub: tokens through a language model, one of its hidden states pooled to one vector.

`loading` has put the model where it fits; `batches` finds how many prompts fit beside it.
"""

from __future__ import annotations

import logging
import shutil
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ecgbench.cards import TextCard
from ecgbench.errors import EcgbenchError
from ecgbench.quiet import quiet
from ecgbench.text.batches import budget, run_batches
from ecgbench.text.loading import load_model, load_tokenizer, make_plan
from ecgbench.text.memory import room_now
from ecgbench.text.pooling import Side, pad, pool, positions
from ecgbench.text.prompts import Prompt
from ecgbench.text.tokenizer_checks import tokenizer_warnings
from ecgbench.text.tower import refuse_unknown_params, texts_of
from ecgbench.text.weights import fetch

if TYPE_CHECKING:
    import torch

log = logging.getLogger("ecgbench.text")


class HuggingFaceTower:
    """A frozen language model. `dim` is the model's real width; `device` where it is run (`devices.DEVICES`). Card `params`:
    `tokenizer`, arguments for the tokenizer that its own files do not state.

    `padding` is the side on which shorter prompts of a batch are filled up; vectors are the same for both. What a vector
    owes to its neighbours in the batch, and to the batch's size, is rounding: under 1e-5 in float32.
    """

    def __init__(
        self,
        card: TextCard,
        *,
        text_path: Path | None = None,
        device: str = "auto",
        threads: int | None = None,
        padding: Side = "right",
    ) -> None:
        refuse_unknown_params(card, {"tokenizer"})
        folder = fetch(card, text_path)
        self.card = card
        self._threads, self._padding = threads, padding
        self._plan = make_plan(card, folder, device)
        self._tokenizer = load_tokenizer(card, folder)
        self._end = _end_of_sequence(card, self._tokenizer)
        loaded = load_model(card, folder, self._plan)
        self._model, self._device = loaded.model, loaded.device
        if loaded.offload is not None:
            weakref.finalize(self, shutil.rmtree, loaded.offload, ignore_errors=True)
        self.dim = int(self._model.config.hidden_size)
        if self.dim != card.dim:
            _other_width(card, text_path, self.dim)
        self._first_position, self._limit = _position_range(card, self._model)
        self._batch_tokens = self._first_budget()

    def embed(self, prompts: Sequence[Prompt]) -> np.ndarray:
        """(n, dim) float32. Prompts of like length share a batch, as large as memory allows. A prompt longer than the card's
        `max_tokens`, or than the model has positions, is refused, not cut."""
        import torch

        ids = self._tokens(texts_of(self.card, prompts))
        vectors = np.empty((len(ids), self.dim), np.float32)

        def work(rows: list[int]) -> None:
            vectors[rows] = self._embed_batch([ids[row] for row in rows])

        if ids:
            with _threads(self._threads), torch.inference_mode():
                lengths = [len(row) for row in ids]
                self._batch_tokens = run_batches(self.card.name, lengths, self._batch_tokens, work)
        return vectors

    def token_warnings(self, prompts: Sequence[Prompt]) -> list[str]:
        """What its tokenizer does not know, or makes the same of different prompts, a sentence each."""
        return tokenizer_warnings(self._tokenizer, prompts, self.card.prefix)

    def _first_budget(self) -> int:
        return budget(room_now().least(self._plan.places.values()), self._plan.need.per_token)

    def _tokens(self, texts: list[str]) -> list[list[int]]:
        """Token ids of each text, special tokens included, neither padded nor cut."""
        if not texts:
            return []
        with quiet():
            ids: list[list[int]] = self._tokenizer(texts, padding=False, truncation=False)["input_ids"]
        if self._end is not None:
            ids = [row if row[-1:] == [self._end] else [*row, self._end] for row in ids]
        for text, row in zip(texts, ids, strict=True):
            if not 0 < len(row) <= self._limit:
                raise EcgbenchError(
                    f"text tower {self.card.name} reads 1 to {self._limit} tokens, but the prompt "
                    f"'{text[:60]}' has {len(row)}: shorten it, or state single "
                    "findings (prompt: one or mean)."
                )
        return ids

    def _embed_batch(self, ids: list[list[int]]) -> np.ndarray:
        """(n, dim) float32 of one padded batch."""
        import torch

        padded, mask = pad(ids, self._padding_id(), self._padding)
        vectors = pool(self._hidden(padded, mask), mask.to(self._device), str(self.card.pooling))
        if self.card.normalise:
            vectors = torch.nn.functional.normalize(vectors, dim=1)
        return vectors.cpu().numpy()

    def _hidden(self, padded: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """(n, tokens, dim), the wanted hidden state of token ids (n, tokens)."""
        asked: dict[str, Any] = {
            "input_ids": padded.to(self._device), "attention_mask": mask.long().to(self._device)
        }  # fmt: skip
        if self._padding == "left":  # on the right every model counts right by itself
            asked["position_ids"] = (positions(mask) + self._first_position).to(self._device)
        state = self._plan.hidden_state
        if state is not None:  # only this one is kept where transformers can tell them apart, else all
            asked["output_hidden_states"] = [state]
        try:
            output = self._model(**asked)
        except NotImplementedError as error:  # torch's, for a part that accelerate's hooks do not see (DeBERTa's)
            if self._plan.chosen not in ("spread", "disk"):
                raise
            raise EcgbenchError(
                f"text tower {self.card.name}: a part of this model works in one memory alone ({error}): type "
                "--text-device cpu or cuda."
            ) from error
        hidden: torch.Tensor = output.last_hidden_state if state is None else output.hidden_states[state]
        return hidden.to(self._device)

    def _padding_id(self) -> int:
        """Any id would do, since padding is masked, but that BERT's relatives count positions by it; Llama's tokenizer has
        none of its own."""
        for token in (self._tokenizer.pad_token_id, self._tokenizer.eos_token_id):
            if token is not None:
                return int(token)
        return 0


def _end_of_sequence(card: TextCard, tokenizer: Any) -> int | None:
    """The id that every prompt must end in, None where the pooling does not ask for one."""
    if card.pooling != "eos":
        return None
    if tokenizer.eos_token_id is None:
        raise EcgbenchError(
            f"text tower {card.name}: its tokenizer has no end-of-sequence token for pooling eos: write "
            f"{card.name.split('+')[0]}+pooling=last_token (the last token whatever it is), mean or cls."
        )
    return int(tokenizer.eos_token_id)


def _position_range(card: TextCard, model: Any) -> tuple[int, int]:
    """The position of a prompt's first token, and how many tokens it may have. A table of positions that keeps a row for
    padding (XLM-R's) counts from the row after it."""
    table = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    padding_row = getattr(table, "padding_idx", None)
    first = 0 if padding_row is None else int(padding_row) + 1
    has = getattr(model.config, "max_position_embeddings", None)
    most = int(card.max_tokens or 0)
    return first, most if has is None else min(most, int(has) - first)


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
