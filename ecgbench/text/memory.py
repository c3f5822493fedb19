"""Bytes that a language model needs, and bytes that are free: compared before a weight is read.

A process that takes more than there is gets killed without a word, on a cluster together with whatever shares its
container.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecgbench.cards import TextCard

BYTES_OF = {"float32": 4, "bfloat16": 2, "float16": 2}
# What a loaded model takes beside its weights: the tokenizer, the arithmetic libraries' buffers.
BESIDE = 256 * 1024**2
# The smallest batch is one prompt; findings joined to a sentence stay far below this many tokens.
SMALLEST_TOKENS = 512


@dataclass(frozen=True)
class Need:
    """Bytes: `weights` of the model in the card's dtype; `batch`, what it takes beside them to embed one prompt;
    `largest` of the parts that are never split over devices; `per_token` of a batch."""

    weights: int
    batch: int
    largest: int
    per_token: int

    @property
    def total(self) -> int:
        return self.weights + self.batch


@dataclass(frozen=True)
class Room:
    """Free bytes: of this machine's memory, and of each accelerator by its number."""

    cpu: int
    accelerators: tuple[int, ...] = ()

    @property
    def total(self) -> int:
        return self.cpu + sum(self.accelerators)

    def least(self, places: Iterable[int | str]) -> int:
        """Of the devices in a device map (an accelerator's number or `cuda:N`, `cpu`, `disk`), what the fullest has free."""
        return min(
            self.cpu if place in ("cpu", "disk") else self.accelerators[int(str(place).removeprefix("cuda:"))]
            for place in places
        )

    @property
    def roomiest(self) -> int:
        """The number of the accelerator with the most free memory; there must be one."""
        return self.accelerators.index(max(self.accelerators))


def need_of(card: TextCard, model: Any, config: Any) -> Need:
    """What `model`, built on the meta device in the card's dtype, will take.

    A token's activations are those of one layer (residual stream, norms, queries, keys, values and the inner layer of the
    feed-forward part), the attention weights to the tokens beside it, and two float32 copies for the pooling.
    """
    size = BYTES_OF[card.dtype]
    width = int(config.hidden_size)
    inner = int(getattr(config, "intermediate_size", None) or 4 * width)
    heads = int(getattr(config, "num_attention_heads", None) or 1)
    tokens = min(SMALLEST_TOKENS, card.max_tokens or SMALLEST_TOKENS)
    per_token = size * (8 * width + 3 * inner + heads * tokens) + 8 * width
    whole = set(getattr(model, "_no_split_modules", None) or ())
    parts = [part for part in model.modules() if type(part).__name__ in whole or not list(part.children())]
    return Need(bytes_of(model), BESIDE + tokens * per_token, max(map(bytes_of, parts)), per_token)


def stated_need(card: TextCard) -> Need | None:
    """The same from the card's own `parameters`, before a model is downloaded; None where it does not state them."""
    if card.parameters is None:
        return None
    return Need(card.parameters * BYTES_OF[card.dtype], BESIDE, 0, 0)


def bytes_of(module: Any) -> int:
    """Of a module's parameters and buffers, wherever they lie."""
    return sum(each.numel() * each.element_size() for each in (*module.parameters(), *module.buffers()))


def room_now() -> Room:
    """What is free at this moment, in this process's container too."""
    import psutil
    import torch

    free = int(psutil.virtual_memory().available)
    contained = container_room()
    cpu = free if contained is None else min(free, contained)
    accelerators = []
    for number in range(torch.cuda.device_count()):
        unused = torch.cuda.memory_reserved(number) - torch.cuda.memory_allocated(number)
        accelerators.append(int(torch.cuda.mem_get_info(number)[0]) + unused)
    return Room(cpu, tuple(accelerators))


def container_room(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int | None:
    """Free bytes under the tightest memory limit of this process's control groups (Linux; versions 1 and 2), None without
    a limit. Cached pages of files count as free, since the kernel gives them up first."""
    try:
        lines = [line.split(":", 2) for line in own.read_text(encoding="utf-8").splitlines()]
    except OSError:
        return None
    rooms = []
    for _, controllers, path in (line for line in lines if len(line) == 3):
        if controllers == "":
            top, names = root, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            top, names = root / "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        # Inside a container the group's own folder is often mounted as the top, and its path does not exist below it.
        folder = top / path.lstrip("/")
        chain = [top, *(each for each in (folder, *folder.parents) if top in each.parents)]
        rooms += [room for each in chain if (room := _group_room(each, *names)) is not None]
    return min(rooms, default=None)


def _group_room(folder: Path, limit: str, usage: str, cached: str) -> int | None:
    """Of one control group; None where it is absent or sets no limit."""
    try:
        allowed, used = int((folder / limit).read_text()), int((folder / usage).read_text())
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # ValueError: `max`
        return None
    if allowed >= 2**60:  # version 1 writes a page-rounded 2**63 for no limit
        return None
    return max(0, allowed - used + int(stat.get(cached, 0)))


def gigabytes(count: int) -> str:
    """`16.1 GB`; three digits below one gigabyte."""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e9:.3f} GB"
