"""Recipes name every knob once, and `paper` says what the paper says."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ecgbench.errors import EcgbenchError
from ecgbench.recipe import Recipe, load_recipe, load_recipe_file, recipe_paths


def write_recipe(folder: Path, **changes: object) -> None:
    data = yaml.safe_load(recipe_paths()["quick"].read_text(encoding="utf-8"))
    data |= {"name": "mine", **changes}
    (folder / "baselines" / "mine").mkdir(parents=True)
    (folder / "baselines" / "mine" / "recipe.yaml").write_text(yaml.safe_dump(data), encoding="utf-8")


@pytest.mark.parametrize("name", recipe_paths())
def test_every_shipped_recipe_names_every_field_once(name: str) -> None:
    recipe = load_recipe_file(name)
    named = [line.field for line in (*recipe.stated, *recipe.assumed)]
    assert sorted(named) == sorted(Recipe.model_fields)
    assert (recipe_paths()[name].parent / "README.md").is_file()


def test_the_paper_recipe_holds_what_the_paper_states() -> None:
    stated = {line.field: line.value for line in load_recipe_file("paper").stated}
    expected = {
        "learning_rate": 1e-3, "weight_decay": 1e-3, "batch_size": 32, "epochs": 200, "temperature": 0.07, "rate": 500,
        "language": "ja", "loss": "clip",
    }  # fmt: skip
    assert {key: stated[key] for key in expected} == expected
    recipe = load_recipe("paper")
    assert (recipe.precision, recipe.schedule, recipe.warmup_fraction, recipe.gradient_clip) == (
        "fp32",
        "linear",
        0.0,
        1.0,
    )


def test_an_override_changes_the_identity() -> None:
    assert load_recipe("quick", epochs=3).hash != load_recipe("quick").hash == load_recipe("quick", epochs=None).hash


def test_a_value_out_of_range_is_refused_by_field() -> None:
    with pytest.raises(EcgbenchError, match="epochs"):
        load_recipe("quick", epochs=0)


def test_a_number_written_as_text_is_refused() -> None:
    with pytest.raises(EcgbenchError, match="epochs: Input should be a valid integer"):
        load_recipe("quick", epochs="5")


def test_an_unknown_recipe_lists_near_ones() -> None:
    with pytest.raises(EcgbenchError, match=r"did you mean quick\?"):
        load_recipe("quik")


def test_a_field_left_out_or_named_twice_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = yaml.safe_load(recipe_paths()["quick"].read_text(encoding="utf-8"))
    lines = [line for line in quick["assumed"] if line["field"] != "epochs"]
    write_recipe(tmp_path, assumed=[*lines, lines[0]])
    monkeypatch.setenv("ECGBENCH_PATH", str(tmp_path))
    with pytest.raises(EcgbenchError, match="named twice: rate; left out: epochs"):
        load_recipe("mine")


def test_an_assumption_needs_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_recipe(tmp_path, assumed=[{"field": "epochs", "value": 1, "reason": ""}])
    monkeypatch.setenv("ECGBENCH_PATH", str(tmp_path))
    with pytest.raises(EcgbenchError, match="reason"):
        load_recipe("mine")
