"""Hugging Face's Trainer, set from a recipe: every value it uses is written out, none is left to its defaults."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn
from transformers import Trainer, TrainingArguments

from ecgbench.contrastive.callbacks import COMPLETE, Health, Log, MarkComplete, SetEpoch, StopOnInterrupt, Watch
from ecgbench.contrastive.data import TrainingSet, keep_batch
from ecgbench.contrastive.memory import fitting_batch_size, held_on_device, out_of_memory
from ecgbench.contrastive.sampling import BalancedSampler
from ecgbench.contrastive.selection import Selection
from ecgbench.contrastive.stopping import StoppedError
from ecgbench.contrastive.synchronised import with_synchronised_norms
from ecgbench.errors import EcgbenchError, RunFailedError
from ecgbench.processes import rank, world_size
from ecgbench.recipe import Recipe

CHECKPOINTS = 5
"""How many times a run saves a checkpoint on its way; the last two stay until the run is done."""

SCHEDULES = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}
"""Recipe -> Trainer. The Trainer's own `constant` passes over the warm-up."""


@dataclass(frozen=True)
class Trained:
    """What training says of itself: steps taken, the mean loss over the last logged stretch of them, and the epoch whose
    value on the validation rows was the highest, where they were asked."""

    steps: int
    last_loss: float | None
    best_epoch: int | None = None


class RecipeTrainer(Trainer):
    """The Trainer with the recipe's weight decay and sampling, checkpoints that hold channels-last weights too, and an ear
    for what the model says of its batches."""

    recipe: Recipe
    watches: tuple[Watch, ...]
    sampler: BalancedSampler | None = None

    def compute_loss(self, model: nn.Module, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        outputs = model(**inputs)
        for watch in self.watches:
            watch.add({name: value for name, value in outputs.items() if name != "loss"})
        return outputs["loss"]

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        return self.sampler if self.sampler is not None else super()._get_train_sampler(train_dataset)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, torch.Tensor] | None = None) -> None:
        weights = self.model.state_dict() if state_dict is None else state_dict
        super()._save(output_dir, {name: tensor.contiguous() for name, tensor in weights.items()})

    def get_decay_parameter_names(self, model: nn.Module) -> list[str]:
        if self.recipe.weight_decay_excludes == "bias and layer normalisation":
            return super().get_decay_parameter_names(model)
        return [name for name, parameter in model.named_parameters() if parameter.ndim > 1]


def training_arguments(
    recipe: Recipe, records: int, seed: int, folder: Path, *, quiet: bool, pin: bool = True
) -> TrainingArguments:
    """The Trainer's arguments, the recipe's and those that decide no number. Of several processes each takes its part of
    the recipe's batch."""
    processes = world_size()
    if recipe.batch_size % processes:
        raise EcgbenchError(
            f"a batch of {recipe.batch_size} cannot be shared evenly by {processes} processes: start a number that divides it."
        )
    per_epoch = records // recipe.batch_size if recipe.drop_last else math.ceil(records / recipe.batch_size)
    steps = per_epoch * recipe.epochs
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=recipe.epochs,
        per_device_train_batch_size=recipe.batch_size // processes,
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
        dataloader_pin_memory=pin and torch.cuda.is_available(),
        remove_unused_columns=False,
        logging_strategy="steps",
        logging_steps=max(1, min(50, per_epoch)),
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=max(1, math.ceil(steps / CHECKPOINTS)),
        save_total_limit=2,
        report_to=[],
        ddp_find_unused_parameters=False,
        disable_tqdm=quiet or rank() > 0,
    )
    if (
        arguments.n_gpu > 1
    ):  # else the Trainer would spread each batch over all GPUs it sees: other negatives, another batch
        arguments._n_gpu = 1
    return arguments


def train(
    model: nn.Module,
    data: TrainingSet,
    recipe: Recipe,
    *,
    seed: int,
    folder: Path,
    resume: bool,
    quiet: bool,
    judge: Callable[[], float] | None = None,
    sampler: BalancedSampler | None = None,
) -> Trained:
    """Train in place. `folder` is the run's folder: `log.jsonl` and `checkpoints/` are written there. `judge` gives the value
    of the weights on the validation rows, for a recipe that chooses by it; `sampler` the order, where it is not the
    Trainer's own. With `resume` training goes on from the last whole checkpoint, from its start where there is none yet.

    StoppedError after Ctrl-C (a checkpoint is there), RunFailedError where the run diverged or memory ran out.
    """
    checkpoints = folder / "checkpoints"
    checkpoints.mkdir(parents=True, exist_ok=True)
    last = _last_whole_checkpoint(checkpoints) if resume else None
    if rank() == 0:
        _keep_log_until(folder / "log.jsonl", _step_of(last) if last else 0)
    transformers.utils.logging.set_verbosity_error()
    device = next(model.parameters()).device
    on_device = held_on_device(data, device)
    log_watch, epoch_watch = Watch(), Watch()
    stopper = StopOnInterrupt()
    callbacks: list[Any] = [
        Log(folder / "log.jsonl", model, log_watch), SetEpoch(data, sampler), Health(model, epoch_watch), MarkComplete(), stopper,
    ]  # fmt: skip
    selection: Selection | None = None
    if judge is not None and recipe.chooses:
        selection = Selection(recipe, model, judge, folder / "selection.jsonl", checkpoints)
        callbacks.append(selection)
    trainer = RecipeTrainer(
        model=with_synchronised_norms(model, device),
        args=training_arguments(recipe, len(data), seed, checkpoints, quiet=quiet, pin=not on_device),
        train_dataset=data,
        data_collator=keep_batch,
        callbacks=callbacks,
    )
    trainer.recipe, trainer.watches, trainer.sampler = recipe, (log_watch, epoch_watch), sampler
    _only_progress_bar(trainer)
    try:
        with stopper, _compiled(model, recipe):
            outcome = trainer.train(resume_from_checkpoint=str(last) if last else None)
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        reason = _memory_reason(model, data, device, recipe)
        raise RunFailedError(reason) from None
    if stopper.asked:
        raise StoppedError(f"stopped at step {trainer.state.global_step}")
    if not math.isfinite(outcome.training_loss) or not all(
        torch.isfinite(value).all() for value in model.state_dict().values()
    ):
        raise RunFailedError("the weights are not finite after training: the run diverged.")
    if selection is not None:
        selection.put_back(device)
    losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    best = selection.best if selection else None
    return Trained(trainer.state.global_step, losses[-1] if losses else None, best.epoch if best else None)


@contextmanager
def _compiled(model: nn.Module, recipe: Recipe) -> Iterator[None]:
    """The encoder compiled for the length of training, where the recipe says so; parameters keep their names."""
    encoder: Any = model.encoder
    if recipe.compile:
        encoder.compile()
    try:
        yield
    finally:
        encoder._compiled_call_impl = None


def _memory_reason(model: nn.Module, data: TrainingSet, device: torch.device, recipe: Recipe) -> str:
    fits = fitting_batch_size(model, data, device, recipe.batch_size, recipe.precision)
    where = "the accelerator's memory" if device.type == "cuda" else "memory"
    if not fits:
        return f"{where} is too small for this encoder at any batch size: take a smaller encoder or a lower rate."
    return (
        f"{where} is too small for a batch of {recipe.batch_size}; {fits} fit: type --recipe NAME+batch_size={fits} (another "
        "recipe, with fewer negatives a step), or start more processes, which share a batch."
    )


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
