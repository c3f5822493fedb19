"""Ctrl-C in a sweep: the first asks every cell to write a checkpoint and stop, the second ends them at once."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any

from ecgbench.pipeline.sweep.attempt import Asked

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""A batch system that takes its machines back sends the second."""


class Stopping:
    """Counts what is asked for while the block lasts."""

    def __init__(self) -> None:
        self.asked: Asked = 0
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Stopping:
        self._before = {number: signal.signal(number, self._ask) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def wanted(self) -> Asked:
        """What is asked for now."""
        return self.asked

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = 1 if self.asked == 0 else 2
