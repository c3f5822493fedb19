"""What a tower cannot read or tell apart is told, once, with the labels named: on small tokenizers made here."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecgbench.cards import PromptSet, TextCard
from ecgbench.catalogue import load_card
from ecgbench.findings import label_bank
from ecgbench.text import tokenizer_checks as checks
from ecgbench.text.embed import embed_prompts
from ecgbench.text.prompts import Prompt, label_prompts, sentences_of
from ecgbench.text.tokenizer_checks import (
    token_warnings,
    tokenizer_warnings,
    tokens_per_prompt,
    vector_warnings,
    warn_once,
)

PAPER = load_card(PromptSet, "paper")
BANK = label_bank()
ENGLISH = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "this",
    "ecg",
    "shows",
    "atrial",
    "fibrillation",
    "flutter",
    "心",
]


def said(*names: str) -> list[Prompt]:
    return [Prompt(name, (name,)) for name in names]


@pytest.fixture(autouse=True)
def unsaid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECGBENCH_CACHE", str(tmp_path / "cache"))
    checks._told_already.clear()


@pytest.fixture(scope="module")
def wordpiece(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny BERT with an English vocabulary, in which one kanji of 心房細動 happens to be."""
    import torch
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("english")
    (folder / "vocab.txt").write_text("\n".join(ENGLISH) + "\n", encoding="utf-8")
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = BertConfig(vocab_size=len(ENGLISH), max_position_embeddings=64, **sizes)
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def tokenizer(wordpiece: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(wordpiece), local_files_only=True)


def test_an_english_vocabulary_makes_fibrillation_and_flutter_the_same(tokenizer: Any) -> None:
    prompts = said("心房細動", "心房粗動", "atrial fibrillation", "atrial flutter")
    unknown, same = tokenizer_warnings(tokenizer, prompts)
    assert unknown == "2 of 4 prompts hold something that the tokenizer does not know: 心房細動, 心房粗動"
    assert same == "2 prompts become the same tokens, so that the tower cannot tell them apart: 心房細動 = 心房粗動"
    assert tokenizer_warnings(tokenizer, prompts[2:]) == []
    assert tokenizer_warnings(tokenizer, []) == []


def test_sentences_are_named_by_their_findings(tokenizer: Any) -> None:
    prompts = [sentences_of(PAPER, "ja", names)[0] for names in (["心房細動"], ["心房粗動"], ["心房細動", "洞調律"])]
    unknown, same = tokenizer_warnings(tokenizer, prompts)
    assert unknown == (
        "3 of 3 prompts hold something that the tokenizer does not know: 心房細動, 心房粗動, 心房細動 + 洞調律"
    )
    assert same.endswith(": 心房細動 = 心房粗動")


def test_the_prefix_is_read_too(tokenizer: Any) -> None:
    assert tokens_per_prompt(tokenizer, said("atrial flutter", "this ECG shows atrial flutter")) == [4, 7]
    assert tokens_per_prompt(tokenizer, said("atrial flutter"), "this ecg shows ") == [7]
    (told,) = tokenizer_warnings(tokenizer, said("atrial flutter"), "query: ")
    assert "1 of 1 prompts holds something that the tokenizer does not know: atrial flutter" in told
    assert tokens_per_prompt(tokenizer, []) == []


def test_an_id_that_also_ends_every_prompt_is_not_taken_for_unknown_words() -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    plain = Tokenizer(models.WordLevel({"</s>": 0, "atrial": 1, "flutter": 2}, unk_token="</s>"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    plain.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 0)])
    old = PreTrainedTokenizerFast(tokenizer_object=plain, unk_token="</s>", eos_token="</s>")
    assert old("atrial flutter")["input_ids"] == [1, 2, 0]
    assert tokenizer_warnings(old, said("atrial flutter", "atrial")) == []
    assert "same tokens" in tokenizer_warnings(old, said("心房細動", "心房粗動"))[0]


def test_a_long_list_is_one_sentence() -> None:
    prompts = said(*[f"finding {i}" for i in range(98)], "x" * 100)
    unknown, same = token_warnings([[0, 1 + i % 33] for i in range(99)], 0, prompts)
    assert unknown.startswith("99 of 99 prompts hold") and unknown.endswith(
        ": finding 0, finding 1, finding 2 and 96 more"
    )
    assert same.startswith("99 prompts become") and same.endswith(
        "finding 0 = finding 33 = finding 66; finding 1 = finding 34 = finding 67; "
        "finding 2 = finding 35 = finding 68; and 30 groups more"
    )
    ((told),) = token_warnings([[5], [5]], None, [prompts[-1], prompts[0]])
    assert told.endswith(f": {'x' * 39}… = finding 0"), "a report in full would fill the screen"


