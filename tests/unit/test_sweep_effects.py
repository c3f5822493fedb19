"""What each choice of a grid is worth, against plain loops over the same runs."""

from __future__ import annotations

import shutil
import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from ecgbench.cards import TaskCard
from ecgbench.catalogue import load_card
from ecgbench.errors import EcgbenchError
from ecgbench.evaluation.compare import paired_difference
from ecgbench.evaluation.scores import Scores
from ecgbench.evaluation.scoring import bootstrap_values
from ecgbench.leaderboard.pages import OTHERS, check_pages
from ecgbench.pipeline.reporting import Silent
from ecgbench.pipeline.sweep.boards import make_boards
from ecgbench.pipeline.sweep.cells import choices_of
from ecgbench.pipeline.sweep.effects import Effect, effects, measure, systems
from ecgbench.pipeline.sweep.effects_page import MADE, PAGE, effects_page
from ecgbench.pipeline.sweep.grid import Grid, load_grid
from ecgbench.pipeline.sweep.readiness import Ready
from ecgbench.recipe import load_recipe
from tests.unit.leaderboard_made import OTHER_DATA, make

AXES: dict[str, Any] = {
    "encoder": ["stats", "linear"],
    "text": "random",
    "options": {"loss": ["clip", {"loss": "siglip", "logit_bias": -10.0}]},
    "seed": [0, 1],
}
TASKS = ("superclass", "rhythm")


def grid_of(folder: Path, **axes: Any) -> Grid:
    path = folder / "grid.yaml"
    path.write_text(
        yaml.safe_dump({"name": "g", "summary": "Losses 損失", **axes}, allow_unicode=True), encoding="utf-8"
    )
    return load_grid(path)


def done_of(grid: Grid, out: Path, **made: Any) -> list[Ready]:
    """Every cell's run, made with some skill of its own."""
    done = []
    for number, cell in enumerate(grid.cells):
        skill = 0.5 + (cell.encoder == "stats") + 0.5 * ("siglip" in cell.recipe)
        asked = {"encoder": cell.encoder, "seed": cell.seed, "skill": skill, "noise": number, "tasks": TASKS, **made}
        make(out, f"run{number:02}", board="", recipe={"epochs": 3, "recipe": cell.recipe}, **asked)
        done.append(Ready(cell, f"run{number:02}", f"run{number:02}", 1, load_recipe("quick"), cell.encoder, "d"))
    return done


def effect_of(found: list[Effect], axis: str, value: str) -> Effect:
    (one,) = [each for each in found if (each.axis, each.value) == (axis, value)]
    return one


def scores(out: Path, run: str, task: str = "superclass") -> Scores:
    return Scores.load(out / run / "scores" / f"{task}.npz")


def test_a_difference_is_the_mean_of_the_pairs_that_are_alike_in_all_else(tmp_path: Path) -> None:
    grid = grid_of(tmp_path, **AXES)
    done = done_of(grid, tmp_path)
    (measured,) = measure(done, tmp_path).values()
    assert [each.name for each in measured] == [
        f"{task} {metric}" for task in ("rhythm", "superclass") for metric in ("accuracy", "macro_auroc")
    ]
    found = effects(done, measured)
    assert [(each.axis, each.value, each.base, each.pairs) for each in found] == [
        ("encoder", "linear", "stats", 4),
        ("loss", "siglip, logit_bias=-10.0", "clip", 4),
    ]
    cells = {(cell.encoder, "siglip" in cell.recipe, cell.seed): f"run{n:02}" for n, cell in enumerate(grid.cells)}
    pairs = {
        "encoder": [(cells["linear", b, s], cells["stats", b, s]) for s in (0, 1) for b in (False, True)],
        "loss": [(cells[e, True, s], cells[e, False, s]) for s in (0, 1) for e in ("stats", "linear")],
    }
    card = load_card(TaskCard, "superclass")
    for each in found:
        mean = each.means["superclass accuracy"]
        plain = [
            paired_difference(scores(tmp_path, a), scores(tmp_path, b), "accuracy").value for a, b in pairs[each.axis]
        ]
        assert mean.value.value == pytest.approx(statistics.fmean(plain))
        every = sum(
            bootstrap_values(scores(tmp_path, a), card, "accuracy")
            - bootstrap_values(scores(tmp_path, b), card, "accuracy")
            for a, b in pairs[each.axis]
        ) / len(plain)
        assert (mean.value.low, mean.value.high) == pytest.approx(tuple(np.percentile(every, [2.5, 97.5])))
        of_seed = [statistics.fmean(plain[:2]), statistics.fmean(plain[2:])]
        assert mean.spread == pytest.approx(statistics.stdev(of_seed))
    assert effect_of(found, "encoder", "linear").means["superclass accuracy"].value.high < 0


