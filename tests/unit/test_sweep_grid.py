"""A grid's file: what cells it gives, and what is wrong with it told at once."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ecgbench.cli.main import run_command
from ecgbench.errors import EcgbenchError
from ecgbench.pipeline.sweep.cells import AXES, Cell, names_of
from ecgbench.pipeline.sweep.grid import Grid, load_grid, with_options

HEAD = {"name": "g", "summary": "for tests"}


def grid_of(folder: Path, **axes: Any) -> Grid:
    path = folder / "grid.yaml"
    path.write_text(yaml.safe_dump({**HEAD, **axes}, allow_unicode=True), encoding="utf-8")
    return load_grid(path)


def test_a_grid_is_the_product_of_its_axes_and_seeds_move_fastest(tmp_path: Path) -> None:
    grid = grid_of(tmp_path, encoder=["stats", "linear"], text="random", seed=[0, 1])
    assert [(cell.encoder, cell.seed) for cell in grid.cells] == [
        ("stats", 0),
        ("stats", 1),
        ("linear", 0),
        ("linear", 1),
    ]
    assert {(cell.data, cell.recipe, cell.control, cell.tasks) for cell in grid.cells} == {
        ("synth98", "quick", "none", None)
    }


@given(st.dictionaries(st.sampled_from(["encoder", "text", "seed", "data"]), st.integers(1, 4), min_size=1))
def test_as_many_cells_as_the_axes_multiply_to(tmp_path_factory: pytest.TempPathFactory, sizes: dict[str, int]) -> None:
    axes: dict[str, Any] = {"encoder": ["e0"], "text": ["t0"]}
    axes |= {axis: [n if axis == "seed" else f"{axis}{n}" for n in range(size)] for axis, size in sizes.items()}
    cells = grid_of(tmp_path_factory.mktemp("g"), **axes).cells
    names = list(axes)
    wanted = set(itertools.product(*(axes[axis] for axis in names)))
    assert {tuple(getattr(cell, axis) for axis in names) for cell in cells} == wanted
    assert len(cells) == len(wanted)


def test_recipe_options_become_the_recipe_s_name(tmp_path: Path) -> None:
    together = {"loss": "siglip", "logit_bias": -10.0}
    grid = grid_of(tmp_path, encoder="stats", text="random", options={"loss": ["clip", together], "threads": 1})
    assert [cell.recipe for cell in grid.cells] == [
        "quick+loss=clip+threads=1",
        "quick+logit_bias=-10.0+loss=siglip+threads=1",
    ]
    assert names_of(grid.cells) == ["loss=clip", "logit_bias=-10.0 · loss=siglip"]


def test_a_mapping_that_does_not_name_the_field_is_its_value(tmp_path: Path) -> None:
    grid = grid_of(tmp_path, encoder="stats", text="random", options={"augmentation": [None, {"noise_uv": 20.0}]})
    assert [cell.recipe for cell in grid.cells] == ["quick+augmentation=null", "quick+augmentation={noise_uv: 20.0}"]


def test_an_option_that_the_name_sets_already_is_refused() -> None:
    with pytest.raises(EcgbenchError, match="threads is set twice"):
        with_options("quick+threads=2", [{"threads": 1}])


def test_parts_are_products_of_their_own_with_the_rest_from_the_grid(tmp_path: Path) -> None:
    parts = [
        {"encoder": ["stats", "linear"]},
        {"encoder": "resnet1d18", "seed": 0, "control": ["supervised", "frozen-random"]},
    ]
    cells = grid_of(tmp_path, text="random", seed=[0, 1, 2], parts=parts).cells
    assert len(cells) == 2 * 3 + 2
    assert {(cell.seed, cell.control) for cell in cells[6:]} == {(0, "supervised"), (0, "frozen-random")}


def test_excluded_cells_are_gone_and_an_exclusion_of_nothing_is_a_fault(tmp_path: Path) -> None:
    axes = {
        "encoder": ["stats", "linear"],
        "text": ["random", "char-ngram"],
        "options": {"loss": ["clip", "soft-target"]},
    }
    exclude = [{"encoder": "linear", "options": {"loss": "soft-target"}}, {"encoder": "lineal"}]
    grid = grid_of(tmp_path, **axes, exclude=exclude)
    assert len(grid.cells) == 8 - 2
    assert not any(cell.encoder == "linear" and "soft-target" in cell.recipe for cell in grid.cells)
    assert len(grid.faults) == 1
    assert "lineal" in grid.faults[0]


def test_tasks_are_those_of_one_run_unless_they_are_lists(tmp_path: Path) -> None:
    one = grid_of(tmp_path, encoder="stats", text="random", tasks=["rhythm", "mitbih"])
    assert [cell.tasks for cell in one.cells] == [("rhythm", "mitbih")]
    two = grid_of(tmp_path, encoder="stats", text="random", tasks=[["rhythm", "mitbih"], ["superclass"]])
    assert [cell.tasks for cell in two.cells] == [("rhythm", "mitbih"), ("superclass",)]


def test_a_cell_is_the_command_line_that_one_would_type() -> None:
    cell = Cell(
        "synth98",
        "stats",
        "medllama3-jp",
        "quick",
        language="en",
        tasks=("rhythm", "mitbih"),
        text_pack="p.safetensors",
    )
    words = cell.arguments()
    asked = dict(zip(words[::2], words[1::2], strict=True))
    assert asked["--lang"] == "en"
    assert asked["--tasks"] == "rhythm,mitbih"
    assert asked["--text-pack"] == "p.safetensors"
    assert "--epochs" not in asked
    assert set(AXES) < set(cell.keywords())


@pytest.mark.parametrize(
    ("axes", "said"),
    [
        ({"encoder": "stats"}, "text is missing"),
        ({"encoder": "stats", "text": []}, "text is an empty list"),
        ({"encodr": "stats", "text": "random"}, "did you mean encoder?"),
        ({"encoder": 3, "text": "random"}, "encoder: write a word, or a list of them"),
        ({"encoder": "stats", "text": "random", "seed": [0, "one"]}, "seed: write a whole number, or a list of them"),
        (
            {"encoder": "stats", "text": "random", "seed": [*range(400)], "epochs": [*range(251)]},
            "100400 cells are more",
        ),
        ({"text": "random", "parts": [{"encoder": "stats", "sed": 1}]}, "did you mean seed?"),
        ({"name": "../x", "encoder": "stats", "text": "random"}, "name: String should match"),
    ],
)
def test_what_is_no_grid_is_refused_in_one_sentence(tmp_path: Path, axes: dict[str, Any], said: str) -> None:
    with pytest.raises(EcgbenchError) as error:
        grid_of(tmp_path, **axes)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_everything_that_is_wrong_is_told_before_anything_runs(
    tmp_path: Path, overlay: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unknown cards of every kind, absent weights, absent data, a recipe that cannot be, one whose batch cannot be filled, a
    rate that the encoder does not take, a cell written twice and one written in two ways."""
    parts = [
        {"recipe": ["quick", "quick+epochs=12", "quik", "quick+loss=siglip", "quick+rate=250", "quick+batch_size=9999"]},
        {"data": ["ptbxl:/nowhere", "tyny"]}, {"encoder": ["poold", "merl-resnet18"]}, {"tasks": "superclas", "seed": [1, 1]},
        {"text": "randum"}, {"text": "medllama3-jp", "encoder": "poold"},
    ]  # fmt: skip
    axes = {"data": "tiny", "encoder": "pooled", "text": "random", "tasks": "superclass", "parts": parts}
    path = tmp_path / "grid.yaml"
    path.write_text(yaml.safe_dump({**HEAD, **axes}), encoding="utf-8")
    from ecgbench.ecg.build import store_for

    store_for("tiny")
    assert run_command(["sweep", str(path), "--out", str(tmp_path / "runs")]) == 2
    told = capsys.readouterr().err
    for word in (
        "'poold'", "'randum'", "'tyny'", "'quik'", "'superclas'", "/nowhere", "logit_bias", "takes 100, 500 Hz",
        "res18_best_encoder", "weights of EQUES/MedLLama3-JP-v2", "seed: 1 stands there twice", "are the same run",
        "fewer than one batch of 9999",
    ):  # fmt: skip
        assert word in told, word
    assert "13 things are wrong, and nothing was run" in told
    assert not (tmp_path / "runs").exists()
