"""Pooling and padding: each against a loop over tokens, and on tiny models of each architecture of the cards, padded on
either side, against one prompt at a time by transformers alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecgbench.cards import PromptSet
from ecgbench.catalogue import load_card
from ecgbench.errors import EcgbenchError
from ecgbench.findings import label_bank
from ecgbench.text.huggingface import HuggingFaceTower
from ecgbench.text.pooling import Side, pad, pool, positions
from ecgbench.text.prompts import Prompt, joined_prompt, label_prompts
from tests.unit.tiny_towers import TOWERS, tiny_card

POOLINGS = ("last_token", "mean", "weighted_mean", "eos", "cls")
BANK, PAPER = label_bank(), load_card(PromptSet, "paper")
# The tokenizers' own closing tokens: Llama's has one that it does not write, BERT's none of that name.
END = {"llama": 1, "xlmr": 2, "modernbert": 2}


def naive(tokens: np.ndarray, pooling: str) -> np.ndarray:
    """(tokens, dim) of one prompt -> (dim,)."""
    if pooling == "cls":
        return tokens[0]
    if pooling in ("last_token", "eos"):
        return tokens[-1]
    total, weights = np.zeros(tokens.shape[1]), 0.0
    for place, token in enumerate(tokens, start=1):
        weight = float(place) if pooling == "weighted_mean" else 1.0
        total, weights = total + weight * token, weights + weight
    return total / weights


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 7), min_size=1, max_size=5),
    side=st.sampled_from(["right", "left"]),
    pooling=st.sampled_from(POOLINGS),
    seed=st.integers(0, 999),
)
def test_pool_is_the_loop_whatever_stands_in_the_padding(
    lengths: list[int], side: Side, pooling: str, seed: int
) -> None:
    import torch

    rows = [np.random.default_rng(seed + i).standard_normal((n, 3)).astype(np.float32) for i, n in enumerate(lengths)]
    _, mask = pad([[1] * n for n in lengths], 0, side)
    hidden = torch.full((*mask.shape, 3), float("nan"))
    hidden[mask] = torch.tensor(np.concatenate(rows))
    expected = np.stack([naive(row.astype(np.float64), pooling) for row in rows])
    np.testing.assert_allclose(pool(hidden, mask, pooling).numpy(), expected, atol=1e-6)


def test_padding_and_positions_on_either_side() -> None:
    ids = [[5, 6, 7], [8]]
    for side, padded, places in (
        ("right", [[5, 6, 7], [8, 9, 9]], [[0, 1, 2], [0, 0, 0]]),
        ("left", [[5, 6, 7], [9, 9, 8]], [[0, 1, 2], [0, 0, 0]]),
    ):
        made, mask = pad(ids, 9, side)  # type: ignore[arg-type]
        assert made.tolist() == padded
        assert [row[own].tolist() for row, own in zip(made, mask, strict=True)] == ids
        assert positions(mask).tolist() == places


def test_an_unknown_pooling_is_a_fault_of_the_program() -> None:
    import torch

    with pytest.raises(ValueError, match="pooling middle"):
        pool(torch.zeros(1, 1, 1), torch.ones(1, 1, dtype=torch.bool), "middle")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: save(tmp_path_factory.mktemp("towers") / name) for name, save in TOWERS.items()}


def prompts_of(which: str) -> list[Prompt]:
    """Prompts of very different lengths, Japanese where the tokenizer knows it."""
    japanese = [] if which == "bert" else label_prompts(PAPER, BANK, "ja")[:8]
    return [*label_prompts(PAPER, BANK, "en")[:8], *japanese, joined_prompt(PAPER, BANK, "en", BANK.ids[:3])]


def alone(folder: Path, which: str, text: str, pooling: str) -> np.ndarray:
    """(dim,) of one prompt by transformers and the loop."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    ids = AutoTokenizer.from_pretrained(folder, do_lower_case=False)(text)["input_ids"]
    if pooling == "eos" and ids[-1] != END[which]:
        ids = [*ids, END[which]]
    with torch.no_grad():
        hidden = AutoModel.from_pretrained(folder).eval()(torch.tensor([ids])).last_hidden_state[0]
    return naive(hidden.double().numpy(), pooling)


