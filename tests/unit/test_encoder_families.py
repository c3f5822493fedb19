"""The shipped encoder families: what they are, held to two-dimensional twins and to counts made by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision
from torch import Tensor, nn

from ecgbench.cards import EncoderCard
from ecgbench.catalogue import all_cards, load_card
from ecgbench.cli.main import run_command
from ecgbench.ecg.inputs import input_samples
from ecgbench.encoders.build import build_encoder, count_parameters
from ecgbench.encoders.inception1d import Inception1d
from ecgbench.encoders.linear import LinearEncoder
from ecgbench.encoders.xresnet1d import XResNet1d
from ecgbench.entry_points import source_hash
from ecgbench.errors import EcgbenchError
from tests.unit.test_cards import overlay_card

CARDS = all_cards(EncoderCard)[0]
LARGE = 384
"""Vectors this long belong to encoders whose shapes are checked without storing their weights."""


def built(card: EncoderCard, rate: int) -> nn.Module:
    with torch.device("meta" if card.dim >= LARGE else "cpu"):
        return build_encoder(card, rate, weights=False).eval()


@pytest.mark.parametrize(
    ("card", "rate"), [(c, r) for c in CARDS for r in c.input.rates], ids=lambda v: getattr(v, "name", v)
)
def test_every_card_builds_at_each_of_its_rates(card: EncoderCard, rate: int) -> None:
    encoder = built(card, rate)
    device = next(encoder.parameters()).device
    with torch.no_grad():
        out = encoder(torch.zeros(2, len(card.input.leads), input_samples(card.input, rate), device=device))
    assert out.shape == (2, card.dim) and out.dtype == torch.float32


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        # stem 12*32*5 + 32*32*5 + 32*64*5 + 2*(32+32+64); first block 64*64 + 64*64*5 + 64*256 twice + 2*(64+64+256+256);
        # 32 blocks of 256*64 twice + 64*64*5 + 2*(64+64+256)
        ("xresnet1d101", 17_536 + 58_624 + 32 * 54_016),
        # first module 12*32 twice + 32*32*(39+19+9) + 2*128; five of 128*32 twice + 32*32*67 + 2*128; two shortcuts
        ("inception1d", 69_632 + 5 * 77_056 + (12 * 128 + 256) + (128 * 128 + 256)),
        ("linear", 12 * 500 * 128 + 128),
        ("stats", 61 * 128 + 128),
    ],
)
def test_the_parameters_are_those_counted_by_hand(name: str, parameters: int) -> None:
    assert count_parameters(built(load_card(EncoderCard, name), 100)) == parameters


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50", "resnet101"])
def test_a_resnet_has_the_convolutions_of_torchvisions_with_flat_kernels(name: str) -> None:
    """A k x k kernel becomes 1 x k, and the first takes 12 leads."""
    with torch.device("meta"):
        twin = getattr(torchvision.models, name)()
        ours = build_encoder(load_card(EncoderCard, name.replace("resnet", "resnet1d")), 100)
    expected = sum(m.weight.numel() // m.kernel_size[0] for m in twin.modules() if isinstance(m, nn.Conv2d))
    expected += sum(2 * m.num_features for m in twin.modules() if isinstance(m, nn.BatchNorm2d))
    assert count_parameters(ours) == expected + 64 * (12 - 3) * 7


@pytest.mark.parametrize("name", ["resnet34", "resnet50"])
def test_a_resnet_gives_the_vectors_of_its_two_dimensional_twin(name: str) -> None:
    """On an image of height 1 only the middle row of torchvision's kernels meets the signal."""
    torch.manual_seed(0)
    twin = getattr(torchvision.models, name)().eval()
    twin.conv1, twin.fc = nn.Conv2d(12, 64, 7, 2, 3, bias=False), nn.Identity()
    ours = build_encoder(load_card(EncoderCard, name.replace("resnet", "resnet1d")), 100).eval()
    theirs = [t[:, :, t.shape[2] // 2 : t.shape[2] // 2 + 1] if t.dim() == 4 else t for t in twin.state_dict().values()]
    ours.load_state_dict(dict(zip(ours.state_dict(), theirs, strict=True)))
    ecg = torch.randn(2, 12, 200)
    with torch.no_grad():
        torch.testing.assert_close(ours(ecg), twin(ecg.unsqueeze(2)), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("name", "twin"), [("vit1d-small", "vit_small"), ("vit1d-base", "vit_base")])
def test_a_vision_transformer_has_the_blocks_of_timms(name: str, twin: str) -> None:
    import timm

    with torch.device("meta"):
        theirs = timm.create_model(f"{twin}_patch16_224")
        ours = build_encoder(load_card(EncoderCard, name), 100)
    assert isinstance(ours.blocks, nn.Module)
    assert [p.shape for p in ours.blocks.parameters()] == [p.shape for p in theirs.blocks.parameters()]
    assert ours.blocks[0].attn.num_heads == theirs.blocks[0].attn.num_heads  # type: ignore[index]


def test_without_the_stems_pool_there_are_twice_the_time_steps_and_no_more_parameters() -> None:
    with torch.device("meta"):
        pooled, unpooled = (build_encoder(load_card(EncoderCard, f"resnet1d18{end}"), 100) for end in ("", "-nopool"))
        lengths = [m.stages(m.stem(torch.zeros(1, 12, 1, 1024))).shape[-1] for m in (pooled, unpooled)]
    assert lengths == [32, 64]
    assert count_parameters(pooled) == count_parameters(unpooled)


def test_the_xresnet_trains_every_block_from_the_first_step() -> None:
    """A batch norm whose scale starts at 0 would keep the gradient from the convolutions before it."""
    encoder = XResNet1d(leads=12, samples=128, rate=100, blocks=[1, 1], width=8)
    encoder(torch.randn(2, 12, 128)).sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in encoder.parameters())


@pytest.mark.parametrize("settings", [{"depth": 4}, {"kernels": [40, 20, 10]}])
def test_an_inception_that_cannot_be_built_is_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"must be a multiple of 3, and kernels .* odd"):
        Inception1d(leads=12, samples=100, rate=100, **settings)  # type: ignore[arg-type]