def test_a_tokenizer_that_knows_everything_has_no_unknown_id() -> None:
    assert token_warnings([[1], [2]], None, said("a", "b")) == []
    assert token_warnings([[1], [2]], 0, said("a", "b")) == []


def test_the_same_names_are_one_thing_however_they_are_put() -> None:
    alike = [
        Prompt("ECG: Atrial Fibrillation", ("Atrial Fibrillation",)),
        Prompt("Atrial fibrillation is seen.", ("Atrial  fibrillation",)),
        Prompt("ＳＴ上昇、心房細動", ("ＳＴ上昇", "心房細動")),
        Prompt("心房細動とST上昇", ("心房細動", "ST上昇")),
    ]
    vectors = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], np.float32)
    assert vector_warnings(alike, vectors) == []
    assert token_warnings([[1], [1], [2], [2]], 1, alike) == [
        "1 of 2 prompts holds something that the tokenizer does not know: Atrial Fibrillation"
    ]


def test_identical_vectors_are_named() -> None:
    vectors = np.array([[1, 2, 3], [0, 1, 0], [2, 4, 6], [0, 0, 0], [0, 1e-7, 0], [0, 0, 0]], np.float32)
    (told,) = vector_warnings(said("a", "b", "c", "d", "e", "f"), vectors)
    assert told == "6 prompts have the same vector, so that no score can tell them apart: a = c; b = e; d = f"
    assert vector_warnings([], np.empty((0, 3), np.float32)) == []


def naive_groups(vectors: np.ndarray) -> set[frozenset[int]]:
    units = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-30)
    near = np.linalg.norm(units[:, None] - units[None], axis=2) <= checks.SAME
    return {frozenset(np.flatnonzero(row).tolist()) for row in near}


def test_the_same_directions_are_found_as_by_comparing_all_pairs() -> None:
    random = np.random.default_rng(0)
    for shift in (0, 10):  # 10: one large direction in common, as language models have
        base = random.standard_normal((60, 12)) + shift
        rows = np.concatenate(
            [base, 3 * base[:20], base[:9] + 1e-7, base[:5] * (1 + 1e-3 * random.standard_normal((5, 12)))]
        )
        vectors = random.permutation(rows).astype(np.float32)
        found: dict[int, set[int]] = {}
        for row, mark in enumerate(checks._directions(vectors)):
            found.setdefault(mark, set()).add(row)
        assert {frozenset(group) for group in found.values()} == naive_groups(vectors)


def test_many_vectors_take_seconds() -> None:
    """37,285 reports of one direction, or of as many: compared with the few beside it, not with all."""
    import time

    few = np.random.default_rng(0).standard_normal((20_000, 32)).astype(np.float32) + 5
    prompts = said(*map(str, range(len(few))))
    started = time.process_time()
    assert vector_warnings(prompts, few) == []
    assert vector_warnings(prompts, np.ones_like(few))[0].startswith("20000 prompts have the same vector")
    assert time.process_time() - started < 20


@pytest.fixture
def warned(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(logging.WARNING, "ecgbench.text")
    return lambda: [record.getMessage() for record in caplog.records]


def test_a_run_is_warned_when_it_embeds_and_again_from_the_cache(
    wordpiece: Path, warned: Callable[[], list[str]]
) -> None:
    card = load_card(TextCard, "minilm").model_copy(update={"dim": 16, "max_tokens": 64})
    prompts = [sentences_of(PAPER, "ja", [name])[0] for name in ("心房細動", "心房粗動")]
    vectors = embed_prompts(card, prompts, text_path=wordpiece).vectors
    assert np.allclose(vectors[0], vectors[1], atol=1e-6)
    first = warned()
    assert first == [
        "text tower minilm: 2 of 2 prompts hold something that the tokenizer does not know: 心房細動, 心房粗動",
        "text tower minilm: 2 prompts become the same tokens, so that the tower cannot tell them apart: 心房細動 = 心房粗動",
    ]
    embed_prompts(card, prompts, text_path=wordpiece)
    assert warned() == first, "each sentence once in the life of a process"
    checks._told_already.clear()
    embed_prompts(card, prompts, text_path=wordpiece)
    assert warned()[2:] == [
        "text tower minilm: 2 prompts have the same vector, so that no score can tell them apart: 心房細動 = 心房粗動"
    ], "from the cache no tokenizer is opened, but the vectors are looked at"


def test_towers_that_can_tell_labels_apart_are_silent(warned: Callable[[], list[str]]) -> None:
    for name in ("char-ngram", "random"):
        for language in ("ja", "en"):
            embed_prompts(load_card(TextCard, name), label_prompts(PAPER, BANK, language))
    assert warned() == []


def test_a_warning_names_its_tower(warned: Callable[[], list[str]]) -> None:
    warn_once("a", ["one", "two"])
    warn_once("b", ["one"])
    warn_once("a", ["two"])
    assert warned() == ["text tower a: one", "text tower a: two", "text tower b: one"]
