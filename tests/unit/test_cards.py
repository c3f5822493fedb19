"""Cards: strict, found by exact name, and one broken card harms no other."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ecgbench.cards import Card, DatasetCard, EncoderCard, PromptSet, TaskCard, TextCard, read_card, read_yaml
from ecgbench.catalogue import FOLDERS, all_cards, card_paths, load_card
from ecgbench.entry_points import load_entry_point, source_hash
from ecgbench.errors import EcgbenchError


def overlay_card(folder: Path, kind: type[Card], name: str, **changes: object) -> Path:
    """A copy of a shipped card in an overlay folder, with some fields changed; None takes a field away."""
    shipped = {
        EncoderCard: "resnet1d18",
        TextCard: "random",
        DatasetCard: "ptbxl",
        TaskCard: "superclass",
        PromptSet: "paper",
    }
    data = yaml.safe_load(card_paths(kind)[shipped[kind]].read_text(encoding="utf-8"))
    data |= {"name": name, **changes}
    path = folder / FOLDERS[kind] / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(data, allow_unicode=True), encoding="utf-8")
    return path


@pytest.mark.parametrize("kind", FOLDERS, ids=lambda kind: kind.__name__)
def test_every_shipped_card_is_valid_and_has_its_own_hash(kind: type[Card]) -> None:
    cards, broken = all_cards(kind)
    assert cards and not broken
    assert len({card.hash for card in cards}) == len(cards)


@pytest.mark.parametrize("kind", FOLDERS, ids=lambda kind: kind.__name__)
def test_an_unknown_key_is_refused_by_name(kind: type[Card], tmp_path: Path) -> None:
    path = overlay_card(tmp_path, kind, "mine", colour="red")
    with pytest.raises(EcgbenchError, match=r"colour: Extra inputs"):
        read_card(kind, path)


def test_an_unknown_name_lists_near_ones() -> None:
    with pytest.raises(EcgbenchError, match=r"unknown encoder 'resnet18': did you mean resnet1d18 or "):
        load_card(EncoderCard, "resnet18")


def test_a_broken_card_does_not_hide_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    overlay_card(tmp_path, EncoderCard, "mine", dim=-1)
    (tmp_path / "registry/encoders/torn.yaml").write_text("{name: [", encoding="utf-8")
    monkeypatch.setenv("ECGBENCH_PATH", str(tmp_path))
    cards, broken = all_cards(EncoderCard)
    assert {"resnet1d18", "vit1d-tiny"} <= {card.name for card in cards}
    assert {b.name for b in broken} == {"mine", "torn"}
    assert "dim" in next(b.reason for b in broken if b.name == "mine")


def test_a_card_must_be_named_as_its_file(tmp_path: Path) -> None:
    path = overlay_card(tmp_path, EncoderCard, "mine")
    moved = path.rename(path.with_name("other.yaml"))
    with pytest.raises(EcgbenchError, match="name is 'mine', but the file is named 'other'"):
        read_card(EncoderCard, moved)


def test_an_overlay_wins_over_the_shipped_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    overlay_card(tmp_path, EncoderCard, "resnet1d18", dim=256)
    monkeypatch.setenv("ECGBENCH_PATH", str(tmp_path))
    assert load_card(EncoderCard, "resnet1d18").dim == 256


def test_an_overlay_folder_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECGBENCH_PATH", "/no/such/folder")
    with pytest.raises(EcgbenchError, match="ECGBENCH_PATH names '/no/such/folder'"):
        load_card(EncoderCard, "resnet1d18")


def test_prose_is_not_part_of_a_cards_identity(tmp_path: Path) -> None:
    plain = read_card(EncoderCard, overlay_card(tmp_path, EncoderCard, "mine"))
    reworded = read_card(EncoderCard, overlay_card(tmp_path, EncoderCard, "mine", summary="other words", notes="x"))
    changed = read_card(EncoderCard, overlay_card(tmp_path, EncoderCard, "mine", params={"blocks": [1], "width": 8}))
    assert plain.hash == reworded.hash != changed.hash


@pytest.mark.parametrize(
    ("entry_point", "message"),
    [
        ("no.such.module:Thing", "does not import"),
        ("ecgbench.encoders.resnet1d:Nothing", "has no 'Nothing'"),
        ("absent.py:Thing", "there is no 'absent.py'"),
    ],
)
def test_an_entry_point_that_is_wrong_names_card_and_field(tmp_path: Path, entry_point: str, message: str) -> None:
    card = read_card(EncoderCard, overlay_card(tmp_path, EncoderCard, "mine", entry_point=entry_point))
    with pytest.raises(EcgbenchError, match=message) as caught:
        load_entry_point(card, card.entry_point)
    assert "mine.yaml" in str(caught.value) and "entry_point" in str(caught.value)


def test_the_source_hash_follows_the_file(tmp_path: Path) -> None:
    card = read_card(EncoderCard, overlay_card(tmp_path, EncoderCard, "mine", entry_point="mine.py:Mine"))
    code = tmp_path / "mine.py"
    code.write_text("class Mine: pass\n", encoding="utf-8")
    first = source_hash(card, card.entry_point)
    code.write_text("class Mine: pass  # changed\n", encoding="utf-8")
    assert source_hash(card, card.entry_point) != first


def test_a_file_that_raises_on_import_is_one_sentence(tmp_path: Path) -> None:
    card = read_card(EncoderCard, overlay_card(tmp_path, EncoderCard, "mine", entry_point="mine.py:Mine"))
    (tmp_path / "mine.py").write_text("raise RuntimeError('no')\n", encoding="utf-8")
    with pytest.raises(EcgbenchError, match="does not import: RuntimeError: no"):
        load_entry_point(card, card.entry_point)


def test_a_zero_shot_task_needs_a_mapping(tmp_path: Path) -> None:
    with pytest.raises(EcgbenchError, match="needs `column`, or `classes` and a `paper` mapping column"):
        read_card(TaskCard, overlay_card(tmp_path, TaskCard, "mine", mappings={}))


def test_a_prompt_template_holds_its_place_once(tmp_path: Path) -> None:
    with pytest.raises(EcgbenchError, match="exactly once"):
        read_card(PromptSet, overlay_card(tmp_path, PromptSet, "mine", templates={"ja": "心電図", "en": "ECG"}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"templates": {"ja": ["{findings}", "心電図"], "en": "{findings}"}}, "each template in ja must hold"),
        (
            {"templates": {"ja": ["{findings}", "{findings}"], "en": "{findings}"}},
            "a template in ja stands there twice",
        ),
        ({"templates": {"ja": [], "en": "{findings}"}}, "and there must be one"),
        ({"templates": {"ja": "{findings}"}}, "must name the same languages"),
        ({"states": "parts"}, "states: Input should be 'name', 'members' or 'descriptors'"),
        ({"combine": "sum"}, "combine: Input should be 'mean' or 'max'"),
    ],
)
def test_a_prompt_set_that_is_wrong_is_said(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(EcgbenchError, match=message):
        read_card(PromptSet, overlay_card(tmp_path, PromptSet, "mine", **changes))


def test_one_template_may_stand_without_a_list(tmp_path: Path) -> None:
    listed = {"ja": ["{findings}。"], "en": ["{findings}."]}
    alone = {"ja": "{findings}。", "en": "{findings}."}
    read = [read_card(PromptSet, overlay_card(tmp_path, PromptSet, "mine", templates=each)) for each in (listed, alone)]
    assert read[0].hash == read[1].hash and read[0].templates["ja"] == ("{findings}。",)


@pytest.mark.parametrize(
    ("text", "key", "line"),
    [
        ("name: mine\nsummary: a\nname: yours\n", "name", 3),
        ("name: mine\nparams:\n  - {width: 1}\n  - {width: 1, blocks: 2, width: 3}\n", "width", 4),
        ('name: mine\n"name": mine\n', "name", 2),
    ],
)
def test_a_doubled_key_is_refused_by_name_and_line(tmp_path: Path, text: str, key: str, line: int) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(EcgbenchError, match=rf"mine.yaml, line {line}: the key '{key}' stands there a second time"):
        read_yaml(path)


def test_a_merged_key_may_be_overridden_and_an_alias_may_close_a_ring(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("a: {b: &b {x: 1}, c: &c {<<: *b, x: 2}}\nd: {<<: *c, x: 3}\ne: &e [*e]\n", encoding="utf-8")
    read = read_yaml(path)
    assert read["a"]["c"] == {"x": 2} and read["d"] == {"x": 3} and read["e"][0] is read["e"]


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [(EncoderCard, "dim", "64"), (EncoderCard, "dim", 64.0), (TextCard, "dim", True), (DatasetCard, "version", True),
     (TaskCard, "version", "1"), (PromptSet, "version", True), (TextCard, "parameters", "7")],
)  # fmt: skip
def test_a_whole_number_is_written_as_one(kind: type[Card], field: str, value: object, tmp_path: Path) -> None:
    path = overlay_card(tmp_path, kind, "mine", **{field: value})
    with pytest.raises(EcgbenchError, match=rf"{field}: Input should be a valid integer"):
        read_card(kind, path)


def test_a_value_that_json_cannot_hold_is_refused(tmp_path: Path) -> None:
    path = overlay_card(tmp_path, EncoderCard, "mine", params={"width": b"\xff"})
    with pytest.raises(EcgbenchError, match=r"mine.yaml: params holds what JSON has no form for"):
        read_card(EncoderCard, path)


def test_a_date_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: 2020-13-45\n", encoding="utf-8")
    with pytest.raises(EcgbenchError, match=r"mine.yaml is not readable as YAML: month must be"):
        read_yaml(path)


def test_a_folder_named_as_a_card_is_none_and_a_dangling_link_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "registry" / "encoders"
    (folder / "nest.yaml").mkdir(parents=True)
    (folder / "gone.yaml").symlink_to("/no/such/file")
    monkeypatch.setenv("ECGBENCH_PATH", str(tmp_path))
    cards, broken = all_cards(EncoderCard)
    assert "nest" not in card_paths(EncoderCard) and "resnet1d18" in {card.name for card in cards}
    assert [b.name for b in broken] == ["gone"] and "No such file" in broken[0].reason
