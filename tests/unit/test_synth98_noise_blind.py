"""The noise of synth98 is blind to the findings: the same bits whatever they are, and nothing to learn from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
from scipy import signal as filters
from scipy import stats
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import StandardScaler

from ecgbench.ecg.recording import LEADS, STORE_RATE, Entry
from ecgbench.ecg.sources.synth98 import Synth98, record
from ecgbench.ecg.sources.synth98.leads import INDEPENDENT, twelve_leads
from ecgbench.ecg.sources.synth98.noise import electrode_noise
from ecgbench.ecg.sources.synth98.record import generate
from ecgbench.findings import label_bank

EIGHT = [LEADS.index(name) for name in INDEPENDENT]
FREQUENT = 30


@cache
def entries(size: str = "S", seed: int = 0) -> list[Entry]:
    return Synth98(bank=label_bank(), version=1, size=size, seed=seed).entries()


@contextmanager
def overheard() -> Iterator[list[np.ndarray]]:
    """The noise (8, 5000) that `generate` adds, record after record."""
    added: list[np.ndarray] = []

    def drawn(rng: np.random.Generator, samples: int, rate: float) -> np.ndarray:
        added.append(electrode_noise(rng, samples, rate))
        return added[-1].copy()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(record, "electrode_noise", drawn)
        yield added


def test_the_same_noise_is_drawn_whatever_the_findings_and_the_patient() -> None:
    """Bit for bit, and it is all by which the signal differs from one without noise; other records have other noise."""
    for entry in entries()[:5]:
        with overheard() as added:
            for findings in (entry.findings, ("normal",), ("atrial-fibrillation",), ("pacemaker-rhythm",)):
                changed = replace(entry, findings=findings, patient="p09999")
                noisy = generate(changed, version=1, seed=0)
                quiet = generate(changed, version=1, seed=0, noise=False)
                assert np.abs(noisy - quiet - twelve_leads(added[-1])).max() < 4e-7 * max(1.0, np.abs(noisy).max())
            assert len(added) == 4
            for other in added[1:]:
                assert np.array_equal(other, added[0])
            generate(entries()[7], version=1, seed=0)
            assert not np.array_equal(added[-1], added[0])


def noise_features(noise: np.ndarray) -> np.ndarray:
    """Of what noise adds to the signal: a lead's mean, its wander below 0.3 Hz, its power at mains and above 100 Hz.

    Innocent because there is nothing of the heart in it (the test above); it could only tell a label if the
    generator drew the noise by it. The length of the record and its valid samples are the rest.
    """
    power = np.square(np.abs(np.fft.rfft(noise, axis=1))) / noise.shape[1]
    hertz = np.fft.rfftfreq(noise.shape[1], 1 / STORE_RATE)
    bands = [(0.05, 0.3), (49.5, 50.5), (59.5, 60.5), (100, 250)]
    powers = [power[:, (hertz >= low) & (hertz <= high)].mean(axis=1) for low, high in bands]
    return np.concatenate([noise.mean(axis=1), *np.log(powers), sizes_of(noise)])


def sizes_of(signal: np.ndarray) -> np.ndarray:
    """Length and valid samples of every lead: the same for all records, or they would say something."""
    return np.array([*signal.shape, *np.isfinite(signal).sum(axis=1)], dtype=float)


def whole_features(signal: np.ndarray) -> np.ndarray:
    """Of the whole signal: what the heart leaves alone by construction.

    - Power above 200 Hz in the middle one (the median) of 250 pieces of 40 ms, by a filter that reaches 20 ms to
      either side. Waves are bells of 4 ms and more, which have nothing up there; pacing spikes have, but fill few
      pieces. (Mains cannot be told from QRS in this way; it is among the features of the noise alone.)
    - Whether a lead's mean rises from one half of the record to the other, with its sign: no finding prefers a half.
      A linear classifier can use no more of it than that; a forest could use its size, which is why none is asked.
    """
    pieces = filters.oaconvolve(signal, ABOVE[None], mode="same", axes=1).reshape(len(signal), 250, -1)
    power = np.log(np.median(pieces.var(axis=2), axis=1) + 1e-12)
    halves = signal.reshape(len(signal), 2, -1).mean(axis=2)
    return np.concatenate([power, halves[:, 1] - halves[:, 0], sizes_of(signal)])


ABOVE = filters.firwin(21, 200, fs=STORE_RATE, pass_zero=False, window=("kaiser", 7.0))
"""70 dB down from 120 Hz on."""


@dataclass(frozen=True)
class Examined:
    """Labels with enough records, who has them (records, labels), the records' patients, and features by kind."""

    names: list[str]
    labels: np.ndarray
    patients: list[str]
    features: dict[str, np.ndarray]


