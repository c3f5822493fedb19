"""Boards from result files: what stands on a page, what is left out, and that pages are checked."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from leaderboard_made import DATA, N_TEST, OTHER_DATA, all_scores, make
from wcwidth import wcswidth

from ecgbench.errors import EcgbenchError
from ecgbench.evaluation.compare import paired_difference
from ecgbench.evaluation.scores import Scores
from ecgbench.leaderboard import build_pages, check_pages, collect, write_pages
from ecgbench.leaderboard.collect import first_difference
from ecgbench.results import run_id_of

PAGE = f"made-{DATA[:8]}.md"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "leaderboards" / "results"
    folder.mkdir(parents=True)
    return folder


def section(page: str, title: str) -> str:
    """What stands below a heading, up to the next one."""
    assert page.count(f"\n{title}\n") == 1, title
    return page.split(f"\n{title}\n")[1].split("\n#")[0]


def rows(text: str) -> list[dict[str, str]]:
    """The first table in a text, a dictionary a row."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [dict(zip(cells[0], line, strict=True)) for line in cells[2:]]


def ranking(page: str, title: str = "## superclass: Japanese prompts, paper mapping") -> list[dict[str, str]]:
    return rows(section(page, title))


def edit(folder: Path, *path: str, value: object) -> None:
    """Change one value of a result file by hand."""
    data = json.loads((folder / "result.json").read_text("utf-8"))
    place = data
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    (folder / "result.json").write_text(json.dumps(data), encoding="utf-8")


def test_a_board_with_its_controls(results: Path) -> None:
    for seed in (0, 1, 2):
        make(results, f"system-{seed}", seed=seed, skill=2.0)
    make(results, "random", text="random", text_control=True, skill=0.3)
    make(results, "frozen", control="frozen-random", skill=0.2, recipe={"epochs": 3, "train_encoder": False})
    make(
        results,
        "supervised",
        control="supervised",
        skill=0.8,
        recipe={"epochs": 3, "objective": "supervised"},
    )
    make(results, "vit", encoder="vit1d-tiny", skill=1.0)
    page = build_pages(results)[PAGE]
    found = ranking(page)
    names = {(row["Encoder"], row["Text tower"], row["Recipe"]) for row in found}
    assert names == {
        ("resnet1d18", "use-multilingual", "quick"),
        ("vit1d-tiny", "use-multilingual", "quick"),
        ("resnet1d18", "random", "quick · *control*"),
        ("resnet1d18", "use-multilingual", "quick · *control* · frozen-random"),
        ("resnet1d18", "—", "quick · *control* · supervised"),
        ("resnet1d18", "use-multilingual", "untrained · *control*"),
        ("vit1d-tiny", "use-multilingual", "untrained · *control*"),
        ("—", "—", "majority · *control*"),
        ("—", "—", "chance · *control*"),
    }
    values = [float(row["accuracy"].split()[0]) for row in found]
    assert values == sorted(values, reverse=True)
    assert found[0]["Seeds"] == "0, 1, 2" and found[0]["Encoder, M"] == "3.85"
    assert found[0]["Rank"].startswith("1")
    chance = next(row for row in found if row["Recipe"].startswith("chance"))
    assert (chance["accuracy"], chance["Rank"], chance["Seeds"]) == ("0.200", "—", "—")
    assert (
        "Chance: accuracy 0.200, balanced_accuracy 0.200, macro_auroc 0.500" in page and "Ceiling: accuracy 0." in page
    )
    assert "4 present, 1 absent" in page
    assert "run here by ecgbench 0.1.0, commit 01234567" in page