CASES = [(which, pooling) for which in TOWERS for pooling in POOLINGS if (which, pooling) != ("bert", "eos")]


@pytest.mark.parametrize(("which", "pooling"), CASES)
def test_a_batch_padded_on_either_side_equals_one_prompt_at_a_time(
    folders: dict[str, Path], which: str, pooling: str
) -> None:
    folder, prompts, card = folders[which], prompts_of(which), tiny_card(which, pooling=pooling)
    right, left = (HuggingFaceTower(card, text_path=folder, threads=1, padding=side) for side in ("right", "left"))
    vectors = right.embed(prompts)
    single = np.concatenate([right.embed([prompt]) for prompt in prompts])
    np.testing.assert_allclose(vectors, single, atol=1e-5)
    np.testing.assert_allclose(left.embed(prompts), single, atol=1e-5)
    for row in (0, len(prompts) - 1):
        np.testing.assert_allclose(vectors[row], alone(folder, which, prompts[row].text, pooling), atol=1e-5)
    if (which, pooling) != ("llama", "cls"):  # whose first token has seen nothing of what follows
        assert np.abs(np.diff(vectors, axis=0)).max() > 0.05


def test_poolings_differ_and_eos_is_what_the_tokenizer_did_not_write(folders: dict[str, Path]) -> None:
    prompt = prompts_of("llama")[:1]
    vectors = [
        HuggingFaceTower(tiny_card("llama", pooling=each), text_path=folders["llama"]).embed(prompt)[0]
        for each in POOLINGS
    ]
    assert len(np.unique(np.round(vectors, 4), axis=0)) == len(POOLINGS)
    same = [
        HuggingFaceTower(tiny_card("xlmr", pooling=each), text_path=folders["xlmr"]).embed(prompt)
        for each in ("eos", "last_token")
    ]
    assert np.array_equal(same[0], same[1])  # XLM-R's tokenizer writes it


def test_eos_counts_as_a_token_and_needs_one(folders: dict[str, Path]) -> None:
    card = tiny_card("llama", pooling="eos")
    tokens = len(HuggingFaceTower(card, text_path=folders["llama"])._tokens(["AF"])[0])
    card = card.model_copy(update={"max_tokens": tokens - 1})
    with pytest.raises(EcgbenchError, match=f"reads 1 to {tokens - 1} tokens, but the prompt 'AF' has {tokens}"):
        HuggingFaceTower(card, text_path=folders["llama"]).embed([Prompt("AF", ("af",))])
    with pytest.raises(EcgbenchError, match=r"no end-of-sequence token .*clinicalbert\+pooling=last_token"):
        HuggingFaceTower(tiny_card("bert", pooling="eos"), text_path=folders["bert"])


def test_normalised_vectors_have_length_one_and_the_same_direction(folders: dict[str, Path]) -> None:
    prompts = prompts_of("llama")
    plain = HuggingFaceTower(tiny_card("llama", pooling="mean"), text_path=folders["llama"]).embed(prompts)
    unit = HuggingFaceTower(tiny_card("llama", pooling="mean", normalise=True), text_path=folders["llama"]).embed(
        prompts
    )
    lengths = np.linalg.norm(plain, axis=1)
    assert np.ptp(lengths) > 0.01
    np.testing.assert_allclose(unit, plain / lengths[:, None], atol=1e-6)


def test_a_prompt_longer_than_the_model_s_positions_is_refused_whatever_the_card_says(folders: dict[str, Path]) -> None:
    tower = HuggingFaceTower(
        tiny_card("xlmr", pooling="mean"), text_path=folders["xlmr"]
    )  # 130 positions, of which 2 are padding's
    with pytest.raises(EcgbenchError, match="reads 1 to 128 tokens"):
        tower.embed([joined_prompt(PAPER, BANK, "en", BANK.ids[:40])])
