"""Which epoch is kept and when training stops: by the validation value alone, and alike after a resume."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from ecgbench.contrastive.sampling import BalancedSampler, balanced_weights
from ecgbench.contrastive.trainer import Trained, train
from ecgbench.errors import RunFailedError
from tests.unit.tiny_training import data, made, model, recipe

VALUES = [0.6, 0.8, 0.7, 0.8, 0.5]
"""Of equal ones the first is the best."""


def told(values: list[float]) -> Callable[[], float]:
    given: Iterator[float] = iter(values)
    return lambda: next(given)


def judged(folder: Path) -> list[float]:
    return [json.loads(line)["value"] for line in (folder / "selection.jsonl").read_text().splitlines()]


def test_the_best_epoch_s_weights_are_kept(tmp_path: Path) -> None:
    steady = {"schedule": "constant", "warmup_fraction": 0.0}  # so that two epochs are the first two of five

    def trained(name: str, **changes: object) -> tuple[dict[str, torch.Tensor], Trained]:
        asked = recipe(**steady, **changes)
        net = model(asked)
        done = train(
            net, data(), asked, seed=0, folder=made(tmp_path / name), resume=False, quiet=True, judge=told(VALUES)
        )
        return net.state_dict(), done

    two, _ = trained("two", epochs=2)
    kept, done = trained("five", epochs=5, checkpoint="best")
    last, _ = trained("last", epochs=5)
    assert done.best_epoch == 2 and done.steps == 25 and judged(tmp_path / "five") == VALUES
    assert all(torch.equal(value, kept[name]) for name, value in two.items())
    assert not torch.equal(last["ecg_head.weight"], kept["ecg_head.weight"])


def test_training_stops_when_nothing_got_better(tmp_path: Path) -> None:
    asked = recipe(epochs=9, patience=2)
    values = [0.5, 0.7, 0.6, 0.7, 0.9]
    done = train(model(asked), data(), asked, seed=0, folder=tmp_path, resume=False, quiet=True, judge=told(values))
    assert judged(tmp_path) == [0.5, 0.7, 0.6, 0.7] and done.steps == 20 and done.best_epoch == 2


def test_a_resumed_run_chooses_as_one_that_was_never_stopped(tmp_path: Path) -> None:
    """The value is a function of the weights, as it is in a real run; the last checkpoints are taken away."""
    asked = recipe(epochs=5, checkpoint="best", learning_rate=0.05, warmup_fraction=0.0)

    def run(folder: Path, *, resume: bool) -> tuple[dict[str, torch.Tensor], int | None]:
        net = model(asked)
        done = train(net, data(), asked, seed=1, folder=folder, resume=resume, quiet=True,
                     judge=lambda: -abs(float(net.ecg_head.weight.detach().sum())))  # fmt: skip
        return net.state_dict(), done.best_epoch

    whole, best = run(made(tmp_path / "whole"), resume=False)
    folder = made(tmp_path / "stopped")
    run(folder, resume=False)
    checkpoints = sorted((folder / "checkpoints").glob("checkpoint-*"), key=lambda p: int(p.name.split("-")[1]))
    (checkpoints[-1] / "complete").unlink()
    lines = (folder / "selection.jsonl").read_text().splitlines(keepends=True)
    (folder / "selection.jsonl").write_text("".join(lines[:3]))  # killed before the fourth epoch was judged
    resumed, again = run(folder, resume=True)
    assert again == best and judged(folder) == judged(tmp_path / "whole")
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


def test_validation_rows_that_cannot_judge_end_the_run(tmp_path: Path) -> None:
    asked = recipe(checkpoint="best")
    with pytest.raises(RunFailedError, match="checkpoint: last"):
        train(
            model(asked), data(), asked, seed=0, folder=tmp_path, resume=False, quiet=True, judge=told([float("nan")])
        )


def test_a_recipe_that_does_not_choose_is_not_judged(tmp_path: Path) -> None:
    train(model(recipe()), data(), recipe(), seed=0, folder=tmp_path, resume=False, quiet=True, judge=told([]))
    assert not (tmp_path / "selection.jsonl").exists()


def test_balanced_draws_bring_every_finding_as_often() -> None:
    findings = torch.zeros(400, 3)
    findings[:360, 0], findings[360:395, 1], findings[395:, 2] = 1, 1, 1
    sampler = BalancedSampler(findings, seed=3)
    drawn = np.array([place for epoch in range(30) for place in _epoch(sampler, epoch)])
    shares = findings.numpy()[drawn].mean(0)
    np.testing.assert_allclose(shares, 1 / 3, atol=0.02)
    assert _epoch(sampler, 4) == _epoch(BalancedSampler(findings, seed=3), 4) != _epoch(sampler, 5)


def test_balanced_weights_are_the_mean_rarity_of_a_record_s_findings() -> None:
    findings = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 0], [0, 1, 1]], float)
    rarity = [1 / 3, 1 / 2, 1]
    naive = np.array([np.mean([rarity[j] for j in np.flatnonzero(row)]) for row in findings])
    np.testing.assert_allclose(balanced_weights(findings), naive / naive.sum())


@pytest.mark.parametrize("draw", [False, True])
def test_a_balanced_run_resumes_bit_for_bit(tmp_path: Path, draw: bool) -> None:
    asked = recipe(epochs=4, sampling="class-balanced")

    def run(folder: Path, resume: bool) -> dict[str, torch.Tensor]:
        net = model(asked)
        source = data(draw=draw)
        train(
            net,
            source,
            asked,
            seed=1,
            folder=folder,
            resume=resume,
            quiet=True,
            sampler=BalancedSampler(source.findings, 1),
        )
        return net.state_dict()

    whole = run(made(tmp_path / "whole"), False)
    last = max((tmp_path / "whole" / "checkpoints").glob("checkpoint-*"), key=lambda p: int(p.name.split("-")[1]))
    (last / "complete").unlink()
    resumed = run(tmp_path / "whole", True)
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


def _epoch(sampler: BalancedSampler, epoch: int) -> list[int]:
    sampler.set_epoch(epoch)
    return list(sampler)
