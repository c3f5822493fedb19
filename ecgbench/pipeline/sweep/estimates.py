"""How long a cell will take, by those that are done."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from ecgbench.pipeline.sweep.readiness import Ready
from ecgbench.recipe import Recipe
from ecgbench.results import Result

ONCE = ("text_check", "store", "text", "inputs")
"""Stages that a sweep has behind it when its cells begin."""

PACE = ("objective", "rate", "batch_size", "precision", "memory_format", "threads", "compile", "augmentation", "prompt")
"""Recipe fields that a step's time depends on."""


@dataclass
class Estimates:
    """Seconds of finished cells: by encoder, data and recipe; else by encoder, data and what decides the pace of a step."""

    same: dict[Any, list[float]] = field(default_factory=lambda: defaultdict(list))
    alike: dict[Any, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))

    def add(self, result: Result, seconds: float | None = None) -> None:
        """Learn from a finished run: from its provenance, or from what it took as a whole, with starting."""
        stages = result.provenance.seconds
        whole = seconds or sum(value for stage, value in stages.items() if stage not in ONCE)
        training, steps = stages.get("training", 0.0), result.settings.get("steps")
        where = (result.encoder.name, result.data.data_hash)
        self.same[(*where, result.recipe.hash)].append(whole)
        if steps:
            self.alike[(*where, *_pace(Recipe.model_validate(result.recipe.fields)))].append(
                (max(whole - training, 0.0), training / steps)
            )

    def of(self, ready: Ready) -> float | None:
        """Seconds; None where nothing alike is done."""
        where = (ready.encoder, ready.data_hash)
        same = self.same.get((*where, ready.recipe.hash))
        if same:
            return median(same)
        alike = self.alike.get((*where, *_pace(ready.recipe)))
        if not alike:
            return None
        return median(rest for rest, _ in alike) + ready.steps * median(step for _, step in alike)


def _pace(recipe: Recipe) -> tuple[str, ...]:
    return tuple(str(getattr(recipe, name)) for name in PACE)
