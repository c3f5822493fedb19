"""How a tower is loaded: which layer, in which numbers, on which devices, in which batches, and that it goes away again; on
tiny models of each architecture of the cards."""

from __future__ import annotations

import gc
import json
import shutil
import subprocess
import sys
import weakref
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ecgbench.cards import PromptSet
from ecgbench.catalogue import load_card
from ecgbench.errors import EcgbenchError
from ecgbench.findings import label_bank
from ecgbench.text import loading
from ecgbench.text.batches import MOST_TOKENS, batches, budget, run_batches
from ecgbench.text.embed import embed_prompts
from ecgbench.text.huggingface import HuggingFaceTower
from ecgbench.text.memory import Room
from ecgbench.text.prompts import Prompt, joined_prompt, label_prompts
from tests.unit.tiny_llama import save_tiny_llama
from tests.unit.tiny_towers import TOWERS, save_unigrams, tiny_card

LAYERS = {"llama": 2, "bert": 2, "xlmr": 3, "modernbert": 4}
BANK, PAPER = label_bank(), load_card(PromptSet, "paper")
PROMPTS = [*label_prompts(PAPER, BANK, "en")[:12], joined_prompt(PAPER, BANK, "en", BANK.ids[:3])]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ECGBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: save(tmp_path_factory.mktemp("towers") / name) for name, save in TOWERS.items()}


def tower_of(folders: dict[str, Path], which: str, device: str = "cpu", **changed: Any) -> HuggingFaceTower:
    return HuggingFaceTower(tiny_card(which, **changed), text_path=folders[which], device=device, threads=1)


# Layers


@pytest.mark.parametrize("which", TOWERS)
def test_each_layer_is_the_hidden_state_of_that_place(folders: dict[str, Path], which: str) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    prompt = PROMPTS[:1]
    ids = AutoTokenizer.from_pretrained(folders[which], do_lower_case=False)(prompt[0].text)["input_ids"]
    with torch.no_grad():
        whole = AutoModel.from_pretrained(folders[which]).eval()(torch.tensor([ids]), output_hidden_states=True)
    states = [state[0].mean(dim=0).numpy() for state in whole.hidden_states]
    count = LAYERS[which]
    assert len(states) == count + 1
    for layer in (*range(-count - 1, count + 1), "last"):
        vector = tower_of(folders, which, layer=layer).embed(prompt)[0]
        np.testing.assert_allclose(vector, states[-1 if layer == "last" else layer], atol=1e-6)
    assert min(np.abs(a - b).max() for a, b in pairwise(states)) > 0.01


def test_the_last_is_after_the_final_normalisation_and_the_others_before_it(folders: dict[str, Path]) -> None:
    tower = tower_of(folders, "llama", pooling="last_token")
    last = tower.embed(PROMPTS)
    np.testing.assert_allclose(np.sqrt((last**2).mean(axis=1)), 1, atol=1e-3)  # RMSNorm, its weights still 1
    before = tower_of(folders, "llama", pooling="last_token", layer=-2).embed(PROMPTS)
    assert np.abs(np.sqrt((before**2).mean(axis=1)) - 1).max() > 0.1


def test_layers_after_the_wanted_one_are_not_loaded(folders: dict[str, Path]) -> None:
    assert len(tower_of(folders, "xlmr", layer=0)._model.encoder.layer) == 1
    assert len(tower_of(folders, "xlmr", layer=1)._model.encoder.layer) == 2
    assert len(tower_of(folders, "xlmr", layer=3)._model.encoder.layer) == 3


@pytest.mark.parametrize("layer", [3, -4, 33])
def test_a_layer_that_is_not_there(folders: dict[str, Path], layer: int) -> None:
    with pytest.raises(
        EcgbenchError, match=rf"layer {layer} was asked for, but the model has 2 layers: write 0 .* to 2, or"
    ):
        tower_of(folders, "llama", layer=layer)


# Numbers


