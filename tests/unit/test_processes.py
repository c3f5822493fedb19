"""Training in several processes is training in one: the same loss, the same gradients, the same statistics."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from ecgbench.contrastive.synchronised import SynchronisedBatchNorm, gathered, with_synchronised_norms
from ecgbench.contrastive.trainer import training_arguments
from ecgbench.errors import EcgbenchError
from ecgbench.processes import leader_first, leader_only, leader_says, process_group
from tests.unit.tiny_training import recipe

ROOT = Path(__file__).parents[2]
ALONE = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE", "LOCAL_RANK")}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_two_processes_have_the_loss_and_gradients_of_one_with_the_joined_batch(tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "tests.unit.two_processes", str(tmp_path), str(free_port())],
        cwd=ROOT, env={**ALONE, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr[-2000:]
    differences = json.loads(told.stdout.splitlines()[-1])
    training = differences.pop("training")
    assert len(differences) == 8 and training["steps"] == 2
    for name, found in differences.items():
        assert found["gradient"] > 1e-3, name
        assert found["gradients"] < 1e-5 * max(1.0, found["gradient"]), (name, found)
        assert all(found[key] < 1e-5 for key in ("loss", "buffers", "duplicates", "ecg_cosine")), (name, found)
    assert training["losses"] < 1e-5


def test_one_process_is_left_alone() -> None:
    norm = nn.Sequential(nn.Conv1d(2, 3, 1), nn.BatchNorm1d(3))
    assert with_synchronised_norms(norm, torch.device("cpu")) is norm and type(norm[1]) is nn.BatchNorm1d
    features = torch.randn(3, 2)
    assert gathered(features) is features
    with process_group():
        assert (leader_first(lambda: 3), leader_only(lambda: 4), leader_says(lambda: 5)) == (3, 4, 5)


@pytest.mark.parametrize("shape", [(6, 4), (6, 4, 9), (6, 4, 3, 5)])
@pytest.mark.parametrize("momentum", [0.1, None])
def test_the_synchronised_norm_is_torch_s_own_in_one_process(shape: tuple[int, ...], momentum: float | None) -> None:
    torch.manual_seed(0)
    own = nn.BatchNorm2d(4, momentum=momentum) if len(shape) == 4 else nn.BatchNorm1d(4, momentum=momentum)
    other = SynchronisedBatchNorm(4, momentum=momentum)
    other.load_state_dict(own.state_dict())
    for _ in range(3):
        x = torch.randn(shape)
        torch.testing.assert_close(other(x), own(x))
    torch.testing.assert_close(other.state_dict(), own.state_dict())


def test_a_batch_that_cannot_be_shared_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(EcgbenchError, match="batch of 8 cannot be shared evenly by 3 processes"):
        training_arguments(recipe(), 40, 0, tmp_path, quiet=True)


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["torchrun", "accelerate"])
def test_a_run_in_two_processes_is_the_run_of_one(tmp_path: Path, launcher: str) -> None:
    """Through the launchers, on the command line: one result, one that speaks, one that writes."""
    asked = ["run", "--encoder", "stats", "--text", "random", "--data", "synth98:S", "--recipe", "quick+precision=fp32",
             "--epochs", "2", "--tasks", "retrieval98", "--json", "--out"]  # fmt: skip
    port = str(free_port())
    start = {
        "torchrun": ["-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", port],
        "accelerate": ["-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2", "--num_machines", "1",
                       "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", port],
    }[launcher]  # fmt: skip
    env = {**ALONE, "OMP_NUM_THREADS": "1"}
    results = []
    for name, command in (("one", []), ("two", start)):
        line = [sys.executable, *command, "-m", "ecgbench", *asked, str(tmp_path / name)]
        told = subprocess.run(line, cwd=tmp_path, env=env, capture_output=True, text=True)
        assert told.returncode == 0, told.stderr[-2000:]
        results.append(json.loads(told.stdout))  # one JSON document: one process spoke
    one, two = results
    assert one["run_id"] == two["run_id"]
    assert one["settings"]["last_loss"] == pytest.approx(two["settings"]["last_loss"], abs=1e-4)
    value = [each["tasks"]["retrieval98"]["metrics"]["macro_auroc"]["value"] for each in results]
    assert value[0] == pytest.approx(value[1], abs=2e-3)
    wrong = [sys.executable, *start, "-m", "ecgbench", *asked, str(tmp_path / "no"), "--lang", "xx"]
    told = subprocess.run(wrong, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert told.returncode != 0 and told.stderr.count("--lang xx is not known") == 1
