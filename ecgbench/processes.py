"""Several processes that train one model: who leads, and who waits for whom.

Started by `torchrun` or `accelerate launch`; a single process needs none of it and is not changed by it. torch is imported
where there are several.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

T = TypeVar("T")

PATIENCE = timedelta(days=1)
"""How long the others wait for the leading process, which may have a store to build or a tower to run."""


class LeaderFailedError(Exception):
    """The leading process has ended with an error, which it tells; this one has nothing to add."""


def world_size() -> int:
    """How many processes train together, by the environment that their launcher sets."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """The number of this process among them; 0 leads and is the only one that writes."""
    return int(os.environ.get("RANK", "0"))


@contextmanager
def process_group() -> Iterator[None]:
    """The processes that a launcher started, able to speak to each other for the length of the block; nothing where there is
    one. Over NCCL on accelerators, each process on its own, over gloo on processors."""
    if world_size() == 1:
        yield
        return
    import torch
    import torch.distributed as dist

    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo", timeout=PATIENCE)
    try:
        yield
    finally:
        dist.destroy_process_group()


def leader_first(work: Callable[[], T]) -> T:
    """`work`, done by the leading process alone and then by the others, who find in the caches what it has made.
    LeaderFailedError in the others where it raised."""
    if world_size() == 1:
        return work()
    if rank() > 0:
        _hear()
        return work()
    return _told(work)


def leader_only(work: Callable[[], T]) -> T | None:
    """`work` by the leading process, for which the others wait; None in them."""
    if world_size() == 1:
        return work()
    if rank() > 0:
        _hear()
        return None
    return _told(work)


def leader_says(work: Callable[[], T]) -> T:
    """What `work` gave the leading process, in all: they must come to the same decision."""
    said: list[Any] = [leader_only(work)]
    if world_size() > 1:
        import torch.distributed as dist

        dist.broadcast_object_list(said, src=0)
    told: T = said[0]
    return told


def _told(work: Callable[[], T]) -> T:
    import torch.distributed as dist

    went_well = [False]
    try:
        done = work()
        went_well[0] = True
        return done
    finally:
        dist.broadcast_object_list(went_well, src=0)


def _hear() -> None:
    import torch.distributed as dist

    went_well = [False]
    dist.broadcast_object_list(went_well, src=0)
    if not went_well[0]:
        raise LeaderFailedError
