"""A Llama of a few thousand random weights, saved as the paper's tower lies on the hub."""

from __future__ import annotations

from pathlib import Path

from ecgbench.cards import PromptSet
from ecgbench.catalogue import load_card
from ecgbench.findings import label_bank
from ecgbench.text.prompts import label_prompts


def save_tiny_llama(folder: Path, hidden_size: int = 16, layers: int = 2) -> Path:
    """As MedLLama3 lies on the hub: bytes as tokens, a beginning token, no padding token, a head. Larger ones are for
    `tests/bench`."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    prompts = label_prompts(load_card(PromptSet, "paper"), label_bank(), "ja")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<begin>", "<end>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([prompt.text for prompt in prompts], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="<begin> $A", special_tokens=[("<begin>", 0)])
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<begin>", eos_token="<end>").save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=400, hidden_size=hidden_size, intermediate_size=2 * hidden_size, num_hidden_layers=layers,
        num_attention_heads=4, num_key_value_heads=2, initializer_range=0.5,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder
