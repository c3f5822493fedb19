"""Needed against free bytes, and where a model goes: every machine's case by its numbers, and a model of 8 billion
parameters refused for real."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from ecgbench.cards import TextCard
from ecgbench.catalogue import load_card
from ecgbench.errors import EcgbenchError
from ecgbench.findings import label_bank
from ecgbench.pipeline.request import make_request
from ecgbench.pipeline.texts import check_text
from ecgbench.text import loading
from ecgbench.text.devices import DEVICES, parse_device
from ecgbench.text.embed import check_available, embed_prompts
from ecgbench.text.memory import BESIDE, Need, Room, bytes_of, container_room, gigabytes, room_now
from ecgbench.text.placement import choose, device_map
from ecgbench.text.prompts import Prompt
from ecgbench.text.tower import open_tower
from tests.unit.tiny_llama import save_tiny_llama

GB = 10**9
CARD = load_card(TextCard, "medllama3-jp")
NEED = Need(weights=16 * GB, batch=GB // 2, largest=GB, per_token=10**5)
PROMPTS = [Prompt("心房細動", ("af",))]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECGBENCH_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("word", "room", "chosen"),
    [
        ("auto", Room(64 * GB), "cpu"),
        ("auto", Room(1 * GB, (24 * GB,)), "cuda:0"),
        ("auto", Room(64 * GB, (8 * GB, 24 * GB)), "cuda:1"),
        ("auto", Room(12 * GB, (8 * GB,)), "spread"),
        ("auto", Room(1 * GB, (9 * GB, 9 * GB)), "spread"),
        ("cpu", Room(17 * GB, (80 * GB,)), "cpu"),
        ("cuda", Room(1 * GB, (8 * GB, 80 * GB)), "cuda:1"),
        ("cuda:0", Room(1 * GB, (17 * GB, 80 * GB)), "cuda:0"),
        ("spread", Room(64 * GB), "cpu"),
        ("spread", Room(12 * GB, (80 * GB,)), "spread"),
        ("disk", Room(2 * GB), "disk"),
    ],
)
def test_where_a_model_goes(word: str, room: Room, chosen: str) -> None:
    assert choose(CARD, word, NEED, room) == chosen


@pytest.mark.parametrize(
    ("word", "room", "said"),
    [
        ("auto", Room(9 * GB), "needs 16.5 GB .*16.0 GB of weights in bfloat16.* but 9.0 GB are free in this machine's memory"),
        ("auto", Room(4 * GB, (8 * GB,)), "12.0 GB are free on the accelerators and in this machine's memory together"),
        ("cpu", Room(9 * GB, (80 * GB,)), "9.0 GB are free in this machine's memory: type --text-device spread"),
        ("cuda", Room(64 * GB, (8 * GB, 12 * GB)), "12.0 GB are free on accelerator 1: type --text-device spread"),
        ("cuda:0", Room(64 * GB, (0,)), "0.000 GB are free on accelerator 0"),
        ("spread", Room(9 * GB), "9.0 GB are free in this machine's memory: type --text-device disk"),
        ("disk", Room(1 * GB), "needs 1.5 GB for the largest layer and one prompt, but 1.0 GB are free"),
        ("cuda", Room(64 * GB), "this machine has no accelerator that torch can use: write cpu or auto"),
        ("cuda:1", Room(64 * GB, (80 * GB,)), "this machine has one accelerator, cuda:0: write cuda:0, cpu or auto"),
        ("cuda:7", Room(64 * GB, (80 * GB,) * 4), "this machine has 4 accelerators, cuda:0 to cuda:3"),
        ("gpu", Room(64 * GB), "--text-device gpu is not known: write auto, cpu, cuda, cuda:N, spread, disk"),
    ],
)  # fmt: skip
def test_what_is_refused_and_what_is_said(word: str, room: Room, said: str) -> None:
    with pytest.raises(EcgbenchError, match=said) as caught:
        choose(CARD, word, NEED, room)
    assert "\n" not in str(caught.value)
    if "free" in str(caught.value):  # it did not fit: the ways out
        assert "--text-pack FILE" in str(caught.value) and "--text use-multilingual" in str(caught.value)


def test_half_the_weights_are_offered_where_they_are_in_float32() -> None:
    full = CARD.model_copy(update={"dtype": "float32"})
    with pytest.raises(EcgbenchError, match=r"--text medllama3-jp\+dtype=bfloat16 \(half the weights\)"):
        choose(full, "auto", NEED, Room(9 * GB))
    varied = load_card(TextCard, "medllama3-jp+layer=-2+dtype=float32")
    with pytest.raises(EcgbenchError, match=r"type --text medllama3-jp\+layer=-2\+dtype=bfloat16 \(half") as caught:
        choose(varied, "auto", NEED, Room(9 * GB))
    assert load_card(TextCard, str(caught.value).split("type --text ")[1].split()[0]).dtype == "bfloat16"
    with pytest.raises(EcgbenchError) as caught:
        choose(CARD, "auto", NEED, Room(9 * GB))
    assert "dtype" not in str(caught.value)


@pytest.mark.parametrize("word", ["", "CUDA", "cuda:", "cuda:-1", "cuda:N", "cuda:1,2", "mps", " cpu"])
def test_words_that_are_no_device(word: str) -> None:
    with pytest.raises(EcgbenchError, match="is not known: write auto"):
        parse_device(word)
    assert all(parse_device(each)[0] for each in DEVICES if each != "cuda:N")


def test_a_run_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    asked = {"encoder": "resnet1d18", "text": "medllama3-jp", "text_path": save_tiny_llama(tmp_path / "llama")}
    with pytest.raises(EcgbenchError, match="--text-device gpu is not known"):
        make_request(**asked, text_device="gpu")
    with pytest.raises(EcgbenchError, match="--text-device cuda:99: this machine has"):
        check_text(make_request(**asked, text_device="cuda:99"), label_bank(), store_is_built=False)
    check_text(make_request(**asked, text_device="cpu"), label_bank(), store_is_built=False)


def test_a_control_runs_on_the_processor_alone() -> None:
    random = load_card(TextCard, "random")
    assert open_tower(random, device="cpu").embed(PROMPTS).shape == (1, random.dim)
    with pytest.raises(EcgbenchError, match="text tower random runs on the processor alone: leave it out"):
        embed_prompts(random, PROMPTS, device="cuda")


def empty_llama(layers: int) -> object:
    import torch
    from transformers import AutoModel, LlamaConfig

    config = LlamaConfig(
        vocab_size=400, hidden_size=16, intermediate_size=32, num_hidden_layers=layers, num_attention_heads=4
    )
    with torch.device("meta"):
        return AutoModel.from_config(config)


def test_the_map_of_a_model_over_two_accelerators_and_memory() -> None:
    """accelerate's own arithmetic, which needs no accelerator: layers stay whole, and every device keeps room for a batch."""
    model = empty_llama(12)
    layer = bytes_of(model.layers[0])  # type: ignore[attr-defined]
    need = Need(bytes_of(model), batch=1000, largest=bytes_of(model.embed_tokens), per_token=1)  # type: ignore[attr-defined]
    room = Room(1000 + 20 * layer, (1000 + 9 * layer, 1000 + 5 * layer))
    places = device_map(CARD, "spread", model, need, room)
    layers = [places[f"layers.{number}"] for number in range(12)]
    assert set(places.values()) == {0, 1, "cpu"} and layers == sorted(layers, key=str)
    with pytest.raises(EcgbenchError, match=r"in whole layers: type .*--text-device disk"):
        device_map(CARD, "spread", model, need, Room(1000 + 4 * layer, (1000 + 9 * layer,)))
    assert "disk" in device_map(CARD, "disk", model, need, Room(1000 + 5 * layer, (1000 + 9 * layer,))).values()


def control_group(folder: Path, names: tuple[str, str], limit: str, used: int, cached: tuple[str, int]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / names[0]).write_text(f"{limit}\n")
    (folder / names[1]).write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 1\n{cached[0]} {cached[1]}\n")


def test_the_limit_of_a_container(tmp_path: Path) -> None:
    second, first = ("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")
    own = tmp_path / "own"
    assert container_room(tmp_path, own) is None  # not Linux

    own.write_text("0::/job/step\n")
    two = tmp_path / "two"
    control_group(two / "job" / "step", second, "max", 500, ("inactive_file", 0))
    assert container_room(two, own) is None
    control_group(two / "job", second, "1000", 700, ("inactive_file", 50))
    assert container_room(two, own) == 350
    control_group(two / "job" / "step", second, "600", 500, ("inactive_file", 0))
    assert container_room(two, own) == 100  # the tightest

    own.write_text("0::/not/mounted\n")  # as in a container, whose own group is the top
    control_group(two, second, "900", 1000, ("inactive_file", 0))
    assert container_room(two, own) == 0

    own.write_text("9:name=systemd:/\n4:memory:/job\n0::/\n")
    one = tmp_path / "one"
    control_group(one / "memory", first, "9223372036854771712", 5, ("total_inactive_file", 0))
    assert container_room(one, own) is None
    control_group(one / "memory" / "job", first, "1000", 900, ("total_inactive_file", 300))
    assert container_room(one, own) == 400


