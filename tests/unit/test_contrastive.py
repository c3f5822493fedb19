"""The loss is the paper's, the pairing is the recipe's, and training can be stopped and gone on with."""

from __future__ import annotations

import json
import math
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from ecgbench.contrastive.data import ContrastiveSet, LabelledSet
from ecgbench.contrastive.model import SupervisedModel
from ecgbench.contrastive.stopping import StoppedError
from ecgbench.contrastive.trainer import train, training_arguments
from ecgbench.errors import RunFailedError
from ecgbench.findings import label_bank
from tests.unit.tiny_training import Mean, data, made, model, recipe


def test_the_loss_is_equations_two_to_four() -> None:
    net = model(recipe())
    ecg, text = torch.randn(6, 3, 20), torch.randn(6, 4)
    e, t = net.embed_ecg(ecg).detach(), net.embed_text(text).detach()
    torch.testing.assert_close(e.norm(dim=1), torch.ones(6))
    torch.testing.assert_close(t.norm(dim=1), torch.ones(6))
    tau, n = 0.07, 6
    total = 0.0
    for i in range(n):
        sims = [float(t[i] @ e[j]) / tau for j in range(n)]
        total += -sims[i] + math.log(sum(map(math.exp, sims)))
        sims = [float(e[i] @ t[j]) / tau for j in range(n)]
        total += -sims[i] + math.log(sum(map(math.exp, sims)))
    assert float(net(ecg, text)["loss"].detach()) == pytest.approx(total / (2 * n), rel=1e-4)


def test_the_temperature_starts_where_the_recipe_says_and_is_bounded() -> None:
    net = model(recipe())
    assert net.temperature == pytest.approx(0.07)
    net.logit_scale.data.fill_(100.0)
    net.bound_temperature()
    assert net.temperature == pytest.approx(0.01)
    assert not model(recipe(temperature_learned=False)).logit_scale.requires_grad


def test_mean_prompts_are_the_mean_of_a_records_findings() -> None:
    batch = data().__getitems__([0, 1, 5])
    text = data().text.vectors
    expected = torch.stack([text[0], (text[1] + text[2]) / 2, (text[5] + text[6]) / 2])
    torch.testing.assert_close(batch["text"], expected)
    assert batch["ecg"].shape == (3, 3, 20)


def test_one_prompt_draws_each_of_a_records_findings_and_no_other() -> None:
    drawn = data(draw=True)
    seen = []
    for epoch in range(60):
        drawn.set_epoch(epoch)
        seen.append(tuple(drawn.__getitems__([1])["text"][0].tolist()))
        assert torch.equal(drawn.__getitems__([0])["text"][0], drawn.text.vectors[0])
    assert set(seen) == {tuple(drawn.text.vectors[1].tolist()), tuple(drawn.text.vectors[2].tolist())}
    drawn.set_epoch(7)
    assert tuple(drawn.__getitems__([1])["text"][0].tolist()) == seen[7]


def test_supervised_labels_are_the_findings() -> None:
    bank = label_bank()
    rows = np.array([0, 2])
    labelled = LabelledSet(
        np.zeros((3, 3, 20), np.float32), rows, [("normal",), ("atrial-fibrillation", "bradycardia")], bank
    )
    labels = labelled.__getitems__([1, 0])["labels"]
    assert [bank.ids[i] for i in labels[0].nonzero().flatten()] == ["bradycardia", "atrial-fibrillation"]
    assert [bank.ids[i] for i in labels[1].nonzero().flatten()] == ["normal"]
    net = SupervisedModel(Mean(), 5, len(bank), recipe())
    assert net.logits(torch.randn(2, 3, 20)).shape == (2, 98)


def test_a_frozen_encoder_does_not_move(tmp_path: Path) -> None:
    asked = recipe(train_encoder=False)
    net = model(asked)
    encoder = {k: v.clone() for k, v in net.encoder.state_dict().items()}
    head = net.ecg_head.weight.clone()
    train(net, data(), asked, seed=0, folder=tmp_path, resume=False, quiet=True)
    assert all(torch.equal(v, encoder[k]) for k, v in net.encoder.state_dict().items())
    assert not torch.equal(net.ecg_head.weight, head)


def test_training_lowers_the_loss_and_logs_it(tmp_path: Path) -> None:
    asked = recipe(epochs=60, learning_rate=0.01)
    train(model(asked), data(), asked, seed=0, folder=tmp_path, resume=False, quiet=True)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert losses[-1] < losses[0] - 0.2
    assert all("temperature" in line and "step" in line for line in lines)


def test_equal_seeds_give_equal_weights_and_others_do_not(tmp_path: Path) -> None:
    def weights(seed: int, name: str) -> torch.Tensor:
        net = model(recipe(), seed=0)
        train(net, data(draw=True), recipe(), seed=seed, folder=tmp_path / name, resume=False, quiet=True)
        return net.ecg_head.weight.detach()

    for name in "abc":
        (tmp_path / name).mkdir()
    first = weights(0, "a")
    assert torch.equal(first, weights(0, "b"))
    assert not torch.equal(first, weights(1, "c"))


