"""Embedding packs: the round trip, and everything a pack is refused for."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecgbench.cards import PromptSet, TextCard
from ecgbench.catalogue import load_card
from ecgbench.errors import EcgbenchError
from ecgbench.findings import label_bank
from ecgbench.text import tower
from ecgbench.text.cache import tower_identity
from ecgbench.text.embed import check_available, embed_prompts
from ecgbench.text.pack import read_pack, write_pack
from ecgbench.text.prompts import joined_prompt, label_prompts
from ecgbench.text.vectorfile import read_vectors, write_vectors

CARD = load_card(TextCard, "medllama3-jp")
PAPER = load_card(PromptSet, "paper")
BANK = label_bank()
PROMPTS = label_prompts(PAPER, BANK, "ja")
IDENTITY = {**tower_identity(CARD, "EQUES/MedLLama3-JP-v2@" + "0" * 40), "dim": 4096}


@pytest.fixture(autouse=True)
def no_tower_and_no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the tower was opened")

    monkeypatch.setattr(tower, "open_tower", refuse)
    monkeypatch.setenv("ECGBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(98, 4096)).astype(np.float32)


@pytest.fixture
def pack(tmp_path: Path, vectors: np.ndarray) -> Path:
    path = tmp_path / "パック one.safetensors"
    write_pack(path, CARD, PROMPTS, vectors, IDENTITY, prompt_sets=[PAPER], languages=["ja"])
    return path


def test_round_trip_without_the_model(pack: Path, vectors: np.ndarray) -> None:
    check_available(CARD, pack=pack, prompts=PROMPTS)
    asked = [PROMPTS[7], PROMPTS[0], PROMPTS[7]]
    embedded = embed_prompts(CARD, asked, pack=pack)
    assert np.array_equal(embedded.vectors, vectors[[7, 0, 7]])
    assert embedded.identity == IDENTITY
    assert pack.stat().st_size < 2_000_000


def test_what_a_pack_says_of_itself(pack: Path, tmp_path: Path, vectors: np.ndarray) -> None:
    about = read_pack(pack, CARD).about
    assert about["tower"] == "medllama3-jp" and about["licence"] == "Meta Llama 3 Community License"
    assert about["prompt_sets"] == [{"name": "paper", "version": 1, "hash": PAPER.hash}]
    assert about["languages"] == ["ja"] and about["data_hash"] is None
    again = tmp_path / "again"
    write_pack(
        again, CARD, PROMPTS * 2, np.tile(vectors, (2, 1)), IDENTITY,
        prompt_sets=[PAPER], languages=["ja"], data_hash="d" * 64,
    )  # fmt: skip
    assert read_pack(again, CARD).about["data_hash"] == "d" * 64
    assert len(read_pack(again, CARD).texts) == 98


def test_equal_content_is_equal_bytes(pack: Path, tmp_path: Path, vectors: np.ndarray) -> None:
    other = tmp_path / "other"
    write_pack(other, CARD, PROMPTS[::-1], vectors[::-1], IDENTITY, prompt_sets=[PAPER], languages=["ja"])
    assert other.read_bytes() == pack.read_bytes()


def test_a_missing_prompt_is_named(pack: Path) -> None:
    joined = joined_prompt(PAPER, BANK, "ja", ["atrial-fibrillation", "sinus-tachycardia"])
    message = f"lacks the prompt '{joined.text}' and 1 more: it holds 98 prompts of paper 1 in ja"
    asked = [PROMPTS[0], joined, label_prompts(PAPER, BANK, "en")[0], joined]
    for call in (embed_prompts, lambda card, asked, pack: check_available(card, pack=pack, prompts=asked)):
        with pytest.raises(EcgbenchError, match=message):
            call(CARD, asked, pack=pack)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"pooling": "mean"},
            'was made with pooling "last_token", but text tower medllama3-jp has pooling "mean"',
        ),
        ({"dtype": "float32"}, 'was made with dtype "bfloat16"'),
        ({"prefix": "query: "}, 'was made with prefix ""'),
        ({"revision": "v2"}, 'was made with revision "main"'),
        ({"hub_id": "somebody/else"}, 'was made with hub_id "EQUES/MedLLama3-JP-v2"'),
        ({"max_tokens": 512}, "was made with max_tokens 8192"),
        ({"name": "swallow"}, 'was made with name "medllama3-jp", but text tower swallow'),
        ({"params": {"tokenizer": {"do_lower_case": True}}}, "was made with params {}"),
    ],
)
def test_other_settings_are_refused_naming_the_field(pack: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(EcgbenchError, match=message.replace("{", r"\{")):
        read_pack(pack, CARD.model_copy(update=change))


def test_a_layer_that_the_card_does_not_have_is_refused(pack: Path, vectors: np.ndarray) -> None:
    about, _ = read_vectors(pack)
    write_vectors(pack, vectors, {**about, "identity": {**about["identity"], "layer": "first"}})
    with pytest.raises(EcgbenchError, match='was made with layer "first"'):
        read_pack(pack, CARD)
    write_vectors(pack, vectors, {**about, "identity": {**about["identity"], "quantised": 4}})
    with pytest.raises(EcgbenchError, match=r"was made with quantised 4.*has quantised absent"):
        read_pack(pack, CARD)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "its format is 2, this version reads 1"),
        ({"identity": None}, "does not say which tower"),
        ({"identity": {**IDENTITY, "dim": 16}}, "its vectors are 4096 wide, but it says 16"),
        ({"prompts": None}, "does not list its prompts"),
        ({"prompts": ["a", "b"]}, "lists 2 distinct prompts for 98 vectors"),
        ({"prompts": ["a"] * 98}, "lists 1 distinct prompts for 98 vectors"),
        ({"languages": "ja"}, "does not list its languages"),
        ({"prompt_sets": [{}]}, "does not list its prompt sets"),
    ],
)
def test_a_description_of_another_form_is_refused(
    pack: Path, vectors: np.ndarray, change: dict[str, Any], message: str
) -> None:
    about, _ = read_vectors(pack)
    write_vectors(pack, vectors, {**about, **change})
    with pytest.raises(EcgbenchError, match=f"is not a sound embedding pack: .*{message}"):
        read_pack(pack, CARD)


def test_another_width_is_taken_only_from_a_model_of_the_user_s_own(tmp_path: Path, vectors: np.ndarray) -> None:
    narrow = vectors[:, :16]
    for weights in ("files:" + "0" * 64, IDENTITY["weights"]):
        identity = {**IDENTITY, "weights": weights, "dim": 16}
        write_pack(tmp_path / "p", CARD, PROMPTS, narrow, identity, prompt_sets=[PAPER], languages=["ja"])
        if weights.startswith("files:"):
            assert embed_prompts(CARD, PROMPTS, pack=tmp_path / "p").identity == identity
        else:
            with pytest.raises(EcgbenchError, match="was made with dim 16, but text tower medllama3-jp has dim 4096"):
                read_pack(tmp_path / "p", CARD)


def test_vectors_that_are_not_finite_are_refused(tmp_path: Path, vectors: np.ndarray) -> None:
    wrong = vectors.copy()
    wrong[3, 5] = np.inf
    write_pack(tmp_path / "p", CARD, PROMPTS, wrong, IDENTITY, prompt_sets=[PAPER], languages=["ja"])
    with pytest.raises(EcgbenchError, match="not finite"):
        read_pack(tmp_path / "p", CARD)


def _giant_header(content: bytes) -> bytes:
    return struct.pack("<Q", 2**62) + content[8:]


def _truncated(content: bytes) -> bytes:
    return content[:-1]


def _changed_vector(content: bytes) -> bytes:
    return content[:-2] + bytes([content[-2] ^ 64]) + content[-1:]


def _changed_prompt(content: bytes) -> bytes:
    return content.replace("心房細動を".encode(), "心房粗動を".encode(), 1)


def _pickle(content: bytes) -> bytes:
    return b"\x80\x04\x95" + content


def _other_safetensors(content: bytes) -> bytes:
    from safetensors.numpy import save

    return save({"weight": np.zeros(3, np.float32)})


def _nothing(content: bytes) -> bytes:
    return b""


@pytest.mark.parametrize(
    "spoil",
    [_giant_header, _truncated, _changed_vector, _changed_prompt, _pickle, _other_safetensors, _nothing],
)
def test_a_spoilt_file_is_refused(pack: Path, spoil: Any) -> None:
    pack.write_bytes(spoil(pack.read_bytes()))
    with pytest.raises(EcgbenchError, match="is not a sound embedding pack"):
        read_pack(pack, CARD)


def test_no_file_and_no_pack_at_all(tmp_path: Path) -> None:
    with pytest.raises(EcgbenchError, match="absent cannot be read: No such file"):
        read_pack(tmp_path / "absent", CARD)
    with pytest.raises(EcgbenchError, match=r"cannot be read|not a sound"):
        read_pack(tmp_path, CARD)


def test_what_cannot_be_combined(pack: Path, tmp_path: Path) -> None:
    with pytest.raises(EcgbenchError, match="--text-path and --text-pack were both given"):
        embed_prompts(CARD, PROMPTS, pack=pack, text_path=tmp_path)
    with pytest.raises(EcgbenchError, match="text tower random is computed in an instant"):
        embed_prompts(load_card(TextCard, "random"), PROMPTS, pack=pack)
