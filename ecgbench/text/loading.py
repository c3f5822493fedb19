"""A tokenizer and a model from a folder: refused before a weight is read where they do not fit, never filled with random
weights, and no code of the folder run.

Nothing is downloaded here; `weights.fetch` has found the folder before.
"""

from __future__ import annotations

import inspect
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecgbench.cards import TextCard
from ecgbench.errors import EcgbenchError
from ecgbench.files import cache_folder
from ecgbench.quiet import quiet
from ecgbench.text.memory import Need, Room, gigabytes, need_of, room_now, stated_need
from ecgbench.text.placement import DeviceMap, choose, device_map
from ecgbench.text.weights import local_folder


@dataclass(frozen=True)
class Plan:
    """How a model will be loaded: its configuration, cut to the layers that are used, and `options` of its class; the hidden
    state that is wanted, None for the last after the final normalisation; what it needs and what is free; and where its parts
    go."""

    config: Any
    options: dict[str, Any]
    hidden_state: int | None
    need: Need
    room: Room
    chosen: str
    places: DeviceMap


@dataclass(frozen=True)
class Loaded:
    """`model` frozen and in evaluation mode; `device` is where its input goes; `offload` a folder to be removed with it."""

    model: Any
    device: Any
    offload: Path | None


def check_fits(card: TextCard, text_path: Path | None, device: str) -> None:
    """EcgbenchError within seconds where the tower's model does not fit on `device`, or that is absent. Of a model that is
    not on this machine yet, what its card states of its size is looked at."""
    folder = local_folder(card, text_path)
    if folder is not None:
        make_plan(card, folder, device)
    elif need := stated_need(card):
        choose(card, device, need, room_now())


def make_plan(card: TextCard, folder: Path, device: str) -> Plan:
    """Build the model without memory (on torch's meta device) and compare what it needs with what is free."""
    config = _load_config(card, folder)
    hidden_state = _wanted_layers(card, config)
    with _refusing(card, folder, "model"):
        empty = _empty_model(card, config)
        # BERT's pooler is not used here, and many checkpoints lack it.
        takes = inspect.signature(type(empty).__init__).parameters
        options = {"add_pooling_layer": False} if "add_pooling_layer" in takes else {}
        empty = _empty_model(card, config, **options) if options else empty
    need, room = need_of(card, empty, config), room_now()
    chosen = choose(card, device, need, room)
    places: DeviceMap = {"": chosen}
    if chosen in ("spread", "disk"):
        places = device_map(card, chosen, empty, need, room)
    return Plan(config, options, hidden_state, need, room, chosen, places)


def _empty_model(card: TextCard, config: Any, **options: Any) -> Any:
    import torch
    from transformers import AutoModel

    with torch.device("meta"):
        return AutoModel.from_config(config, dtype=getattr(torch, card.dtype), trust_remote_code=False, **options)


def load_tokenizer(card: TextCard, folder: Path) -> Any:
    """The folder's tokenizer, with the arguments in the card's params."""
    from transformers import AutoTokenizer

    extra = card.params.get("tokenizer", {})
    with _refusing(card, folder, "tokenizer"):
        return AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False, **extra)


def load_model(card: TextCard, folder: Path, plan: Plan) -> Loaded:
    """The bare model in the card's dtype, every weight of it read from the folder and put where the plan says."""
    import torch
    from transformers import AutoModel

    offload = _offload_folder(card, plan) if "disk" in plan.places.values() else None
    try:
        with _refusing(card, folder, "model"):
            model, info = AutoModel.from_pretrained(
                str(folder), config=plan.config, dtype=getattr(torch, card.dtype), device_map=plan.places,
                offload_folder=offload, local_files_only=True, trust_remote_code=False, output_loading_info=True,
                **plan.options,
            )  # fmt: skip
        # What a folder lacks, transformers fills with random numbers.
        lacking = sorted(info["missing_keys"])
        lacking += sorted(str(item[0]) for item in info["mismatched_keys"])
        if lacking or info["error_msgs"]:
            first = f"{len(lacking)} weights are not in its files, {lacking[0]} first" if lacking else ""
            raise not_loaded(card, folder, "model", ValueError(first or info["error_msgs"][0]))
    except BaseException:
        if offload is not None:
            shutil.rmtree(offload, ignore_errors=True)
        raise
    return Loaded(model.eval().requires_grad_(False), _input_device(plan.places), offload)


