"""Published weights: found, held to their sha256, and copied key by key; MERL's layout against its own architecture."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from ecgbench.cards import EncoderCard, read_card
from ecgbench.catalogue import load_card
from ecgbench.ecg.inputs import Batch, convert
from ecgbench.ecg.recording import LEADS
from ecgbench.encoders.build import build_encoder
from ecgbench.encoders.weights import WeightsAbsentError
from ecgbench.errors import EcgbenchError
from ecgbench.files import hash_file
from tests.unit.test_cards import overlay_card

State = dict[str, Tensor]
ECG = torch.randn(2, 12, 500, generator=torch.Generator().manual_seed(1))


def merl_state() -> State:
    """Random numbers under the keys and in the shapes of MERL's ResNet18 (utils/resnet1d.py of its repository)."""
    draw = torch.Generator().manual_seed(0)
    state: State = {}

    def convolution(key: str, *shape: int) -> None:
        state[f"{key}.weight"] = torch.randn(*shape, generator=draw) / (shape[1] * shape[2]) ** 0.5

    def norm(key: str, width: int) -> None:
        for field in ("weight", "bias", "running_mean", "running_var"):
            state[f"{key}.{field}"] = torch.rand(width, generator=draw) + 0.5
        state[f"{key}.num_batches_tracked"] = torch.tensor(7)

    convolution("conv1", 64, 12, 7)
    norm("bn1", 64)
    inputs = 64
    for layer, width in enumerate((64, 128, 256, 512), start=1):
        for block in range(2):
            key = f"layer{layer}.{block}"
            convolution(f"{key}.conv1", width, inputs, 3)
            norm(f"{key}.bn1", width)
            convolution(f"{key}.conv2", width, width, 3)
            norm(f"{key}.bn2", width)
            if inputs != width:
                convolution(f"{key}.shortcut.0", width, inputs, 1)
                norm(f"{key}.shortcut.1", width)
            inputs = width
    state["linear.weight"], state["linear.bias"] = torch.randn(10, 512, generator=draw), torch.zeros(10)
    return state


