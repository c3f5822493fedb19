"""`ecgbench run --text medllama3-jp`, whole: by a folder of weights (`--text-path`), and by an embedding pack."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ecgbench.cards import PromptSet, TaskCard, TextCard
from ecgbench.catalogue import load_card
from ecgbench.errors import EcgbenchError
from ecgbench.findings import label_bank
from ecgbench.pipeline.request import DEFAULT_TASKS
from ecgbench.pipeline.run import run
from ecgbench.text.embed import embed_prompts
from ecgbench.text.pack import write_pack
from ecgbench.text.prompts import Prompt, class_prompts, label_prompts
from tests.unit.tiny_llama import save_tiny_llama

ASKED = {"encoder": "pooled", "text": "medllama3-jp", "data": "tiny", "epochs": 1}
CARD = load_card(TextCard, "medllama3-jp")


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_llama(tmp_path_factory.mktemp("llama"))


def sentences() -> list[Prompt]:
    prompt_set, bank = load_card(PromptSet, "paper"), label_bank()
    found = label_prompts(prompt_set, bank, "ja")
    for task in DEFAULT_TASKS[1:]:
        asked = class_prompts(load_card(TaskCard, task), prompt_set, bank, "ja", "paper")
        found += [prompt for said in asked for prompt in said]
    return found


def test_weights_in_a_folder(llama: Path, overlay: Path, tmp_path: Path) -> None:
    result = run(out=tmp_path, text_path=llama, **ASKED)
    assert result.text.name == "medllama3-jp" and set(result.tasks) == set(DEFAULT_TASKS)
    assert result.text.identity["dim"] == 16 and result.text.identity["pooling"] == "last_token"
    assert str(llama) not in (tmp_path / result.run_id / "result.json").read_text(encoding="utf-8")


def test_a_pack_stands_in_for_the_weights(llama: Path, overlay: Path, tmp_path: Path) -> None:
    """Same tower, same vectors: the run by pack is the run by weights."""
    prompts = sentences()
    embedded = embed_prompts(CARD, prompts, text_path=llama)
    pack = tmp_path / "medllama.safetensors"
    write_pack(
        pack,
        CARD,
        prompts,
        embedded.vectors,
        embedded.identity,
        prompt_sets=[load_card(PromptSet, "paper")],
        languages=["ja"],
    )
    by_weights = run(out=tmp_path / "a", text_path=llama, **ASKED)
    by_pack = run(out=tmp_path / "b", text_pack=pack, **ASKED)
    assert by_pack.run_id == by_weights.run_id and by_pack.tasks == by_weights.tasks


def test_a_pack_that_lacks_a_sentence_or_is_of_another_tower_is_refused(
    llama: Path, overlay: Path, tmp_path: Path
) -> None:
    prompts = sentences()
    embedded = embed_prompts(CARD, prompts, text_path=llama)
    pack = tmp_path / "short.safetensors"
    write_pack(
        pack,
        CARD,
        prompts[:1] + prompts[2:],
        np.delete(embedded.vectors, 1, axis=0),
        embedded.identity,
        prompt_sets=[load_card(PromptSet, "paper")],
        languages=["ja"],
    )
    with pytest.raises(EcgbenchError, match="上室期外収縮のショートラン"):
        run(out=tmp_path / "runs", text_pack=pack, **ASKED)
    with pytest.raises(EcgbenchError, match="EQUES/MedLLama3-JP-v2"):
        run(out=tmp_path / "runs", text_pack=pack, **{**ASKED, "text": "swallow"})
    assert not (tmp_path / "runs").exists()


def test_a_folder_without_weights_is_named(overlay: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(EcgbenchError, match=r"config\.json"):
        run(out=tmp_path / "runs", text_path=tmp_path / "empty", **ASKED)