def test_what_is_free_here() -> None:
    import psutil

    room = room_now()
    assert 0 < room.cpu <= psutil.virtual_memory().total
    assert room.least(["cpu", "disk"]) == room.cpu and Room(5, (3, 9)).least([1, "disk"]) == 5
    assert Room(5, (3, 9)).least(["cuda:1"]) == 9 and Room(5, (3, 9)).total == 17
    assert gigabytes(16_100_000_000) == "16.1 GB" and gigabytes(300_000_000) == "0.300 GB"


def save_8b(folder: Path, **changed: object) -> Path:
    """The configuration of Llama 3 8B beside files of no bytes, which must not be looked at."""
    folder.mkdir()
    config = {
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 128256, "hidden_size": 4096,
        "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
        "max_position_embeddings": 8192, "dtype": "bfloat16", **changed,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    for name in ("model.safetensors", "tokenizer.json"):
        (folder / name).touch()
    return folder


def test_8_billion_parameters_are_refused_within_seconds_and_without_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psutil

    folder = save_8b(tmp_path / "llama")
    monkeypatch.setattr(loading, "room_now", lambda: Room(min(8 * GB, room_now().cpu)))
    process, said = (
        psutil.Process(),
        r"needs 15\.\d GB \(15\.0 GB of weights in bfloat16 and 0\.\d+ GB to embed one prompt\)",
    )
    before, began = process.memory_info().rss, time.monotonic()
    for refused in (
        lambda: check_available(CARD, folder, prompts=PROMPTS),
        lambda: embed_prompts(CARD, PROMPTS, text_path=folder),
        lambda: open_tower(CARD, text_path=folder, device="spread"),
    ):
        with pytest.raises(EcgbenchError, match=said):
            refused()
    assert process.memory_info().rss - before < 300e6 and time.monotonic() - began < 15
    # A layer in the middle needs the layers before it alone.
    plan = loading.make_plan(CARD.model_copy(update={"layer": 8}), folder, "auto")
    assert plan.chosen == "cpu" and plan.need.weights == pytest.approx(5.0 * GB, rel=0.02)


def test_a_model_that_is_not_here_yet_is_refused_by_its_card_s_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "room_now", lambda: Room(8 * GB))
    monkeypatch.setattr(loading, "local_folder", lambda card, text_path: None)
    with pytest.raises(EcgbenchError, match=r"needs 16\.3 GB \(16\.1 GB of weights in bfloat16"):
        loading.check_fits(CARD, None, "auto")
    loading.check_fits(CARD.model_copy(update={"parameters": None}), None, "auto")


def test_what_is_needed_is_what_torch_then_holds(tmp_path: Path) -> None:
    folder = save_tiny_llama(tmp_path / "llama")
    for dtype, size in (("float32", 4), ("bfloat16", 2)):
        card = CARD.model_copy(update={"dtype": dtype, "dim": 16})
        plan = loading.make_plan(card, folder, "cpu")
        model = loading.load_model(card, folder, plan).model
        assert bytes_of(model) == plan.need.weights
        assert abs(plan.need.weights - size * sum(each.numel() for each in model.parameters())) < 100  # the buffers
        assert BESIDE < plan.need.batch < BESIDE + 10**7