def merl_vectors(state: State, ecg: Tensor) -> Tensor:
    """MERL's forward pass in plain functions: scaled to 0..1 over the record, no max-pool, the mean over time."""

    def norm(key: str, x: Tensor) -> Tensor:
        fields = (state[f"{key}.{field}"] for field in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(x, *fields)

    def convolution(key: str, x: Tensor, stride: int = 1) -> Tensor:
        weight = state[f"{key}.weight"]
        return F.conv1d(x, weight, stride=stride, padding=weight.shape[2] // 2)

    x = torch.stack([(record - record.min()) / (record.max() - record.min() + 1e-8) for record in ecg])
    x = torch.relu(norm("bn1", convolution("conv1", x, 2)))
    for layer in range(1, 5):
        for block in range(2):
            key, stride = f"layer{layer}.{block}", 2 if layer > 1 and block == 0 else 1
            inner = torch.relu(norm(f"{key}.bn1", convolution(f"{key}.conv1", x, stride)))
            inner = norm(f"{key}.bn2", convolution(f"{key}.conv2", inner))
            if f"{key}.shortcut.0.weight" in state:
                x = norm(f"{key}.shortcut.1", convolution(f"{key}.shortcut.0", x, stride))
            x = torch.relu(inner + x)
    return x.mean(2)


def merl_card(folder: Path, file: str = "w.safetensors", **weights: object) -> EncoderCard:
    """MERL's card with a file of these tests, in an overlay folder. Its input is cut to a second."""
    path = folder / file
    given = {"file": str(path), "sha256": hash_file(path) if path.is_file() else None, "layout": "merl-resnet18"}
    shipped = load_card(EncoderCard, "merl-resnet18").model_dump(mode="json")
    shipped["input"]["seconds"] = 1
    del shipped["name"]
    changes = {**shipped, "weights": {**given, **weights}}
    return read_card(EncoderCard, overlay_card(folder, EncoderCard, "mine", **changes))


def save_torch(state: State, path: Path) -> None:
    torch.save(state, path)


@pytest.mark.parametrize(("file", "save"), [("w.safetensors", save_file), ("w.pth", save_torch)])
def test_merls_weights_give_merls_vectors(tmp_path: Path, file: str, save: Callable[[State, Path], None]) -> None:
    state = merl_state()
    save(state, tmp_path / file)
    encoder = build_encoder(merl_card(tmp_path, file)).eval()
    with torch.no_grad():
        torch.testing.assert_close(encoder(ECG), merl_vectors(state, ECG), rtol=1e-4, atol=1e-5)


def test_merl_is_fed_ten_seconds_at_500_hz_with_avf_before_avl() -> None:
    contract = load_card(EncoderCard, "merl-resnet18").input
    signals = torch.randn(1, 12, 5000).numpy()
    given = Batch(signals, torch.ones(1, 12, dtype=torch.bool).numpy(), torch.tensor([5000]).numpy(), ["r"])
    fed = convert(given, contract, 500)
    assert fed.shape == (1, 12, 5000)
    swapped = [LEADS.index(lead) for lead in LEADS]
    swapped[4], swapped[5] = swapped[5], swapped[4]  # what finetune_dataset.py does with PTB-XL's leads
    assert (fed == signals[:, swapped]).all()


def test_merls_vectors_do_not_depend_on_the_unit_or_the_baseline(tmp_path: Path) -> None:
    save_file(merl_state(), tmp_path / "w.safetensors")
    encoder = build_encoder(merl_card(tmp_path)).eval()
    with torch.no_grad():
        torch.testing.assert_close(encoder(1000 * ECG + 3), encoder(ECG), rtol=1e-3, atol=1e-4)


def altered(change: Callable[[State], object]) -> State:
    state = merl_state()
    change(state)
    return state


WRONG = {
    "missing": (lambda s: s.pop("layer2.0.shortcut.0.weight"), "weights.layout: .* lacks key 'layer2.0.shortcut.0.weight'"),
    "unexpected": (lambda s: s.update(extra=torch.zeros(1)), "weights.layout: .* holds the unexpected key 'extra'"),
    "two missing": (lambda s: (s.pop("bn1.bias"), s.pop("bn1.weight")), "lacks key 'bn1.weight' and 1 more"),
    "shape": (lambda s: s.update({"conv1.weight": torch.zeros(64, 8, 7)}), r"'conv1.weight' .* shape \(64, 8, 7\), \(64, 12, 7\)"),
    "NaN": (lambda s: s["bn1.bias"].fill_(torch.nan), "weights.file: key 'bn1.bias' .* holds NaN or infinity"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_a_file_of_another_layout_is_refused_by_its_first_key(what: str, tmp_path: Path) -> None:
    change, message = WRONG[what]
    save_file(altered(change), tmp_path / "w.safetensors")
    with pytest.raises(EcgbenchError, match=message) as caught:
        build_encoder(merl_card(tmp_path))
    assert "mine.yaml" in str(caught.value)


def test_a_whole_merl_checkpoint_is_not_taken_for_its_encoder(tmp_path: Path) -> None:
    save_file({f"ecg_encoder.{key}": tensor for key, tensor in merl_state().items()}, tmp_path / "w.safetensors")
    with pytest.raises(EcgbenchError, match=r"lacks key 'conv1\.weight' and 119 more"):
        build_encoder(merl_card(tmp_path))


def test_another_file_than_the_cards_is_refused(tmp_path: Path) -> None:
    save_file(merl_state(), tmp_path / "w.safetensors")
    found = hash_file(tmp_path / "w.safetensors")
    with pytest.raises(EcgbenchError, match=f"weights.sha256: .* has sha256 {found}, but the card says {'0' * 64}"):
        build_encoder(merl_card(tmp_path, sha256="0" * 64))


def test_without_a_sha256_nothing_is_loaded_and_the_files_own_is_said(tmp_path: Path) -> None:
    save_file(merl_state(), tmp_path / "w.safetensors")
    found = hash_file(tmp_path / "w.safetensors")
    with pytest.raises(EcgbenchError, match=f"weights.sha256: the card does not say .* has sha256 {found}"):
        build_encoder(merl_card(tmp_path, sha256=None))


@pytest.mark.parametrize(
    ("content", "message"),
    [(pickle.dumps(print), "cannot be read as weights"), (b"", "cannot be read as weights")],
    ids=["code", "empty"],
)
def test_a_file_that_is_no_weights_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(EcgbenchError, match=f"weights.file: .*w.pth {message}"):
        build_encoder(merl_card(tmp_path, "w.pth"))


def test_a_nested_checkpoint_is_refused(tmp_path: Path) -> None:
    torch.save({"epoch": 3, "model": merl_state()}, tmp_path / "w.pth")
    with pytest.raises(EcgbenchError, match="holds no plain state dict"):
        build_encoder(merl_card(tmp_path, "w.pth"))


def test_an_unknown_layout_lists_near_ones(tmp_path: Path) -> None:
    save_file(merl_state(), tmp_path / "w.safetensors")
    with pytest.raises(
        EcgbenchError, match=r"weights.layout: unknown layout 'merl-resnet-18': did you mean merl-resnet18\?"
    ):
        build_encoder(merl_card(tmp_path, layout="merl-resnet-18"))


def test_the_shipped_card_says_which_file_is_wanted_and_from_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ECGBENCH_WEIGHTS", raising=False)
    with pytest.raises(WeightsAbsentError) as caught:
        build_encoder(load_card(EncoderCard, "merl-resnet18"))
    for part in (
        "merl-resnet18.yaml",
        "weights.file",
        "res18_best_encoder.pth",
        "drive.google.com",
        "ECGBENCH_WEIGHTS",
    ):
        assert part in str(caught.value)


def test_a_name_is_looked_for_in_the_folder_of_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "far").mkdir()
    save_file(merl_state(), tmp_path / "far" / "w.safetensors")
    sha256 = hash_file(tmp_path / "far" / "w.safetensors")
    card = merl_card(tmp_path, file="w.safetensors", sha256=sha256)
    card = card.model_copy(
        update={"weights": card.weights and card.weights.model_copy(update={"file": "w.safetensors"})}
    )
    with pytest.raises(WeightsAbsentError):
        build_encoder(card)
    monkeypatch.setenv("ECGBENCH_WEIGHTS", str(tmp_path / "far"))
    build_encoder(card)


def test_the_architecture_builds_without_its_weights() -> None:
    with torch.device("meta"):
        build_encoder(load_card(EncoderCard, "merl-resnet18"), weights=False)


def test_own_weights_load_under_the_modules_own_keys(tmp_path: Path) -> None:
    shipped = load_card(EncoderCard, "linear")
    first = build_encoder(shipped, 100)
    save_file(first.state_dict(), tmp_path / "w.safetensors")
    weights = {"file": "w.safetensors", "sha256": hash_file(tmp_path / "w.safetensors")}
    card = shipped.model_validate(
        {**shipped.model_dump(mode="json"), "weights": weights, "path": tmp_path / "linear.yaml"}
    )
    torch.testing.assert_close(build_encoder(card, 100).state_dict(), first.state_dict(), rtol=0, atol=0)


def test_the_identity_holds_the_bytes_and_not_the_place(tmp_path: Path) -> None:
    save_file(merl_state(), tmp_path / "w.safetensors")
    here = merl_card(tmp_path)
    (tmp_path / "w.safetensors").rename(tmp_path / "v.safetensors")
    there = merl_card(tmp_path, "v.safetensors", url="https://example.org")
    assert here.hash == there.hash != merl_card(tmp_path, "v.safetensors", sha256="0" * 64).hash


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"verified": True}, "verified belongs to published weights"),
        ({"verified": True, "weights": {"file": "w", "sha256": None}}, "verified: true needs the sha256"),
        ({"weights": {"file": "w", "sha256": "abc"}}, "weights.sha256: String should match"),
        ({"weights": {"file": "w"}}, "weights.sha256: Field required"),
    ],
)
def test_a_card_cannot_claim_weights_that_it_does_not_name(
    changes: dict[str, object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(EcgbenchError, match=message):
        read_card(EncoderCard, overlay_card(tmp_path, EncoderCard, "mine", **changes))


def test_whether_weights_were_verified_is_not_part_of_the_identity(tmp_path: Path) -> None:
    weights = {"file": "w", "sha256": "0" * 64}
    told = [
        read_card(EncoderCard, overlay_card(tmp_path, EncoderCard, "mine", weights=weights, verified=v))
        for v in (True, False)
    ]
    assert told[0].hash == told[1].hash
