"""Every encoder card, held to the contract; and what a card that breaks it gets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ecgbench.cards import EncoderCard, read_card
from ecgbench.catalogue import all_cards, card_paths, load_card
from ecgbench.encoders import contract, made_input
from ecgbench.encoders.build import build_encoder
from ecgbench.encoders.contract import CHECKS, LARGE, Checked, check_contract, count_flops
from ecgbench.errors import EcgbenchError
from tests.bench.encoders import PAGE, measured_in, page, shipped

CARDS = all_cards(EncoderCard)[0]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Batches are small; threads that wait for each other beside other tests take many times as long."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@cache
def checked(name: str, rate: int) -> Checked:
    return check_contract(load_card(EncoderCard, name), rate)


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_every_card_keeps_the_contract_at_its_lowest_rate(card: EncoderCard) -> None:
    assert checked(card.name, min(card.input.rates)).faults == {}


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_every_card_that_is_not_large_keeps_it_at_its_other_rates(card: EncoderCard) -> None:
    lowest, *others = sorted(card.input.rates)
    if checked(card.name, lowest).parameters >= LARGE:
        pytest.skip("a large one is held to it at its lowest rate; `ecgbench check NAME --load` does the others")
    assert [checked(card.name, rate).faults for rate in others] == [{} for _ in others]


def test_the_page_of_encoders_is_what_its_command_writes_but_for_what_was_measured() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == page(measured_in(text), lambda card: checked(card.name, min(card.input.rates)))


def test_the_page_of_encoders_has_a_measured_ratio_of_each() -> None:
    ratios, said = measured_in(PAGE.read_text(encoding="utf-8"))
    assert {card.name for card in shipped()} == {name for name, ratio in ratios.items() if float(ratio) > 0}
    assert ratios["resnet1d18"] == "1" and "1 thread" in said


def test_operations_are_two_for_each_multiply_add() -> None:
    """Counted by hand: 4 output channels of 12 x 5 weights at 98 places, then 4 x 7 weights."""
    small = nn.Sequential(nn.Conv1d(12, 4, 5, 2), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 7))
    assert count_flops(small, 12, 200) == 2 * (4 * 12 * 5 * 98 + 4 * 7)


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


HEAD = "import torch\nclass E(torch.nn.Module):\n    def __init__(self, **k):\n        super().__init__(); self.a = torch.nn.Linear(12, 16)"


def module(forward: str, more: str = "") -> str:
    """A module file whose class has one linear layer `a`, 12 -> 16."""
    return f"{HEAD}{more}\n    def forward(self, x):\n        {forward}\n"


UNBUILT = {
    "class E:\n    def __init__(self, **k): pass": "builds a E, not a torch.nn.Module",
    "import torch\nclass E(torch.nn.Module):\n    def __init__(self): super().__init__()": "raised TypeError",
    module("return x.mean(2)"): r"dim: the card says 16, but one recording gives \(1, 12\)",
    module("return x @ x"): "does not take",
}

BROKEN = {
    "gradients": (
        module("return self.a(x.mean(2))", "; self.b = torch.nn.Linear(3, 3)"),
        "has parameters without a gradient: b.weight, b.bias",
    ),
    "finite": (
        module("return self.a(x.mean(2) / x.std((1, 2), keepdim=True)[:, 0])"),
        "gives NaN or infinity for a flat signal",
    ),
    "batch invariance": (
        module("return self.a(x.mean(2) - x.mean((0, 2)))"),
        "gives a recording another vector when other recordings are in the batch",
    ),
    "deterministic": (
        module("return torch.nn.functional.dropout(self.a(x.mean(2)))"),
        "gives another output the second time, in evaluation mode",
    ),
    "dtype": (module("return self.a(x.mean(2)).double()"), "gives torch.float64, not torch.float32"),
    "shapes": (
        module("return self.a(x.mean(2))[:2]"),
        "gives (2, 16) for a batch of 3, not (3, 16)",
    ),
    "input left alone": (
        module("return self.a(x.sub_(x.mean(2, keepdim=True)).square().mean(2))"),
        "changes the recordings that it is given, in place",
    ),
    "save and load": (
        module("return self.a(x.mean(2)) + self.shift", "; self.shift = torch.randn(16)"),
        "gives other vectors after its weights are saved and loaded",
    ),
    "input contract": (
        module("assert not x[:, 0].any() or x[:, 11].any(), 'V6 is missing'; return self.a(x.mean(2))"),
        "raises AssertionError in the check 'input contract': V6 is missing",
    ),
}


def card_of(code: str, folder: Path, **changes: str) -> EncoderCard:
    """A card like resnet1d18's, for the class `E` of a file beside it."""
    text = card_paths(EncoderCard)["resnet1d18"].read_text(encoding="utf-8")
    changes = {
        "name: resnet1d18": "name: mine",
        "ecgbench.encoders.resnet1d:ResNet1d": "mine.py:E",
        "dim: 512": "dim: 16",
        "params: {blocks: [2, 2, 2, 2], width: 64, stem_pool: true}": "params: {}",
        **changes,
    }
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    (folder / "mine.yaml").write_text(text, encoding="utf-8")
    (folder / "mine.py").write_text(code, encoding="utf-8")
    return read_card(EncoderCard, folder / "mine.yaml")


