"""Channels of a file -> the standard leads: names by an exact table, one rate, one length."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ecgbench.ecg.recording import LEADS, DamagedRecordError

_SPELLINGS = (
    "{}", "lead {}", "ecg {}", "ecg lead {}", "ekg {}", "mdc_ecg_lead_{}", "{}誘導", "第{}誘導", "lead {} (einthoven)",
)  # fmt: skip
_LEAD_OF = {spelling.format(lead).casefold(): lead for lead in LEADS for spelling in _SPELLINGS}
_COUNTED = re.compile(r"(.+)_\d+")


@dataclass(frozen=True)
class Channel:
    """One signal of a file: its name there, samples in mV (NaN: absent), Hz."""

    name: str
    samples: np.ndarray
    rate: float


def standard_lead(name: str) -> str | None:
    """The standard lead that a file's name of a channel stands for, by exact comparison after folding of width, letter
    case and white space; None for every other channel (MLII, Frank's X, SpO2)."""
    return _LEAD_OF.get(" ".join(unicodedata.normalize("NFKC", name).casefold().split()))


def choose_leads(channels: Sequence[Channel]) -> tuple[dict[str, np.ndarray], float, list[str]]:
    """The standard leads, their rate, and remarks on what was left out.

    Where leads differ in rate, those of the commonest rate are taken (of equally common ones, the higher). Samples that
    are absent in every lead at the start or the end are cut, a lead without any sample is left out. DamagedRecordError
    where no standard lead is there, lengths differ, or a lead has gaps.
    """
    remarks: list[str] = []
    named: dict[str, Channel] = {}
    for channel in channels:
        lead = standard_lead(channel.name)
        counted = _COUNTED.fullmatch(channel.name)
        again = counted and standard_lead(counted[1])  # ecgdatakit calls the second channel named II "II_2"
        if lead and lead not in named:
            named[lead] = channel
        elif lead or again:
            remarks.append(f"lead {lead or again} stands in the file more than once; the first is taken")
    if not named:
        raise DamagedRecordError(f"none of its {len(channels)} channels is one of the 12 standard leads")
    rates = Counter(channel.rate for channel in named.values())
    rate = max(rates, key=lambda each: (rates[each], each))
    if not (np.isfinite(rate) and rate > 0):
        raise DamagedRecordError("it states no sampling rate")
    others = [lead for lead, channel in named.items() if channel.rate != rate]
    if others:
        remarks.append(f"left out, as not sampled at {rate:g} Hz: {', '.join(others)}")
    leads = {lead: channel.samples for lead, channel in named.items() if channel.rate == rate}
    lengths = {len(samples) for samples in leads.values()}
    if len(lengths) > 1:
        raise DamagedRecordError(f"its leads differ in length: {min(lengths)} to {max(lengths)} samples")
    return _without_gaps(leads, remarks), rate, remarks


def _without_gaps(leads: dict[str, np.ndarray], remarks: list[str]) -> dict[str, np.ndarray]:
    stacked = np.stack(list(leads.values()))
    if not stacked.size:
        raise DamagedRecordError("the file holds no samples")
    there = np.isfinite(stacked)
    if there.all():
        return leads
    whole = there.any(axis=1)
    for lead in (lead for lead, any_there in zip(leads, whole, strict=True) if not any_there):
        remarks.append(f"lead {lead} holds no samples and is left out")
    if not whole.any():
        raise DamagedRecordError("the file holds no samples")
    at = np.flatnonzero(there[whole].any(axis=0))
    first, last = int(at[0]), int(at[-1]) + 1
    if last - first < stacked.shape[1]:
        remarks.append(f"{stacked.shape[1] - (last - first)} samples that are absent in every lead are cut off")
    kept = {
        lead: samples[first:last] for (lead, samples), any_there in zip(leads.items(), whole, strict=True) if any_there
    }
    for lead, samples in kept.items():
        absent = int((~np.isfinite(samples)).sum())
        if absent:
            raise DamagedRecordError(f"lead {lead} has {absent} of {len(samples)} samples marked as absent")
    return kept