def test_seeds_are_spread_in_a_column_of_their_own(results: Path) -> None:
    folders = [make(results, f"system-{seed}", seed=seed) for seed in (2, 0)]
    values = [json.loads((f / "result.json").read_text("utf-8"))["tasks"]["superclass"]["metrics"] for f in folders]
    page = build_pages(results)[PAGE]
    row = next(row for row in ranking(page) if row["Recipe"] == "quick")
    accuracy = [each["accuracy"]["value"] for each in values]
    low, high = values[1]["accuracy"]["ci"]  # of seed 0, the lowest
    assert row["accuracy"] == f"{accuracy[1]:.3f} [{low:.3f}, {high:.3f}]"
    mean, deviation = np.mean(accuracy), np.std(accuracy, ddof=1)
    assert row["accuracy, over seeds"] == f"seeds: {mean:.3f} ± {deviation:.3f}"
    over = rows(section(page, "### Over seeds"))
    assert over[0]["accuracy"] == row["accuracy, over seeds"] and over[0]["macro_auroc"].startswith("seeds: ")


def test_one_seed_has_no_column_for_seeds(results: Path) -> None:
    make(results, "a")
    page = build_pages(results)[PAGE]
    assert "over seeds" not in page.split("## superclass")[1] and "### Over seeds" not in page


def test_replicates_of_a_run_are_told(results: Path) -> None:
    make(results, "here")
    shutil.copytree(results / "made" / "here", results / "made" / "there")
    page = build_pages(results)[PAGE]
    row = next(row for row in ranking(page) if row["Recipe"] == "quick")
    assert row["Seeds"] == "0 (×2)"
    assert "was run 2 times; largest spread of a metric: superclass 0.000." in section(page, "## Inputs")


def test_per_class_tables_and_the_label_appendix(results: Path) -> None:
    folder = make(results, "a", tasks=("superclass", "retrieval98"))
    page = build_pages(results)[PAGE]
    per_class = json.loads((folder / "result.json").read_text("utf-8"))["tasks"]["superclass"]["per_class"]
    found = next(row for row in rows(section(page, "### Accuracy per class")) if row["Recipe"] == "quick")
    n = per_class["hypertrophy"]["n"]
    mark = "†" if per_class["hypertrophy"]["positives"] < 10 else ""
    assert found[f"Hypertrophy{mark} (n={n})"].startswith(f"{per_class['hypertrophy']['accuracy']:.3f} [")
    assert found["ST/T change (n=0)"] == "—"
    labels = section(page, "### Per label")
    table = [line for line in labels.splitlines() if line.startswith("|")]
    assert len({wcswidth(line) for line in table}) == 1
    appendix = rows(labels)
    assert appendix[0]["Label"] == "all labels"
    assert {"洞性頻脈", "Sinus Tachycardia†"} <= {
        *(r["ラベル"] for r in appendix),
        *(r["Label"] for r in appendix),
    }
    present = sum(c["n"] > 0 for c in per_class_of(folder).values())
    assert len(appendix) == present + 1
    assert f"Absent from the test set ({98 - present}): " in labels


def per_class_of(folder: Path) -> dict[str, dict[str, float]]:
    return json.loads((folder / "result.json").read_text("utf-8"))["tasks"]["retrieval98"]["per_class"]


def test_differences_to_the_controls(results: Path) -> None:
    make(results, "a", tasks=("retrieval98",), skill=2.0, noise=5)
    make(results, "r", tasks=("retrieval98",), text="random", text_control=True, skill=0.5, noise=6)
    page = build_pages(results)[PAGE]
    found = rows(section(page, "### Differences to the controls"))
    assert [row["Metric"] for row in found] == ["macro_auroc", "top1"]
    own, twin = results / "made" / "a" / "scores", results / "made" / "r" / "scores"
    others = {
        "to majority": own / "references" / "majority" / "retrieval98.npz",
        "to untrained": own / "references" / "untrained" / "retrieval98.npz",
        "to random tower": twin / "retrieval98.npz",
    }
    for row in found:
        for column, path in others.items():
            wanted = paired_difference(Scores.load(own / "retrieval98.npz"), Scores.load(path), row["Metric"])
            assert row[column] == f"{wanted.value:+.3f} [{wanted.low:+.3f}, {wanted.high:+.3f}]"


