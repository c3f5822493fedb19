"""A sweep on this machine: so many cells side by side as its cores allow, each in processes of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from threading import Lock

from ecgbench.errors import EcgbenchError
from ecgbench.pipeline.sweep.attempt import Asked, Order, Outcome, carry_out
from ecgbench.pipeline.sweep.progress import Progress, Show
from ecgbench.pipeline.sweep.readiness import Ready
from ecgbench.workers import usable_cores

LOOK = 0.5
"""Seconds between two looks at the cells."""


def workers_here(asked: int | None, ready: Sequence[Ready]) -> int:
    """How many cells go side by side: as many as asked for, else as the cores allow; one where they train on an accelerator,
    which they would share. EcgbenchError where they would share cores: such processes wait for each other."""
    cores, threads = usable_cores(), max((each.threads for each in ready), default=1)
    if asked is None:
        return 1 if _accelerator() else max(1, cores // threads)
    if asked < 1:
        raise EcgbenchError(f"--workers {asked}: write 1 or more.")
    if asked > 1 and asked * threads > cores:
        raise EcgbenchError(
            f"--workers {asked}, of {threads} threads each by the recipe, need {asked * threads} cores and this machine has "
            f"{cores}: processes that share cores wait for each other; type --workers {max(1, cores // threads)}, or let the "
            "recipe have fewer threads (quick+threads=1 is another recipe, with other run ids)."
        )
    return asked


def _accelerator() -> bool:
    import torch

    return torch.cuda.is_available()


def carry_out_here(
    orders: Sequence[Order], workers: int, progress: Progress, show: Show, asked: Callable[[], Asked]
) -> None:
    """Carry the cells out; `progress` holds how each ended. What `asked` says of stopping reaches every cell."""

    turn = Lock()

    def work(order: Order) -> None:
        if asked():
            outcome = Outcome("stopped")
        else:
            with turn:
                show.began(progress.begin(order.run_id))
            try:
                outcome = carry_out(order, asked)
            except (EcgbenchError, OSError) as error:
                outcome = Outcome("failed", str(error))
        with turn:
            show.ended(progress.end(order.run_id, outcome))

    with ThreadPoolExecutor(workers, thread_name_prefix="cell") as pool:
        waiting = {pool.submit(work, order) for order in orders}
        while waiting:
            done, waiting = wait(waiting, LOOK)
            for future in done:
                future.result()
            show.tick()
