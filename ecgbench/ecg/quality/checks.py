"""The checks by name, in the order they are told in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ecgbench.ecg.quality.amplitude import clipped, flat_leads, flat_parts, saturated, wrong_unit
from ecgbench.ecg.quality.batch import Batch, Remark
from ecgbench.ecg.quality.identities import broken_identities
from ecgbench.ecg.quality.polarity import inverted_lead_one
from ecgbench.ecg.quality.presence import missing_leads, too_short


@dataclass(frozen=True)
class Check:
    """`id` for machines, `title` for a table, `meaning` for whoever finds records under it."""

    id: str
    title: str
    meaning: str


SIGNAL_CHECKS: dict[str, Callable[[Batch], list[Remark]]] = {
    "unit": wrong_unit,
    "missing-lead": missing_leads,
    "flat-lead": flat_leads,
    "flat-part": flat_parts,
    "saturated": saturated,
    "clipped": clipped,
    "einthoven": broken_identities,
    "inverted-lead-I": inverted_lead_one,
    "short": too_short,
}
"""What each record is held to on its own."""

CHECKS = (
    Check("unit", "unit mix-up", "voltages that no ECG has: µV, mV or V may have been taken for one another"),
    Check("missing-lead", "leads missing", "the lead was neither recorded nor follows from recorded ones; what a model is "
          "fed there is decided by its card"),
    Check("flat-lead", "leads flat", "a lead that is said to be real hardly moves: an electrode was off"),
    Check("flat-part", "leads flat in part", "a lead stands still for a second or more: an electrode was off, or leads were "
          "recorded one after another"),
    Check("saturated", "leads saturated", "the lead comes to the same highest or lowest value again and again and stays "
          "there: cut off by the recorder"),
    Check("clipped", "cut off by the store", "beyond ±32.767 mV, which is all that a store holds"),
    Check("einthoven", "limb leads at odds", "Einthoven's and Goldberger's identities do not hold: limb leads mixed up, not "
          "recorded at one time, or harmed one by one"),
    Check("inverted-lead-I", "lead I upside down", "a suspicion: the arm electrodes may have been swapped; where V6 points down "
          "too, dextrocardia or a large lateral infarction is likelier"),
    Check("repeated-lead", "one signal in two leads", "a lead was copied in place of another"),
    Check("short", "shorter than 10 s", "the rest is padding"),
    Check("damaged", "not readable, left out", "these records did not enter the store"),
    Check("left-out-copy", "copies left out", "the same in every sample as a record that stayed, so they did not enter the "
          "store; no leak"),
    Check("copy", "copies of one patient", "one recording under several record names"),
    Check("copy-across-patients", "copies across patients", "one recording under several patients of one split: either they "
          "are one person, or a file has the wrong name"),
    Check("leak", "LEAK: copies across splits", "a model is tested on recordings that it was trained on, or chosen by"),
    Check("patient-leak", "LEAK: patients in two splits", "a model is tested on patients that it was trained on, or chosen by"),
)  # fmt: skip

LEAKS = ("leak", "patient-leak")
