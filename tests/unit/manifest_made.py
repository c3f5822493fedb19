"""A made-up Japanese hospital for tests: recordings, the CSV that Excel would save, and its own label set."""

from __future__ import annotations

import csv
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecgbench.ecg.recording import LEADS, STORE_RATE, Entry
from ecgbench.ecg.sources.synth98.record import generate


@dataclass(frozen=True)
class Label:
    """One of the hospital's labels, and the finding of synth98 whose signals stand for it."""

    id: str
    ja: str
    en: str
    group: str
    made_from: str
    written: str
    """As the hospital's table has it: in other widths and spaces."""


LABELS = (
    Label("afib", "心房細動", "Atrial fibrillation", "rhythm", "atrial-fibrillation", "心房細動"),
    Label("tachy", "洞頻脈", "Sinus tachycardia", "rhythm", "sinus-tachycardia", "洞　頻脈"),
    Label("brady", "洞徐脈", "Sinus bradycardia", "rhythm", "sinus-bradycardia", "洞徐脈 "),
    Label("pvc", "心室性期外収縮", "PVC", "ectopy", "ventricular-premature-contractions", "ＰＶＣ"),
    Label("pac", "上室性期外収縮", "PAC", "ectopy", "supraventricular-premature-contractions", "上室性期外収縮"),
    Label("rbbb", "完全右脚ブロック", "Complete RBBB", "conduction", "complete-right-bundle-branch-block", "完全右脚ﾌﾞﾛｯｸ"),
    Label("lbbb", "完全左脚ブロック", "Complete LBBB", "conduction", "complete-left-bundle-branch-block", "complete ＬＢＢＢ"),
    Label("avb1", "房室ブロック（Ⅰ度、PR延長）", "First-degree AV block", "conduction",
          "first-degree-atrioventricular-block", "房室ﾌﾞﾛｯｸ(I度､PR延長)"),
    Label("lvh", "左室肥大", "LVH", "morphology", "left-ventricular-hypertrophy", "左室肥大"),
    Label("imi", "下壁梗塞", "Inferior infarction", "morphology", "inferior-wall-infarction", "下壁 梗塞"),
    Label("st-t", "ST-T変化", "ST-T change", "morphology", "mild-st-t-abnormality", "ＳＴ－Ｔ変化"),
    Label("normal", "正常範囲内", "Within normal limits", "normal", "normal", "正常範囲内"),
)  # fmt: skip

GROUPS = {
    "rhythm": "調律異常",
    "ectopy": "期外収縮",
    "conduction": "伝導障害",
    "morphology": "波形異常",
    "normal": "正常",
}
HEADER = (
    "Ｎｏ．", "ファイル", "患者ＩＤ", "氏名", "生年月日", "年齢", "性別", "施設", "所見", "報告書", "サンプリング周波数", "単位", "誘導",
)  # fmt: skip
SITES = ("第一病院", "第二病院", "東クリニック")
UNKNOWN = ("Ａｆ", "左室肥大の疑い、要再検")
"""Cells that the label set does not know, the second one of two wordings."""

FOLDER = "心電図"
_FAMILY = ("山田", "髙橋", "渡邉", "佐々木", "﨑山")
_GIVEN = ("太郎", "花子", "一郎", "ソラ")


def patient_id(patient: int) -> str:
    """As the hospital writes it: text, with leading zeros."""
    return f"{40_000 + 7 * patient:08d}"


def name_of(patient: int) -> str:
    return f"{_FAMILY[patient % len(_FAMILY)]} {_GIVEN[patient % len(_GIVEN)]}{patient}号"


def birth_of(patient: int) -> str:
    return f"{1930 + patient % 60}年{patient % 12 + 1}月{patient % 28 + 1}日"


def report_of(patient: int) -> str:
    return f'{name_of(patient)}様の心電図。\n前回と比べ,"変化なし"。'


def identifiers(n: int = 60) -> tuple[str, ...]:
    """What must stand in no store, result or message: ids, names, birth dates and words of the reports."""
    people = range(n)
    ids = [patient_id(p) for p in people]
    return (*ids, *map(name_of, people), *map(birth_of, people), *_FAMILY, "様の心電図", "前回と比べ")


