"""Where a model goes: what `--text-device` asks for, as far as what it needs is free there.

Only arithmetic, so that every machine's case can be tried on any machine.
"""

from __future__ import annotations

from typing import Any

from ecgbench.cards import TextCard
from ecgbench.errors import EcgbenchError
from ecgbench.text.devices import parse_device
from ecgbench.text.memory import Need, Room, gigabytes

DeviceMap = dict[str, int | str]


def choose(card: TextCard, word: str, need: Need, room: Room) -> str:
    """`cpu`, `cuda:N`, `spread` or `disk`. EcgbenchError, with the numbers and the ways out, where what the model needs is
    not free there, and for an accelerator that is not there."""
    kind, number = parse_device(word)
    if kind == "cuda":
        number = _accelerator(word, number, room)
        if need.total > room.accelerators[number]:
            raise too_large(card, word, need, f"on accelerator {number}", room.accelerators[number], room)
        return f"cuda:{number}"
    if kind == "auto" and room.accelerators and need.total <= room.accelerators[room.roomiest]:
        return f"cuda:{room.roomiest}"
    if kind == "disk":
        least = need.largest + need.batch
        if least > room.cpu:
            raise EcgbenchError(
                f"text tower {card.name}: --text-device disk needs {gigabytes(least)} for the largest layer and one prompt, "
                f"but {gigabytes(room.cpu)} are free in this machine's memory: {_others(card)}."
            )
        return "disk"
    if kind == "cpu" or not room.accelerators:
        if need.total > room.cpu:
            raise too_large(card, word, need, "in this machine's memory", room.cpu, room)
        return "cpu"
    if need.total > room.total:
        raise too_large(card, word, need, "on the accelerators and in this machine's memory together", room.total, room)
    return "spread"


def device_map(card: TextCard, chosen: str, model: Any, need: Need, room: Room) -> DeviceMap:
    """Part of the model -> accelerator's number, `cpu` or `disk`, for `spread` and `disk`: accelerate's own, which fills
    the accelerators first. Each device keeps room for a batch. EcgbenchError where a part is left for the disk and `disk` was
    not asked for: parts are not split, so that the sum of what is free may be enough and the places not."""
    from accelerate import infer_auto_device_map

    allowed: dict[int | str, int] = {"cpu": max(0, room.cpu - need.batch)}
    allowed.update((number, max(0, free - need.batch)) for number, free in enumerate(room.accelerators))
    places: DeviceMap = infer_auto_device_map(
        model, max_memory=allowed, no_split_module_classes=list(getattr(model, "_no_split_modules", None) or ())
    )
    if chosen != "disk" and "disk" in places.values():
        together = "on the accelerators and in this machine's memory, in whole layers"
        raise too_large(card, chosen, need, together, sum(allowed.values()), room)
    return places


def too_large(card: TextCard, word: str, need: Need, where: str, free: int, room: Room) -> EcgbenchError:
    """The error for a model that does not fit: what is needed, what is free and where, and what to type instead."""
    ways = []
    if card.dtype == "float32":
        ways.append(f"--text {_otherwise(card, 'dtype', 'bfloat16')} (half the weights)")
    if room.accelerators and parse_device(word)[0] in ("cpu", "cuda") and need.total <= room.total:
        ways.append("--text-device spread")
    ways.append("--text-device disk (slow: layers are read anew for every batch)")
    return EcgbenchError(
        f"text tower {card.name} needs {gigabytes(need.total)} ({gigabytes(need.weights)} of weights in {card.dtype} and "
        f"{gigabytes(need.batch)} to embed one prompt), but {gigabytes(free)} are free {where}: type {', '.join(ways)}, "
        f"{_others(card)}."
    )


def _otherwise(card: TextCard, field: str, value: str) -> str:
    """The tower's name with one field set to a value, whatever the name says of that field now."""
    kept = [part for part in card.name.split("+") if not part.startswith(f"{field}=")]
    return "+".join([*kept, f"{field}={value}"])


def _others(card: TextCard) -> str:
    return (
        f"--text-pack FILE (an embedding pack, made by `ecgbench text export --text {card.name}` on a larger machine) or "
        "--text use-multilingual (another tower)"
    )


def _accelerator(word: str, number: int | None, room: Room) -> int:
    """The number meant; EcgbenchError with what there is where it is absent."""
    count = len(room.accelerators)
    if count and number is None:
        return room.roomiest
    if number is None or number >= count:
        there = {0: "no accelerator that torch can use", 1: "one accelerator, cuda:0"}.get(
            count, f"{count} accelerators, cuda:0 to cuda:{count - 1}"
        )
        raise EcgbenchError(
            f"--text-device {word}: this machine has {there}: write {'cuda:0, ' if count else ''}cpu or auto."
        )
    return number
