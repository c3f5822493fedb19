"""What happens beside the steps of a training: its log, its checkpoints' marks, Ctrl-C, and the signs that it has failed."""

from __future__ import annotations

import importlib.util
import json
import math
import signal
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState

from ecgbench.errors import RunFailedError

COMPLETE = "complete"
"""A file that is written into a checkpoint after everything else: without it a checkpoint is not read back."""

COLLAPSED = 0.99
"""Mean cosine between the ECGs of a batch, over an epoch, above which they have become one direction."""

JUDGED_FROM = 100
"""Steps after which a run is judged so: what has hardly been trained may well give nearly one direction."""


class Watch:
    """Means of what the model says of its batches (`duplicates`, `ecg_cosine`), kept on the device: reading waits for it."""

    def __init__(self) -> None:
        self.sums: dict[str, torch.Tensor] = {}
        self.steps = 0

    def add(self, values: dict[str, torch.Tensor]) -> None:
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, torch.zeros_like(value)) + value.detach()
        self.steps += 1

    def take(self) -> dict[str, float]:
        """The means since the last call."""
        means = {name: float(total) / self.steps for name, total in self.sums.items()} if self.steps else {}
        self.sums, self.steps = {}, 0
        return means


class Log(TrainerCallback):
    """Every log line of the Trainer as one line of `log.jsonl`, and as TensorBoard's where it is installed; a loss that is
    not finite ends the run."""

    def __init__(self, path: Path, model: nn.Module, watch: Watch) -> None:
        self.path, self.model, self.watch = path, model, watch
        self.board: Any = None

    def on_train_begin(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if state.is_world_process_zero and importlib.util.find_spec("tensorboard"):
            from torch.utils.tensorboard import SummaryWriter

            self.board = SummaryWriter(str(self.path.parent / "tensorboard"), purge_step=state.global_step + 1)

    def on_log(self, args: Any, state: TrainerState, control: TrainerControl, logs: Any = None, **_: Any) -> None:
        line = {"step": state.global_step, **(logs or {}), **self.watch.take()}
        if hasattr(self.model, "temperature"):
            line["temperature"] = self.model.temperature
        if not math.isfinite(line.get("loss", 0.0)):
            raise RunFailedError(f"the loss was {line['loss']} at step {state.global_step}: the run diverged.")
        if not state.is_world_process_zero:
            return
        with self.path.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(line) + "\n")
        if self.board is not None:
            for name, value in line.items():
                self.board.add_scalar(name, value, state.global_step)

    def on_train_end(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if self.board is not None:
            self.board.close()


class Health(TrainerCallback):
    """Ends a run that goes on without learning: where, from its hundredth step on, the temperature stood at its floor in every
    step of an epoch, or the ECGs of a batch had become one direction."""

    def __init__(self, model: nn.Module, epoch_watch: Watch) -> None:
        self.model, self.watch = model, epoch_watch

    def on_epoch_begin(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self.watch.take()

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Keeps the temperature at or above its floor."""
        if hasattr(self.model, "bound_temperature"):
            self.model.bound_temperature()
            self.watch.sums["at_floor"] = self.watch.sums.get("at_floor", 0) + self.model.at_temperature_floor.float()

    def on_epoch_end(
        self, args: Any, state: TrainerState, control: TrainerControl, train_dataloader: Any = None, **_: Any
    ) -> None:
        steps, means = self.watch.steps, self.watch.take()
        epoch = round(state.epoch or 0)
        # An epoch that was taken up in its middle is not judged.
        if state.global_step - steps < JUDGED_FROM or steps < len(train_dataloader):
            return
        if means.get("ecg_cosine", 0.0) > COLLAPSED:
            raise RunFailedError(
                f"in epoch {epoch} the ECGs of a batch had a mean cosine of {means['ecg_cosine']:.4f} to each other: the "
                "encoder gives one direction for all, the run collapsed; a lower learning_rate or another loss may help."
            )
        if self.model_learns_temperature and means.get("at_floor", 0.0) == 1.0:
            raise RunFailedError(
                f"the temperature stood at its floor during the whole of epoch {epoch}, so that the loss could not be what "
                "it learned: take a lower temperature_floor or learning_rate."
            )

    @property
    def model_learns_temperature(self) -> bool:
        scale = getattr(self.model, "logit_scale", None)
        return scale is not None and scale.requires_grad


class SetEpoch(TrainerCallback):
    """Tells data and sampler which epoch begins, or is taken up in its middle: not every kind of data loader does."""

    def __init__(self, *told: Any) -> None:
        self.told = [each for each in told if hasattr(each, "set_epoch")]

    def on_epoch_begin(
        self, args: Any, state: TrainerState, control: TrainerControl, train_dataloader: Any = None, **_: Any
    ) -> None:
        for each in self.told:
            each.set_epoch(state.global_step // len(train_dataloader))


class MarkComplete(TrainerCallback):
    """Marks a checkpoint as whole once the Trainer has written all of it."""

    def on_save(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if state.is_world_process_zero:
            (Path(args.output_dir) / f"checkpoint-{state.global_step}" / COMPLETE).touch()


class StopOnInterrupt(TrainerCallback):
    """Ctrl-C during training: finish the step, write a checkpoint, stop. A second Ctrl-C stops at once."""

    def __init__(self) -> None:
        self.asked = False
        self._before: Any = None

    def __enter__(self) -> StopOnInterrupt:
        self._before = signal.signal(signal.SIGINT, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> TrainerControl:
        if self.asked:
            control.should_save = True
            control.should_training_stop = True
        return control
