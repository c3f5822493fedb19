"""`quick+loss=siglip`: a recipe asked for otherwise, by its name alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecgbench.catalogue import shipped_folder
from ecgbench.errors import EcgbenchError
from ecgbench.recipe import Recipe, load_recipe, load_recipe_file, recipe_name, recipe_paths
from ecgbench.variations import parse_variation, variation_name


@pytest.mark.parametrize("name", [name for name, path in recipe_paths().items() if shipped_folder() in path.parents])
def test_a_shipped_recipe_names_every_field_and_later_ones_leave_its_hash_alone(name: str) -> None:
    resolved = load_recipe_file(name).resolve()
    assert set(resolved.model_dump()) == set(Recipe.model_fields)
    neutral = {key: field.default for key, field in Recipe.model_fields.items() if not field.is_required()}
    unsaid = {key for key, value in neutral.items() if getattr(resolved, key) == value}
    assert set(resolved.identity()) == set(Recipe.model_fields) - unsaid
    assert Recipe.model_validate(resolved.identity()) == resolved


def test_the_hashes_of_results_that_are_out_do_not_move() -> None:
    assert load_recipe("quick").hash.startswith("b666e5b2")


def test_a_varied_recipe_has_the_fields_and_a_canonical_name() -> None:
    varied = load_recipe("quick+learning_rate=5e-4+epochs=3+loss=multi-positive")
    assert (varied.learning_rate, varied.epochs, varied.loss) == (5e-4, 3, "multi-positive")
    plain = load_recipe("quick")
    assert {
        **varied.model_dump(),
        "learning_rate": plain.learning_rate,
        "epochs": plain.epochs,
        "loss": plain.loss,
    } == plain.model_dump()
    assert recipe_name("quick+learning_rate=5e-4+epochs=3") == "quick+epochs=3+learning_rate=0.0005"
    assert recipe_name("quick+loss=clip+rate=100") == "quick"  # nothing is otherwise
    assert recipe_name("quick+augmentation={shift_ms: 50, noise_uv: 20}") == recipe_name(
        "quick+augmentation={noise_uv: 20, shift_ms: 50}"
    )
    assert load_recipe("quick+epochs=3", epochs=5).epochs == 5  # --epochs has the last word


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("quick+epochs", "each field once"),
        ("quick+epochs=3+epochs=4", "each field once"),
        ("quick+epoch=3", "unknown recipe field 'epoch': did you mean epochs"),
        ("quick+epochs=three", "epochs"),
        ("quik+epochs=3", "unknown recipe 'quik'"),
        ("quick+loss=infonce", "'clip', 'siglip', 'multi-positive' or 'soft-target'"),
        ("quick+augmentation=[", "cannot be read"),
    ],
)
def test_what_cannot_be_is_one_sentence(name: str, said: str) -> None:
    with pytest.raises(EcgbenchError, match=said) as caught:
        load_recipe(name)
    assert "\n" not in str(caught.value)


@given(
    st.dictionaries(
        st.from_regex(r"[a-z_]{1,8}", fullmatch=True),
        st.integers(-99, 99)
        | st.booleans()
        | st.none()
        | st.floats(1e-6, 1e6)
        | st.sampled_from(["clip", "last-token"]),
        max_size=4,
    )
)
def test_a_canonical_name_says_its_settings_back(settings: dict[str, object]) -> None:
    assert parse_variation("--recipe", variation_name("quick", settings)) == ("quick", settings)
