"""Hugging Face's Trainer, set from a recipe: every value it uses is written out, none is left to its defaults."""

from __future__ import annotations

import json
import math
import signal
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch
import transformers
from torch import nn
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from ecgbench.contrastive.data import TrainingSet, keep_batch
from ecgbench.contrastive.stopping import StoppedError
from ecgbench.errors import EcgbenchError, RunFailedError
from ecgbench.recipe import Recipe

CHECKPOINTS = 5
"""How many times a run saves a checkpoint on its way; the last two stay until the run is done."""

SCHEDULES = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}
"""Recipe -> Trainer. The Trainer's own `constant` passes over the warm-up."""

COMPLETE = "complete"
"""A file that is written into a checkpoint after everything else: without it a checkpoint is not read back."""


@dataclass(frozen=True)
class Trained:
    """What training says of itself: steps taken, and the mean loss over the last logged stretch of them."""

    steps: int
    last_loss: float | None


class RecipeTrainer(Trainer):
    """The Trainer with the recipe's weight decay, and checkpoints that hold channels-last weights too."""

    recipe: Recipe

    def _save(self, output_dir: str | None = None, state_dict: dict[str, torch.Tensor] | None = None) -> None:
        weights = self.model.state_dict() if state_dict is None else state_dict
        super()._save(output_dir, {name: tensor.contiguous() for name, tensor in weights.items()})

    def get_decay_parameter_names(self, model: nn.Module) -> list[str]:
        if self.recipe.weight_decay_excludes == "bias and layer normalisation":
            return super().get_decay_parameter_names(model)
        return [name for name, parameter in model.named_parameters() if parameter.ndim > 1]


class _Log(TrainerCallback):
    """Every log line of the Trainer as one line of `log.jsonl`; a loss that is not finite ends the run."""

    def __init__(self, path: Path, model: nn.Module) -> None:
        self.path = path
        self.model = model

    def on_log(self, args: Any, state: TrainerState, control: TrainerControl, logs: Any = None, **_: Any) -> None:
        line = {"step": state.global_step, **(logs or {})}
        if hasattr(self.model, "temperature"):
            line["temperature"] = self.model.temperature
        if not math.isfinite(line.get("loss", 0.0)):
            raise RunFailedError(f"the loss was {line['loss']} at step {state.global_step}: the run diverged.")
        with self.path.open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(line) + "\n")