def test_another_seed_is_no_twin(results: Path) -> None:
    make(results, "a", seed=1)
    make(results, "r", text="random", text_control=True, seed=0)
    found = rows(section(build_pages(results)[PAGE], "### Differences to the controls"))
    assert [row["to random tower"] for row in found] == ["—"]


def test_without_scores_there_is_no_rank(results: Path) -> None:
    make(results, "a", skill=2.0)
    make(results, "b", encoder="mine", with_scores=False)
    page = build_pages(results)[PAGE]
    found = {(row["Encoder"], row["Recipe"]): row["Rank"] for row in ranking(page)}
    assert found["mine", "quick"] == found["mine", "untrained · *control*"] == "—"
    assert found["resnet1d18", "quick"] == "1"
    differences = {row["Encoder"]: row for row in rows(section(page, "### Differences to the controls"))}
    assert differences["mine"]["to majority"] == "—" and differences["resnet1d18"]["to majority"] != "—"


def test_two_data_hashes_are_two_pages(results: Path) -> None:
    make(results, "a")
    make(results, "b", data_hash=OTHER_DATA)
    pages = build_pages(results)
    wanted = ["README.md", PAGE, f"made-{OTHER_DATA[:8]}.md"]
    assert sorted(name for name in pages if name.endswith(".md")) == sorted(wanted)
    assert "made/b" not in pages[PAGE]


