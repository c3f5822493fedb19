"""The shipped wordings of MIMIC-IV-ECG: each one's labels say what it says, no more and no less."""

from __future__ import annotations

import csv
import re

import pytest

from ecgbench.catalogue import table_path
from ecgbench.ecg.sources.mimic_iv_ecg import wording_key

WORDINGS = [tuple(row) for row in csv.reader(table_path("wordings-mimic-iv-ecg.csv").read_text("utf-8").splitlines())][
    1:
]
ASSIGNING = [(wording, label.split(";")) for wording, label in WORDINGS if label != "-"]


def words(text: str) -> set[str]:
    return set(re.findall(r"[a-z0-9]+", text.lower()))


def test_no_wording_stands_twice() -> None:
    keys = [wording_key(wording) for wording, _ in WORDINGS]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(("wording", "labels"), ASSIGNING, ids=[wording for wording, _ in ASSIGNING])
def test_a_wording_s_labels_say_no_more_and_no_less(wording: str, labels: list[str]) -> None:
    """Where the wording has a side, a wall, a degree or a doubt, its labels have the same ones, and the other way round."""
    said, meant = words(wording), {part for label in labels for part in words(label)}
    short = {"rbbb": {"right"}, "lafb": {"left", "anterior"}, "lpfb": {"left", "posterior"}, "lbbb": {"left"}}
    said |= {word for part in said for word in short.get(part, ())}
    said |= {"left", "right"} if "biatrial" in said else set()
    said |= {"limb"} if "extremity" in said else set()
    said |= {"chest"} if "precordial" in said else set()
    said |= {"limb", "chest"} if "generalized" in said else set()
    said |= {"first"} if "1st" in said else set()
    telling = (
        "left", "right", "possible", "suspected", "incomplete", "severe", "mild", "frequent", "short", "prolonged",
        "inferior", "anterior", "lateral", "anteroseptal", "posterior", "acute", "subacute", "limb", "chest",
        "first", "second", "mobitz", "wenckebach", "bigeminy", "trigeminy", "supraventricular", "sinus",
        "biventricular", "fibrillation", "flutter", "bradycardia", "tachycardia", "infarction", "normal",
    )  # fmt: skip
    alike = {"infarct": "infarction", "long": "prolonged", "atrial": "supraventricular", "pac": "supraventricular",
             "pacs": "supraventricular"}  # fmt: skip
    said |= {alike[word] for word in said if word in alike and alike[word] in meant}
    beside = {"sinus"} if {"sinus", "rhythm", "with"} <= said else {"normal"} if "variant" in said else set()
    for word in telling:
        if word in beside - meant:  # sinus rhythm with …, a probable normal variant
            continue
        assert (word in said) == (word in meant), word


@pytest.mark.parametrize(
    "doubt", ["probable", "borderline", "consider", "cannot", "probably", "may", "suspect", "without"]
)
def test_no_wording_with_a_doubt_assigns_a_label(doubt: str) -> None:
    doubtful = [wording for wording, _ in ASSIGNING if doubt in words(wording)]
    assert all("probable normal variant" in wording for wording in doubtful)


def test_a_verdict_on_the_whole_ecg_is_dropped_unless_it_is_normal() -> None:
    dropped = {wording for wording, label in WORDINGS if label == "-"}
    assert {"Sinus rhythm", "Abnormal ECG", "Borderline ECG", "Normal ECG except for rate"} <= dropped
    normal = {wording for wording, labels in ASSIGNING if "normal" in labels}
    assert normal == {"Normal ECG", "Summary: Normal ECG", "Within normal limits"}
