"""`hf:ID`: a transformer of the Hugging Face hub that takes a signal, with its published weights.

ID is a folder, or the name of a model in the local Hugging Face cache; nothing is downloaded here, and no code of a repository
is run. Two ways of feeding, by what the model takes:

- a waveform (batch, time): the leads one after another, as HuBERT-ECG (Coppola et al. 2024) does;
- a multivariate series (batch, time, channels): the leads are the channels, and the window is the model's own.

The vector is the mean of the last layer's tokens. Models that take anything else are refused.
"""

from __future__ import annotations

import importlib.metadata
import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ecgbench.cards import InputContract, NamedEncoderCard
from ecgbench.ecg.recording import LEADS
from ecgbench.errors import EcgbenchError
from ecgbench.files import hash_file, hash_of
from ecgbench.quiet import quiet

WAVEFORM = frozenset({"data2vec-audio", "hubert", "sew", "unispeech", "unispeech-sat", "wav2vec2", "wavlm"})
SERIES = frozenset({"patchtsmixer", "patchtst"})
WAVEFORM_RATES = (100, 500)
SECONDS = 10

# What these models do only while training, and which leaves some parameters without a gradient in some steps.
PLAIN_TRAINING = {"layerdrop": 0.0, "apply_spec_augment": False, "do_mask_input": False}


class HuggingFaceSignal(nn.Module):
    """(batch, leads, samples) -> (batch, the model's width). `model`: a folder, or a name in the local cache. `files`: the
    hash of its config and weights, as `ecgbench show hf:ID` prints it, which it is held to."""

    def __init__(self, *, leads: int, samples: int, rate: int, model: str, files: str) -> None:
        super().__init__()
        folder = _folder(model)
        found = _hash(model, folder)
        if found != files:
            raise EcgbenchError(
                f"encoder hf:{model}: the files in {folder} have the hash {found}, the card says {files}."
            )
        config = _config(model, folder)
        self.waveform = config.model_type in WAVEFORM
        for key, value in PLAIN_TRAINING.items():
            if hasattr(config, key):
                setattr(config, key, value)
        self.model = _loaded(model, folder, config)
        for name, parameter in self.model.named_parameters():
            if name.endswith("masked_spec_embed"):  # stands for masked time steps only
                parameter.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        if self.waveform:
            tokens = self.model(input_values=x.flatten(1)).last_hidden_state
        else:
            tokens = self.model(past_values=x.transpose(1, 2)).last_hidden_state
        return tokens.flatten(1, -2).mean(1)


def huggingface_card(name: str) -> NamedEncoderCard:
    """The card of `hf:ID`. Its hash covers the config and the weights of the model, and transformers' version."""
    model = name.partition(":")[2]
    folder = _folder(model)
    config = _config(model, folder)
    kind = config.model_type
    return NamedEncoderCard(
        name=name,
        summary=f"{Path(model).name}, a {kind} model, with its published weights",
        entry_point="ecgbench.encoders.huggingface:HuggingFaceSignal",
        params={"model": model, "files": _hash(model, folder)},
        library=f"transformers {importlib.metadata.version('transformers')}",
        dim=int(config.hidden_size if kind in WAVEFORM else config.d_model),
        input=_input(WAVEFORM_RATES, SECONDS) if kind in WAVEFORM else _series_input(name, config),
        licence=None,
        reference=None if Path(model).is_dir() else f"https://huggingface.co/{model}",
        notes="The rate and scaling are the toolkit's choice, the config does not state them: a card of your own may say more.",
    )


def _input(rates: tuple[int, ...], seconds: float) -> InputContract:
    return InputContract.model_validate(
        {"leads": LEADS, "rates": rates, "seconds": seconds, "unit": "mV", "normalisation": "zscore-record",
         "missing_lead": "zero"}
    )  # fmt: skip


