"""Where a text tower is run: what `--text-device` may say.

It is no part of a run's identity: hardware decides how long a tower takes, not what it means. torch is not imported here.
"""

from __future__ import annotations

import re

from ecgbench.errors import EcgbenchError

DEVICES = {
    "auto": "one accelerator where the model fits there, else accelerators and this machine's memory together, else that",
    "cpu": "this machine's memory and processor",
    "cuda": "the accelerator with the most free memory",
    "cuda:N": "accelerator N, counted from 0",
    "spread": "over all accelerators, the rest in this machine's memory",
    "disk": "as spread, and what does not fit is read from the disk layer by layer, at every batch",
}


def parse_device(word: str) -> tuple[str, int | None]:
    """The word without its number, and the number of `cuda:N`. EcgbenchError for what is none of `DEVICES`."""
    match = re.fullmatch(r"cuda:([0-9]{1,3})", word)
    if match:
        return "cuda", int(match[1])
    if word not in DEVICES or word == "cuda:N":
        raise EcgbenchError(
            f"--text-device {word} is not known: write {', '.join(DEVICES)} (N the accelerator's number, from 0)."
        )
    return word, None