@pytest.mark.parametrize("which", TOWERS)
@pytest.mark.parametrize(("dtype", "tolerance"), [("bfloat16", 0.1), ("float16", 0.03)])
def test_half_precision_is_near_single(folders: dict[str, Path], which: str, dtype: str, tolerance: float) -> None:
    """In parts of a vector's length; bfloat16 has 8 bits of precision, float16 11."""
    import torch

    half, full = tower_of(folders, which, dtype=dtype), tower_of(folders, which).embed(PROMPTS)
    assert {each.dtype for each in half._model.parameters()} == {getattr(torch, dtype)}
    vectors = half.embed(PROMPTS)
    assert vectors.dtype == np.float32 and not np.array_equal(vectors, full)
    off = np.linalg.norm(vectors - full, axis=1) / np.linalg.norm(full, axis=1)
    assert off.max() < tolerance
    unit = tower_of(folders, which, dtype=dtype, normalise=True).embed(PROMPTS)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, atol=1e-6)  # normalised in float32


def test_float16_that_overflows_is_refused_not_used(folders: dict[str, Path], tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    folder = shutil.copytree(folders["llama"], tmp_path / "m")
    weights = load_file(folder / "model.safetensors")
    weights["model.embed_tokens.weight"] *= np.float32(1e6)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(EcgbenchError, match=r"not finite .*or its dtype on the card"):
        embed_prompts(tiny_card("llama", dtype="float16", layer=0), PROMPTS, text_path=folder)
    assert np.isfinite(embed_prompts(tiny_card("llama", layer=0), PROMPTS, text_path=folder).vectors).all()


# Devices


def small_memory(monkeypatch: pytest.MonkeyPatch, folders: dict[str, Path], which: str, **changed: Any) -> None:
    """As if free memory held a prompt and little more than the largest part of the model."""
    need = loading.make_plan(tiny_card(which, **changed), folders[which], "cpu").need
    monkeypatch.setattr(loading, "room_now", lambda: Room(int(need.batch + 1.2 * need.largest)))


@pytest.mark.parametrize(
    ("which", "changed"),
    [
        ("llama", {}), ("llama", {"dtype": "bfloat16"}), ("llama", {"layer": 1}), ("llama", {"pooling": "eos"}),
        ("bert", {"pooling": "cls"}), ("xlmr", {"pooling": "weighted_mean"}), ("xlmr", {"layer": -2}),
        ("modernbert", {}), ("modernbert", {"layer": 1}),
    ],
)  # fmt: skip
def test_layers_left_on_the_disk_change_no_vector(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, cache: Path, which: str, changed: dict[str, Any]
) -> None:
    plain = tower_of(folders, which, **changed).embed(PROMPTS)
    small_memory(monkeypatch, folders, which, **changed)
    tower = tower_of(folders, which, "disk", **changed)
    assert "disk" in tower._plan.places.values()
    assert {each.device.type for each in tower._model.parameters()} >= {"meta"}  # not in memory
    np.testing.assert_allclose(tower.embed(PROMPTS), plain, atol=1e-6)
    del tower
    gc.collect()
    assert list(cache.rglob("offload-*")) == []


def test_what_a_bin_left_on_the_disk_is_written_anew_and_needs_room(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    small_memory(monkeypatch, folders, "bert")
    tower = tower_of(folders, "bert", "disk")
    assert len(list(cache.rglob("offload-*/*.safetensors"))) > 5
    del tower
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(EcgbenchError, match=r"--text-device disk may need .* are free: set ECGBENCH_CACHE"):
        tower_of(folders, "bert", "disk")


def test_a_broken_model_leaves_nothing_on_the_disk(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, cache: Path, tmp_path: Path
) -> None:
    import torch

    small_memory(monkeypatch, folders, "bert")
    broken = shutil.copytree(folders["bert"], tmp_path / "m")
    weights = torch.load(broken / "pytorch_model.bin", weights_only=True)
    del weights["bert.encoder.layer.1.output.dense.weight"]
    torch.save(weights, broken / "pytorch_model.bin")
    with pytest.raises(EcgbenchError, match=r"cannot be loaded .*layer.1.output.dense.weight"):
        tower_of({"bert": broken}, "bert", "disk")
    assert list(cache.rglob("offload-*")) == []


def test_a_model_that_cannot_be_split_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """DeBERTa reads a table of its encoder past accelerate's hooks."""
    from transformers import DebertaV2Config, DebertaV2Model

    words = save_unigrams(tmp_path / "m")
    config = DebertaV2Config(
        vocab_size=words, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4,
        relative_attention=True, pos_att_type=["c2p", "p2c"], position_biased_input=False, pad_token_id=1,
    )  # fmt: skip
    DebertaV2Model(config).save_pretrained(tmp_path / "m")
    small_memory(monkeypatch, {"deberta": tmp_path / "m"}, "deberta")
    with pytest.raises(EcgbenchError, match=r"works in one memory alone \(.*\): type --text-device cpu or cuda"):
        tower_of({"deberta": tmp_path / "m"}, "deberta", "disk").embed(PROMPTS)


def test_where_there_is_room_disk_and_spread_are_plain_loading(folders: dict[str, Path]) -> None:
    plain = tower_of(folders, "llama").embed(PROMPTS)
    for device in ("auto", "spread", "disk"):
        tower = tower_of(folders, "llama", device)
        assert "disk" not in tower._plan.places.values()
        np.testing.assert_allclose(tower.embed(PROMPTS), plain, atol=1e-5)


def test_the_device_decides_no_identity(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    first = embed_prompts(tiny_card("llama"), PROMPTS, text_path=folders["llama"], device="cpu")
    monkeypatch.setattr("ecgbench.text.tower.open_tower", lambda *_, **__: pytest.fail("the tower was opened"))
    again = embed_prompts(tiny_card("llama"), PROMPTS, text_path=folders["llama"], device="disk")
    assert again.identity == first.identity and np.array_equal(again.vectors, first.vectors)


def test_an_absent_accelerator_is_refused(folders: dict[str, Path]) -> None:
    import torch

    absent = f"cuda:{torch.cuda.device_count()}"
    with pytest.raises(EcgbenchError, match=f"--text-device {absent}: this machine has .*: write .*cpu or auto"):
        tower_of(folders, "llama", absent)


# Batches


def test_the_first_budget_follows_free_memory() -> None:
    assert budget(10**12, 1000) == MOST_TOKENS and budget(2_000_000, 1000) == 1000 and budget(0, 1000) == 1


def test_every_row_once_and_no_batch_over_its_tokens() -> None:
    lengths = [int(n) for n in np.random.default_rng(0).integers(1, 3000, 200)] + [9000]
    made = list(batches(range(201), lengths, 4096))
    assert sorted(row for batch in made for row in batch) == list(range(201))
    assert all(len(batch) * max(lengths[row] for row in batch) <= 4096 or len(batch) == 1 for batch in made)


class ShortOfMemory:
    """The model of a tower, on a device that holds `most` tokens."""

    def __init__(self, model: Any, most: int) -> None:
        self.model, self.most, self.sizes = model, most, []  # type: ignore[var-annotated]

    def __call__(self, **asked: Any) -> Any:
        import torch

        self.sizes.append(asked["input_ids"].numel())
        if self.sizes[-1] > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return self.model(**asked)


def test_batches_are_halved_until_they_fit_and_stay_so(folders: dict[str, Path]) -> None:
    tower = tower_of(folders, "llama")
    plain = tower.embed(PROMPTS)
    longest = max(len(row) for row in tower._tokens([prompt.text for prompt in PROMPTS]))
    short = tower._model = ShortOfMemory(tower._model, longest)
    np.testing.assert_allclose(tower.embed(PROMPTS), plain, atol=1e-5)
    refused = [size for size in short.sizes if size > longest]
    assert 1 <= len(refused) <= 8 and refused == sorted(refused, reverse=True)
    short.sizes.clear()
    tower.embed(PROMPTS)
    assert max(short.sizes) <= longest  # what was learnt is kept


def test_one_prompt_that_does_not_fit_is_the_end(folders: dict[str, Path]) -> None:
    tower = tower_of(folders, "llama")
    tower._model = ShortOfMemory(tower._model, 5)
    with pytest.raises(
        EcgbenchError, match=r"memory ran out on one prompt of .* tokens alone: .*--text-pack FILE"
    ) as caught:
        tower.embed(PROMPTS)
    assert "\n" not in str(caught.value)


def test_the_real_allocator_s_refusal_is_known_and_no_other_error_is_taken_for_it() -> None:
    import torch

    done: list[int] = []

    def work(rows: list[int]) -> None:
        if len(rows) > 3:
            torch.empty(2**55, dtype=torch.uint8)
        done.extend(rows)

    tokens = run_batches("tower", [10] * 20, 200, work)
    assert sorted(done) == list(range(20)) and 10 <= tokens <= 30

    def broken(rows: list[int]) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1"):
        run_batches("tower", [10], 200, broken)


@pytest.mark.parametrize("which", TOWERS)
def test_vectors_do_not_depend_on_the_batch(folders: dict[str, Path], which: str) -> None:
    tower = tower_of(folders, which)
    plain = tower.embed(PROMPTS)
    for tokens in (1, 30, 100, 400):
        tower._batch_tokens = tokens
        np.testing.assert_allclose(tower.embed(PROMPTS), plain, atol=1e-5)


# Code of others, and the end


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json"])
def test_a_repository_with_code_is_refused_even_where_its_kind_is_known(
    folders: dict[str, Path], tmp_path: Path, name: str
) -> None:
    folder = shutil.copytree(folders["llama"], tmp_path / "m")
    config = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps({**config, "auto_map": {"AutoModel": "mine.Model"}}))
    (folder / "mine.py").write_text(f"from pathlib import Path; Path({str(tmp_path / 'ran')!r}).touch()")
    with pytest.raises(
        EcgbenchError, match=rf"{name} asks for code of its own \(auto_map\), which is never run"
    ) as caught:
        tower_of({"llama": folder}, "llama")
    assert "\n" not in str(caught.value) and not (tmp_path / "ran").exists()


def test_nothing_holds_a_tower_after_its_prompts_are_embedded(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[weakref.ref[Any]] = []
    real = HuggingFaceTower.__init__

    def noting(self: HuggingFaceTower, *args: Any, **named: Any) -> None:
        real(self, *args, **named)
        held.extend(weakref.ref(each) for each in (self, self._model, next(iter(self._model.parameters()))))

    monkeypatch.setattr(HuggingFaceTower, "__init__", noting)
    for device in ("cpu", "disk"):
        if device == "disk":
            small_memory(monkeypatch, folders, "llama")
        embed_prompts(tiny_card("llama"), [Prompt(device, (device,))], text_path=folders["llama"], device=device)
    assert len(held) == 6 and [ref() for ref in held] == [None] * 6


MEASURE = """
import sys
from pathlib import Path
import psutil
import torch
import transformers
from ecgbench.cards import PromptSet, TextCard
from ecgbench.catalogue import load_card
from ecgbench.findings import label_bank
from ecgbench.text.embed import embed_prompts
from ecgbench.text import huggingface
from ecgbench.text.prompts import label_prompts

def rss(): return psutil.Process().memory_info().rss

card = load_card(TextCard, "medllama3-jp").model_copy(update={"dtype": "float32", "dim": 768})
prompts = label_prompts(load_card(PromptSet, "paper"), label_bank(), "ja")[:10]
loaded, real = [], huggingface.HuggingFaceTower.embed
def noting(self, asked):
    vectors = real(self, asked)  # weights are mapped from their file, and resident from the first use on
    loaded.append((rss(), self._plan.need))
    return vectors
huggingface.HuggingFaceTower.embed = noting
embed_prompts(card, prompts, text_path=Path(sys.argv[1]))  # a tiny one, so that all libraries are there
before = rss()
embed_prompts(card, prompts, text_path=Path(sys.argv[2]))
peak = int(next(line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line).split()[1]) * 1024
print(before, loaded[1][0], peak, rss(), loaded[1][1].weights, loaded[1][1].total)
"""


@pytest.mark.slow
@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="peaks of resident memory are read as Linux has them"
)
def test_memory_is_given_back_and_never_exceeds_what_was_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A Llama of 410 MB, in a process of its own: resident memory before, loaded, at its peak, and afterwards."""
    from transformers import LlamaConfig, LlamaForCausalLM

    folders = [save_tiny_llama(tmp_path / name) for name in ("tiny", "large")]
    config = LlamaConfig(
        vocab_size=400, hidden_size=768, intermediate_size=3072, num_hidden_layers=11, num_attention_heads=12
    )
    LlamaForCausalLM(config).save_pretrained(folders[1])
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *map(str, folders)], capture_output=True, text=True, check=True
    )
    before, during, peak, after, weights, total = (int(each) for each in done.stdout.split())
    with capsys.disabled():
        print(f"\nMB before {before / 1e6:.0f}, loaded {during / 1e6:.0f}, peak {peak / 1e6:.0f}, after {after / 1e6:.0f};"
              f" weights {weights / 1e6:.0f}, said to be needed {total / 1e6:.0f}")  # fmt: skip
    assert weights > 400e6 and during - before > 0.9 * weights
    assert peak - before < total
    assert after - before < 0.2 * weights
