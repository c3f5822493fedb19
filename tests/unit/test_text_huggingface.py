"""Hugging Face towers on tiny random checkpoints that these tests save themselves: a Llama and a BERT."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecgbench.cards import PromptSet, TextCard
from ecgbench.catalogue import load_card
from ecgbench.errors import EcgbenchError
from ecgbench.findings import label_bank
from ecgbench.text import tower as towers
from ecgbench.text.embed import check_available, embed_prompts
from ecgbench.text.huggingface import HuggingFaceTower
from ecgbench.text.pack import write_pack
from ecgbench.text.prompts import Prompt, label_prompts
from tests.unit.tiny_llama import save_tiny_llama
from tests.unit.tiny_towers import save_tiny_bert

PAPER = load_card(PromptSet, "paper")
BANK = label_bank()
MEDLLAMA = load_card(TextCard, "medllama3-jp")
FP32 = MEDLLAMA.model_copy(update={"dtype": "float32"})
BERT = load_card(TextCard, "clinicalbert")
PROMPTS = label_prompts(PAPER, BANK, "ja")
TEXTS = [Prompt(text, (text,)) for text in ("心電図", "心房細動、完全右脚ブロック、左軸偏位", "AF", "洞性頻脈")]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECGBENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_bert(tmp_path_factory.mktemp("bert"))


def _tower(card: TextCard, folder: Path) -> HuggingFaceTower:
    return HuggingFaceTower(card, text_path=folder, threads=1)


def test_the_whole_path_and_then_without_the_model(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    check_available(MEDLLAMA, text_path=llama)
    first = embed_prompts(MEDLLAMA, PROMPTS, text_path=llama)
    assert first.vectors.shape == (98, 16) and len(np.unique(first.vectors, axis=0)) == 98
    assert first.identity["dim"] == 16 and first.identity["weights"].startswith("files:")
    assert "is 16 wide, the card says 4096" in caplog.text
    pack = tmp_path / "pack.safetensors"
    write_pack(pack, MEDLLAMA, PROMPTS, first.vectors, first.identity, prompt_sets=[PAPER], languages=["ja"])

    monkeypatch.setattr(towers, "open_tower", lambda *_, **__: pytest.fail("the tower was opened"))
    for again in (
        embed_prompts(MEDLLAMA, PROMPTS, text_path=llama),
        embed_prompts(MEDLLAMA, PROMPTS, pack=pack),
    ):
        assert np.array_equal(again.vectors, first.vectors) and again.identity == first.identity


def test_a_model_of_the_hub_is_not_needed_again_once_its_prompts_are_cached(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    card = MEDLLAMA.model_copy(update={"dim": 16})
    repository = tmp_path / "hub" / "models--EQUES--MedLLama3-JP-v2"
    commit = "0123456789abcdef0123456789abcdef01234567"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    shutil.copytree(llama, repository / "snapshots" / commit)
    check_available(card)
    first = embed_prompts(card, PROMPTS)
    assert first.identity["weights"] == f"EQUES/MedLLama3-JP-v2@{commit}"

    shutil.rmtree(repository)
    again = embed_prompts(card, PROMPTS)
    assert np.array_equal(again.vectors, first.vectors) and again.identity == first.identity
    check_available(card, prompts=PROMPTS)
    for call in (
        lambda: check_available(card),
        lambda: check_available(card, prompts=[*PROMPTS, *TEXTS]),
        lambda: embed_prompts(card, [*PROMPTS, *TEXTS]),
    ):
        with pytest.raises(EcgbenchError, match="HF_HUB_OFFLINE is set"):
            call()


def test_torch_s_threads_are_given_back(llama: Path) -> None:
    import torch

    before = torch.get_num_threads()
    HuggingFaceTower(FP32, text_path=llama, threads=1).embed(TEXTS)
    assert torch.get_num_threads() == before


def test_the_prefix_and_the_casing_of_the_card_reach_the_model(llama: Path, bert: Path) -> None:
    prefixed = _tower(FP32.model_copy(update={"prefix": "query: "}), llama)
    by_hand = _tower(FP32, llama).embed([Prompt("query: 心房細動", ("af",))])
    assert np.array_equal(prefixed.embed([Prompt("心房細動", ("af",))]), by_hand)
    cased = _tower(BERT, bert)
    assert cased._tokens(["This AF"]) == [[2, 5, 10, 3]]
    lowered = _tower(BERT.model_copy(update={"params": {}}), bert)
    assert lowered._tokens(["This AF"]) == [[2, 6, 9, 3]]


def test_too_long_a_prompt_is_refused_not_cut(llama: Path) -> None:
    tower = _tower(FP32.model_copy(update={"max_tokens": 3}), llama)
    with pytest.raises(EcgbenchError, match="reads 1 to 3 tokens, but the prompt 'この心電図は"):
        tower.embed(PROMPTS[:1])


# Folders that must not be believed.


def _copy(folder: Path, target: Path) -> Path:
    shutil.copytree(folder, target)
    return target


def _refused(card: TextCard, folder: Path, message: str) -> None:
    with pytest.raises(EcgbenchError, match=message) as caught:
        embed_prompts(card, PROMPTS[:2], text_path=folder)
    assert f"text tower {card.name}" in str(caught.value) and "\n" not in str(caught.value)


def test_a_checkpoint_that_lacks_weights_is_never_filled_with_random_ones(llama: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    folder = _copy(llama, tmp_path / "m")
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    _refused(MEDLLAMA, folder, "cannot be loaded .*layers.1.mlp.up_proj.weight")


def test_weights_of_another_shape(llama: Path, tmp_path: Path) -> None:
    folder = _copy(llama, tmp_path / "m")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "intermediate_size": 48}))
    _refused(MEDLLAMA, folder, "cannot be loaded")


@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json", "config.json"])
@pytest.mark.parametrize("kept", [0.5, 0.0])
def test_truncated_files(llama: Path, tmp_path: Path, file: str, kept: float) -> None:
    folder = _copy(llama, tmp_path / "m")
    content = (folder / file).read_bytes()
    (folder / file).write_bytes(content[: int(len(content) * kept)])
    _refused(MEDLLAMA, folder, "cannot be loaded")


def test_a_bin_that_is_a_program_is_not_run(bert: Path, tmp_path: Path) -> None:
    import pickle

    class Program:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "ran",))

    folder = _copy(bert, tmp_path / "m")
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": Program()}, protocol=2))
    _refused(BERT, folder, "cannot be loaded")
    assert not (tmp_path / "ran").exists()


def test_a_model_of_the_hub_must_have_the_width_of_its_card(llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ecgbench.text.huggingface.fetch", lambda card, text_path: llama)
    with pytest.raises(EcgbenchError, match="is 16 wide, but its card says 4096"):
        HuggingFaceTower(MEDLLAMA)