class _SetEpoch(TrainerCallback):
    """Tells the data which epoch a resumed run is in the middle of; the Trainer itself tells it the later ones only."""

    def on_train_begin(
        self, args: Any, state: TrainerState, control: TrainerControl, train_dataloader: Any = None, **_: Any
    ) -> None:
        if hasattr(train_dataloader.dataset, "set_epoch"):
            train_dataloader.dataset.set_epoch(state.global_step // len(train_dataloader))


class _BoundTemperature(TrainerCallback):
    """Keeps the temperature at or above its floor."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if hasattr(self.model, "bound_temperature"):
            self.model.bound_temperature()


class _MarkComplete(TrainerCallback):
    """Marks a checkpoint as whole once the Trainer has written all of it."""

    def on_save(self, args: Any, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        (Path(args.output_dir) / f"checkpoint-{state.global_step}" / COMPLETE).touch()


class _StopOnInterrupt(TrainerCallback):
    """Ctrl-C during training: finish the step, write a checkpoint, stop. A second Ctrl-C stops at once."""

    def __init__(self) -> None:
        self.asked = False
        self._before: Any = None

    def __enter__(self) -> _StopOnInterrupt:
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


def training_arguments(recipe: Recipe, records: int, seed: int, folder: Path, *, quiet: bool) -> TrainingArguments:
    """The Trainer's arguments, the recipe's and those that decide no number."""
    per_epoch = records // recipe.batch_size if recipe.drop_last else math.ceil(records / recipe.batch_size)
    steps = per_epoch * recipe.epochs
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=recipe.epochs,
        per_device_train_batch_size=recipe.batch_size,
        dataloader_drop_last=recipe.drop_last,
        gradient_accumulation_steps=1,
        optim="adamw_torch",
        learning_rate=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        adam_beta1=recipe.beta1,
        adam_beta2=recipe.beta2,
        adam_epsilon=recipe.epsilon,
        lr_scheduler_type=SCHEDULES[recipe.schedule],
        warmup_steps=round(recipe.warmup_fraction * steps),
        max_grad_norm=recipe.gradient_clip,
        label_smoothing_factor=0.0,
        bf16=recipe.precision == "bf16",
        use_cpu=not torch.cuda.is_available(),
        seed=seed,
        data_seed=seed,
        dataloader_num_workers=0,
        dataloader_pin_memory=torch.cuda.is_available(),
        remove_unused_columns=False,
        logging_strategy="steps",
        logging_steps=max(1, min(50, per_epoch)),
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=max(1, math.ceil(steps / CHECKPOINTS)),
        save_total_limit=2,
        report_to=[],
        disable_tqdm=quiet,
    )
    if (
        arguments.n_gpu > 1
    ):  # else the Trainer would spread each batch over all GPUs it sees: other negatives, another batch
        arguments._n_gpu = 1
    return arguments


def train(
    model: nn.Module, data: TrainingSet, recipe: Recipe, *, seed: int, folder: Path, resume: bool, quiet: bool
) -> Trained:
    """Train in place. `folder` is the run's folder: `log.jsonl` and `checkpoints/` are written there.

    StoppedError after Ctrl-C (a checkpoint is there), RunFailedError where the loss is not finite or memory ran out,
    EcgbenchError where there is no whole checkpoint to resume from.
    """
    checkpoints = folder / "checkpoints"
    last = _last_whole_checkpoint(checkpoints) if resume else None
    if resume and last is None:
        raise EcgbenchError(f"there is no whole checkpoint in {checkpoints}: start the run anew with --again.")
    log = folder / "log.jsonl"
    _keep_log_until(log, _step_of(last) if last else 0)
    transformers.utils.logging.set_verbosity_error()
    stopper = _StopOnInterrupt()
    trainer = RecipeTrainer(
        model=model,
        args=training_arguments(recipe, len(data), seed, checkpoints, quiet=quiet),
        train_dataset=data,
        data_collator=keep_batch,
        callbacks=[_Log(log, model), _SetEpoch(), _BoundTemperature(model), _MarkComplete(), stopper],
    )
    trainer.recipe = recipe
    _only_progress_bar(trainer)
    try:
        with stopper:
            outcome = trainer.train(resume_from_checkpoint=str(last) if last else None)
    except torch.cuda.OutOfMemoryError:
        raise RunFailedError(
            f"the accelerator's memory is too small for a batch of {recipe.batch_size}: use a smaller batch_size."
        ) from None
    if stopper.asked:
        raise StoppedError(f"stopped at step {trainer.state.global_step}")
    if not math.isfinite(outcome.training_loss) or not all(
        torch.isfinite(value).all() for value in model.state_dict().values()
    ):
        raise RunFailedError("the weights are not finite after training: the run diverged.")
    losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    return Trained(trainer.state.global_step, losses[-1] if losses else None)


def _step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def _last_whole_checkpoint(folder: Path) -> Path | None:
    """The latest checkpoint that was written to its end; what a kill left half-written is not looked at."""
    whole = [path.parent for path in folder.glob(f"checkpoint-*/{COMPLETE}")]
    return max(whole, key=_step_of, default=None)


def _keep_log_until(log: Path, step: int) -> None:
    """Drop log lines from after `step`: the steps that will be taken again are not in the log twice."""
    lines = log.read_text(encoding="utf-8").splitlines(keepends=True) if log.is_file() else []
    log.write_text("".join(line for line in lines if json.loads(line)["step"] <= step), encoding="utf-8")


def _only_progress_bar(trainer: Trainer) -> None:
    """Keep the Trainer's progress bar (with rate and time left), leave out its printing of every log line."""
    from transformers import PrinterCallback, ProgressCallback

    class Bar(ProgressCallback):
        def on_log(self, *args: Any, **kwargs: Any) -> None:
            return None

    for printing in (PrinterCallback, ProgressCallback):
        removed = trainer.pop_callback(printing)
        if removed is not None and printing is ProgressCallback:
            trainer.add_callback(Bar())
