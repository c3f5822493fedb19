"""Trains in forks of itself that are killed, and resumed; prints what came out as JSON. Run by test_resume_after_kill.py."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from pathlib import Path

import torch

from ecgbench.contrastive.callbacks import MarkComplete
from ecgbench.contrastive.data import ContrastiveSet
from ecgbench.contrastive.sampling import BalancedSampler
from ecgbench.contrastive.trainer import RecipeTrainer, train
from tests.unit.tiny_training import data, model, recipe


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Deadly(ContrastiveSet):
    """Kills its process when a batch is asked for the n-th time."""

    left = 0

    def __getitems__(self, items: list[int]) -> dict[str, torch.Tensor]:
        Deadly.left -= 1
        if Deadly.left == 0:
            die()
        return super().__getitems__(items)


def work(folder: Path, case: str, *, resume: bool, batches: int = -1, saves: int = -1, phase: str = "") -> None:
    """One training in this process, which may not survive it; the hash of its weights is left in the folder."""
    changes = {"one": {}, "bf16": {"precision": "bf16"}, "balanced": {"sampling": "class-balanced"}}[case]
    asked = recipe(epochs=3, **changes)
    torch.set_num_threads(1)
    source = data(draw=case == "one")
    Deadly.left = batches
    training = Deadly(source.inputs, source.rows, source.text, source.findings)
    net = model(asked)
    count = [0]

    def deadly(method: object) -> object:
        def wrapped(*given: object, **named: object) -> object:
            count[0] += 1
            if count[0] == saves:
                die()
            return method(*given, **named)  # type: ignore[operator]

        return wrapped

    if phase:
        owner, name = {
            "before": (RecipeTrainer, "_save_checkpoint"), "weights": (RecipeTrainer, "_save"),
            "optimizer": (RecipeTrainer, "_save_optimizer_and_scheduler"), "mark": (MarkComplete, "on_save"),
        }[phase]  # fmt: skip
        setattr(owner, name, deadly(getattr(owner, name)))
    sampler = BalancedSampler(source.findings, 3) if case == "balanced" else None
    train(net, training, asked, seed=3, folder=folder, resume=resume, quiet=True, sampler=sampler)
    digest = hashlib.sha256()
    for name, value in sorted(net.state_dict().items()):
        digest.update(name.encode() + value.numpy().tobytes())
    (folder / "weights").write_text(digest.hexdigest())


def forked(folder: Path, case: str, **how: object) -> int:
    """The signal that ended a fork doing that work; 0 where it came to its end."""
    folder.mkdir(exist_ok=True)
    child = os.fork()
    if not child:
        try:
            work(folder, case, **how)  # type: ignore[arg-type]
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
    _, status = os.waitpid(child, 0)
    return -os.waitstatus_to_exitcode(status)


def main(root: Path, cases: list[str], every: bool) -> None:
    """`every`: at every step and in every part of a checkpoint, not at three places alone."""
    torch.set_num_threads(1)
    found: list[dict[str, object]] = []
    for case in cases:
        assert forked(root / f"{case}-whole", case, resume=False) == 0
        whole = (root / f"{case}-whole" / "weights").read_text()
        kills: list[dict[str, object]] = [{"batches": n} for n in (range(1, 17) if every else (2, 9))]
        phases = ("before", "weights", "optimizer", "mark") if every else ("mark",)
        kills += [{"phase": phase, "saves": n} for phase in phases for n in ((1, 3) if every else (2,))]
        for number, kill in enumerate(kills):
            folder = root / f"{case}-{number}"
            ended = forked(folder, case, resume=False, **kill)
            again = forked(folder, case, resume=True, batches=5)  # and killed once more on its way
            rest = forked(folder, case, resume=True)
            same = rest == 0 and (folder / "weights").read_text() == whole
            found.append({"case": case, **kill, "killed": ended, "again": again, "same": same})
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[2]), sys.argv[3:], every=sys.argv[1] == "every")
