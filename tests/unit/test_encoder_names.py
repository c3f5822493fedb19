"""`timm:NAME` and `hf:ID`: cards made from a name, and what of those libraries can and cannot be fed with an ECG."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModel

import ecgbench
from ecgbench.cards import EncoderCard, NamedEncoderCard
from ecgbench.catalogue import load_card
from ecgbench.ecg.build import store_for
from ecgbench.ecg.inputs import input_samples
from ecgbench.encoders.build import build_encoder, count_parameters
from ecgbench.encoders.huggingface import SERIES, WAVEFORM
from ecgbench.encoders.timm_image import TimmImage
from ecgbench.entry_points import source_hash
from ecgbench.errors import EcgbenchError

TINY = "timm:test_vit.r160_in1k"

AUDIO = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32, "conv_dim": (8, 8, 8),
    "conv_kernel": (10, 3, 3), "conv_stride": (5, 4, 4), "num_feat_extract_layers": 3, "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}  # fmt: skip
PATCHES = {
    "num_input_channels": 12, "context_length": 256, "patch_length": 16, "patch_stride": 16, "d_model": 16,
    "num_hidden_layers": 2, "num_layers": 2, "num_attention_heads": 2, "ffn_dim": 32,
}  # fmt: skip
TOKENS = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "vocab_size": 20,
}

SaveModel = Callable[..., str]


@pytest.fixture
def saved(tmp_path: Path) -> SaveModel:
    """A small model with random weights, saved as on the hub; its name."""

    def save(kind: str, folder: str = "model", seed: int = 0, **settings: object) -> str:
        torch.manual_seed(seed)
        model = AutoModel.from_config(AutoConfig.for_model(kind, **settings))
        model.save_pretrained(tmp_path / folder)
        return f"hf:{tmp_path / folder}"

    return save


def fed(card: EncoderCard, rows: int = 2) -> torch.Tensor:
    draw = torch.Generator().manual_seed(3)
    return torch.randn(rows, 12, input_samples(card.input, card.input.rates[-1]), generator=draw)


@pytest.mark.parametrize("name", [TINY, "timm:resnet10t", "timm:test_efficientnet"])
def test_a_timm_backbone_is_an_encoder_by_its_name(name: str) -> None:
    card = load_card(EncoderCard, name)
    encoder = build_encoder(card, 100)
    out = encoder(fed(card.model_copy(update={"input": card.input.model_copy(update={"rates": (100,)})})))
    assert out.shape == (2, card.dim)
    out.sum().backward()
    assert all(p.grad is not None for p in encoder.parameters())


def test_a_timm_backbone_is_timms_own_without_its_classifier() -> None:
    import timm

    card = load_card(EncoderCard, TINY)
    with torch.device("meta"):
        twin = timm.create_model("test_vit", in_chans=1, num_classes=0)
        assert count_parameters(build_encoder(card, 100)) == sum(p.numel() for p in twin.parameters())


def test_the_image_has_a_lead_in_four_rows_of_equal_length() -> None:
    """Of the size of the folded signal, resizing changes nothing: row 4 * lead + part holds that part of the lead."""
    encoder = TimmImage(leads=12, samples=1000, rate=100, name="test_vit")
    encoder.size = (48, 250)
    ecg = torch.randn(1, 12, 1000)
    image = encoder.image(ecg)
    assert image.shape == (1, 1, 48, 250)
    torch.testing.assert_close(image[0, 0, 4 * 7 + 2], ecg[0, 7, 500:750])


def test_the_image_is_the_mean_where_it_shrinks() -> None:
    """Antialiased: a fast alternation vanishes instead of turning into a slow one."""
    encoder = TimmImage(leads=12, samples=5000, rate=500, name="test_vit")
    ecg = torch.tensor([1.0, -1.0]).repeat(2500).expand(1, 12, 5000)
    assert encoder.image(ecg)[..., 5:-5].abs().max() < 0.05


def test_three_channels_are_all_alike() -> None:
    encoder = TimmImage(leads=12, samples=1000, rate=100, name="test_vit", channels=3)
    image = encoder.image(torch.randn(1, 12, 1000))
    assert image.shape == (1, 3, 160, 160) and torch.equal(image[:, 0], image[:, 2])
    assert encoder(torch.randn(1, 12, 1000)).shape == (1, 64)


@pytest.mark.parametrize("settings", [{"fold": 0}, {"channels": 2}])
def test_an_image_that_cannot_be_made_is_refused(settings: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"fold .* must be 1 to 1000 rows a lead, and channels .* must be 1 or 3"):
        TimmImage(leads=12, samples=1000, rate=100, name="test_vit", **settings)  # type: ignore[arg-type]


def test_a_timm_card_is_identified_by_its_name_and_timms_version() -> None:
    import timm

    card = load_card(EncoderCard, TINY)
    assert isinstance(card, NamedEncoderCard) and card.path is None
    assert card.library == f"timm {timm.__version__}"
    assert card.hash != card.model_copy(update={"library": "timm 0.0"}).hash
    assert card.hash != load_card(EncoderCard, "timm:test_vit").hash
    assert len(source_hash(card, card.entry_point)) == 64


def test_resolving_a_name_leaves_the_random_state_alone() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    load_card(EncoderCard, "timm:test_resnet")
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("timm:resnet10", r"unknown timm model 'resnet10': did you mean resnet10t"),
        ("timm:test_vit.r160_in2k", r"did you mean test_vit\.r160_in1k"),
        ("timm:", "unknown timm model ''"),
        ("timm", r"unknown encoder 'timm'.* Without a card there are timm:NAME and hf:NAME\."),
        ("tim:resnet18", r"unknown encoder 'tim:resnet18'.* Without a card there are timm:NAME and hf:NAME\."),
        ("hf:", "names no model"),
        ("hf:nobody/nothing", r"no folder 'nobody/nothing'.*`hf download nobody/nothing`"),
    ],
)
def test_an_unknown_name_is_said_with_what_to_type(name: str, message: str) -> None:
    with pytest.raises(EcgbenchError, match=message):
        load_card(EncoderCard, name)


@pytest.mark.parametrize("kind", sorted(WAVEFORM | SERIES))
def test_each_kind_of_signal_model_gives_vectors_and_learns(kind: str, saved: SaveModel) -> None:
    card = load_card(EncoderCard, saved(kind, **(AUDIO if kind in WAVEFORM else PATCHES)))
    encoder = build_encoder(card, card.input.rates[0]).train()
    out = encoder(torch.randn(2, 12, input_samples(card.input, card.input.rates[0])))
    assert out.shape == (2, card.dim) == (2, 16)
    (out * torch.randn(2, 16)).sum().backward()
    assert [n for n, p in encoder.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())] == []


def test_a_waveform_model_gets_the_leads_one_after_another(saved: SaveModel) -> None:
    name = saved("wav2vec2", **AUDIO)
    card = load_card(EncoderCard, name)
    twin = AutoModel.from_pretrained(name.removeprefix("hf:")).eval()
    ecg = torch.randn(2, 12, 1000)
    with torch.no_grad():
        theirs = twin(torch.cat([ecg[:, lead] for lead in range(12)], 1)).last_hidden_state.mean(1)
        torch.testing.assert_close(build_encoder(card, 100).eval()(ecg), theirs)


def test_a_series_model_gets_the_leads_as_channels_for_its_own_window(saved: SaveModel) -> None:
    name = saved("patchtst", **PATCHES)
    card = load_card(EncoderCard, name)
    assert (card.input.rates, card.input.seconds) == ((100,), 2.56)
    twin = AutoModel.from_pretrained(name.removeprefix("hf:")).eval()
    ecg = torch.randn(2, 12, 256)
    with torch.no_grad():
        theirs = twin(past_values=ecg.transpose(1, 2)).last_hidden_state.mean((1, 2))
        torch.testing.assert_close(build_encoder(card, 100).eval()(ecg), theirs)


def test_a_long_window_is_fed_at_500_hz(saved: SaveModel) -> None:
    card = load_card(EncoderCard, saved("patchtst", **(PATCHES | {"context_length": 1280})))
    assert (card.input.rates, card.input.seconds) == ((500,), 2.56)


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("bert", TOKENS, "a bert model takes input_ids, and how an ECG would become that is missing: .* wav2vec2"),
        ("vit", {k: v for k, v in TOKENS.items() if k != "vocab_size"}, "a vit model takes pixel_values"),
        (
            "patchtst",
            PATCHES | {"num_input_channels": 7},
            "takes 7 channels, an ECG has 12 leads: which leads they are",
        ),
        ("patchtst", PATCHES | {"context_length": 6000}, "takes 6000 samples, more than 10 s at 500 Hz"),
    ],
    ids=["tokens", "images", "channels", "window"],
)
def test_a_model_that_cannot_be_fed_is_refused(
    kind: str, settings: dict[str, object], message: str, saved: SaveModel
) -> None:
    with pytest.raises(EcgbenchError, match=message):
        load_card(EncoderCard, saved(kind, **settings))


def test_code_of_a_repository_is_never_run(tmp_path: Path) -> None:
    (tmp_path / "evil.py").write_text("raise SystemExit('run')", encoding="utf-8")
    config = {"model_type": "own", "auto_map": {"AutoConfig": "evil.Config", "AutoModel": "evil.Model"}}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(EcgbenchError, match="it needs code from its repository, which is never run"):
        load_card(EncoderCard, f"hf:{tmp_path}")


def test_the_identity_follows_the_weights_of_a_hub_model(saved: SaveModel, tmp_path: Path) -> None:
    name = saved("patchtst", **PATCHES)
    card = load_card(EncoderCard, name)
    assert card.hash == load_card(EncoderCard, name).hash
    saved("patchtst", seed=1, **PATCHES)
    assert card.hash != load_card(EncoderCard, name).hash
    with pytest.raises(EcgbenchError, match=r"have the hash [0-9a-f]{64}, the card says"):
        build_encoder(card)


def test_a_hub_model_that_lacks_a_weight_is_refused(saved: SaveModel, tmp_path: Path) -> None:
    name = saved("patchtst", **PATCHES)
    file = tmp_path / "model" / "model.safetensors"
    state = load_file(file)
    lost = sorted(key for key in state if "embedding" in key)[0]
    del state[lost]
    save_file(state, file, metadata={"format": "pt"})
    with pytest.raises(EcgbenchError, match=f"lack '{lost}'"):
        build_encoder(load_card(EncoderCard, name))


def test_a_folder_without_weights_is_refused(saved: SaveModel, tmp_path: Path) -> None:
    name = saved("patchtst", **PATCHES)
    (tmp_path / "model" / "model.safetensors").unlink()
    with pytest.raises(EcgbenchError, match="holds no weights"):
        load_card(EncoderCard, name)


def test_a_run_of_a_hub_model_is_loaded_again_by_its_name(saved: SaveModel, overlay: Path, tmp_path: Path) -> None:
    name = saved("patchtst", **PATCHES)
    asked = {"text": "char-ngram", "data": "tiny", "epochs": 1, "tasks": ("retrieval98",)}
    result = ecgbench.run(encoder=name, out=tmp_path / "runs", **asked)
    assert result.encoder.name == name and result.encoder.card == load_card(EncoderCard, name).hash
    recording = store_for("tiny")[0]
    assert np.isfinite(ecgbench.load_run(tmp_path / "runs" / result.run_id).embed([recording])).all()
