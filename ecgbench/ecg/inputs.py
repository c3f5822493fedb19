"""Store -> what an encoder's card asks for: leads and their order, rate, seconds, unit, normalisation, missing leads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecgbench.cards import InputContract
from ecgbench.ecg.recording import LEADS, STORE_RATE
from ecgbench.ecg.standardise import resample
from ecgbench.ecg.store import Store
from ecgbench.errors import EcgbenchError
from ecgbench.files import atomic_path, cache_folder, hash_of

INPUT_VERSION = 2
"""Raised when the conversion below gives other numbers."""

CHUNK = 128


def input_rate(contract: InputContract, asked: int | None, encoder: str) -> int:
    """The rate to feed: the recipe's, if the card lists it, else the card's first. EcgbenchError for a rate it lacks."""
    if asked is None:
        return contract.rates[0]
    if asked not in contract.rates:
        listed = ", ".join(map(str, contract.rates))
        raise EcgbenchError(
            f"the recipe feeds {asked} Hz, but encoder {encoder} takes {listed} Hz by its card: choose another recipe or encoder."
        )
    return asked


def input_samples(contract: InputContract, rate: int) -> int:
    return round(contract.seconds * rate)


@dataclass(frozen=True)
class Batch:
    """Some rows of a store: `signals` float32 mV (n, 12, samples at 500 Hz), `real_leads` bool (n, 12), `valid_samples`
    (n,) at 500 Hz, the rest being padding, and `names` for messages."""

    signals: np.ndarray
    real_leads: np.ndarray
    valid_samples: np.ndarray
    names: Sequence[str]


def convert(batch: Batch, contract: InputContract, rate: int) -> np.ndarray:
    """A batch -> float32 (n, leads, samples) as the card asks; padding and missing leads are 0 and count in no mean.

    EcgbenchError where the card refuses missing leads and a record lacks one that it needs.
    """
    columns = [LEADS.index(lead) for lead in contract.leads]
    signals, lead_masks = batch.signals, batch.real_leads
    if contract.missing_lead == "refuse" and not lead_masks[:, columns].all():
        row, column = np.argwhere(~lead_masks[:, columns])[0]
        raise EcgbenchError(
            f"record {batch.names[row]} lacks lead {contract.leads[column]}, which the encoder's card does not allow to be missing."
        )
    at_rate = resample(signals[:, columns].astype(np.float64), STORE_RATE, rate)[..., : input_samples(contract, rate)]
    scaled = at_rate * (1000.0 if contract.unit == "uV" else 1.0)
    ends = -(-batch.valid_samples * rate // STORE_RATE)  # rounded up
    valid = ends[:, None, None] > np.arange(scaled.shape[-1])
    return normalised(scaled, valid & lead_masks[:, columns, None], contract)


def normalised(signals: np.ndarray, valid: np.ndarray, contract: InputContract) -> np.ndarray:
    """Signals (n, leads, samples) in the card's unit -> float32, normalised as it asks; what is not `valid` (bool of the same
    shape) takes no part and is 0."""
    if valid.all():
        return _normalised(signals, contract.normalisation).astype(np.float32)
    masked = np.ma.masked_array(signals, ~valid)
    return np.ma.filled(_normalised(masked, contract.normalisation), 0.0).astype(np.float32)


def _normalised(x: np.ndarray, how: str) -> np.ndarray:
    """`center`: each lead's mean taken away. `zscore-lead` / `zscore-record`: and divided by the standard deviation of the
    lead / of all leads of the record. `minmax-lead`: each lead to 0..1. A flat signal becomes 0. Masked samples take no part."""
    if how == "none":
        return x
    if how == "minmax-lead":
        low, high = x.min(-1, keepdims=True), x.max(-1, keepdims=True)
        return _divided(x - low, high - low)
    centered = x - x.mean(-1, keepdims=True)
    if how == "center":
        return np.asanyarray(centered)
    axes = (-1,) if how == "zscore-lead" else (-2, -1)
    spread = np.sqrt((centered**2).mean(axes, keepdims=True))
    return _divided(centered, spread)


def _divided(x: np.ndarray, by: np.ndarray) -> np.ndarray:
    """x / by, and 0 where `by` is 0."""
    return np.asanyarray(x / np.where(by > 0, by, 1.0) * (by > 0))


def encoder_inputs(
    store: Store, contract: InputContract, rate: int, progress: Callable[[int, int], None] | None = None
) -> np.ndarray:
    """All rows of a store as the encoder wants them: float32 (n, leads, samples), memory-mapped from the cache, where it is
    kept under the hash of the signals and the contract."""
    key = hash_of(
        [INPUT_VERSION, store.manifest.signals_sha256, store.data_hash, contract.model_dump(mode="json"), rate]
    )
    path = cache_folder("inputs", f"{store.manifest.name}-{key[:16]}.npy")
    shape = (len(store), len(contract.leads), input_samples(contract, rate))
    if not path.is_file():
        _write_inputs(path, store, contract, rate, shape, progress)
    mapped: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    if mapped.shape != shape or mapped.dtype != np.float32:
        raise EcgbenchError(f"the cached input {path} has shape {mapped.shape}, {shape} is needed: delete that file.")
    return mapped


def _write_inputs(
    path: Path,
    store: Store,
    contract: InputContract,
    rate: int,
    shape: tuple[int, int, int],
    progress: Callable[[int, int], None] | None,
) -> None:
    masks, valid = store.lead_masks(), store.records["valid_samples"].to_numpy()
    names = store.records["record"].tolist()
    with atomic_path(path) as temporary:
        out = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float32, shape=shape)
        for start in range(0, len(store), CHUNK):
            rows = np.arange(start, min(start + CHUNK, len(store)))
            batch = Batch(store.signals(rows), masks[rows], valid[rows], [names[row] for row in rows])
            out[rows] = convert(batch, contract, rate)
            if progress:
                progress(int(rows[-1]) + 1, len(store))
        out.flush()
        del out
