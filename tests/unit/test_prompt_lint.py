"""Which prompts name another class of their own task, and what `ecgbench check` says of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecgbench.cards import PromptSet, TaskCard
from ecgbench.catalogue import all_cards, load_card
from ecgbench.cli.main import run_command
from ecgbench.findings import Finding, LabelBank, label_bank
from ecgbench.text.prompt_lint import Overlap, folded, overlaps, says

SETS = all_cards(PromptSet)[0]


@pytest.mark.parametrize(
    ("text", "name", "named"),
    [
        ("This ECG shows Sinus Tachycardia.", "Tachycardia", True),
        ("This ECG shows tachycardias.", "Tachycardia", False),
        ("Supraventricular Tachycardia", "Ventricular Tachycardia", False),
        ("2AVB", "AVB", False),
        ("AVB2", "AVB", False),
        ("(AVB)", "AVB", True),
        ("LVQRSAL", "SA", False),
        ("S1, S2, S3 Pattern", "S2", True),
        ("不完全右脚ブロック", "完全右脚ブロック", True),
        ("反時計方向回転", "時計方向回転", True),
        ("この心電図はＳＴ－Ｔ変化を示しています。", "ST-T変化", True),
        ("T波異常", "t波異常", True),
        ("QRS-T波異常", "T波異常", True),
        ("UT波異常", "T波異常", False),  # one Latin word runs on into the name
        ("ST上昇を伴うST上昇", "ST", True),
        ("STST", "ST", False),
        ("STSTとST", "ST", True),  # not where it first stands, but later
        ("", "ST", False),
    ],
)
def test_a_name_is_found_as_a_word_or_within_japanese(text: str, name: str, named: bool) -> None:
    assert says(folded(text), folded(name)) is named


def made(kind: str, ja: list[str], **more: object) -> tuple[TaskCard, LabelBank]:
    bank = LabelBank("mine.csv", tuple(Finding(f"f{i}", {"ja": name, "en": f"E{i}"}, {}) for i, name in enumerate(ja)))
    card = TaskCard.model_validate({"name": "mine", "summary": "Mine", "kind": kind, "labels": "mine.csv", **more})
    return card, bank


def test_a_template_that_names_a_class_is_found_for_every_other_class() -> None:
    card, bank = made("retrieval", ["心房細動", "心房粗動"])
    prompt_set = PromptSet(
        name="odd", version=1, summary="", templates={"ja": ("心房細動の有無：{findings}",)}, joiners={"ja": "、"}
    )
    assert overlaps(card, [prompt_set], bank) == [Overlap("mine", "ja", "f1", "f0", ("odd",))]


def test_prompt_sets_with_the_same_overlap_stand_in_one() -> None:
    card, bank = made("retrieval", ["房室ブロック", "第1度房室ブロック"])
    bare, paper = load_card(PromptSet, "bare"), load_card(PromptSet, "paper")
    assert overlaps(card, [paper, bare], bank) == [Overlap("mine", "ja", "f1", "f0", ("bare", "paper"))]


def test_members_are_looked_at_under_every_mapping() -> None:
    """The class's name is innocent; a finding that one of the two mappings puts into it names another class."""
    classes = [{"id": key, "value": key, "names": {"ja": name}} for key, name in (("a", "頻脈"), ("b", "調律"))]
    card, _ = made("zero_shot", [], classes=classes, mappings={"paper": "p", "clinical": "c"})
    cells = [("洞性頻脈", "a", "b"), ("洞調律", "b", ""), ("頻拍", "", "a")]
    bank = LabelBank(
        "mine.csv", tuple(Finding(f"f{i}", {"ja": n}, {"p": p, "c": c}) for i, (n, p, c) in enumerate(cells))
    )
    members, paper = load_card(PromptSet, "members"), load_card(PromptSet, "paper")
    assert overlaps(card, [paper], bank) == []
    # paper: 洞調律 in b, which is b's own name; clinical: 洞性頻脈 in b, which names a
    assert overlaps(card, [members], bank) == [Overlap("mine", "ja", "b", "a", ("members",))]


def test_a_language_that_a_task_lacks_is_passed_over() -> None:
    classes = [{"id": key, "value": key, "names": {"en": key}} for key in ("Rhythm", "Sinus rhythm")]
    card, bank = made("zero_shot", [], classes=classes, mappings={"paper": "p"})
    found = overlaps(card, [load_card(PromptSet, "paper")], bank)
    assert [(each.language, each.asked, each.named) for each in found] == [("en", "Sinus rhythm", "Rhythm")]


@pytest.mark.parametrize("name", ["superclass", "rhythm", "mitbih", "ptbxl-superclass", "cpsc2018"])
def test_the_tasks_of_few_classes_have_no_prompt_that_names_another(name: str) -> None:
    task = load_card(TaskCard, name)
    assert overlaps(task, SETS, label_bank(task.labels)) == []


def test_graded_findings_name_the_plain_ones() -> None:
    task = load_card(TaskCard, "retrieval98")
    found = {(each.language, each.asked, each.named) for each in overlaps(task, SETS, label_bank(task.labels))}
    assert ("ja", "incomplete-right-bundle-branch-block", "complete-right-bundle-branch-block") in found
    assert ("en", "suspected-inferior-wall-infarction", "inferior-wall-infarction") in found
    assert ("en", "incomplete-right-bundle-branch-block", "complete-right-bundle-branch-block") not in found


# --- the command ------------------------------------------------------------------------------------------------------


def test_check_warns_a_line_each_and_exits_0(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = tmp_path / "tasks"
    tasks.mkdir()
    rows = ["af,Flutter,心房細動", "afl,Atrial flutter,心房粗動", "paf,Burst,発作性心房細動"]
    (tasks / "labels-mine.csv").write_text("id,label_en,label_ja\n" + "\n".join(rows) + "\n", encoding="utf-8")
    card = "name: mine\nsummary: Mine\nkind: retrieval\nlabels: labels-mine.csv\n"
    (tasks / "mine.yaml").write_text(card, encoding="utf-8")
    monkeypatch.setenv("ECGBENCH_PATH", str(tmp_path))
    assert run_command(["check", "mine"]) == 0
    lines = capsys.readouterr().out.splitlines()
    said = [line.split()[:4] for line in lines if line.split()[:1] == ["mine"]]
    assert said == [["mine", "en", "afl", "af"], ["mine", "ja", "paf", "af"]]
    assert any(line.startswith("warning: ") for line in lines) and lines[-1] == "1 checked, 0 faults, 2 warnings"


def test_check_of_everything_counts_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["check"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[2] for line in lines if line[:2] == ["retrieval98", "ja"]] == ["62"]
    warned = [line for line in lines if line[1:2] in (["ja"], ["en"])]
    assert lines[-1][-1] == "warnings" and len(warned) == 13  # a line a task and language, not one a pair


def test_check_of_a_prompt_set_looks_at_it_in_every_task(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["check", "bare"]) == 0
    out = capsys.readouterr().out
    assert "retrieval98" in out and "ptbxl-all" in out and "paraphrases" not in out


def test_check_of_a_task_without_overlaps_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["check", "superclass"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 checked, 0 faults, 0 warnings"
