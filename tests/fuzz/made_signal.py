"""What the made files hold: an ECG as counts, and a person who must never be found again."""

from __future__ import annotations

import numpy as np

RATE = 250
MICROVOLTS = 5
"""Of one count."""
STORED = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")

FAMILY, GIVEN, IDENTIFIER = "YAMADA", "TAROU", "PID-0815-42"
KANJI, KANA = "山田太郎", "ﾔﾏﾀﾞﾀﾛｳ"
BORN = (1953, 5, 8)
SECRETS = (
    FAMILY, GIVEN, "Yamada", "Tarou", "0815", KANJI, "山田", "太郎", KANA, "ヤマダ", "1953", "MAY-53", "ヤマダタロウ",
)  # fmt: skip
"""In every spelling in which a writer below puts them down."""


def counts(names: tuple[str, ...] = STORED, seconds: float = 6.0, rate: int = RATE) -> dict[str, np.ndarray]:
    """int16 counts of `MICROVOLTS` for each lead, no two alike: beats of half a second over a slow wave."""
    time = np.arange(round(seconds * rate)) / rate
    phase = (time + 0.2) % 0.5
    beat = 1.1 * np.exp(-(((phase - 0.2) / 0.01) ** 2)) + 0.2 * np.exp(-(((phase - 0.4) / 0.03) ** 2))
    made = {}
    for number, name in enumerate(names):
        millivolts = (1 - 0.17 * number) * beat + 0.1 * np.sin(2 * np.pi * (0.3 + 0.05 * number) * time)
        made[name] = np.rint(millivolts * 1000 / MICROVOLTS).astype(np.int16)
    return made


def millivolts(leads: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What a reader must give for `leads`."""
    return {name: samples * (MICROVOLTS / 1000) for name, samples in leads.items()}


def median_beat(leads: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A beat of half a second of another shape: a reader that gives it is wrong."""
    return {name: np.full(RATE // 2, 999, np.int16) for name in leads}
