"""The signals of synth98, pinned: boards stand on them, and its data hash does not see the samples."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from ecgbench.ecg.sources import open_source
from ecgbench.findings import label_bank

GOLDEN = Path(__file__).with_name("synth98_signals.json")
ROWS = (0, 123, 456, 789, 999)


def measured() -> dict[str, dict[str, list[int]]]:
    """Record -> findings' names aside: per lead mean, standard deviation, lowest and highest sample in µV."""
    _, source = open_source("synth98")
    entries = source.entries()
    found = {}
    for row in ROWS:
        leads = source.load(entries[row]).leads
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


SAMPLES = Path(__file__).with_name("synth98_samples.npy")
AT = np.arange(125, 5000, 250)
INDEPENDENT = [0, 1, 6, 7, 8, 9, 10, 11]


def sampled() -> np.ndarray:
    """int16 (98, 8, 20), µV: of the first record of `synth98:balanced=6` with each finding, every half second."""
    card, source = open_source("synth98:balanced=6")
    entries = source.entries()
    found = []
    for finding in label_bank(card.labels).ids:
        leads = source.load(next(entry for entry in entries if finding in entry.findings)).leads
        found.append(np.rint(np.stack(list(leads.values()))[INDEPENDENT][:, AT] * 1000))
    return np.array(found, dtype=np.int16)


def test_a_record_of_every_finding_is_the_one_of_this_version() -> None:
    """Every rhythm, loop and regional change takes part: a beat that moves by two milliseconds is seen."""
    pinned, now = np.load(SAMPLES, allow_pickle=False), sampled()
    apart = np.abs(pinned.astype(int) - now).max(axis=(1, 2))
    off = [f"{name} {far} µV" for name, far in zip(label_bank().ids, apart, strict=True) if far > 2]
    assert not off, f"{', '.join(off)}: raise `version` and pin anew (np.save of sampled())"