def test_a_card_can_name_a_board(results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    overlay = tmp_path / "overlay" / "registry" / "datasets"
    overlay.mkdir(parents=True)
    (overlay / "hospital.yaml").write_text(
        f"name: hospital\nsummary: made\nentry_point: none:None\nversion: 1\nbuiltin: false\npublic: false\n"
        f"boards: {{ward-mini: '{DATA}'}}\nlicence: null\nreference: null\n",
        encoding="utf-8",
    )
    monkeypatch.setenv("ECGBENCH_PATH", str(tmp_path / "overlay"))
    make(results, "a")
    assert sorted(build_pages(results)) == ["README.md", "index.html", "ward-mini.html", "ward-mini.md"]


def test_other_prompts_are_another_table(results: Path) -> None:
    make(results, "a")
    make(results, "b", language="en")
    make(results, "c", prompts="reworded", encoder="vit1d-tiny")
    page = build_pages(results)[PAGE]
    headings = [line for line in page.splitlines() if line.startswith("## superclass")]
    assert len(headings) == 3 and len(set(headings)) == 3
    assert "## superclass: English prompts, paper mapping" in headings
    assert sum("prompts " in line and "labels " in line for line in headings) == 2


def test_namesakes_are_told_apart(results: Path) -> None:
    make(results, "short", recipe={"epochs": 3, "rate": 100})
    make(results, "long", recipe={"epochs": 9, "rate": 100})
    recipes = {row["Recipe"] for row in ranking(build_pages(results)[PAGE])}
    assert {"quick (epochs 3)", "quick (epochs 9)"} <= recipes


def test_pages_do_not_depend_on_order_place_or_time(results: Path, tmp_path: Path) -> None:
    names = ["a", "b", "c"]
    for seed, name in enumerate(names):
        make(results, name, seed=seed)
    make(results, "failed", seed=7, failed="the loss was not a number.")
    (results / "made" / "broken").mkdir()
    (results / "made" / "broken" / "result.json").write_text("{", encoding="utf-8")
    first = build_pages(results)
    other = tmp_path / "elsewhere" / "results"
    for name in ("failed", "c", "broken", "a", "b"):
        shutil.copytree(results / "made" / name, other / "made" / name)
    assert build_pages(other) == first == build_pages(results)


def test_what_is_left_out_and_why(results: Path) -> None:
    make(results, "good")
    make(results, "failed", seed=1, failed="the loss was not a number in epoch 2.")
    edit(make(results, "renamed", seed=2), "identity", "encoder", value="another")
    edit(make(results, "better", seed=3), "tasks", "superclass", "metrics", "accuracy", "value", value=0.99)
    edit(make(results, "old", seed=4), "schema", value=0)
    make(results, "newer-task", seed=5, task_version=9)
    damaged = make(results, "damaged", seed=6)
    (damaged / "scores" / "superclass.npz").write_bytes(b"PK")
    all_scores("superclass", OTHER_DATA, 1.0, 7)[""].save(
        make(results, "swapped", seed=7) / "scores" / "superclass.npz"
    )
    (results / "made" / "empty").mkdir()
    (results / "made" / ".adding-x" / "half").mkdir(parents=True)
    submissions, left_out = collect(results)
    assert [each.where for each in submissions] == ["made/good"]
    reasons = {each.where.removeprefix("made/"): each.reason for each in left_out}
    assert reasons["failed"] == "the run failed: the loss was not a number in epoch 2."
    assert "run_id is not the hash of identity" in reasons["renamed"]
    assert "superclass: accuracy is 0.9900 and" in reasons["better"]
    assert "has schema 0" in reasons["old"]
    assert "task superclass was version 9 then and is version 2 now" in reasons["newer-task"]
    assert "made/damaged/scores/superclass.npz is damaged" in reasons["damaged"]
    assert "the result does not match its scores" in reasons["swapped"]
    assert reasons["empty"] == "no result file at made/empty/result.json."
    pages = build_pages(results)
    assert "`made/better`" in section(pages[PAGE], "## Left out")
    assert "`made/empty`" in section(pages["README.md"], "## Left out")
    assert "made/better" not in section(pages[PAGE], "## Inputs")


def test_scores_of_other_patients_are_left_out(results: Path) -> None:
    """Each of the three fits its own scores; only side by side is it seen that one has other test rows."""
    for seed in (0, 1):
        make(results, f"s{seed}", seed=seed)
    folder = make(results, "stranger", encoder="stranger", seed=2)
    for path in folder.glob("scores/**/*.npz"):
        scores = Scores.load(path)
        scores.record_id[scores.split == "test"] = [f"x{i:02d}" for i in range((scores.split == "test").sum())]
        scores.save(path, dtype=np.float16)
    submissions, left_out = collect(results)
    assert [each.where for each in submissions] == ["made/s0", "made/s1"]
    assert [each.where for each in left_out] == ["made/stranger"]
    assert "of other records, patients, splits or labels" in left_out[0].reason


def test_another_number_of_excluded_records_is_left_out(results: Path) -> None:
    """Scores files do not hold it; the other results of the same data do."""
    for seed in (0, 1):
        make(results, f"s{seed}", seed=seed)
    folder = make(results, "stranger", seed=2)
    edit(folder, "tasks", "superclass", "n_excluded", value=30)
    edit(folder, "data", "splits", "test", "records", value=N_TEST + 30)
    for reference in ("majority", "untrained"):
        edit(folder, "references", reference, "superclass", "n_excluded", value=30)
    submissions, left_out = collect(results)
    assert [each.where for each in submissions] == ["made/s0", "made/s1"]
    assert [(each.where, each.reason) for each in left_out] == [
        (
            "made/stranger",
            "its n_excluded of superclass is another than that of the other results with the same data_hash.",
        )
    ]
    assert any("made/stranger: its n_excluded" in each for each in check_pages(results.parent))


METRICS = ("tasks", "superclass", "metrics")
CLASS = ("tasks", "superclass", "per_class", "hypertrophy")
EDITS = [
    (("seed",), 1, "seed and identity differ: the file was edited"),
    (("control",), "frozen-random", "control and identity differ"),
    (("recipe", "fields", "epochs"), 4, "recipe.fields and identity differ"),
    (("data", "data_hash"), OTHER_DATA, "data.data_hash and identity differ"),
    (("comparable", "superclass", "language"), "en", "comparable and identity differ"),
    ((*METRICS, "accuracy", "ci"), [0.999, 1.0], "the interval of accuracy is [0.9990, 1.0000]"),
    ((*METRICS, "accuracy", "chance"), 0.1, "the chance of accuracy is 0.1"),
    ((*METRICS, "accuracy", "ceiling"), 1.0, "the ceiling of accuracy is 1.0"),
    ((*METRICS, "f1"), {"value": 1.0, "ci": None}, "f1 is no metric of the task"),
    (("tasks", "superclass", "few"), ["hypertrophy"], "few is ['hypertrophy'] and the scores give []"),
    (("tasks", "superclass", "absent"), [], "absent is []"),
    (("tasks", "superclass", "n_excluded"), 0, "n_records and n_excluded make 40 test records and the data have 43"),
    (("data", "splits", "test", "records"), 50, "n_records and n_excluded make 43 test records and the data have 50"),
    (("references", "untrained", "superclass", "n_excluded"), 0, "superclass (untrained): n_excluded is 0 and"),
    (
        ("references", "majority", "superclass", "metrics", "macro_auroc", "ci"),
        [0.4, 0.6],
        "superclass (majority): the",
    ),
    (("references", "chance", "superclass", "accuracy"), 0.01, "superclass (chance): the levels are not those"),
    (("references", "chance"), {}, "superclass (chance): the levels are not those"),
    ((*CLASS, "auroc"), 0.9999, "auroc of hypertrophy is 0.9999"),
    ((*CLASS, "accuracy_ci"), [0.999, 1.0], "the interval of accuracy of hypertrophy is [0.9990, 1.0000]"),
]


@pytest.mark.parametrize(("keys", "value", "message"), EDITS, ids=[".".join(keys) for keys, _, _ in EDITS])
def test_check_notices_every_edit(results: Path, keys: tuple[str, ...], value: object, message: str) -> None:
    folder = make(results, "a")
    write_pages(results.parent)
    assert check_pages(results.parent) == []
    edit(folder, *keys, value=value)
    found = check_pages(results.parent)
    assert found[0].startswith("results/made/a: ") and message in found[0]
    assert any("\n## Left out\n" in page for page in build_pages(results).values())


def test_check_finds_edited_stale_missing_and_extra_pages(results: Path) -> None:
    boards = results.parent
    folder = make(results, "a")
    names = ["README.md", "index.html", PAGE, PAGE.replace(".md", ".html")]
    assert check_pages(boards) == [f"{name} is missing: type `ecgbench leaderboard`." for name in names]
    assert write_pages(boards) == [boards / name for name in names]
    assert check_pages(boards) == []
    page = (boards / PAGE).read_text("utf-8")
    (boards / PAGE).write_text(page.replace("0.", "0.9", 1), encoding="utf-8")
    (fault,) = check_pages(boards)
    line = next(n for n, text in enumerate(page.split("\n"), 1) if "0." in text)
    assert fault.startswith(f"{PAGE} is not what the results give, first in line {line}, which says '")
    assert fault.endswith(": type `ecgbench leaderboard`.") and "0.9" in fault.split("' and should say '")[0]
    write_pages(boards)
    (boards / "notes.md").write_text("by hand", encoding="utf-8")
    assert check_pages(boards) == ["notes.md belongs to no results: remove it."]
    (boards / "notes.md").unlink()
    edit(folder, "tasks", "superclass", "metrics", "accuracy", "value", value=0.99)
    found = check_pages(boards)
    assert found[0].startswith("results/made/a: the result does not match its scores: superclass: accuracy is 0.9900")
    assert any(each.startswith(PAGE) for each in found[1:])


def test_a_failed_run_is_nothing_to_mend(results: Path) -> None:
    make(results, "a")
    make(results, "failed", seed=1, failed="out of memory.")
    write_pages(results.parent)
    assert check_pages(results.parent) == []


def test_writing_removes_only_pages_of_its_own(results: Path) -> None:
    make(results, "a")
    write_pages(results.parent)
    (results.parent / "notes.md").write_text("by hand", encoding="utf-8")
    shutil.rmtree(results / "made" / "a")
    write_pages(results.parent)
    assert sorted(path.name for path in results.parent.glob("*.md")) == ["README.md", "notes.md"]
    assert "No results yet." in (results.parent / "README.md").read_text("utf-8")


def test_no_folder_is_a_wrong_request(tmp_path: Path) -> None:
    with pytest.raises(EcgbenchError, match="there is no folder"):
        build_pages(tmp_path / "nothing")


def test_published_numbers_stand_apart(results: Path) -> None:
    make(results, "a", tasks=("superclass", "retrieval98"))
    found = rows(section(build_pages(results)[PAGE], "## Published, measured elsewhere (not comparable)"))
    assert {(row["Task"], row["Metric"]) for row in found} == {
        ("superclass", "accuracy"),
        ("retrieval98", "top1"),
        ("retrieval98", "top5"),
    }
    swallow = next(row for row in found if row["Text tower"] == "swallow")
    assert swallow["As printed"] == "60.49 %" and swallow["From the counts"] == "0.605 (3008/4973)"


def test_the_index_names_the_best_system_that_is_no_control(results: Path) -> None:
    make(results, "a", skill=0.5)
    make(results, "s", control="supervised", skill=3.0, recipe={"epochs": 3, "objective": "supervised"})
    found = rows(build_pages(results)["README.md"])
    assert [(row["Task"], row["Best system"], row["Results"]) for row in found] == [
        ("superclass", "resnet1d18 × use-multilingual × quick", "2")
    ]


def test_boards_need_no_torch() -> None:
    code = "import sys, ecgbench.leaderboard; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_one_run_with_two_numbers_on_one_machine_is_refused_and_both_are_shown(results: Path) -> None:
    """A replicate from another machine may differ; from the same one it may not."""
    make(results, "first")
    make(results, "again")
    make(results, "other-machine", noise=99)
    edit(results / "made" / "other-machine", "provenance", "processor", value="another")
    submissions, left_out = collect(results)
    assert sorted(each.where for each in submissions) == ["made/again", "made/first", "made/other-machine"]
    assert not left_out
    assert "was run 3 times; largest spread of a metric" in build_pages(results)[PAGE]
    make(results, "contradicting", noise=77)
    submissions, left_out = collect(results)
    assert [each.where for each in submissions] == ["made/other-machine"]
    reasons = {each.where: each.reason for each in left_out}
    assert {"made/again", "made/contradicting", "made/first"} == set(reasons)
    assert "stands here twice, made by the same versions on the same machine" in reasons["made/contradicting"]
    assert (
        " in made/again, " in reasons["made/contradicting"]
        and " in made/contradicting" in reasons["made/contradicting"]
    )


def test_a_model_trained_on_other_data_has_a_row_and_a_mark_of_its_own(results: Path) -> None:
    make(results, "here")
    folder = make(results, "elsewhere", seed=1)
    trained = {"run_id": "0" * 16, "data": "faraway", "version": 1, "data_hash": "f" * 64}
    path = folder / "result.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    data["trained_on"] = data["identity"]["trained_on"] = trained
    data["run_id"] = run_id_of(data["identity"])
    path.write_text(json.dumps(data), encoding="utf-8")
    page = build_pages(results)[PAGE]
    assert "trained on faraway ffffffff" in page
    ranking = section(page, "## superclass: Japanese prompts, paper mapping").split("### ")[0]
    rows = [line for line in ranking.splitlines() if "use-multilingual" in line and "control" not in line]
    assert len(rows) == 2 and sum("trained on faraway" in row for row in rows) == 1


def test_one_run_that_lacks_a_task_of_its_twin_differs_from_it(results: Path) -> None:
    make(results, "first")
    make(results, "again")
    (again, first), _ = collect(results)
    assert first_difference(first, again) == ""
    lacking = replace(again, result=again.result.model_copy(update={"tasks": {}}))
    for one, other in ((first, lacking), (lacking, first)):
        assert "two values of superclass " in first_difference(one, other)
        assert "none in made/again" in first_difference(one, other)