def test_a_system_is_the_mean_over_its_seeds(tmp_path: Path) -> None:
    grid = grid_of(tmp_path, **AXES)
    done = done_of(grid, tmp_path)
    (measured,) = measure(done, tmp_path).values()
    found = systems(done, measured)
    assert [each.seeds for each in found] == [(0, 1)] * 4
    card = load_card(TaskCard, "rhythm")
    both = [bootstrap_values(scores(tmp_path, run, "rhythm"), card, "accuracy") for run in ("run00", "run01")]
    mean = found[0].means["rhythm accuracy"]
    assert (mean.value.low, mean.value.high) == pytest.approx(
        tuple(np.percentile((both[0] + both[1]) / 2, [2.5, 97.5]))
    )


def test_what_has_no_pair_is_left_out_and_what_is_missing_is_in_no_number(tmp_path: Path) -> None:
    """Two parts: the second encoder was trained for another number of epochs only."""
    grid = grid_of(tmp_path, text="random", parts=[{"encoder": "stats", "epochs": 4}, {"encoder": "linear"}])
    done = done_of(grid, tmp_path)
    (measured,) = measure(done, tmp_path).values()
    assert effects(done, measured) == []
    assert [each.chosen for each in systems(done, measured)] == [
        {"encoder": "stats", "epochs": "4"},
        {"encoder": "linear", "epochs": "usual epochs"},
    ]
    grid = grid_of(tmp_path, **AXES)
    page = effects_page(grid, done_of(grid, tmp_path)[:-1], tmp_path)
    assert "7 of 8 runs are done" in page
    assert "| encoder  | linear                   | stats  |       3 |" in page


def test_runs_of_different_tasks_stand_on_one_page(tmp_path: Path) -> None:
    grid = grid_of(
        tmp_path, encoder=["stats", "linear"], text="random", tasks=[["superclass"], ["superclass", "rhythm"]]
    )
    done = done_of(grid, tmp_path)
    for each in done:
        tasks = each.cell.tasks or ()
        make(tmp_path, each.run_id, board="", encoder=each.encoder, tasks=tasks)
    page = effects_page(grid, done, tmp_path)
    (difference,) = [line for line in page.splitlines() if line.startswith("| encoder") and "| linear" in line][:1]
    assert difference.split("|")[4].strip() == "2"  # pairs of superclass; of rhythm there is one


def test_runs_on_other_records_are_not_set_side_by_side(tmp_path: Path) -> None:
    grid = grid_of(tmp_path, encoder=["stats", "linear"], text="random")
    done = done_of(grid, tmp_path)
    other = make(tmp_path, "other", board="", tasks=TASKS, data_hash=OTHER_DATA)
    assert (
        len(measure([*done, replace(done[0], run_id="other")], tmp_path)) == 2
    )  # other data are on a board of their own
    shutil.copy(other / "scores" / "superclass.npz", tmp_path / "run01" / "scores")
    with pytest.raises(EcgbenchError, match="other labels or another patient"):
        measure(done, tmp_path)


def test_the_page_lies_beside_the_boards_and_is_none_of_them(tmp_path: Path) -> None:
    grid = grid_of(tmp_path, **AXES)
    done = done_of(grid, tmp_path)
    pages = make_boards(grid, done, tmp_path, tmp_path / "boards", Silent())
    page = tmp_path / "boards" / PAGE
    assert pages[0] == page
    text = page.read_text(encoding="utf-8")
    assert text == effects_page(grid, done, tmp_path)
    assert text.startswith(MADE)
    assert MADE.encode().startswith(OTHERS)
    assert check_pages(tmp_path / "boards") == []
    assert "Losses 損失." in text
    assert text.count("| clip") == 2 * 3  # of each kind of metric, two encoders' systems and what is taken away


def test_choices_are_what_the_grid_says(tmp_path: Path) -> None:
    grid = grid_of(
        tmp_path,
        encoder="stats",
        text="random",
        recipe=["quick", "quick+epochs=3"],
        language=[None, "en"],
        options={"loss": [{"loss": "siglip", "logit_bias": -10.0}]},
    )
    chosen = [choices_of(cell) for cell in grid.cells]
    assert {each["recipe"] for each in chosen} == {"quick", "quick+epochs=3"}
    assert {each["language"] for each in chosen} == {"usual language", "en"}
    assert {each["loss"] for each in chosen} == {"siglip, logit_bias=-10.0"}
    assert not {"data", "seed", "tasks"} & set(chosen[0])