@pytest.mark.parametrize("code", UNBUILT, ids=range(len(UNBUILT)))
def test_what_cannot_be_built_is_said_by_card_and_field(code: str, tmp_path: Path) -> None:
    with pytest.raises(EcgbenchError, match=UNBUILT[code]) as caught:
        check_contract(card_of(code, tmp_path), 100)
    assert "mine.yaml" in str(caught.value)


def test_there_is_a_broken_encoder_for_every_check() -> None:
    assert set(BROKEN) == set(CHECKS)


@pytest.mark.parametrize("check", BROKEN)
def test_an_encoder_that_breaks_a_check_is_told_so(check: str, tmp_path: Path) -> None:
    code, message = BROKEN[check]
    faults = check_contract(card_of(code, tmp_path), 100).faults
    assert message in faults[check] and "mine.yaml" in faults[check]


def test_a_layer_that_starts_at_zero_hides_no_gradient(tmp_path: Path) -> None:
    """The last scale of a residual block, as xresnets begin."""
    code = module("return self.a(x.mean(2)) * self.scale", "; self.scale = torch.nn.Parameter(torch.zeros(1))")
    assert check_contract(card_of(code, tmp_path), 100).faults == {}


def test_a_frozen_parameter_needs_no_gradient(tmp_path: Path) -> None:
    code = module("return self.a(x.mean(2))", "; self.b = torch.nn.Parameter(torch.ones(1), requires_grad=False)")
    assert check_contract(card_of(code, tmp_path), 100).faults == {}


CONTRACTS = {
    "as the resnet": {},
    "few leads in another order": {"[I, II, III, aVR, aVL, aVF, V1, V2, V3, V4, V5, V6]": "[V5, II, aVL]"},
    "microvolts": {"unit: mV": "unit: uV"},
    "each lead scaled": {"normalisation: center": "normalisation: zscore-lead"},
    "all leads scaled": {"normalisation: center": "normalisation: zscore-record"},
    "lead to 0..1": {"normalisation: center": "normalisation: minmax-lead"},
    "as it is": {"normalisation: center": "normalisation: none"},
    "part of a recording": {"seconds: 10": "seconds: 2.5"},
    "a missing lead refused": {"missing_lead: zero": "missing_lead: refuse"},
    "an odd rate": {"rates: [500, 100]": "rates: [257]"},
    "a higher rate than the store's": {"rates: [500, 100]": "rates: [1000]"},
}


@pytest.mark.parametrize("changes", CONTRACTS.values(), ids=CONTRACTS)
def test_every_kind_of_input_contract_is_honoured(changes: dict[str, str], tmp_path: Path) -> None:
    n_leads = 3 if any("V5, II" in new for new in changes.values()) else 12
    card = card_of(module("return self.a(x.mean(2))").replace("12, 16", f"{n_leads}, 16"), tmp_path, **changes)
    assert [check_contract(card, rate).faults for rate in card.input.rates] == [{} for _ in card.input.rates]


Convert = Callable[..., np.ndarray]
AS_CARD = made_input.convert


def _wrong(change: Callable[[np.ndarray], np.ndarray]) -> Convert:
    return lambda batch, contract, rate: np.ascontiguousarray(change(AS_CARD(batch, contract, rate)))


WRONG_INPUT = {
    "order of leads, or another rate,": [
        _wrong(lambda x: x[:, [0, 1, 2, 3, 5, 4, 6, 7, 8, 9, 10, 11]]),  # aVL and aVF exchanged
        _wrong(lambda x: np.concatenate([x[..., ::2], x[..., ::2]], axis=-1)),  # half the rate
    ],
    "unit or normalisation": [
        _wrong(lambda x: x * 1000),
        _wrong(lambda x: x + 0.2),
        _wrong(lambda x: x / x.std(axis=-1, keepdims=True)),
    ],
    "number type": [_wrong(lambda x: x.astype(np.float64))],
    "shape": [_wrong(lambda x: x[..., :-1]), _wrong(lambda x: x[:, :11])],
}


@pytest.mark.parametrize(
    ("what", "wrong"), [(what, each) for what, all_of in WRONG_INPUT.items() for each in all_of]
)  # fmt: skip
def test_an_input_that_is_not_the_card_s_is_noticed(
    what: str, wrong: Convert, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = card_of(module("return self.a(x[:, :11].mean(2).float().repeat(1, 2)[:, :12])"), tmp_path)
    monkeypatch.setattr(made_input, "convert", wrong)
    assert f"is fed another {what}" in check_contract(card, 100).faults["input contract"]


def test_a_missing_lead_that_is_fed_as_something_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(batch: made_input.Batch, *more: object) -> np.ndarray:
        return AS_CARD(replace(batch, real_leads=np.ones_like(batch.real_leads)), *more)

    monkeypatch.setattr(made_input, "convert", forgetful)
    faults = check_contract(card_of(module("return self.a(x.mean(2))"), tmp_path), 100).faults
    assert "is fed something where lead V6 is missing" in faults["input contract"]


def test_a_large_encoder_is_fed_a_smaller_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = card_of(module("assert len(x) < 3, 'too much'; return self.a(x.mean(2))"), tmp_path)
    assert "too much" in check_contract(card, 100).faults["shapes"]
    monkeypatch.setattr(contract, "LARGE", 200)  # it has 208 parameters
    assert check_contract(card, 100).faults == {}
