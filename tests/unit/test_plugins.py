"""Encoders that are registered in Python: who they are, what is refused, and a run with one."""

from __future__ import annotations

import linecache
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import ecgbench
from ecgbench.cards import EncoderCard
from ecgbench.catalogue import all_cards, load_card
from ecgbench.encoders import plugins
from ecgbench.encoders.build import build_encoder
from ecgbench.encoders.contract import check_contract
from ecgbench.entry_points import source_hash
from ecgbench.errors import EcgbenchError
from tests.conftest import OVERLAY, ROOT

INPUT = {
    "leads": ["I", "II", "V1"],
    "rates": [100],
    "seconds": 10,
    "unit": "mV",
    "normalisation": "center",
    "missing_lead": "zero",
}

CELL = '''
@ecgbench.encoder(name="mine", dim=8, input=INPUT)
class Mine(torch.nn.Module):
    """A wave and a mean."""

    def __init__(self, leads, samples, rate):
        super().__init__()
        self.wave = torch.nn.Conv1d(leads, 8, 9, 4)

    def forward(self, ecg):
        return self.wave(ecg).mean(2)
'''


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Nothing stays registered, and no cell known."""
    yield
    plugins._REGISTERED.clear()
    for name in [name for name in linecache.cache if name.startswith("<cell")]:
        del linecache.cache[name]


def run_cell(text: str, number: int = 1, **names: Any) -> dict[str, Any]:
    """As a notebook does it: the cell's lines are known by a file name, its module has no file."""
    name = f"<cell {number}>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    namespace = {"__name__": "__main__", "ecgbench": ecgbench, "torch": torch, "INPUT": INPUT, **names}
    exec(compile(text, name, "exec"), namespace)
    return namespace


def identity() -> tuple[str, str]:
    card = load_card(EncoderCard, "mine")
    return card.hash, source_hash(card, card.entry_point)


def test_a_cell_s_class_is_an_encoder_of_this_process() -> None:
    target = run_cell(CELL)["Mine"]
    card = load_card(EncoderCard, "mine")
    assert type(build_encoder(card)) is target
    assert card.summary == "A wave and a mean."
    assert check_contract(card).faults == {}
    assert card in all_cards(EncoderCard)[0]


def test_the_same_cell_again_is_the_same_encoder_wherever_it_stands() -> None:
    run_cell(CELL)
    first = identity()
    run_cell("import math\n\n" + CELL + "\n\nx = 1\n", number=2)
    assert identity() == first


def test_a_class_of_a_file_is_the_encoder_that_it_is_in_a_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_cell(CELL)
    first = identity()
    text = f"import torch, ecgbench\nINPUT = {INPUT!r}\ndef later():\n" + textwrap.indent(CELL, "    ")
    (tmp_path / "module_with_mine.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    import module_with_mine

    module_with_mine.later()
    assert identity() == first


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("leads, 8, 9, 4)", "leads, 8, 11, 4)", "source"),
        ('name="mine", dim=8', 'name="mine", dim=8, params={}', "nothing"),
        ('name="mine", dim=8', 'name="mine", dim=8, summary="Other words"', "nothing"),
        ("def __init__(self, leads", "def __init__(self, width=8, *, leads", "source"),
        ("input=INPUT", "input={**INPUT, 'seconds': 5}", "card"),
        ("class Mine", "@staticmethod\nclass Mine", "refused"),
    ],
)
def test_card_fields_and_the_class_s_text_are_its_identity(old: str, new: str, changed: str) -> None:
    run_cell(CELL)
    before = identity()
    assert old in CELL
    if changed == "refused":
        with pytest.raises(EcgbenchError, match="stands above a class, not staticmethod"):
            run_cell(CELL.replace(old, new), number=2)
        return
    run_cell(CELL.replace(old, new), number=2)
    now = identity()
    assert [a != b for a, b in zip(before, now, strict=True)] == [changed == "card", changed == "source"]


def test_another_decorator_is_part_of_the_source() -> None:
    def same(target: type) -> type:
        return target

    run_cell(CELL)
    before = identity()
    run_cell(CELL.replace("class Mine", "@same\nclass Mine"), number=2, same=same)
    assert identity()[0] == before[0] and identity()[1] != before[1]


def test_a_wrapped_method_does_not_lead_to_another_file() -> None:
    text = CELL.replace(
        "    def __init__", "    @torch.no_grad()\n    def no_use(self):\n        pass\n\n    def __init__"
    )
    run_cell(text)
    assert plugins.registered(load_card(EncoderCard, "mine")).source.startswith("class Mine(torch.nn.Module):")


