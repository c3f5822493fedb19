"""What each column of a hospital's table means, by its name in Japanese or English."""

from __future__ import annotations

from ecgbench.csv_table import Table, shown
from ecgbench.ecg.sources.manifest.vocabulary import fold
from ecgbench.errors import EcgbenchError

NAMES: dict[str, tuple[str, ...]] = {
    "path": (
        "ファイル", "ファイル名", "ファイルパス", "パス", "file", "file name", "file_name", "filename", "file path",
        "file_path", "filepath", "path",
    ),
    "patient": (
        "患者ID", "患者番号", "患者_ID", "患者", "patient", "patient id", "patient_id", "patientid", "patient number",
        "patient_number",
    ),
    "findings": ("所見", "心電図所見", "ラベル", "findings", "finding", "labels", "label"),
    "report": ("レポート", "報告", "報告書", "report"),
    "split": ("分割", "データ分割", "split"),
    "age": ("年齢", "年齢(歳)", "age"),
    "sex": ("性別", "sex", "gender"),
    "site": ("施設", "施設名", "病院", "病院名", "site", "hospital"),
    "record": ("記録ID", "記録番号", "記録_ID", "記録", "record", "record id", "record_id", "recordid", "ecg_id"),
    "rate": (
        "サンプリング周波数", "サンプリング周波数(Hz)", "サンプリングレート", "rate", "sampling rate", "sampling_rate",
    ),
    "unit": ("単位", "unit"),
    "leads": ("誘導", "leads"),
}  # fmt: skip
"""Meaning -> the names a column may have; width, letter case and white-space do not count. Others are not read."""

NEEDED = ("path", "patient", "findings")
_MOST_SHOWN = 12


def find_columns(
    table: Table, names: dict[str, tuple[str, ...]] = NAMES, needed: tuple[str, ...] = NEEDED
) -> dict[str, int]:
    """Meaning -> place in the row. EcgbenchError where two columns mean the same or a needed one is missing."""
    meaning_of = {_key(name): meaning for meaning, known in names.items() for name in known}
    found: dict[str, int] = {}
    for place, name in enumerate(table.header):
        meaning = meaning_of.get(_key(name))
        if meaning is None:
            continue
        if meaning in found:
            raise EcgbenchError(
                f"{table.path}, row 1: the columns {shown(table.header[found[meaning]])} and {shown(name)} both mean "
                f"{meaning}: rename one of them."
            )
        found[meaning] = place
    for meaning in needed:
        if meaning not in found:
            there = ", ".join(shown(name)[1:-1] for name in table.header[:_MOST_SHOWN] if name)
            more = " and more" if len(table.header) > _MOST_SHOWN else ""
            raise EcgbenchError(
                f"{table.path} has no column for {meaning}: it has {there}{more}; name one {' or '.join(_few(names[meaning]))}."
            )
    return found


def _key(name: str) -> str:
    return fold(" ".join(name.split()))


def _few(names: tuple[str, ...]) -> tuple[str, ...]:
    """The first Japanese names and the first English one."""
    japanese = [name for name in names if not name.isascii()]
    return (*japanese[:2], *[name for name in names if name.isascii()][:1])
