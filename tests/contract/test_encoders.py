"""Every encoder card, held to the contract; and what a card that breaks it gets."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from ecgbench.cards import EncoderCard, read_card
from ecgbench.catalogue import all_cards, card_paths, load_card
from ecgbench.encoders.build import build_encoder
from ecgbench.encoders.contract import check_contract
from ecgbench.errors import EcgbenchError

CARDS = all_cards(EncoderCard)[0]


@pytest.mark.parametrize(
    ("card", "rate"), [(c, r) for c in CARDS for r in c.input.rates], ids=lambda v: getattr(v, "name", v)
)
def test_every_card_keeps_the_contract(card: EncoderCard, rate: int) -> None:
    assert f"output {card.dim}" in check_contract(card, rate)


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_weights_survive_saving(card: EncoderCard, tmp_path: Path) -> None:
    from safetensors.torch import load_model, save_model

    torch.manual_seed(0)
    first = build_encoder(card, 100).eval()
    save_model(first, str(tmp_path / "w.safetensors"))
    second = build_encoder(card, 100).eval()
    ecg = torch.randn(2, len(card.input.leads), 1000)
    assert not torch.equal(first(ecg), second(ecg))
    load_model(second, str(tmp_path / "w.safetensors"))
    torch.testing.assert_close(first(ecg), second(ecg), rtol=0, atol=0)


def test_the_resnet_has_the_size_of_its_kind() -> None:
    """ResNet-18's 11.2 M weights are in 3 x 3 kernels; one-dimensional ones have a third of those."""
    convolutions = [
        m for m in build_encoder(load_card(EncoderCard, "resnet1d18"), 500).modules() if isinstance(m, nn.Conv2d)
    ]
    assert len(convolutions) == 17 + 3  # 17 in the main path, 3 projections


def test_channels_last_gives_the_same_vectors() -> None:
    torch.manual_seed(0)
    encoder = build_encoder(load_card(EncoderCard, "resnet1d18"), 100).eval()
    ecg = torch.randn(2, 12, 1000)
    before = encoder(ecg)
    after = encoder.to(memory_format=torch.channels_last)(ecg)
    torch.testing.assert_close(before, after, rtol=1e-4, atol=1e-5)


BROKEN = {
    "class E:\n    def __init__(self, **k): pass": "builds a E, not a torch.nn.Module",
    "import torch\nclass E(torch.nn.Module):\n    def __init__(self): super().__init__()": "raised TypeError",
    "import torch\nclass E(torch.nn.Module):\n    def __init__(self, **k): super().__init__()\n"
    "    def forward(self, x): return x.mean(2)": r"dim: the card says 16, but one recording gives \(1, 12\)",
    "import torch\nclass E(torch.nn.Module):\n    def __init__(self, **k): super().__init__()\n"
    "    def forward(self, x): return x @ x": "does not take",
    "import torch\nclass E(torch.nn.Module):\n    def __init__(self, **k):\n        super().__init__(); self.a = torch.nn.Linear(12, 16); "
    "self.b = torch.nn.Linear(3, 3)\n    def forward(self, x): return self.a(x.mean(2))": "without a gradient: b.weight, b.bias",
    "import torch\nclass E(torch.nn.Module):\n    def __init__(self, **k): super().__init__(); self.a = torch.nn.Linear(12, 16)\n"
    "    def forward(self, x): return self.a(x.mean(2) / x.std((1, 2), keepdim=True)[:, 0])": "NaN or infinity for a flat signal",
    "import torch\nclass E(torch.nn.Module):\n    def __init__(self, **k): super().__init__(); self.a = torch.nn.Linear(12, 16)\n"
    "    def forward(self, x): return self.a(x.mean(2) - x.mean((0, 2)))": "another vector when other recordings are in the batch",
    "import torch\nclass E(torch.nn.Module):\n    def __init__(self, **k): super().__init__(); self.a = torch.nn.Linear(12, 16)\n"
    "    def forward(self, x): return torch.nn.functional.dropout(self.a(x.mean(2)))": "another output the second time",
}


@pytest.mark.parametrize("code", BROKEN, ids=range(len(BROKEN)))
def test_an_encoder_that_breaks_it_is_told_so(code: str, tmp_path: Path) -> None:
    text = card_paths(EncoderCard)["resnet1d18"].read_text(encoding="utf-8")
    text = text.replace("name: resnet1d18", "name: mine").replace("ecgbench.encoders.resnet1d:ResNet1d", "mine.py:E")
    text = text.replace("dim: 512", "dim: 16").replace(
        "params: {blocks: [2, 2, 2, 2], width: 64, stem_pool: true}", "params: {}"
    )
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "mine.py").write_text(code, encoding="utf-8")
    with pytest.raises(EcgbenchError, match=BROKEN[code]) as caught:
        check_contract(read_card(EncoderCard, tmp_path / "mine.yaml"), 100)
    assert "mine.yaml" in str(caught.value)
