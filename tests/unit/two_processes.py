"""Two processes over gloo against one with the joined batch; prints the differences as JSON. Run by test_processes.py."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ecgbench.contrastive.model import ContrastiveModel
from ecgbench.contrastive.synchronised import with_synchronised_norms
from ecgbench.contrastive.trainer import train
from ecgbench.encoders.resnet1d import ResNet1d
from ecgbench.processes import process_group, rank
from ecgbench.recipe import Recipe, load_recipe
from tests.unit.tiny_training import data, model, recipe

LOSSES = ("clip", "siglip", "multi-positive", "soft-target")
RECORDS = 8


def asked(loss: str) -> Recipe:
    return load_recipe(f"quick+precision=fp32+head_dim=6+loss={loss}" + ("+logit_bias=-10" if loss == "siglip" else ""))


def encoder(kind: str) -> tuple[nn.Module, int, Tensor]:
    """One with a single batch normalisation, and the residual network of the paper, small; with a batch for it."""
    torch.manual_seed(1)
    if kind == "mean":
        net: nn.Module = model(recipe()).encoder
        return net, 5, torch.randn(RECORDS, 3, 20)
    return ResNet1d(leads=2, samples=64, rate=100, blocks=[1, 1, 1, 1], width=4), 32, torch.randn(RECORDS, 2, 64)


def step(kind: str, loss: str, part: slice) -> dict[str, list[float] | float]:
    """Loss, gradients and running statistics after one step on a part of the batch."""
    net_encoder, dim, ecg = encoder(kind)
    torch.manual_seed(2)
    net = ContrastiveModel(net_encoder, dim, 4, asked(loss)).train()
    text, sentences = torch.randn(RECORDS, 4), torch.tensor([0, 1, 2, 0, 3, 1, 4, 5])
    findings = F.one_hot(sentences, 6).float() + F.one_hot((sentences + 1) % 6, 6).float()
    net = with_synchronised_norms(net, torch.device("cpu"))  # type: ignore[assignment]
    wrapped = DistributedDataParallel(net) if torch.distributed.is_initialized() else net
    told = wrapped(ecg[part], text[part], sentences[part], findings[part])
    told["loss"].backward()
    gradients = torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None])
    buffers = torch.cat([b.flatten().float() for b in net.buffers()])
    return {
        "loss": float(told["loss"].detach()), "gradients": gradients.tolist(), "buffers": buffers.tolist(),
        "duplicates": float(told["duplicates"]), "ecg_cosine": float(told["ecg_cosine"]),
    }  # fmt: skip


def trained(folder: Path) -> list[float]:
    """Every logged loss of a short training, the last of its batches incomplete."""
    folder.mkdir(exist_ok=True)
    short = recipe(epochs=2, loss="multi-positive", drop_last=True)
    train(model(short), data(44), short, seed=3, folder=folder, resume=False, quiet=True)
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


def one_of_two(number: int, port: int, root: Path) -> None:
    os.environ |= {"RANK": str(number), "LOCAL_RANK": str(number), "WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    half = slice(number * RECORDS // 2, (number + 1) * RECORDS // 2)
    with process_group():
        found = {f"{kind} {loss}": step(kind, loss, half) for kind in ("mean", "resnet") for loss in LOSSES}
        losses = trained(root / "two")
    if rank() == 0:
        (root / "two.json").write_text(json.dumps({"steps": found, "losses": losses}))


def main(root: Path, port: int) -> None:
    torch.set_num_threads(1)
    children = []
    for number in range(2):
        child = os.fork()
        if not child:
            try:
                one_of_two(number, port, root)
                os._exit(0)
            except BaseException as error:
                print(repr(error), file=sys.stderr, flush=True)
                os._exit(1)
        children.append(child)
    assert all(os.waitpid(child, 0)[1] == 0 for child in children)
    two = json.loads((root / "two.json").read_text())
    differences: dict[str, dict[str, float]] = {}
    for name, found in two["steps"].items():
        alone = step(*name.split(" "), slice(None))  # type: ignore[arg-type]
        differences[name] = {key: _largest(alone[key], found[key]) for key in alone}
        differences[name]["gradient"] = max(map(abs, alone["gradients"]))  # type: ignore[arg-type]
    differences["training"] = {"losses": _largest(trained(root / "one"), two["losses"]), "steps": len(two["losses"])}
    print(json.dumps(differences))


def _largest(one: object, other: object) -> float:
    return float((torch.tensor(one, dtype=torch.float64) - torch.tensor(other, dtype=torch.float64)).abs().max())


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
