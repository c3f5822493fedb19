"""Batches that are spread over several processes, treated as one: their features, and their batch normalisation."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ecgbench.processes import world_size


class _Gathered(torch.autograd.Function):
    """All processes' tensors one after the other; backwards each gets the sum of what all say of its own part."""

    @staticmethod
    def forward(context: Any, own: Tensor) -> Tensor:
        parts = [torch.empty_like(own) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, own)
        return torch.cat(parts)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        gradient = gradients[0].contiguous()
        dist.all_reduce(gradient)
        return gradient.chunk(dist.get_world_size())[dist.get_rank()]


class _Summed(torch.autograd.Function):
    """The sum over all processes, which is its own backward."""

    @staticmethod
    def forward(context: Any, own: Tensor) -> Tensor:
        total = own.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        dist.all_reduce(total)
        return total


def gathered(features: Tensor) -> Tensor:
    """(n, …) of this process -> (n x processes, …) of all, in the order of their ranks, with gradients back to each, as
    open_clip gathers with `gather_with_grad`. Every process then has the whole batch's loss, and what DDP averages
    is the gradient of one process with the whole batch."""
    if world_size() == 1:
        return features
    return _Gathered.apply(features.contiguous())


class SynchronisedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch normalisation over the batches of all processes, on processors: torch's own `SyncBatchNorm` runs on
    accelerators only. Same parameters, buffers and names as `BatchNorm1d` and `BatchNorm2d`."""

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() < 2:
            raise ValueError(f"expected at least 2 dimensions, got {input.dim()}")

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or world_size() == 1:
            return super().forward(input)
        axes = [0, *range(2, input.dim())]
        values = input.float()
        shape = [1, -1, *[1] * (input.dim() - 2)]
        count = torch.tensor([float(values.numel() // values.shape[1])], device=values.device)
        sums = _Summed.apply(torch.cat([values.sum(axes), count]))
        total = sums[-1].detach()
        mean = sums[:-1] / total
        centered = values - mean.view(shape)
        # Of what is centred: squares of the values themselves would cancel.
        variance = _Summed.apply((centered**2).sum(axes)) / total
        self._follow(mean.detach(), variance.detach() * total / (total - 1))
        out = centered * torch.rsqrt(variance + self.eps).view(shape)
        if self.affine:
            out = out * self.weight.view(shape) + self.bias.view(shape)
        return out.to(input.dtype)

    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        """The running statistics, as `BatchNorm1d` keeps them."""
        if not self.track_running_stats or self.running_mean is None or self.running_var is None:
            return
        self.num_batches_tracked.add_(1)  # type: ignore[operator, union-attr]
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum  # type: ignore[arg-type]
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        self.running_var.lerp_(variance.to(self.running_var.dtype), share)


def with_synchronised_norms(model: nn.Module, device: torch.device) -> nn.Module:
    """The model with every batch normalisation over all processes; the model itself where there is one process."""
    if world_size() == 1:
        return model
    if device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(model)
    for name, child in model.named_children():
        if isinstance(child, nn.modules.batchnorm._BatchNorm):
            setattr(model, name, _synchronised(child))
        else:
            with_synchronised_norms(child, device)
    return model


def _synchronised(norm: Any) -> SynchronisedBatchNorm:
    made = SynchronisedBatchNorm(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
    made.load_state_dict(norm.state_dict())
    for name, parameter in norm.named_parameters():
        getattr(made, name).requires_grad_(parameter.requires_grad)
    return made.train(norm.training)
