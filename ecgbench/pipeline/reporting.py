"""Who is told how far a run is, and how long its stages took."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol


class Reporter(Protocol):
    """Who is told how far a run is. `stage` gives a callback (done, total) for the length of a block."""

    def stage(self, name: str) -> AbstractContextManager[Callable[[int, int], None]]: ...

    def say(self, text: str) -> None: ...

    @property
    def quiet(self) -> bool: ...


class Silent:
    """Says nothing."""

    quiet = True

    @contextmanager
    def stage(self, name: str) -> Any:
        yield lambda done, total: None

    def say(self, text: str) -> None:
        return None


@dataclass
class Clock:
    """Seconds a stage took, by stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timing(self, stage: str) -> Any:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = time.perf_counter() - start
