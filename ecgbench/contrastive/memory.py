"""What fits into memory: whether a training set may lie on the accelerator, and which batch would have fitted."""

from __future__ import annotations

import gc

import torch
from torch import nn

from ecgbench.contrastive.data import TrainingSet, keep_batch

SHARE_FOR_DATA = 0.5
"""Of the accelerator's free memory, what the training set may take: the rest is for weights and activations."""


def held_on_device(data: TrainingSet, device: torch.device) -> bool:
    """Put the whole training set on the accelerator where it fits, so that no step waits for input; whether it did."""
    if device.type != "cuda" or data.augmenter is not None:
        return False
    free, _ = torch.cuda.mem_get_info(device)
    needed = len(data) * data.inputs[0].nbytes
    if needed > SHARE_FOR_DATA * free:
        return False
    data.hold_on(device)
    return True


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on an accelerator or on a processor."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)


def fitting_batch_size(model: nn.Module, data: TrainingSet, device: torch.device, asked: int, precision: str) -> int:
    """The largest half, quarter, … of the batch size asked for with which a step fits now; 0 where not even two do."""
    size = asked // 2
    while size >= 2:
        try:
            _try(model, data, device, size, precision)
            return size
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
        finally:
            model.zero_grad(set_to_none=True)
            gc.collect()
            if device.type == "cuda":
                torch.cuda.empty_cache()
        size //= 2
    return 0


def _try(model: nn.Module, data: TrainingSet, device: torch.device, size: int, precision: str) -> None:
    """One forward and backward pass; no weight moves."""
    batch = keep_batch(data.__getitems__([row % len(data) for row in range(size)]))
    with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        loss = model(**{name: value.to(device) for name, value in batch.items()})["loss"]
    loss.backward()