def test_of_two_classes_of_one_name_each_has_its_own_text() -> None:
    second = CELL.replace('name="mine"', 'name="other"').replace("8, 9, 4", "8, 13, 4")
    run_cell(CELL + second)
    sources = {name: plugins.registered(load_card(EncoderCard, name)).source for name in ("mine", "other")}
    assert "8, 9, 4" in sources["mine"] and "8, 13, 4" in sources["other"]


def test_a_class_without_a_readable_source_is_refused() -> None:
    with pytest.raises(EcgbenchError, match="the source of class Mine cannot be read"):
        exec(CELL, {"ecgbench": ecgbench, "torch": torch, "INPUT": INPUT})
    assert "mine" not in plugins.registered_cards()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "Mine"}, r"@ecgbench.encoder\(name='Mine'\): name: "),
        ({"dim": 0}, "dim: Input should be greater than 0"),
        ({"input": {**INPUT, "rates": []}}, "input: Value error, rates must hold"),
        ({"input": {}}, "input.leads: Field required"),
        ({"layers": 3}, "layers: Extra inputs are not permitted"),
        ({"entry_point": "a:b"}, "entry_point: leave it out"),
        ({"name": "resnet1d18"}, r"resnet1d18.yaml is an encoder of that name: choose another"),
    ],
)
def test_wrong_fields_are_one_sentence_and_nothing_is_registered(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(EcgbenchError, match=message):
        ecgbench.encoder(**{"name": "mine", "dim": 8, "input": INPUT, **fields})(run_cell(CELL)["Mine"])
    assert set(plugins.registered_cards()) == {"mine"}  # by the cell itself


def test_a_wrong_dimension_names_the_decorator() -> None:
    run_cell(CELL.replace("dim=8", "dim=9"))
    with pytest.raises(EcgbenchError, match=r"@ecgbench.encoder\(name='mine'\): dim: the card says 9, but"):
        build_encoder(load_card(EncoderCard, "mine"))


def test_a_run_with_it_is_loaded_again_while_the_class_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECGBENCH_PATH", str(OVERLAY))
    run_cell(CELL)
    result = ecgbench.run(
        encoder="mine", text="char-ngram", data="tiny", epochs=1, tasks=("superclass",), out=tmp_path
    )  # fmt: skip
    folder = tmp_path / result.run_id
    assert (result.encoder.card, result.encoder.source) == identity()
    assert ecgbench.load_run(folder).result.run_id == result.run_id

    run_cell(CELL.replace("8, 9, 4", "8, 11, 4"), number=2)
    with pytest.raises(EcgbenchError, match="the source file of encoder mine is not the one that run"):
        ecgbench.load_run(folder)
    plugins._REGISTERED.clear()
    with pytest.raises(
        EcgbenchError, match="was trained with encoder 'mine', whose card is not here: run the notebook"
    ):
        ecgbench.load_run(folder)


def test_the_readme_s_cell_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECGBENCH_PATH", str(OVERLAY))
    monkeypatch.chdir(tmp_path)
    part = (ROOT / "README.md").read_text(encoding="utf-8").partition("    import ecgbench, torch\n")
    lines = [line[4:] for line in (part[1] + part[2]).split("\n\n")[0].splitlines()]
    assert lines[-1] == 'ecgbench.run(encoder="pooled-wave", text="use-multilingual")'
    lines[-1] = lines[-1].replace(")", ', data="tiny", epochs=1, tasks=("superclass",))')
    run_cell("\n".join(lines) + "\n")
    assert check_contract(load_card(EncoderCard, "pooled-wave")).faults == {}
    assert len(list((tmp_path / "runs").glob("*/result.json"))) == 1


def test_registering_needs_no_torch() -> None:
    code = f"""
        import sys, ecgbench
        @ecgbench.encoder(name="mine", dim=8, input={INPUT!r})
        class Mine:
            def forward(self):
                pass
        from ecgbench.catalogue import all_cards
        from ecgbench.cards import EncoderCard
        assert "mine" in [card.name for card in all_cards(EncoderCard)[0]]
        print("torch" in sys.modules)
    """
    file = ROOT / "tests" / "unit" / "no_such_file.py"
    text = textwrap.dedent(code)
    start = (
        f"import linecache; t = {text!r}; linecache.cache[{str(file)!r}] = (1, None, t.splitlines(True), {str(file)!r})"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{start}\nexec(compile(t, {str(file)!r}, 'exec'))"],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("False\n", "")