def _series_input(name: str, config: Any) -> InputContract:
    """The leads as channels; the lowest rate at which the model's window is 10 s or less."""
    channels, window = config.num_input_channels, config.context_length
    if channels != len(LEADS):
        raise EcgbenchError(
            f"encoder {name}: the model takes {channels} channels, an ECG has {len(LEADS)} leads: which leads they are is "
            "missing, say it on a card of your own (docs/encoders.md)."
        )
    rate = next((rate for rate in WAVEFORM_RATES if window <= SECONDS * rate), None)
    if rate is None:
        raise EcgbenchError(
            f"encoder {name}: the model takes {window} samples, more than {SECONDS} s at {WAVEFORM_RATES[-1]} Hz have."
        )
    return _input((rate,), window / rate)


def _folder(model: str) -> Path:
    """The folder itself, or the model's snapshot in the local cache."""
    from huggingface_hub import snapshot_download

    if not model:
        raise EcgbenchError("encoder hf: names no model: write hf:FOLDER, or hf:NAME as on the Hugging Face hub.")
    folder = Path(os.path.expanduser(model))  # noqa: PTH111 - Path.expanduser raises where there is no home
    if not folder.is_dir():
        try:
            folder = Path(snapshot_download(model, local_files_only=True))
        except Exception:  # no such name, or not in the cache: the hub's client has an error for each
            raise EcgbenchError(
                f"encoder hf:{model}: there is no folder '{model}', and the local Hugging Face cache has no such model: fetch it "
                f"with `hf download {model}`, or write hf:FOLDER with the folder that `save_pretrained` wrote."
            ) from None
    if not (folder / "config.json").is_file():
        raise EcgbenchError(f"encoder hf:{model}: {folder} holds no config.json: name a folder with a whole model.")
    return folder


def _hash(model: str, folder: Path) -> str:
    """Of what decides the model: its config and its weights."""
    weights = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("pytorch_model*.bin"))
    if not weights:
        raise EcgbenchError(f"encoder hf:{model}: {folder} holds no weights: a file *.safetensors is missing.")
    return hash_of([[path.name, hash_file(path)] for path in (folder / "config.json", *weights)])


def _config(model: str, folder: Path) -> Any:
    """The model's config, if it is of a kind that can be fed with a signal."""
    from transformers import AutoConfig

    try:
        config = AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except Exception as error:  # a damaged file, an unknown architecture, code of its own
        detail = " ".join(str(error).split())
        if "trust_remote_code" in detail:
            detail = "it needs code from its repository, which is never run"
        raise EcgbenchError(f"encoder hf:{model}: its config cannot be used: {detail[:200]}") from error
    if config.model_type not in WAVEFORM | SERIES:
        known = ", ".join(sorted(WAVEFORM | SERIES))
        raise EcgbenchError(
            f"encoder hf:{model}: a {config.model_type} model takes {_main_input(config)}, and how an ECG would become that is "
            f"missing: models of the kinds {known} can be fed."
        )
    return config


def _main_input(config: Any) -> str:
    from transformers import MODEL_MAPPING

    try:
        model: Any = MODEL_MAPPING[type(config)]
        return str(model.main_input_name)
    except (KeyError, AttributeError):
        return "no known input"


def _loaded(model: str, folder: Path, config: Any) -> nn.Module:
    """The bare model, every weight of it read from the folder."""
    from transformers import AutoModel

    try:
        with quiet():
            loaded, info = AutoModel.from_pretrained(
                str(folder), config=config, dtype=torch.float32, local_files_only=True, trust_remote_code=False,
                output_loading_info=True,
            )  # fmt: skip
    except Exception as error:
        detail = " ".join(str(error).split())[:200]
        raise EcgbenchError(f"encoder hf:{model}: the weights in {folder} cannot be loaded: {detail}") from error
    lacking = sorted(info["missing_keys"]) + sorted(str(item[0]) for item in info["mismatched_keys"])
    if lacking:
        more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        raise EcgbenchError(f"encoder hf:{model}: the weights in {folder} lack '{lacking[0]}'{more}.")
    module: nn.Module = loaded
    return module
