"""The label that an unknown wording may stand for: a hint to a person, never a match."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

from ecgbench.ecg.sources.manifest.vocabulary import fold
from ecgbench.findings import LabelBank

LEAST_ALIKE = 0.5
"""A name must be more alike than this, 1 being the same: above it the two share more than a common word (異常, 波)."""

_LEAST_ALIKE_INITIALS = 0.7
_LONGEST = 80
"""Characters of a wording that are compared: nobody's name of a finding is longer."""

_ABBREVIATION = re.compile("[a-z]{2,6}")
_IN_FULL = {
    **dict.fromkeys(("af", "afib"), "心房細動"),
    **dict.fromkeys(("afl", "aflutter"), "心房粗動"),
    **dict.fromkeys(("pvc", "vpc", "ves"), "心室期外収縮"),
    **dict.fromkeys(("pac", "apc", "svpc", "sves", "心房性期外収縮"), "上室期外収縮"),
    **dict.fromkeys(("svt", "psvt"), "上室頻拍"),
    **dict.fromkeys(("crbbb", "rbbb"), "完全右脚ブロック"),
    **dict.fromkeys(("clbbb", "lbbb"), "完全左脚ブロック"),
    **dict.fromkeys(("irbbb", "icrbbb"), "不完全右脚ブロック"),
    **dict.fromkeys(("lafb", "lah"), "左脚前枝ブロック"),
    **dict.fromkeys(("lpfb", "lph"), "左脚後枝ブロック"),
    **dict.fromkeys(("wnl", "nsr", "異常なし"), "正常範囲"),
    "avb": "房室ブロック",
    "lvh": "左室肥大",
    "rvh": "右室肥大",
    "lad": "左軸偏位",
    "rad": "右軸偏位",
    "vt": "心室頻拍",
    "prwp": "R波増高不良",
    "poorr": "R波増高不良",
    "pm": "ペースメーカー",
}
"""What Japanese readers of ECGs write for short, and the name in full that it is compared as too."""
_SHORT = re.compile("[a-z]+|心房性期外収縮|異常なし")


class Nearest:
    """Nearest labels of one label table, over ids, Japanese and English names and the initials of English ones."""

    def __init__(self, bank: LabelBank) -> None:
        self._forms = [
            (_bare(name), finding.id) for finding in bank.findings for name in (*finding.names.values(), finding.id)
        ]
        self._initials = [(_initials(finding.names["en"]), finding.id) for finding in bank.findings]

    def of(self, wording: str) -> str | None:
        """The label id with the most similar name, the first of equals; None where none is similar."""
        wanted = _bare(wording)[:_LONGEST]
        in_full = _SHORT.sub(lambda short: _bare(_IN_FULL.get(short[0], short[0])), wanted)
        found = [_best(form, self._forms, LEAST_ALIKE) for form in dict.fromkeys((in_full, wanted))]
        if _ABBREVIATION.fullmatch(wanted):
            found.append(_best(wanted, self._initials, _LEAST_ALIKE_INITIALS))
        return max(found, key=lambda each: each[0])[1]


def _best(wanted: str, forms: list[tuple[str, str]], least: float) -> tuple[float, str | None]:
    """The highest likeness above `least` and its label; 0 and None where there is none."""
    matcher = SequenceMatcher(autojunk=False)
    matcher.set_seq2(wanted)
    best = least
    nearest: str | None = None
    for form, label in forms:
        matcher.set_seq1(form)
        shared = matcher.quick_ratio() if form else 0.0  # in any order: 陰転T波 shares all with T波陰転
        if shared <= best:
            continue  # the mean cannot be more
        alike = (shared + matcher.ratio()) / 2
        if alike > best:
            best, nearest = alike, label
    return (best, nearest) if nearest else (0.0, None)


def _bare(name: str) -> str:
    return re.sub(r"[\W_]+", "", fold(name))


def _initials(name: str) -> str:
    """`Complete Right Bundle Branch Block` -> `crbbb`, `Supraventricular Tachycardia` -> `svt`."""
    words = re.findall("[a-z]+", fold(name).replace("ventricular", " ventricular"))
    return "".join(word[0] for word in words)
