"""Which epoch's weights a run keeps, and when it stops early: by its own validation rows and nothing else."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_model, save_model
from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState

from ecgbench.errors import RunFailedError
from ecgbench.files import atomic_path
from ecgbench.processes import leader_says
from ecgbench.recipe import Recipe

WEIGHTS = "best.safetensors"


@dataclass(frozen=True)
class Judged:
    """An epoch (from 1) and the value of its weights on the validation rows: the higher, the better."""

    epoch: int
    step: int
    value: float


class Selection(TrainerCallback):
    """Judges the weights after every epoch. `history` is kept beside the log, so that a resumed run knows what came before;
    the weights of the best epoch so far lie in `folder`."""

    def __init__(self, recipe: Recipe, model: nn.Module, judge: Callable[[], float], log: Path, folder: Path) -> None:
        self.recipe, self.model, self.judge, self.log, self.folder = recipe, model, judge, log, folder
        self.history: list[Judged] = []

    @property
    def best(self) -> Judged | None:
        """The first of the highest."""
        return max(self.history, key=lambda judged: judged.value, default=None)

    def on_train_begin(
        self, args: Any, state: TrainerState, control: TrainerControl, train_dataloader: Any = None, **_: Any
    ) -> None:
        known = self.log.read_text(encoding="utf-8").splitlines() if self.log.is_file() else []
        told = [Judged(**json.loads(line)) for line in known]
        self.history = [judged for judged in told if judged.step <= state.global_step]
        if state.is_world_process_zero:
            self._write()
        epochs, within = divmod(state.global_step, len(train_dataloader))
        if epochs and not within and len(self.history) < epochs:  # killed between the step and the judging of its epoch
            self._judge(state, control)

    def on_epoch_end(
        self, args: Any, state: TrainerState, control: TrainerControl, train_dataloader: Any = None, **_: Any
    ) -> None:
        if state.global_step % len(train_dataloader) == 0:  # not where Ctrl-C ends an epoch early
            self._judge(state, control)

    def put_back(self, device: torch.device) -> None:
        """Give the model the weights of the best epoch."""
        if self.recipe.checkpoint == "best" and self.best is not None:
            load_model(self.model, str(self.folder / WEIGHTS), strict=True, device=str(device))

    def _judge(self, state: TrainerState, control: TrainerControl) -> None:
        value = leader_says(self.judge)
        if not math.isfinite(value):
            raise RunFailedError(
                "the recipe chooses an epoch by validation rows, and these have no finding that some records have and others "
                "lack: take checkpoint: last and patience: null."
            )
        before = self.best
        self.history.append(Judged(round(state.epoch or 0), state.global_step, value))
        if state.is_world_process_zero:
            if self.recipe.checkpoint == "best" and (before is None or value > before.value):
                with atomic_path(self.folder / WEIGHTS) as temporary:
                    save_model(self.model, str(temporary))
            self._write()
        best = self.best
        if self.recipe.patience is not None and best and len(self.history) - best.epoch >= self.recipe.patience:
            control.should_training_stop = True

    def _write(self) -> None:
        lines = "".join(json.dumps(judged.__dict__) + "\n" for judged in self.history)
        with atomic_path(self.log) as temporary:
            temporary.write_text(lines, encoding="utf-8")