def test_an_inception_module_sees_each_kernels_width() -> None:
    """An impulse reaches 19 samples to each side through the widest kernel, and 1 through the pool."""
    encoder = Inception1d(leads=1, samples=101, rate=100, depth=3, filters=2)
    paths = encoder.modules_in_line[0]
    impulse = torch.zeros(1, 2, 1, 101)
    impulse[..., 50] = 1
    reach = [int(out.abs().sum(1).nonzero()[:, -1].max()) - 50 for out in (c(impulse) for c in paths.convolutions)]
    assert reach == [19, 9, 4]


def test_linear_is_linear_in_the_means_of_20_ms() -> None:
    encoder = LinearEncoder(leads=12, samples=100, rate=100, width=8, target_rate=50)
    ecg = torch.randn(2, 12, 100)
    swapped: Tensor = ecg.reshape(2, 12, 50, 2).flip(3).reshape(2, 12, 100)
    torch.testing.assert_close(encoder(swapped), encoder(ecg))
    torch.testing.assert_close(encoder(3 * ecg) - encoder.layer.bias, 3 * (encoder(ecg) - encoder.layer.bias))


def test_linear_refuses_a_rate_that_its_target_does_not_divide() -> None:
    with pytest.raises(ValueError, match="360 Hz is no multiple of target_rate 50 Hz"):
        LinearEncoder(leads=12, samples=3600, rate=360, width=8)


@pytest.mark.parametrize(
    ("name", "card_hash", "source"),
    [
        ("resnet1d18", "256e33ccd37cf4ed", "de3e6023cbfd83fa"),
        ("vit1d-tiny", "3571c4c9e1691b3f", "ac7546cbb98db3af"),
    ],
)
def test_the_encoders_of_committed_results_are_what_they_were(name: str, card_hash: str, source: str) -> None:
    card = load_card(EncoderCard, name)
    assert card.hash.startswith(card_hash) and source_hash(card, card.entry_point).startswith(source)


BROKEN = {
    "no.such.module:E": "entry_point: .*'no.such.module'",
    "mine.py:Dictionary": r"entry_point: mine.py:Dictionary builds a dict, not a torch.nn.Module",
    "mine.py:Narrow": r"dim: the card says 512, but one recording gives \(1, 12\)",
    "mine.py:Raising": "entry_point: mine.py:Raising.* raised ZeroDivisionError",
}
CODE = """import torch
def Dictionary(**given): return {}
def Raising(**given): return 1 / 0
class Narrow(torch.nn.Module):
    def __init__(self, **given): super().__init__()
    def forward(self, x): return x.mean(2)
"""


@pytest.mark.parametrize("entry_point", BROKEN)
def test_a_broken_encoder_is_one_sentence_and_the_others_go_on(
    entry_point: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overlay_card(tmp_path, EncoderCard, "mine", entry_point=entry_point)
    (tmp_path / "mine.py").write_text(CODE, encoding="utf-8")
    monkeypatch.setenv("ECGBENCH_PATH", str(tmp_path))
    with pytest.raises(EcgbenchError, match=BROKEN[entry_point]) as caught:
        build_encoder(load_card(EncoderCard, "mine"), 100)
    assert "mine.yaml" in str(caught.value) and "\n" not in str(caught.value)
    assert {card.name for card in all_cards(EncoderCard)[0]} == {card.name for card in CARDS} | {"mine"}


def test_listing_and_checking_go_on_beside_an_encoder_that_does_not_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    overlay_card(tmp_path, EncoderCard, "mine", entry_point="no.such.module:E")
    monkeypatch.setenv("ECGBENCH_PATH", str(tmp_path))
    assert run_command(["ls", "encoders"]) == 0
    listed = capsys.readouterr().out
    assert "mine" in listed and "xresnet1d101" in listed
    assert run_command(["check", "linear", "merl-resnet18"]) == 0
    assert run_command(["check", "linear", "mine"]) == 1
    told = capsys.readouterr().out
    assert "mine.yaml: entry_point: " in told and "no.such.module" in told
