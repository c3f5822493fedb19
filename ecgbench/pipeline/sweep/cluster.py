"""A sweep on a Ray cluster: one task a cell. OUT, the cache and the folder one stands in lie on storage that all nodes see.

The driver alone decides what is done again: a task is lost with its node, and the cell is then given to another one. Who works on
a cell holds its lock (`records`), so that a node which is only thought to be dead and its successor never work side by side.
"""

from __future__ import annotations

import logging
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ecgbench
from ecgbench.errors import EcgbenchError
from ecgbench.pipeline.sweep.attempt import Asked, Order, Outcome, carry_out
from ecgbench.pipeline.sweep.progress import Progress, Show
from ecgbench.pipeline.sweep.records import Records

LOST = 5
"""How often a cell is begun again after the loss of its node or worker."""

LOOK = 0.5
"""Seconds between two looks at the cells."""

AHEAD = 2
"""Tasks handed to Ray for each that the cluster can run at a time."""

PATIENCE = 30.0
"""Seconds without a running cell after which the sweep says what it waits for."""


@dataclass(frozen=True)
class Session:
    """Two empty files, beside the cells and in the cache: a node that sees them sees both folders, and a cell that sees the
    first no longer stops."""

    out: str
    cache: str


@dataclass
class Cluster:
    """A cluster that is connected. `gpus`: accelerators for each cell; a part of one is possible."""

    ray: Any
    gpus: float

    def slots(self, threads: int) -> int:
        """How many cells fit at a time; 0 where no node has what one needs."""
        nodes = [node["Resources"] for node in self.ray.nodes() if node["Alive"]]
        fitting = [node.get("CPU", 0) // threads for node in nodes]
        if self.gpus:
            fitting = [
                min(n, node.get("GPU", 0) // self.gpus if self.gpus < 1 or node.get("GPU", 0) >= self.gpus else 0)
                for n, node in zip(fitting, nodes, strict=True)
            ]
        return int(sum(fitting))


@contextmanager
def connected(address: str, gpus: float) -> Iterator[Cluster]:
    """The cluster at an address, or the one that runs here (`auto`). EcgbenchError where Ray is not installed or there is no
    cluster."""
    try:
        import ray
    except ImportError:
        raise EcgbenchError("--ray needs Ray, which is not installed: pip install 'ecgbench-clip[cluster]'.") from None
    _check_address(address)
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # Ray warns of a change of this default
    try:
        ray.init(address=address, logging_level=logging.ERROR, log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        detail = " ".join(str(error).split())[:200]
        raise EcgbenchError(
            f"--ray {address}: no Ray cluster answers there ({detail}): start one with `ray start --head`, or leave out --ray."
        ) from None
    try:
        yield Cluster(ray, gpus)
    finally:
        ray.shutdown()


def _check_address(address: str) -> None:
    """EcgbenchError where nothing answers at an address: Ray itself would try for minutes."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "/" in address:
        raise EcgbenchError(f"--ray {address}: write auto, or HOST:PORT as `ray start --head` names it.")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise EcgbenchError(
            f"--ray {address}: no Ray cluster answers there ({error}): start one with `ray start --head`, or leave out --ray."
        ) from None


@contextmanager
def session(cluster: Cluster, orders: Sequence[Order]) -> Iterator[Session]:
    """Check that the cells can be carried out on every node. EcgbenchError that names each node which does not see a folder
    or has another ecgbench, and where no node is large enough for a cell."""
    out, token = Path(orders[0].out) / "cells", f"{uuid.uuid4().hex}.session"
    cache = Path(orders[0].environment["ECGBENCH_CACHE"])
    files = [out / token, cache / token]
    for path in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    try:
        threads = max(order.threads for order in orders)
        if not cluster.slots(threads):
            accelerators = f" (--gpus {cluster.gpus:g})" if cluster.gpus else ""
            raise EcgbenchError(
                f"no node of the cluster has what a cell needs, {threads} cores by its recipe{accelerators}: add one, or let the "
                "recipe have fewer threads."
            )
        _check_nodes(cluster, orders[0], Session(*map(str, files)))
        yield Session(*map(str, files))
    finally:
        for path in files:
            path.unlink(missing_ok=True)


def _check_nodes(cluster: Cluster, order: Order, own: Session) -> None:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    nodes = [node for node in cluster.ray.nodes() if node["Alive"]]
    look = cluster.ray.remote(num_cpus=0, max_retries=0)(_lacking)
    asked = [
        look.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote(
            [*(str(Path(path).parent) for path in (own.out, own.cache)), order.cwd],
            [own.out, own.cache, order.cwd],
            ecgbench.__version__,
        )
        for node in nodes
    ]
    faults = []
    for node, ref in zip(nodes, asked, strict=True):
        try:
            found = cluster.ray.get(ref)
        except cluster.ray.exceptions.RayError as error:
            found = f"cannot run ecgbench ({' '.join(str(error).split())[-160:]})"
        if found:
            faults.append(f"node {node['NodeManagerAddress']} {found}")
    if faults:
        raise EcgbenchError(
            f"{'; '.join(faults)}: --out, ECGBENCH_CACHE and the folder you stand in must lie on storage that all nodes see, and "
            "all must have this ecgbench (docs/sweep.md)."
        )


def _lacking(folders: list[str], marks: list[str], version: str) -> str:
    """What the node that this runs on lacks; '' where nothing."""
    if ecgbench.__version__ != version:
        return f"has ecgbench {ecgbench.__version__}, not {version}"
    absent = [folder for folder, mark in zip(folders, marks, strict=True) if not Path(mark).exists()]
    return f"does not see {' and '.join(absent)}" if absent else ""


def carry_out_there(
    cluster: Cluster,
    own: Session,
    orders: Sequence[Order],
    progress: Progress,
    show: Show,
    asked: Callable[[], Asked],
) -> None:
    """Carry the cells out; `progress` holds how each ended. What `asked` says of stopping reaches every cell."""
    ray = cluster.ray
    task = ray.remote(max_retries=0)(_cell)
    queue, losses = list(orders), dict.fromkeys((order.run_id for order in orders), 0)
    running: dict[Any, tuple[Order, int]] = {}
    threads, heard = max(order.threads for order in orders), time.monotonic()
    while queue or running:
        if asked():
            Path(own.out).unlink(missing_ok=True)
        progress.at_once = max(1, cluster.slots(threads))
        while queue and len(running) < AHEAD * progress.at_once and not asked():
            order = queue.pop(0)
            ref = task.options(num_cpus=order.threads, num_gpus=cluster.gpus).remote(order, own.out, cluster.gpus)
            running[ref] = (order, _times_begun(order))
        if asked():
            for order in queue:
                show.ended(progress.end(order.run_id, Outcome("stopped")))
            queue.clear()
        if asked() == 2:
            for ref in running:
                ray.cancel(ref, force=True)
        ready, _ = ray.wait(list(running), timeout=LOOK) if running else ([], [])
        for ref in ready:
            order, _ = running.pop(ref)
            outcome = _outcome(ray, ref, order, losses)
            if outcome is None and not asked():
                show.ended(progress.wait_again(order.run_id))
                queue.append(order)
            else:
                show.ended(progress.end(order.run_id, outcome or Outcome("stopped")))
        for order, before in running.values():
            if progress.lines[order.run_id].phase == "waiting" and _times_begun(order) > before:
                show.began(progress.begin(order.run_id, _host(order)))
        if progress.count("running") or ready:
            heard = time.monotonic()
        elif time.monotonic() - heard > PATIENCE:
            show.say(f"waiting for a node with {threads} free cores{' and an accelerator' if cluster.gpus else ''}")
            heard = time.monotonic()
        show.tick()


def _cell(order: Order, mark: str, gpus: float) -> Outcome:
    """Runs on a node. Ray says by CUDA_VISIBLE_DEVICES which accelerators are the cell's; without any it sees none."""
    seen = {} if gpus else {"CUDA_VISIBLE_DEVICES": ""}
    here = replace(order, environment={**order.environment, **seen})
    return carry_out(here, lambda: 0 if Path(mark).exists() else 1)


def _outcome(ray: Any, ref: Any, order: Order, losses: dict[str, int]) -> Outcome | None:
    """How a task ended; None where it was lost and may be begun again."""
    failures = ray.exceptions
    try:
        return ray.get(ref)
    except failures.TaskCancelledError:
        return Outcome("stopped")
    except failures.OutOfMemoryError:
        return Outcome(
            "failed", "its node ran out of memory: give cells more cores each, or take a smaller encoder or batch."
        )
    except failures.RayTaskError as error:
        return Outcome("failed", " ".join(str(error.cause or error).split())[-300:])
    except failures.RayError as error:
        losses[order.run_id] += 1
        if losses[order.run_id] <= LOST:
            return None
        detail = " ".join(str(error).split())[:160]
        return Outcome("failed", f"its node or worker was lost {LOST + 1} times ({detail}).")


def _times_begun(order: Order) -> int:
    return sum(line["event"] == "begun" for line in Records(Path(order.out), order.run_id).journal())


def _host(order: Order) -> str | None:
    lines = Records(Path(order.out), order.run_id).journal()
    return lines[-1]["host"] if lines else None
