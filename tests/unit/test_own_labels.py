"""A hospital's own labels and recordings, from a cp932 CSV to a result: nothing is tied to the 98 findings."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from ecgbench.cards import TaskCard
from ecgbench.catalogue import load_card
from ecgbench.cli.main import run_command
from ecgbench.ecg.build import store_for
from ecgbench.ecg.store import open_store
from ecgbench.errors import EcgbenchError
from ecgbench.findings import label_bank
from tests.conftest import OVERLAY

LABELS = {
    "normal": ("洞調律", "調律"),
    "atrial-fibrillation": ("心房細動", "調律"),
    "complete-right-bundle-branch-block": ("完全右脚ブロック", "伝導"),
    "left-axis-deviation": ("左軸偏位、軽度", "軸"),
    "negative-t-wave": ("陰性T波", "再分極"),
    "ventricular-premature-contractions": ("心室期外収縮", "期外収縮"),
    "sinus-tachycardia": ("洞性頻脈", "調律"),
    "sinus-bradycardia": ("洞性徐脈", "調律"),
    "left-ventricular-hypertrophy": ("左室肥大", "肥大"),
    "st-t-abnormality": ("ST低下", "再分極"),
    "abnormal-q-wave": ("異常Q波", ""),
    "prolonged-pr-interval": ("PR延長", "伝導"),
}
"""Finding of synth98 -> the hospital's wording for it and the group that it puts it in; one wording holds a separator."""
RECORDS = 120
LAYOUT = ["--rate", "500", "--unit", "uV", "--leads", "I,II,III,aVR,aVL,aVF,V1,V2,V3,V4,V5,V6"]
CARDS = {
    "mine": "summary: Our findings\nkind: retrieval\nlabels: labels-mine.csv\n",
    "mine-groups": "summary: Our groups\nkind: zero_shot\nlabels: labels-mine.csv\ncolumn: group\n",
}


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """一覧.csv in cp932 beside NPY files of µV, and the folder `mine` with label table and two four-line task cards."""
    folder = tmp_path_factory.mktemp("病院")
    store = store_for("synth98")
    rows: list[list[str]] = []
    (folder / "心電図").mkdir()
    for row, findings in enumerate(store.findings()):
        wordings = [LABELS[finding][0] for finding in findings if finding in LABELS]
        if wordings and len(rows) < RECORDS:
            np.save(folder / "心電図" / f"佐藤{row}.npy", store.counts(np.array([row]))[0])
            rows.append([f"心電図\\佐藤{row}.npy", f"００{row:04d}", "；".join(wordings), "65", "男", "中央"])
    with (folder / "一覧.csv").open("w", encoding="cp932", newline="") as handle:
        csv.writer(handle).writerows([["ファイル", "患者ID", "所見", "年齢", "性別", "施設"], *rows])
    tasks = folder / "mine" / "tasks"
    tasks.mkdir(parents=True)
    with (tasks / "labels-mine.csv").open("w", encoding="cp932", newline="") as handle:
        table = [[f"my-{own}", wording, own, group] for own, (wording, group) in LABELS.items()]
        csv.writer(handle).writerows([["id", "label_ja", "label_en", "group"], *table])
    for name, text in CARDS.items():
        (tasks / f"{name}.yaml").write_text(f"name: {name}\n{text}", encoding="utf-8")
    return folder


