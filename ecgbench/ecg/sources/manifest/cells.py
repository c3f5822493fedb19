"""What one cell says: an id, a split, an age, a sex, the layout of a plain file. ValueError, with what is valid."""

from __future__ import annotations

import re
import unicodedata

from ecgbench.csv_table import shown
from ecgbench.ecg.formats.layout import PlainLayout, Unit
from ecgbench.ecg.formats.leads import standard_lead
from ecgbench.ecg.recording import LEADS, OVER_89
from ecgbench.ecg.sources.manifest.vocabulary import fold

OLDEST = 120

SEXES = {
    **dict.fromkeys(("男", "男性", "m", "male"), "male"),
    **dict.fromkeys(("女", "女性", "f", "female"), "female"),
}
NOT_STATED = {"", "不明", "その他", "unknown", "other"}
SPLITS = {
    **dict.fromkeys(("train", "training", "学習", "訓練"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "検証"), "validation"),
    **dict.fromkeys(("test", "テスト", "評価"), "test"),
}
UNITS: dict[str, Unit] = {fold("mV"): "mV", fold("uV"): "uV", fold("µV"): "uV", fold("V"): "V"}
_SHORTENED = re.compile(r"[0-9]+([.,][0-9]+)?E[+-][0-9]+", re.IGNORECASE)
_QUOTED = re.compile(r'="([^"]*)"')
"""How other programs keep Excel from taking the zeros off an id."""

_MADE_A_DATE = re.compile(r"[0-9]{1,2}月[0-9]{1,2}日")
_EXCEL_FAULT = re.compile(r"#[A-Z/0]+[!?]?|#+", re.IGNORECASE)
_LIKE_A_DATE = re.compile(r"[0-9]{4}|[0-9][^0-9]+[0-9]")
_AGE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)(?:歳|才|y|years)?")


def an_id(cell: str) -> str:
    """A patient or record id, one form for every width of its characters."""
    text = unicodedata.normalize("NFKC", cell).strip()
    quoted = _QUOTED.fullmatch(text)
    text = quoted[1].strip() if quoted else text
    if not text:
        raise ValueError("it is empty; every row needs one")
    if _SHORTENED.fullmatch(text):
        raise ValueError(
            f"it is {shown(text)}, a number that Excel has shortened; format the column as text in Excel and put the "
            "ids in again"
        )
    if _MADE_A_DATE.fullmatch(text):
        raise ValueError(
            f"it is {shown(text)}, a date that Excel has made of it; format the column as text in Excel and put the ids "
            "in again"
        )
    _refuse_fault(text, "the id")
    return text


def a_site(cell: str) -> str | None:
    """The name of a site, one form for every width of its characters; None of an empty cell."""
    text = " ".join(unicodedata.normalize("NFKC", cell).split())
    _refuse_fault(text, "the site")
    return text or None


def _refuse_fault(text: str, what: str) -> None:
    if _EXCEL_FAULT.fullmatch(text):
        raise ValueError(f"it is {shown(text)}, Excel's mark of a fault; put {what} in again")


def a_split(cell: str) -> str:
    """train, validation, test, or '' of an empty cell."""
    folded = fold(cell)
    if folded and folded not in SPLITS:
        raise ValueError(f"it is {shown(cell)}; valid are train, validation, test, 学習, 検証, テスト")
    return SPLITS.get(folded, "")


def an_age(cell: str) -> float | None:
    """Years; None of an empty cell and of 不明."""
    folded = fold(cell)
    if folded in NOT_STATED:
        return None
    found = _AGE.fullmatch(folded)
    if not found and _LIKE_A_DATE.search(folded):  # not quoted: it may be a date of birth
        raise ValueError(
            f"it reads like a date; valid are years from 0 to {OLDEST}, as 65: format the column as a number in Excel "
            "and put the ages in"
        )
    if not found or float(found[1]) > OLDEST:
        raise ValueError(f"it is {shown(cell)}; valid are years from 0 to {OLDEST}, as 65, 65歳 or 0.5")
    years = float(found[1])
    return OVER_89 if years > 89 else years


def a_sex(cell: str) -> str | None:
    """male, female; None of an empty cell, 不明 and その他."""
    folded = fold(cell)
    if folded not in SEXES and folded not in NOT_STATED:
        raise ValueError(f"it is {shown(cell)}; valid are 男, 女, 男性, 女性, M, F, male, female, 不明, unknown")
    return SEXES.get(folded)


def a_rate(cell: str) -> float | None:
    """Hz; None of an empty cell."""
    folded = fold(cell).removesuffix("hz").strip()
    if not folded:
        return None
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", folded) or not float(folded):
        raise ValueError(f"it is {shown(cell)}; valid is a number of samples per second, as 500")
    return float(folded)


def a_unit(cell: str) -> Unit | None:
    """None of an empty cell."""
    folded = fold(cell)
    if folded and folded not in UNITS:
        raise ValueError(f"it is {shown(cell)}; valid are mV, uV, V")
    return UNITS.get(folded)


def a_lead_order(cell: str) -> tuple[str, ...]:
    """Lead names in the file's order; empty of an empty cell."""
    names = [name for name in re.split(r"[\s,;|、]+", unicodedata.normalize("NFKC", cell).strip()) if name]
    leads: list[str] = []
    for name in names:
        lead = standard_lead(name)
        if lead is None:
            raise ValueError(f"it names {shown(name)}; valid are {', '.join(LEADS)}")
        if lead in leads:
            raise ValueError(f"it names {lead} twice; each lead is named once")
        leads.append(lead)
    return tuple(leads)


def a_layout(
    rate: float | None, unit: Unit | None, leads: tuple[str, ...], default: PlainLayout | None
) -> PlainLayout | None:
    """A row's own layout, filled up from that of the options; None where neither says anything."""
    if rate is None and unit is None and not leads:
        return default
    if default:
        rate, unit, leads = rate or default.rate, unit or default.unit, leads or default.leads
    if rate is None or unit is None:
        missing = "rate" if rate is None else "unit"
        raise ValueError(f"the row says something of its plain file, and no {missing}; give rate and unit, or neither")
    return PlainLayout(rate, unit, leads)
