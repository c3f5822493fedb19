"""The loops of one beat, read from `waves.yaml`."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ecgbench.ecg.sources.synth98.criteria import Part, QrsShape, own_table

Row = tuple[float, float, float, float, float]


class Waves(Part):
    """Loops by name; a row is centre, width (fractions of the wave), x, y, z (mV)."""

    qrs: dict[QrsShape, tuple[Row, ...]]
    p: dict[str, tuple[Row, ...]]
    t: dict[str, tuple[float, float, float]]
    chest_gain: tuple[float, float, float, float, float, float]
    t_chest_gain: tuple[float, float, float, float, float, float]
    p_chest_gain: tuple[float, float, float, float, float, float]

    def qrs_loop(self, shape: str) -> np.ndarray:
        """(components, 5) of a QRS shape."""
        return np.array(self.qrs[shape], dtype=float)  # type: ignore[index]

    def p_loop(self, kind: str) -> np.ndarray:
        """(components, 5) of a P wave."""
        return np.array(self.p[kind], dtype=float)


@lru_cache
def waves() -> Waves:
    """The loops that belong to this package, validated."""
    return own_table("waves.yaml", Waves)