@cache
def examined(size: str, seeds: tuple[int, ...]) -> Examined:
    """The records of one or more hospitals; of labels those with 30 records in each."""
    everyone = [(seed, entry) for seed in seeds for entry in entries(size, seed)]
    least = FREQUENT * len(seeds)
    names = [name for name in label_bank().ids if sum(name in entry.findings for _, entry in everyone) >= least]
    of_noise, of_whole = [], []
    for seed, entry in everyone:
        with overheard() as added:
            signal = generate(entry, version=1, seed=seed)
        of_noise.append(noise_features(added[0]))
        of_whole.append(whole_features(signal[EIGHT]))
    return Examined(
        names,
        np.array([[name in entry.findings for name in names] for _, entry in everyone], dtype=float),
        [f"{seed} {entry.patient}" for seed, entry in everyone],
        {"noise": np.stack(of_noise), "whole": np.stack(of_whole)},
    )


def aurocs(
    labels: np.ndarray, features: np.ndarray, patients: list[str], model: Ridge | RandomForestRegressor
) -> tuple[np.ndarray, np.ndarray]:
    """How well the features of other patients' records tell each label: AUROC (labels,), the mean of five folds
    (over all records together it would lie below 0.5 by chance), and its standard error without any relation.
    """
    found, variance = [], []
    for train, test in GroupKFold(5, shuffle=True, random_state=0).split(features, groups=patients):
        scale = StandardScaler().fit(features[train])
        model.fit(scale.transform(features[train]), labels[train])
        scores = model.predict(scale.transform(features[test]))
        found.append([roc_auc_score(labels[test, k], scores[:, k]) for k in range(labels.shape[1])])
        with_label = labels[test].sum(axis=0)
        variance.append((len(test) + 1) / (12 * with_label * (len(test) - with_label)))
    return np.mean(found, axis=0), np.sqrt(np.mean(variance, axis=0) / 5)


def rejected(found: np.ndarray, error: np.ndarray) -> np.ndarray:
    """Which AUROCs are above 0.5 beyond chance: one-sided rank-sum test, Holm's correction, 0.01 for all together."""
    p = stats.norm.sf((found - 0.5) / error)
    order = np.argsort(p)
    holds = np.cumprod(p[order] <= 0.01 / np.arange(len(p), 0, -1)) > 0
    result = np.zeros(len(p), dtype=bool)
    result[order[holds]] = True
    return result


MODELS: dict[str, Ridge | RandomForestRegressor] = {
    "ridge": Ridge(alpha=30.0),
    "forest": RandomForestRegressor(40, min_samples_leaf=10, max_features=0.3, random_state=0),
}


def check(records: Examined, kind: str, model: str, most: float) -> None:
    found, error = aurocs(records.labels, records.features[kind], records.patients, MODELS[model])
    by_label = ", ".join(f"{name} {auroc:.3f}" for name, auroc in zip(records.names, found, strict=True))
    print(f"features of {kind}, {model}, {len(found)} labels: mean AUROC {found.mean():.3f}: {by_label}")
    assert abs(found.mean() - 0.5) <= most, by_label
    assert not rejected(found, error).any(), by_label


@pytest.mark.parametrize(("kind", "model"), [("noise", "ridge"), ("noise", "forest"), ("whole", "ridge")])
def test_features_without_physiology_do_not_predict_labels(kind: str, model: str) -> None:
    """Among 2000 records the mean over labels has a standard error of 0.007 (found by giving normal numbers as
    features; labels that keep company stray together, so four of them are allowed)."""
    records = examined("S", (0, 1))
    assert "normal" in records.names and len(records.names) >= 15
    check(records, kind, model, most=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["noise", "whole"])
def test_features_without_physiology_do_not_predict_labels_among_10000_records(kind: str) -> None:
    """Here it is 0.005."""
    records = examined("M", (0,))
    assert len(records.names) >= 40
    check(records, kind, "ridge", most=0.015)


def test_the_heart_has_next_to_nothing_in_the_high_band_of_the_whole_signal() -> None:
    """Without noise its power is less than a thousandth of what it is with noise, in every lead of every record."""
    for entry in entries()[::10]:
        signals = (generate(entry, version=1, seed=0, noise=noise)[EIGHT] for noise in (True, False))
        noisy, quiet = (np.exp(whole_features(signal)[:8]) for signal in signals)
        assert (quiet < 1e-3 * noisy).all(), entry


def test_a_label_that_came_with_its_own_noise_would_be_found_out() -> None:
    """The same search, with a third more muscle noise in the records of one label, names that label."""
    records = examined("S", (0, 1))
    marked, above_100_hz = records.names.index("atrial-fibrillation"), slice(8 * 4, 8 * 5)
    louder = records.features["noise"].copy()
    louder[records.labels[:, marked] > 0, above_100_hz] += 2 * np.log(1.33)
    found, error = aurocs(records.labels, louder, records.patients, MODELS["ridge"])
    assert found[marked] > 0.58 and rejected(found, error)[marked]
