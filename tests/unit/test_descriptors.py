"""Descriptors: the shipped table, what a prompt set makes of one, and what is refused."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
import yaml

from ecgbench.cards import PromptSet, TaskCard, read_card
from ecgbench.catalogue import all_cards, load_card
from ecgbench.cli.main import run_command
from ecgbench.errors import EcgbenchError
from ecgbench.findings import label_bank
from ecgbench.text.descriptors import read_descriptors
from ecgbench.text.prompt_lint import overlaps
from ecgbench.text.prompts import class_names, class_prompts, joined_prompt, label_prompts
from tests.conftest import ROOT

SET = load_card(PromptSet, "descriptors")
BANK = label_bank()
TASKS = all_cards(TaskCard)[0]
with (ROOT / "tasks" / "prompts" / "descriptors.csv").open(encoding="utf-8", newline="") as handle:
    ROWS = {row["id"]: row for row in csv.DictReader(handle)}
CRITERIA = yaml.safe_load(
    (ROOT / "ecgbench/ecg/sources/synth98/criteria.yaml").read_text(encoding="utf-8")
)  # the published sources and what synth98 takes each finding for

# --- the shipped table ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["ja", "en"])
@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_every_class_of_every_task_has_a_descriptor_of_its_own_in_either_language(
    task: TaskCard, language: str
) -> None:
    bank = label_bank(task.labels)
    asked = class_prompts(task, SET, bank, language, "paper")
    names = class_names(task, bank, language)
    assert len({prompt.text for (prompt,) in asked}) == len(names)
    colon = {"ja": "：", "en": ": "}[language]
    for (prompt,), (item, name) in zip(asked, names.items(), strict=True):
        assert prompt.text == f"{name}{colon}{ROWS[item][f'descriptor_{language}']}" and prompt.parts == (name,)


def test_no_row_is_there_for_nothing() -> None:
    asked = {item for task in TASKS for item in class_names(task, label_bank(task.labels), "en")}
    assert set(ROWS) == asked


def test_a_descriptor_is_one_or_two_plain_sentences() -> None:
    for item, row in ROWS.items():
        ja, en = row["descriptor_ja"], row["descriptor_en"]
        assert 15 <= len(ja) <= 120 and ja.endswith("。") and ja.count("。") <= 2, item
        assert 40 <= len(en) <= 300 and en.endswith(".") and len(re.findall(r"\.(?: |$)", en)) <= 2, item
        assert en.isascii() and en[0].isupper() and re.search("[ぁ-ん]", ja), item
        for text in (ja, en):
            assert text == " ".join(text.split()) and not re.search(r"[{}<>…]|TODO|XXX|\?", text), item


def said_in(text: str) -> tuple[set[str], set[str]]:
    """The leads and the numbers of a descriptor; single figures may be written as words."""
    leads = set(re.findall(r"aVR|aVL|aVF|V[1-6]|(?<![A-Za-z])I{2,3}(?![A-Za-z])", text))
    bare = re.sub(r"V[1-6]|\d:\d", " ", text)
    numbers = {each.lstrip("+") for each in re.findall(r"[+-]?\d+(?:\.\d+)?", re.sub(r"(\d)[-～](\d)", r"\1 \2", bare))}
    return leads, {each for each in numbers if abs(float(each)) >= 10 or "." in each}


def test_either_language_names_the_same_leads_and_numbers() -> None:
    found = {item: (said_in(row["descriptor_ja"]), said_in(row["descriptor_en"])) for item, row in ROWS.items()}
    assert {item: both for item, both in found.items() if both[0] != both[1]} == {}
    assert found["st-segment-elevated"][0] == ({"V2", "V3"}, {"0.1", "0.15", "0.25"})


def test_every_source_is_one_that_is_known() -> None:
    page = (ROOT / "docs" / "prompts.md").read_text(encoding="utf-8")
    for item, row in ROWS.items():
        named = row["source"].split("; ")
        assert named and all(each in CRITERIA["sources"] or f"`{each}`: " in page for each in named), item


CRITERION = {
    "mild-left-axis-deviation": "axis_deg", "left-axis-deviation": "axis_deg", "right-axis-deviation": "axis_deg",
    "severe-right-axis-deviation": "axis_deg", "left-anterior-fascicular-block": "axis_deg",
    "left-posterior-fascicular-block": "axis_deg", "suspected-left-anterior-fascicular-block": "axis_deg",
    "low-voltage-limb-leads": "limb_mv", "low-voltage-chest-leads": "chest_mv", "short-pr-interval": "pr_ms",
    "prolonged-qt-interval": "qtc_ms", "poor-r-wave-progression": "r_v3_mv", "biventricular-hypertrophy": "katz_mv",
    "high-voltage-leads-corresponding-to-left-ventricle": "sokolow_mv", "mild-left-ventricular-hypertrophy": "sokolow_mv",
    "right-atrial-enlargement": "p_ii_mv", "left-atrial-enlargement": "p_v1_terminal_mv", "severe-bradycardia": "rate_bpm",
    "severe-tachycardia": "rate_bpm", "sinus-bradycardia": "rate_bpm", "sinus-tachycardia": "rate_bpm",
    "s1-s2-s3-pattern": "s123_mv",
}  # fmt: skip


@pytest.mark.parametrize(("item", "quantity"), CRITERION.items())
def test_a_threshold_is_the_one_that_synth98_draws_by(item: str, quantity: str) -> None:
    """Where its criterion is a range of one quantity, the descriptor states its ends."""
    bounds = [each for each in CRITERIA["labels"][item]["criterion"][quantity] if each]
    told = {float(each) for each in said_in(ROWS[item]["descriptor_en"])[1]}
    assert bounds and {float(each) for each in bounds} <= told


def test_the_set_names_other_classes_no_more_than_the_names_themselves_do() -> None:
    """But for the Q waves of PTB-XL, whose name, Q波, no infarction can be described without."""
    others = [each for each in all_cards(PromptSet)[0] if each.name != "descriptors"]
    for task in TASKS:
        bank = label_bank(task.labels)
        more = {(each.language, each.asked, each.named) for each in overlaps(task, [SET], bank)}
        more -= {(each.language, each.asked, each.named) for each in overlaps(task, others, bank)}
        assert {named for _, _, named in more} <= {"q-waves-present"}
        assert not more or (task.name == "ptbxl-all" and {language for language, _, _ in more} == {"ja"})


# --- what a prompt is made of -----------------------------------------------------------------------------------------


def test_findings_that_are_stated_together_are_named_and_then_described() -> None:
    ids = ("left-axis-deviation", "atrial-fibrillation")
    ja, en = (joined_prompt(SET, BANK, language, ids) for language in ("ja", "en"))
    af, lad = ROWS["atrial-fibrillation"], ROWS["left-axis-deviation"]
    assert ja.text == f"心房細動、左軸偏位：{af['descriptor_ja']}{lad['descriptor_ja']}"
    assert en.text == f"Atrial Fibrillation, Left Axis Deviation: {af['descriptor_en']} {lad['descriptor_en']}"
    assert ja.parts == ("心房細動", "左軸偏位")


def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: str, **card: object) -> PromptSet:
    """A prompt set `mine` with its table, in an overlay."""
    folder = tmp_path / "tasks" / "prompts"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mine.csv").write_text(table, encoding="utf-8")
    fields = {
        "name": "mine", "version": 1, "summary": "Mine", "templates": {"en": "{descriptor}"}, "joiners": {"en": ", "},
        "states": "descriptors", "descriptors": "mine.csv", **card,
    }  # fmt: skip
    (folder / "mine.yaml").write_text(yaml.safe_dump(fields), encoding="utf-8")
    monkeypatch.setenv("ECGBENCH_PATH", str(tmp_path))
    return load_card(PromptSet, "mine")


def test_a_table_of_one_s_own_may_leave_the_name_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = "id,descriptor_en\n" + "".join(f"{i},It is {i} {{findings}}.\n" for i in BANK.ids)
    prompts = label_prompts(own(tmp_path, monkeypatch, table), BANK, "en")
    assert prompts[0].text == f"It is {BANK.ids[0]} {{findings}}." and prompts[0].parts == ("Sinus Tachycardia",)


def test_an_overlay_s_table_stands_in_for_the_shipped_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = "".join(f"{i},記述{n}。,Description {n}.\n" for n, i in enumerate(BANK.ids))
    own(tmp_path, monkeypatch, "id,descriptor_en\nx,y\n")
    (tmp_path / "tasks/prompts/descriptors.csv").write_text(f"id,descriptor_ja,descriptor_en\n{rows}", encoding="utf-8")
    assert label_prompts(SET, BANK, "ja")[0].text == "洞性頻脈：記述0。"


def test_a_set_without_descriptors_is_what_it_was() -> None:
    for name in ("paper", "bare", "paraphrases", "members"):
        assert "descriptors" not in load_card(PromptSet, name).identity()
    assert SET.identity()["descriptors"] == "descriptors.csv"


# --- what is refused --------------------------------------------------------------------------------------------------


def test_a_task_with_classes_that_the_table_lacks_is_refused_by_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = (
        "id,descriptor_ja,descriptor_en\nsinus-rhythm,P波。,P.\natrial-fibrillation,f波。,f.\nsinus-arrhythmia,,R.\n"
    )
    card = own(
        tmp_path,
        monkeypatch,
        table,
        templates={"ja": "{descriptor}", "en": "{descriptor}"},
        joiners={"ja": "", "en": ""},
    )
    rhythm = load_card(TaskCard, "rhythm")
    with pytest.raises(
        EcgbenchError, match="'en' for sinus-tachycardia, sinus-bradycardia of task rhythm: add the rows"
    ):
        class_prompts(rhythm, card, BANK, "en", "paper")
    with pytest.raises(
        EcgbenchError, match="'ja' for sinus-tachycardia, sinus-arrhythmia, sinus-bradycardia of task rhythm"
    ):
        class_prompts(rhythm, card, BANK, "ja", "paper")
    with pytest.raises(EcgbenchError, match=r"flat-t-wave and 91 more of task retrieval98"):
        class_prompts(load_card(TaskCard, "retrieval98"), card, BANK, "en", "paper")
    monkeypatch.setenv("ECGBENCH_CACHE", str(tmp_path / "cache"))
    line = "run --encoder resnet1d18 --text random --prompts mine --tasks rhythm"
    assert run_command(line.split()) == 2
    assert "of task rhythm" in capsys.readouterr().err and not (tmp_path / "cache" / "stores").exists()


def test_two_classes_in_the_same_words_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = own(tmp_path, monkeypatch, "id,descriptor_en\n" + "".join(f"{i},It is so.\n" for i in BANK.ids))
    with pytest.raises(
        EcgbenchError, match=r"describes sinus-tachycardia and short-run-of.* of labels98\.csv in the same words"
    ):
        label_prompts(card, BANK, "en")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("id,descriptor_en\na,One.\na,Two.\n", "row 3, column id: the id 'a' stands there twice"),
        ("id,descriptor_en\n ,One.\n", "row 2, column id: it is empty"),
        ("name,descriptor_en\na,One.\n", "needs the columns id and descriptor_ja or descriptor_en"),
        ("id,text\na,One.\n", "needs the columns id and descriptor_ja or descriptor_en"),
        ("id,descriptor_en\n", "has a header and no rows"),
    ],
)
def test_a_table_that_is_wrong_is_said(tmp_path: Path, table: str, message: str) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(table, encoding="utf-8")
    with pytest.raises(EcgbenchError, match=message):
        read_descriptors(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"descriptors": None}, "states: descriptors needs a table"),
        ({"states": "name"}, "and no other set has one"),
        ({"templates": {"en": "{findings}"}}, "each template in en must hold {descriptor} exactly once"),
        ({"templates": {"en": "{findings} {findings} {descriptor}"}}, "each template in en must hold"),
        ({"descriptors": "../labels98.csv"}, "descriptors: String should match pattern"),
    ],
)
def test_a_card_that_is_wrong_is_said(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    fields = {"name": "mine", "version": 1, "summary": "", "templates": {"en": "{descriptor}"}, "joiners": {"en": ", "}}
    fields |= {"states": "descriptors", "descriptors": "mine.csv", **changes}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(fields), encoding="utf-8")
    with pytest.raises(EcgbenchError, match=message):
        read_card(PromptSet, path)


def test_a_name_set_has_no_place_for_a_descriptor(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\nversion: 1\nsummary: ''\ntemplates: {en: '{findings} {descriptor}'}\njoiners: {en: ', '}\n",
        encoding="utf-8",
    )
    with pytest.raises(EcgbenchError, match=r"each template in en must hold \{findings\} exactly once"):
        read_card(PromptSet, path)


def test_check_names_a_table_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own(tmp_path, monkeypatch, "id,descriptor_en\na,b\n", descriptors="absent.csv")
    assert run_command(["check", "mine"]) == 1
    assert "there is no descriptor table 'absent.csv'" in " ".join(capsys.readouterr().out.split())


# --- the command ------------------------------------------------------------------------------------------------------


def test_show_says_what_the_set_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["show", "descriptors"]) == 0
    out = capsys.readouterr().out
    assert f"心房細動：{ROWS['atrial-fibrillation']['descriptor_ja']}"[:40] in out
    assert "Conduction Disturbance: Conduction is slow" in out and "\nstates       descriptors\n" in out.replace(
        "  \n", "\n"
    )
    assert run_command(["show", "paraphrases"]) == 0
    out = capsys.readouterr().out
    assert "心電図所見：心房細動。" in out and "training takes one" in out and "unknown" not in out
    assert run_command(["show", "members"]) == 0
    assert "… and 11 more" in capsys.readouterr().out