@pytest.fixture
def mine(hospital: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("ECGBENCH_PATH", f"{hospital / 'mine'}:{OVERLAY}")
    monkeypatch.chdir(tmp_path)
    return hospital


def build(hospital: Path, out: str, *options: str) -> int:
    return run_command(["data", "build", f"manifest:{hospital / '一覧.csv'}", "--out", out, *options])


def test_twelve_japanese_labels_of_a_cp932_csv_are_trained_and_tested(
    mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(mine, "store", "--labels", "labels-mine.csv", *LAYOUT) == 0
    out = capsys.readouterr().out
    assert (
        f"manifest, version 1: {RECORDS} records of {RECORDS} patients" in out and "of the 12 in labels-mine.csv" in out
    )
    store = open_store("store")
    mild = [labels for labels in store.findings() if "my-left-axis-deviation" in labels]
    assert mild  # its wording holds a separator
    run = [
        "run",
        "--encoder",
        "pooled",
        "--text",
        "char-ngram",
        "--data",
        "store",
        "--epochs",
        "1",
        "--out",
        "r",
        "--json",
    ]
    assert run_command(run) == 0
    result = json.loads(capsys.readouterr().out)
    assert set(result["tasks"]) == {"mine", "mine-groups"}
    test_rows = [
        labels for labels, split in zip(store.findings(), store.records["split"], strict=True) if split == "test"
    ]
    ranked, grouped = result["tasks"]["mine"], result["tasks"]["mine-groups"]
    assert ranked["n_instances"] == sum(map(len, test_rows)) and len(ranked["per_class"]) == 12
    in_group = [sum(label != "my-abnormal-q-wave" for label in labels) for labels in test_rows]
    assert grouped["n_instances"] == sum(in_group) and grouped["n_records"] == sum(n > 0 for n in in_group)
    assert set(grouped["per_class"]) == {group for _, group in LABELS.values() if group}
    text = json.dumps(result, ensure_ascii=False)
    assert "佐藤" not in text and "００" not in text


def test_without_the_own_table_every_unknown_finding_is_told(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build(mine, "store", *LAYOUT) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "'洞調律' (" in err and "--aliases aliases.csv" in err
    assert not Path("store").exists()
    with Path("aliases.csv").open(encoding="utf-8-sig", newline="") as handle:
        unknown = {row["wording"]: row for row in csv.DictReader(handle)}
    assert {"洞調律", "ST低下", "軽度"} == set(unknown)
    filled = [["wording", "label"], ["洞調律", "normal"], ["ST低下", "st-t-abnormality"], ["軽度", "-"]]
    with Path("mine.csv").open("w", encoding="cp932", newline="") as handle:
        csv.writer(handle).writerows(filled)
    assert build(mine, "store", "--aliases", "mine.csv", *LAYOUT) == 0
    assert "normal" in {label for labels in open_store("store").findings() for label in labels}


def test_files_without_lead_names_ask_for_their_order(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert build(mine, "store", "--labels", "labels-mine.csv") == 2
    assert "(`--rate 500 --unit mV --leads I,II,III" in capsys.readouterr().err
    assert build(mine, "store", "--labels", "labels-mine.csv", "--rate", "500") == 2
    assert "there is no unit" in capsys.readouterr().err
    assert build(mine, "store", "--labels", "labels-mine.csv", "--rate", "500", "--unit", "mV", "--leads", "I,IV") == 2
    assert "the lead 'IV' is unknown" in capsys.readouterr().err
    assert not Path("store").exists()


def test_hidden_ids_are_traced_back_by_whoever_has_the_key(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = f"manifest:{mine / '一覧.csv'}"
    assert build(mine, "store", "--labels", "labels-mine.csv", *LAYOUT) == 0
    assert run_command(["data", "ids", "store", source, "--out", "ids.csv"]) == 0
    with Path("ids.csv").open(encoding="utf-8-sig", newline="") as handle:
        rows = list(csv.DictReader(handle))
    store = open_store("store")
    assert [row["record"] for row in rows] == list(store.records["record"])
    own = np.load(mine / rows[7]["own record"])
    assert np.array_equal(own, store.counts(np.array([7]))[0])
    assert rows[7]["own patient"] == f"00{int(Path(rows[7]['own record']).stem.removeprefix('佐藤')):04d}"
    assert Path("ids.csv").stat().st_mode & 0o077 == 0
    assert run_command(["data", "ids", "store", source, "--out", "ids.csv"]) == 2
    assert "is there already" in capsys.readouterr().err
    Path("other").write_text("ab" * 32, encoding="ascii")
    assert run_command(["data", "ids", "store", source, "--out", "none.csv", "--key", "other"]) == 2
    assert "give the source and the key" in capsys.readouterr().err and not Path("none.csv").exists()


def test_the_key_of_one_store_gives_the_same_ids_in_another(mine: Path) -> None:
    assert build(mine, "first", "--labels", "labels-mine.csv", *LAYOUT) == 0
    assert build(mine, "second", "--labels", "labels-mine.csv", *LAYOUT) == 0
    assert build(mine, "third", "--labels", "labels-mine.csv", "--key", "first/private/key", *LAYOUT) == 0
    first, second, third = (open_store(name) for name in ("first", "second", "third"))
    assert list(first.records["record"]) == list(third.records["record"]) != list(second.records["record"])
    assert first.data_hash == second.data_hash == third.data_hash
    assert build(mine, "kept", "--labels", "labels-mine.csv", "--keep-ids", *LAYOUT) == 0
    assert all(record.startswith("心電図/佐藤") for record in open_store("kept").records["record"])


def test_classes_of_a_short_card_are_those_of_its_column(mine: Path) -> None:
    card = load_card(TaskCard, "mine-groups")
    assert [each.id for each in card.classes] == ["調律", "伝導", "軸", "再分極", "期外収縮", "肥大"]
    assert card.primary == "accuracy" and card.mappings == {"paper": "group"} and card.version == 1


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("kind: zero_shot\nlabels: labels-mine.csv\ncolumn: grupo\n", "labels-mine.csv has no column 'grupo'"),
        ("kind: zero_shot\nlabels: labels-mine.csv\n", "needs `column`"),
        (
            "kind: retrieval\nlabels: labels-min.csv\n",
            "there is no label table 'labels-min.csv': near is labels-mine.csv",
        ),
        ("kind: retrieval\nlabels: labels-mine.csv\ncolumn: group\n", "leave out classes and mappings"),
        ("kind: ranking\nlabels: labels-mine.csv\n", "kind"),
    ],
)
def test_a_short_card_that_is_wrong_is_said(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: str, message: str
) -> None:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "bad.yaml").write_text(f"name: bad\nsummary: Bad\n{lines}", encoding="utf-8")
    monkeypatch.setenv("ECGBENCH_PATH", f"{mine / 'mine'}:{tmp_path}")
    with pytest.raises(EcgbenchError, match=message):
        card = load_card(TaskCard, "bad")
        label_bank(card.labels)


def test_labels_without_a_task_name_the_card_to_write(
    mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert build(mine, "store", "--labels", "labels-mine.csv", *LAYOUT) == 0
    (tmp_path / "bare" / "tasks").mkdir(parents=True)
    (tmp_path / "bare/tasks/labels-mine.csv").write_bytes((mine / "mine/tasks/labels-mine.csv").read_bytes())
    monkeypatch.setenv("ECGBENCH_PATH", f"{tmp_path / 'bare'}:{OVERLAY}")
    assert run_command(["run", "--encoder", "pooled", "--text", "char-ngram", "--data", "store"]) == 2
    assert "no task asks for the labels of labels-mine.csv: write tasks/NAME.yaml" in capsys.readouterr().err