def _input_device(places: DeviceMap) -> Any:
    """Over several devices accelerate's hooks carry tensors along, from wherever the input is and back."""
    import torch

    used = set(places.values())
    return torch.device(used.pop() if len(used) == 1 and "disk" not in used else "cpu")


def not_loaded(card: TextCard, folder: Path, what: str, error: Exception) -> EcgbenchError:
    """The error for a folder that is there and cannot be read as what it should be."""
    detail = " ".join(str(error).split())[:300] or type(error).__name__
    return EcgbenchError(
        f"text tower {card.name}: the {what} in {folder} cannot be loaded ({detail}): "
        f"fetch {card.hub_id} again, or name another folder with --text-path."
    )


@contextmanager
def _refusing(card: TextCard, folder: Path, what: str) -> Iterator[None]:
    """Silence, and one error for all that the block raises: safetensors, torch and transformers each raise their own for a
    damaged file, tokenizers a bare Exception."""
    try:
        with quiet():
            yield
    except Exception as error:
        raise not_loaded(card, folder, what, error) from error


def _load_config(card: TextCard, folder: Path) -> Any:
    """The folder's configuration. EcgbenchError where it is of a model whose code lies in the folder."""
    from transformers import AutoConfig

    for name in ("config.json", "tokenizer_config.json"):
        _refuse_code(card, folder / name)
    with _refusing(card, folder, "model"):
        config = AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
        config.use_cache = False  # keys and values for a next token, which is never asked for
        for field in ("hidden_size", "num_hidden_layers"):
            getattr(config, field)  # AttributeError: not the shape of a language model
    return config


def _refuse_code(card: TextCard, path: Path) -> None:
    """Even where transformers has a class of that name: with the repository's own code left out, it may be another model."""
    try:
        own = json.loads(path.read_text(encoding="utf-8")).get("auto_map")
    except (OSError, ValueError, AttributeError):  # what is no JSON is reported by whoever reads it in earnest
        return
    if own:
        raise EcgbenchError(
            f"text tower {card.name}: {path} asks for code of its own (auto_map), which is never run: give a folder of a model "
            "that transformers knows by itself, or --text-pack FILE (an embedding pack made from this one)."
        )


def _wanted_layers(card: TextCard, config: Any) -> int | None:
    """Which hidden state is wanted, None for the last; layers that come after it are cut from `config`, all but one.

    One is kept because transformers gives its last hidden state after the final normalisation, and every other as it runs
    between the layers. EcgbenchError for a layer that the model does not have.
    """
    count = int(config.num_hidden_layers)
    layer = count if card.layer in ("last", None) else int(card.layer)
    if not -count - 1 <= layer <= count:
        raise EcgbenchError(
            f"text tower {card.name}: layer {layer} was asked for, but the model has {count} layers: write 0 (the token "
            f"embeddings) to {count}, or -1 (the last) to {-count - 1}."
        )
    state = layer % (count + 1)
    if state == count:
        return None
    config.num_hidden_layers = state + 1
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[: state + 1]
    return state


def _offload_folder(card: TextCard, plan: Plan) -> Path:
    """Where weights go that cannot be read from the model's own files in their place (those of a .bin, say)."""
    parent = cache_folder("text")
    parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(parent).free
    if plan.need.weights > free:
        raise EcgbenchError(
            f"text tower {card.name}: --text-device disk may need {gigabytes(plan.need.weights)} in {parent}, where "
            f"{gigabytes(free)} are free: set ECGBENCH_CACHE to a folder with more."
        )
    return Path(tempfile.mkdtemp(prefix="offload-", dir=parent))