def hospital(folder: Path, n: int = 60, encoding: str = "cp932", delimiter: str = ",", unknown: bool = False) -> Path:
    """Write `n` recordings (four of five as WFDB, the fifth as NPY with its layout in the table) and their CSV.

    Each of the 12 labels stands in every twelfth record, a few records have two; four of five records are of a patient
    of their own. `unknown`: two rows say what no label knows.
    """
    (folder / FOLDER).mkdir(parents=True)
    patients = max(1, n * 4 // 5)
    rows: list[tuple[str, ...]] = [HEADER]
    for number in range(n):
        patient, labels = number % patients, [LABELS[number % len(LABELS)]]
        if labels[0].id == "tachy" and number % 24 == 1:
            labels.append(next(label for label in LABELS if label.id == "lvh"))
        sex, age = ("male", "female")[patient % 2], 30 + patient % 65
        findings = tuple(label.made_from for label in labels)
        entry = Entry(f"s{number}", f"p{patient}", "train", findings, age=float(age), sex=sex)
        signal = generate(entry, version=1, seed=20)
        file, layout = (_npy if number % 5 == 4 else _wfdb)(folder / FOLDER, f"ecg{number:04d}", signal)
        written = ("；", "\n", "、", "|", ";")[number % 5].join(label.written for label in labels)
        if unknown and number < len(UNKNOWN):
            written = f"{written}\n{UNKNOWN[number]}"
        rows.append((
            str(number + 1), f"{FOLDER}\\{file}", patient_id(patient), name_of(patient), birth_of(patient),
            (str(age), f"{age}歳")[number % 2], ("男", "女性")[patient % 2], SITES[patient % 3], written,
            report_of(patient), *layout,
        ))  # fmt: skip
    path = folder / "病院 一覧.csv"
    with path.open("w", encoding=encoding, newline="") as handle:
        csv.writer(handle, delimiter=delimiter).writerows(rows)
    return path


def _npy(folder: Path, name: str, signal: np.ndarray) -> tuple[str, tuple[str, str, str]]:
    np.save(folder / f"{name}.npy", np.rint(signal.T * 1000).astype(np.int16), allow_pickle=False)
    return f"{name}.npy", (str(STORE_RATE), "μV", "、".join(LEADS))


def _wfdb(folder: Path, name: str, signal: np.ndarray) -> tuple[str, tuple[str, str, str]]:
    import wfdb

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the library under the newest pandas
        wfdb.wrsamp(
            name, fs=STORE_RATE, units=["mV"] * len(LEADS), sig_name=list(LEADS), fmt=["16"] * len(LEADS),
            d_signal=np.rint(signal.T * 1000).astype(np.int16), adc_gain=[1000.0] * len(LEADS),
            baseline=[0] * len(LEADS), write_dir=str(folder),
        )  # fmt: skip
    return f"{name}.hea", ("", "", "")


def aliases(folder: Path) -> Path:
    """What the unknown wordings mean, as an alias file that was filled in with Excel."""
    path = folder / "aliases-mine.csv"
    path.write_text("wording,label\r\nAf,afib\r\n左室肥大の疑い,lvh\r\n要再検,-\r\n", encoding="cp932", newline="")
    return path


def overlay(folder: Path) -> Path:
    """An overlay folder for ECGBENCH_PATH: tasks/labels-mine.csv, and task cards `mine` and `mine-groups`."""
    tasks = folder / "tasks"
    tasks.mkdir(parents=True)
    with (tasks / "labels-mine.csv").open("w", encoding="utf-8-sig", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(("id", "label_ja", "label_en", "group"))
        writer.writerows((label.id, label.ja, label.en, label.group) for label in LABELS)
    (tasks / "mine.yaml").write_text(_RETRIEVAL, encoding="utf-8")
    classes = "\n".join(f"  - {{id: {id}, value: {id}, names: {{ja: {ja}, en: {id}}}}}" for id, ja in GROUPS.items())
    (tasks / "mine-groups.yaml").write_text(_GROUPS.replace("CLASSES", classes), encoding="utf-8")
    return folder


_RETRIEVAL = """\
name: mine
version: 1
changelog: ["1: first version"]
summary: Rank the hospital's own 12 labels
kind: retrieval
labels: labels-mine.csv
prompt_set: paper
metrics: [top1, top5, macro_auroc, mrr, mrr_filtered]
primary: macro_auroc
chance: "constant scores: top-k k/12, AUROC 0.5"
ties: expectation
absent_classes: listed, not averaged
"""

_GROUPS = """\
name: mine-groups
version: 1
changelog: ["1: first version"]
summary: Five groups of the hospital's own labels, asked by name
kind: zero_shot
labels: labels-mine.csv
mappings: {paper: group}
prompt_set: paper
classes:
CLASSES
metrics: [accuracy, macro_auroc]
primary: accuracy
chance: "constant scores: accuracy 1/5, AUROC 0.5"
ties: expectation
absent_classes: listed, not averaged
"""
