"""The signals of synth98, pinned: boards stand on them, and its data hash does not see the samples."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from ecgbench.ecg.sources import open_source

GOLDEN = Path(__file__).with_name("synth98_signals.json")
ROWS = (0, 123, 456, 789, 999)


def measured() -> dict[str, dict[str, list[int]]]:
    """Record -> findings' names aside: per lead mean, standard deviation, lowest and highest sample in µV."""
    _, source = open_source("synth98")
    entries = source.entries()
    found = {}
    for row in ROWS:
        leads, _ = source.load(entries[row])
        x = np.stack(list(leads.values())).astype(np.float64) * 1000
        statistics = {"mean": x.mean(1), "sd": x.std(1), "lowest": x.min(1), "highest": x.max(1)}
        found[entries[row].record] = {name: [round(v) for v in values] for name, values in statistics.items()}
    return found


def test_the_signals_are_those_of_this_version() -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    now = measured()
    assert now.keys() == golden.keys()
    for record, statistics in golden.items():
        for name, values in statistics.items():
            apart = np.abs(np.array(now[record][name]) - np.array(values)).max()
            assert apart <= 2, (
                f"{name} of record {record} is {apart} µV off: the generator gives other signals, so raise `version` in "
                "registry/datasets/synth98.yaml, pin them anew (json.dumps of measured()) and run the boards again"
            )
