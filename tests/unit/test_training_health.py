"""A run that no longer learns ends with its reason, and memory that is too small is answered with a batch that fits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from ecgbench.contrastive.memory import fitting_batch_size, held_on_device
from ecgbench.contrastive.model import ContrastiveModel
from ecgbench.contrastive.trainer import train
from ecgbench.errors import RunFailedError
from tests.unit.tiny_training import Mean, data, model, recipe


class OneDirection(Mean):
    """An encoder that has given up: the same vector for every ECG, but for a trace."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 1e-4 * super().forward(x) + torch.ones(5)


def test_collapsed_embeddings_end_the_run(tmp_path: Path) -> None:
    asked = recipe(epochs=30)
    net = ContrastiveModel(OneDirection(), 5, 4, asked)
    with pytest.raises(RunFailedError, match=r"in epoch 21 .* mean cosine of (0\.99|1\.0).* collapsed"):
        train(net, data(), asked, seed=0, folder=tmp_path, resume=False, quiet=True)


def test_what_is_hardly_trained_is_not_judged(tmp_path: Path) -> None:
    asked = recipe(epochs=20)
    net = ContrastiveModel(OneDirection(), 5, 4, asked)
    train(net, data(), asked, seed=0, folder=tmp_path, resume=False, quiet=True)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines[0]["ecg_cosine"] > 0.99


def test_a_temperature_that_stays_at_its_floor_ends_the_run(tmp_path: Path) -> None:
    asked = recipe(epochs=30, temperature=0.07, temperature_floor=0.07, learning_rate=1e-5, warmup_fraction=0.0)
    net = model(asked)
    with torch.no_grad():  # what it would like to be is far below the floor: each step pushes it down
        net.ecg_head.weight.zero_()
        net.ecg_head.bias.copy_(torch.ones(6))
        net.text_head.weight.zero_()
        net.text_head.bias.copy_(torch.ones(6))

    class Pushed(type(net)):  # type: ignore[misc]
        def forward(self, *given: torch.Tensor, **named: torch.Tensor) -> dict[str, torch.Tensor]:
            told = super().forward(*given, **named)
            return {**told, "loss": told["loss"] - 10 * self.logit_scale, "ecg_cosine": torch.tensor(0.0)}

    net.__class__ = Pushed
    with pytest.raises(RunFailedError, match="at its floor during the whole of epoch 21"):
        train(net, data(), asked, seed=0, folder=tmp_path, resume=False, quiet=True)


def test_a_fixed_temperature_may_stand_at_its_floor(tmp_path: Path) -> None:
    asked = recipe(epochs=25, temperature=0.01, temperature_learned=False)
    train(model(asked), data(), asked, seed=0, folder=tmp_path, resume=False, quiet=True)


def test_the_log_tells_what_stood_in_a_batch_twice(tmp_path: Path) -> None:
    """Every record with one text: all are duplicates; each with its own: none is."""
    for name, members, share in (("same", [[0]] * 40, 1.0), ("own", [[i] for i in range(40)], 0.0)):
        source = data()
        targets = type(source.text).of(np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32), members)
        training = type(source)(source.inputs, source.rows, targets)
        (tmp_path / name).mkdir()
        asked = recipe(epochs=1)
        train(model(asked), training, asked, seed=0, folder=tmp_path / name, resume=False, quiet=True)
        lines = [json.loads(line) for line in (tmp_path / name / "log.jsonl").read_text().splitlines()]
        assert lines[0]["duplicates"] == share


class Hungry(nn.Module):
    """An encoder for which memory runs out above a batch of five."""

    def __init__(self, error: type[Exception], text: str) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 5)
        self.error, self.text = error, text

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if len(x) > 5:
            raise self.error(self.text)
        return self.linear(x.mean(2))


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (torch.OutOfMemoryError, "CUDA out of memory"),
        (RuntimeError, "[enforce fail] DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_out_of_memory_names_a_batch_that_fits(tmp_path: Path, error: type[Exception], text: str) -> None:
    asked = recipe()
    net = ContrastiveModel(Hungry(error, text), 5, 4, asked)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with pytest.raises(RunFailedError, match=r"too small for a batch of 8; 4 fit: type --recipe NAME\+batch_size=4"):
        train(net, data(), asked, seed=0, folder=tmp_path, resume=False, quiet=True)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_a_real_allocation_that_fails_is_answered(tmp_path: Path) -> None:
    """Two gigabytes times the batch: this allocator gives up by itself."""

    class Vast(Hungry):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if len(x) > 2:
                torch.empty(len(x) * 2**46, dtype=torch.uint8)
            return self.linear(x.mean(2))

    asked = recipe()
    with pytest.raises(RunFailedError, match="2 fit"):
        train(
            ContrastiveModel(Vast(RuntimeError, ""), 5, 4, asked),
            data(),
            asked,
            seed=0,
            folder=tmp_path,
            resume=False,
            quiet=True,
        )


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    asked = recipe()
    with pytest.raises(RuntimeError, match="shapes differ"):
        train(ContrastiveModel(Hungry(RuntimeError, "shapes differ"), 5, 4, asked), data(), asked, seed=0, folder=tmp_path,
              resume=False, quiet=True)  # fmt: skip


def test_nothing_fits() -> None:
    class Never(Hungry):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise torch.OutOfMemoryError

    net = ContrastiveModel(Never(RuntimeError, ""), 5, 4, recipe())
    assert fitting_batch_size(net, data(), torch.device("cpu"), 32, "fp32") == 0


def test_records_held_on_a_device_give_the_same_batches() -> None:
    source, held = data(), data()
    assert not held_on_device(held, torch.device("cpu")) and held.resident is None
    held.hold_on(torch.device("cpu"))
    for items in ([0, 5, 39], [3]):
        plain, resident = source.__getitems__(items), held.__getitems__(items)
        assert all(torch.equal(plain[name], resident[name]) for name in plain)


def test_a_tensorboard_log_is_left_where_it_is_installed(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is an extra")
    asked = recipe(epochs=2)
    train(model(asked), data(), asked, seed=0, folder=tmp_path, resume=False, quiet=True)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert {"loss", "temperature", "duplicates", "ecg_cosine"} <= set(events.Tags()["scalars"])
    assert [event.step for event in events.Scalars("loss")] == [5, 10]
