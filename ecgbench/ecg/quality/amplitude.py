"""Voltages that cannot be: a wrong unit, leads that are flat, leads cut off at a limit."""

from __future__ import annotations

import numpy as np

from ecgbench.ecg.quality.batch import Batch, Remark, lead_names
from ecgbench.ecg.quality.limits import (
    BLOCK,
    BLOCKS_A_SECOND,
    CLIPPED_SHARE,
    FLAT_BLOCK,
    FLAT_BLOCKS,
    FLAT_LEAD,
    LARGE_BLOCK,
    SATURATED_BLOCKS,
    SATURATED_EXCURSION,
    SATURATED_RUN,
    SATURATED_SAMPLES,
    SMALL_RECORD,
)
from ecgbench.ecg.recording import LEADS
from ecgbench.ecg.standardise import CLIP


def largest_amplitude(batch: Batch) -> np.ndarray:
    """float (n,), µV: the amplitude of the largest real lead; 0 where there is none."""
    return np.asarray(np.where(batch.real, batch.amplitudes, 0).max(-1))


def at_store_limit(batch: Batch) -> np.ndarray:
    """int (n, 12): samples at ±32.767 mV, where the store cuts off."""
    low, high = batch.counts.min(-1), batch.counts.max(-1)
    found = np.zeros(low.shape, np.int64)
    for place in np.argwhere((low <= -CLIP) | (high >= CLIP)):
        lead = batch.counts[tuple(place)]
        found[tuple(place)] = np.count_nonzero((lead <= -CLIP) | (lead >= CLIP))
    return np.where(batch.real, found, 0)


def wrong_unit(batch: Batch) -> list[Remark]:
    """Records too small or too large by far for any ECG. One that does not move at all is left to `flat_leads`."""
    largest = largest_amplitude(batch)
    leads = batch.real.sum(-1)
    typical = np.median(batch.block_ranges, axis=-1)
    huge = 2 * ((typical > LARGE_BLOCK) & batch.real).sum(-1) >= leads
    share = at_store_limit(batch) / batch.samples
    cut = 2 * ((share >= CLIPPED_SHARE) & batch.real).sum(-1) >= leads
    remarks = []
    for place in np.flatnonzero(((largest > 0) & (largest < SMALL_RECORD)) | huge | cut):
        row, microvolts = int(batch.rows[place]), float(largest[place])
        measured = {"largest_lead_uv": microvolts, "at_store_limit": round(float(share[place].mean()), 4)}
        if cut[place]:
            text = f"{share[place].mean():.0%} of the samples at the store's limit: about 1000 times too large?"
        elif microvolts < SMALL_RECORD:
            text = f"the largest lead has {microvolts:g} µV: about 1000 times too small?"
        else:
            text = f"the largest lead has {microvolts / 1000:.1f} mV: 100 times too large?"
        remarks.append(Remark(row, text, measured))
    return remarks


def flat_leads(batch: Batch) -> list[Remark]:
    """Real leads without a QRS that could be read. Records with a wrong unit are left to `wrong_unit`."""
    largest = largest_amplitude(batch)
    flat = batch.real & (batch.amplitudes < FLAT_LEAD) & ((largest == 0) | (largest >= SMALL_RECORD))[:, None]
    return [
        Remark(
            int(batch.rows[place]),
            f"{lead_names(flat[place])} at most {batch.amplitudes[place][flat[place]].max():g} µV",
            {"leads": lead_names(flat[place]), "amplitude_uv": float(batch.amplitudes[place][flat[place]].max())},
        )
        for place in np.flatnonzero(flat.any(-1))
    ]


def longest_flat(batch: Batch) -> np.ndarray:
    """int (n, 12): the most quarter seconds in a row without a movement above `FLAT_BLOCK`."""
    still = batch.block_ranges <= FLAT_BLOCK
    run = np.zeros(still.shape[:2], np.int64)
    longest = run.copy()
    for block in np.moveaxis(still, -1, 0):
        run = (run + 1) * block
        np.maximum(longest, run, out=longest)
    return longest


def flat_parts(batch: Batch) -> list[Remark]:
    """Real leads that stand still for a second or more and move otherwise."""
    longest = longest_flat(batch)
    flat = batch.real & (longest >= FLAT_BLOCKS) & (batch.amplitudes >= FLAT_LEAD)
    remarks = []
    for place in np.flatnonzero(flat.any(-1)):
        seconds = float(longest[place][flat[place]].max()) / BLOCKS_A_SECOND
        measured = {"leads": lead_names(flat[place]), "seconds": seconds}
        remarks.append(Remark(int(batch.rows[place]), f"{lead_names(flat[place])} for {seconds:g} s", measured))
    return remarks


def plateaus(lead: np.ndarray, extreme: int) -> tuple[int, int]:
    """Samples of a lead (samples,) that stand at `extreme` for `SATURATED_RUN` in a row or more, and the quarter seconds
    they stand in."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], lead == extreme, [False]))))
    runs = [(start, end) for start, end in zip(edges[::2], edges[1::2], strict=True) if end - start >= SATURATED_RUN]
    blocks = {block for start, end in runs for block in range(start // BLOCK, (end - 1) // BLOCK + 1)}
    return int(sum(end - start for start, end in runs)), len(blocks)


def saturated(batch: Batch) -> list[Remark]:
    """Real leads that meet their own highest or lowest count again and again and stay there each time."""
    low, high = batch.block_extremes
    found: dict[int, dict[str, dict[str, float]]] = {}
    for blocks, lead_extreme in ((high, high.max(-1)), (low, low.min(-1))):
        met = (blocks == lead_extreme[..., None]).sum(-1)
        for place, lead in np.argwhere(batch.real & (met >= SATURATED_BLOCKS)):
            extreme, samples = int(lead_extreme[place, lead]), batch.counts[place, lead, : blocks.shape[-1] * BLOCK]
            at_extreme, in_blocks = plateaus(samples, extreme)
            if (
                at_extreme >= SATURATED_SAMPLES
                and in_blocks >= SATURATED_BLOCKS
                and abs(extreme - np.median(samples)) >= SATURATED_EXCURSION
            ):
                found.setdefault(int(place), {})[LEADS[lead]] = {"mv": extreme / 1000, "samples": at_extreme}
    return [Remark(int(batch.rows[place]), _plateau_text(leads), leads) for place, leads in sorted(found.items())]


def _plateau_text(leads: dict[str, dict[str, float]]) -> str:
    return ", ".join(f"{lead} at {about['mv']:g} mV ({about['samples']} samples)" for lead, about in leads.items())


def clipped(batch: Batch) -> list[Remark]:
    """Records that go beyond what a store can hold."""
    samples = at_store_limit(batch)
    return [
        Remark(
            int(batch.rows[place]),
            f"{lead_names(samples[place] > 0)}: {samples[place].sum()} samples",
            {"leads": lead_names(samples[place] > 0), "samples": int(samples[place].sum())},
        )
        for place in np.flatnonzero(samples.any(-1))
    ]
