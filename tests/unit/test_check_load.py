"""`ecgbench check --load`: its table, its faults, and what it leaves out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from ecgbench.cli.main import run_command

CARD = """\
name: {name}
summary: Made
entry_point: {module}:E
dim: 8
input: {{leads: [I, II], rates: [500, 100], seconds: 10, unit: mV, normalisation: center, missing_lead: zero}}
{more}licence: null
reference: null
"""
GOOD = """\
import torch
class E(torch.nn.Module):
    def __init__(self, leads, samples, rate):
        super().__init__()
        self.a = torch.nn.Linear(leads, 8)
    def forward(self, x):
        return self.a(x.mean(2))
"""
NAN = GOOD.replace("x.mean(2))", "x.mean(2) / x.std(2))")
UNUSED = NAN.replace("        self.a", "        self.b = torch.nn.Linear(1, 1)\n        self.a")


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """`check --load` takes one; the tests after these have theirs again."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ECGBENCH_PATH", str(tmp_path))
    (tmp_path / "registry" / "encoders").mkdir(parents=True)
    return tmp_path


def write(own: Path, name: str, code: str, more: str = "") -> None:
    (own / f"{name}.py").write_text(code, encoding="utf-8")
    text = CARD.format(name=name, module=f"{name}.py", more=more)
    (own / "registry" / "encoders" / f"{name}.yaml").write_text(text, encoding="utf-8")


def cells(out: str, name: str) -> list[list[str]]:
    """The rows of an encoder in the markdown table."""
    lines = [line for line in out.splitlines() if line.startswith(f"| {name} ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_table_for_a_pull_request_has_a_row_a_rate(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(own, "good", GOOD)
    assert run_command(["check", "good", "--load"]) == 0
    out = capsys.readouterr().out
    assert "1 checked, 0 faults, 0 warnings" in out
    assert cells(out, "good") == [
        ["good", "100", "2 × 1000, mV, center", "24", "3.2e-05", "9 of 9"],  # 2 x 8 weights and 8; two FLOPs a weight
        ["good", "500", "2 × 5000, mV, center", "24", "3.2e-05", "9 of 9"],
    ]


def test_every_fault_is_told_and_the_other_cards_go_on(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(own, "bad", UNUSED)
    write(own, "gone", "import nothing_of_that_name\n")
    write(own, "good", GOOD)
    assert run_command(["check", "bad", "gone", "good", "--load"]) == 1
    out = capsys.readouterr().out
    faults = [line for line in out.splitlines() if "FAULT" in line]
    assert [line.split()[1] for line in faults] == ["bad"] * 4 + ["gone"] * 2
    assert "at 100 Hz" in faults[0] and "NaN or infinity for a flat signal" in faults[0] and "bad.yaml" in faults[0]
    assert "parameters without a gradient: b.weight, b.bias" in faults[1]
    assert "entry_point" in faults[4] and "does not import: ModuleNotFoundError" in faults[4]
    assert cells(out, "bad")[0][-1] == "7 of 9, not: finite, gradients"
    assert cells(out, "gone") == [] and len(cells(out, "good")) == 2
    assert "3 checked, 6 faults" in out


def test_weights_that_are_not_here_are_a_warning(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(own, "heavy", GOOD, "weights: {file: far_away.safetensors, sha256: null}\nverified: false\n")
    assert run_command(["check", "heavy", "--load"]) == 0
    out = capsys.readouterr().out
    assert "weights: their file is not on this machine" in out and "1 checked, 0 faults" in out
    assert cells(out, "heavy")[0][-1] == "9 of 9, without its weights"


def test_weights_of_other_bytes_are_a_fault(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(own, "heavy", GOOD, f"weights: {{file: near.safetensors, sha256: {'ab' * 32}}}\nverified: false\n")
    (own / "registry" / "encoders" / "near.safetensors").write_bytes(b"other")
    assert run_command(["check", "heavy", "--load"]) == 1
    out = capsys.readouterr().out
    assert "heavy.yaml: weights.sha256" in out and "near.safetensors has sha256 " in out


def test_a_large_encoder_is_loaded_at_its_lowest_rate_unless_it_is_asked_for(
    own: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from ecgbench import catalogue
    from ecgbench.encoders import contract

    write(own, "good", GOOD)
    monkeypatch.setattr(catalogue, "shipped_folder", lambda: own)
    (own / "baselines").mkdir()
    for large, rates in ((24, ["100"]), (25, ["100", "500"])):
        monkeypatch.setattr(contract, "LARGE", large)
        run_command(["check", "--load"])
        assert [row[1] for row in cells(capsys.readouterr().out, "good")] == rates
    monkeypatch.setattr(contract, "LARGE", 24)
    run_command(["check", "good", "--load"])
    assert [row[1] for row in cells(capsys.readouterr().out, "good")] == ["100", "500"]


def test_an_encoder_without_a_card_can_be_loaded_by_its_family(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["check", "timm:resnet10t", "--load"]) == 0
    out = capsys.readouterr().out
    assert "1 checked, 0 faults" in out and cells(out, "timm:resnet10t")[0][-1] == "9 of 9"


def test_a_name_without_card_or_family_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["check", "resnet18", "--load"]) == 2
    assert "unknown card 'resnet18'" in capsys.readouterr().err


def test_the_listing_says_what_is_verified(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(own, "good", GOOD)
    write(own, "heavy", GOOD, "weights: {file: far_away.safetensors, sha256: null}\nverified: false\n")
    write(own, "sure", GOOD, f"weights: {{file: far_away.safetensors, sha256: {'ab' * 32}}}\nverified: true\n")
    assert run_command(["ls", "encoders"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()[2:]
    place = head.index("verified")
    told = {line.split()[0]: line[place:].split()[0] for line in lines[1:]}
    assert [told[name] for name in ("good", "heavy", "sure", "merl-resnet18")] == ["—", "no", "yes", "no"]
