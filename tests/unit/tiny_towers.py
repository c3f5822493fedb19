"""A BERT, an XLM-RoBERTa and a ModernBERT of a few thousand random weights, saved as such towers lie on the hub. The Llama
is in `tiny_llama`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ecgbench.cards import PromptSet, TextCard
from ecgbench.catalogue import load_card
from ecgbench.findings import label_bank
from ecgbench.text.prompts import label_prompts
from tests.unit.tiny_llama import save_tiny_llama

BERT_WORDS = (
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "This", "this", "ECG", "shows", "af", "AF", ".", ",",
    *"abcdefghijklmnopqrstuvwxyz",
)  # fmt: skip


def save_tiny_bert(folder: Path) -> Path:
    """As Bio_ClinicalBERT: WordPiece with a cased vocabulary, no tokenizer settings, the weights as .bin."""
    import torch
    from transformers import BertConfig, BertForMaskedLM

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(BERT_WORDS) + "\n")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=39, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4,
        initializer_range=0.5,
    )  # fmt: skip
    config.save_pretrained(folder)
    torch.save(BertForMaskedLM(config).state_dict(), folder / "pytorch_model.bin")
    return folder


def save_tiny_xlmr(folder: Path) -> Path:
    """As multilingual-e5: SentencePiece's unigrams between <s> and </s>, padding with the number 1, and positions that are
    counted from 2."""
    import torch
    from transformers import XLMRobertaConfig, XLMRobertaModel

    words = save_unigrams(folder)
    settings = folder / "tokenizer_config.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "tokenizer_class": "XLMRobertaTokenizer"}))
    torch.manual_seed(0)
    config = XLMRobertaConfig(
        vocab_size=words, hidden_size=16, intermediate_size=32, num_hidden_layers=3,
        num_attention_heads=4, max_position_embeddings=130, type_vocab_size=1, initializer_range=0.5,
    )  # fmt: skip
    XLMRobertaModel(config).save_pretrained(folder)
    return folder


def save_tiny_modernbert(folder: Path) -> Path:
    """As ruri-v3: unigrams, rotary positions, and layers of two kinds, which see the whole sentence or its neighbourhood."""
    import torch
    from transformers import ModernBertConfig, ModernBertModel

    words = save_unigrams(folder)
    torch.manual_seed(0)
    config = ModernBertConfig(
        vocab_size=words, hidden_size=16, intermediate_size=32, num_hidden_layers=4, num_attention_heads=4,
        max_position_embeddings=130, local_attention=8, initializer_range=0.5,
        bos_token_id=0, cls_token_id=0, pad_token_id=1, eos_token_id=2, sep_token_id=2,
    )  # fmt: skip
    ModernBertModel(config).save_pretrained(folder)
    return folder


def save_unigrams(folder: Path) -> int:
    """A tokenizer of the kind SentencePiece makes, which knows the characters and the words of the label prompts; how many
    pieces it has. Not trained: tokenizers' trainer of unigrams gives others at each run."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    bank, paper = label_bank(), load_card(PromptSet, "paper")
    texts = [prompt.text for language in ("ja", "en") for prompt in label_prompts(paper, bank, language)]
    words = {f"▁{word}" for text in texts for word in text.split()}
    pieces = [
        *((piece, -10.0) for piece in sorted({"▁", *"".join(texts)} - {" "})),
        *((word, -9.0) for word in sorted(words)),
    ]
    special = [(piece, 0.0) for piece in ("<s>", "<pad>", "</s>", "<unk>")]
    tokenizer = Tokenizer(models.Unigram([*special, *pieces], unk_id=3))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", cls_token="<s>", sep_token="</s>",
        unk_token="<unk>", pad_token="<pad>",
    ).save_pretrained(folder)  # fmt: skip
    return int(tokenizer.get_vocab_size())


TOWERS: dict[str, Callable[[Path], Path]] = {
    "llama": save_tiny_llama, "bert": save_tiny_bert, "xlmr": save_tiny_xlmr, "modernbert": save_tiny_modernbert,
}  # fmt: skip
"""Each architecture of the cards."""


def tiny_card(which: str, **changed: Any) -> TextCard:
    """A card to read one of `TOWERS` with, in float32."""
    own = load_card(TextCard, "clinicalbert" if which == "bert" else "medllama3-jp")
    return own.model_copy(update={"pooling": "mean", "dtype": "float32", "dim": 16, **changed})