@pytest.mark.parametrize("memory_format", ["contiguous", "channels_last"])
def test_a_stopped_run_goes_on_bit_for_bit(tmp_path: Path, memory_format: str) -> None:
    """SIGINT in the middle: a checkpoint; `resume` ends with the weights of a run that was never stopped."""
    asked = recipe(epochs=4, memory_format=memory_format)
    whole = model(asked)
    train(whole, data(draw=True), asked, seed=3, folder=made(tmp_path / "whole"), resume=False, quiet=True)

    class Interrupted(ContrastiveSet):
        batches = 0

        def __getitems__(self, items: list[int]) -> dict[str, torch.Tensor]:
            self.batches += 1
            if self.batches == 8:
                os.kill(os.getpid(), signal.SIGINT)
            return super().__getitems__(items)

    source = data(draw=True)
    stopped = Interrupted(source.inputs, source.rows, source.text)
    folder = made(tmp_path / "stopped")
    with pytest.raises(StoppedError, match="stopped at step"):
        train(model(asked), stopped, asked, seed=3, folder=folder, resume=False, quiet=True)
    resumed = model(asked, seed=99)
    train(resumed, data(draw=True), asked, seed=3, folder=folder, resume=True, quiet=True)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    steps = [json.loads(line)["step"] for line in (folder / "log.jsonl").read_text().splitlines()]
    assert steps == sorted(steps)


def test_a_checkpoint_cut_short_is_not_read(tmp_path: Path) -> None:
    asked = recipe(epochs=4)
    whole = model(asked)
    train(whole, data(), asked, seed=3, folder=made(tmp_path / "whole"), resume=False, quiet=True)
    checkpoints = sorted((tmp_path / "whole" / "checkpoints").iterdir(), key=lambda p: int(p.name.split("-")[1]))
    for name in ("complete", "model.safetensors"):
        (checkpoints[-1] / name).unlink()
    resumed = model(asked, seed=99)
    train(resumed, data(), asked, seed=3, folder=tmp_path / "whole", resume=True, quiet=True)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_several_visible_gpus_do_not_split_the_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transformers.TrainingArguments.n_gpu", property(lambda self: getattr(self, "_n_gpu", 4)))
    monkeypatch.setattr("transformers.TrainingArguments._setup_devices", torch.device("cpu"))
    arguments = training_arguments(recipe(), 40, 0, tmp_path, quiet=True)
    assert arguments.n_gpu == 1 and arguments.train_batch_size == 8


def test_a_run_that_diverges_says_so(tmp_path: Path) -> None:
    broken = data()
    broken.inputs[5] = np.nan
    with pytest.raises(RunFailedError, match="diverged"):
        train(model(recipe()), broken, recipe(), seed=0, folder=tmp_path, resume=False, quiet=True)


def test_resuming_from_the_last_checkpoint_gives_the_same_weights(tmp_path: Path) -> None:
    """Where scoring was stopped, training is done: going on takes no step."""
    asked = recipe()
    whole = model(asked)
    train(whole, data(), asked, seed=3, folder=tmp_path, resume=False, quiet=True)
    resumed = model(asked, seed=99)
    trained = train(resumed, data(), asked, seed=3, folder=tmp_path, resume=True, quiet=True)
    assert trained.steps == 15
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_where_no_checkpoint_is_whole_yet_a_resumed_run_starts_anew(tmp_path: Path) -> None:
    """Killed before its first checkpoint, or while that was written: the weights of a run that was never stopped."""
    asked = recipe(epochs=1)
    whole = model(asked)
    train(whole, data(), asked, seed=0, folder=made(tmp_path / "whole"), resume=False, quiet=True)
    (tmp_path / "killed" / "checkpoints" / "checkpoint-5").mkdir(parents=True)
    (tmp_path / "killed" / "log.jsonl").write_text('{"step": 3, "loss": 1.0}\n')
    resumed = model(asked)
    train(resumed, data(), asked, seed=0, folder=tmp_path / "killed", resume=True, quiet=True)
    assert all(torch.equal(value, resumed.state_dict()[name]) for name, value in whole.state_dict().items())
    steps = [json.loads(line)["step"] for line in (tmp_path / "killed" / "log.jsonl").read_text().splitlines()]
    assert steps == [5, 5]  # the last is the Trainer's summary


def test_the_temperature_can_come_back_from_its_floor(tmp_path: Path) -> None:
    """At the floor it still has a gradient, and no step leaves it below."""
    asked = recipe(temperature=0.0101, learning_rate=0.05)
    net = model(asked)
    net.logit_scale.data.fill_(math.log(100.0))
    batch = data().__getitems__(list(range(8)))
    net(batch["ecg"], batch["text"])["loss"].backward()
    assert net.logit_scale.grad is not None and float(net.logit_scale.grad) != 0
    net.logit_scale.data.fill_(math.log(400.0))
    train(net, data(), asked, seed=0, folder=tmp_path, resume=False, quiet=True)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert min(line["temperature"] for line in lines) >= 0.01 - 1e-6


def test_a_constant_rate_is_warmed_up(tmp_path: Path) -> None:
    asked = recipe(schedule="constant", warmup_fraction=0.5, epochs=4)
    train(model(asked), data(), asked, seed=0, folder=tmp_path, resume=False, quiet=True)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    rates = [line["learning_rate"] for line in lines if "learning_rate" in line]
    assert rates[0] < rates[1] <= rates[-1] == pytest.approx(asked.learning_rate)
