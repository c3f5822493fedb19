"""Encoders of installed packages: cards in a folder that an entry point names."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ecgbench.cards import EncoderCard
from ecgbench.catalogue import all_cards, card_paths, load_card
from ecgbench.cli.main import run_command
from ecgbench.encoders.contract import check_contract
from ecgbench.entry_points import source_hash
from ecgbench.errors import EcgbenchError
from ecgbench.files import hash_of
from tests.conftest import OVERLAY, ROOT

CARD = """\
name: {name}
summary: Of a package
entry_point: {package}.nets.wave:Wave
dim: 8
input: {{leads: [I, II], rates: [100], seconds: 10, unit: mV, normalisation: center, missing_lead: zero}}
licence: MIT
reference: null
"""

CODE = """\
import torch

class Wave(torch.nn.Module):
    def __init__(self, leads, samples, rate):
        super().__init__()
        self.wave = torch.nn.Conv1d(leads, 8, 9, 4)

    def forward(self, ecg):
        return self.wave(ecg).mean(2)
"""

LOUD = "raise RuntimeError('listing must not import this')\n"

Install = Callable[..., Path]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of installed packages."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    for name in [name for name in sys.modules if name.startswith(("plug_", "waves"))]:
        del sys.modules[name]


def install(site: Path, package: str, cards: dict[str, str], point: str | None = None, start: str = "") -> None:
    """A package `package` with the code in `nets/`, cards in `cards/`, and the metadata of a wheel."""
    (site / package / "nets").mkdir(parents=True)
    (site / package / "cards").mkdir()
    (site / package / "__init__.py").write_text(start, "utf-8")
    (site / package / "nets" / "__init__.py").write_text("", "utf-8")
    (site / package / "nets" / "wave.py").write_text(CODE, "utf-8")
    for name, text in cards.items():
        (site / package / "cards" / f"{name}.yaml").write_text(text.format(name=name, package=package), "utf-8")
    info = site / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n", "utf-8")
    (info / "entry_points.txt").write_text(f"[ecgbench.encoders]\nnets = {point or f'{package}.cards'}\n", "utf-8")


def ecgbench(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own."""
    return subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "ecgbench", *arguments],
        capture_output=True, text=True, check=False, cwd=ROOT, env={"PYTHONPATH": str(site), "PATH": ""},
    )  # fmt: skip


def test_a_package_s_encoder_is_found_and_keeps_the_contract(site: Path) -> None:
    install(site, "plug_one", {"wave-one": CARD})
    card = load_card(EncoderCard, "wave-one")
    assert card.path == site / "plug_one" / "cards" / "wave-one.yaml"
    assert source_hash(card, card.entry_point) == hash_of(CODE)
    assert check_contract(card).faults == {}


def test_it_is_listed_shown_and_checked_without_importing_the_package_or_torch(site: Path) -> None:
    install(site, "plug_one", {"wave-one": CARD}, start=LOUD)
    for arguments in (("ls", "encoders", "--json"), ("show", "wave-one"), ("check", "wave-one")):
        done = ecgbench(site, *arguments)
        assert done.returncode == 0 and "wave-one" in done.stdout
        imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
        assert "ecgbench" in imported and not imported & {"torch", "plug_one"}


def test_what_does_not_import_is_one_sentence_when_it_is_loaded(site: Path) -> None:
    install(site, "plug_one", {"wave-one": CARD}, start=LOUD)
    with pytest.raises(
        EcgbenchError, match=r"wave-one.yaml: entry_point: 'plug_one.nets.wave' does not import: RuntimeError"
    ):
        check_contract(load_card(EncoderCard, "wave-one"))


def test_a_package_may_bring_several_and_a_file_beside_the_card(site: Path) -> None:
    beside = CARD.replace("{package}.nets.wave:Wave", "own.py:Wave")
    install(site, "plug_one", {"wave-one": CARD, "wave-two": beside})
    (site / "plug_one" / "cards" / "own.py").write_text(CODE, "utf-8")
    assert {"wave-one", "wave-two"} <= set(card_paths(EncoderCard))
    assert check_contract(load_card(EncoderCard, "wave-two")).faults == {}


BROKEN = {
    "a module that is not there": ("plug_gone.cards", "there is no folder of a package 'plug_gone.cards'"),
    "an object": ("plug_bad.nets.wave:Wave", "written with dots and no colon"),
    "a folder without cards": ("plug_bad.nets", "there is no card (*.yaml) in"),
    "a module": ("plug_bad.nets.wave", "there is no folder of a package 'plug_bad.nets.wave'"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_entry_point_is_said_and_hides_no_other(
    what: str, site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    point, message = BROKEN[what]
    install(site, "plug_bad", {"wave-bad": CARD}, point=point)
    install(site, "plug_good", {"wave-good": CARD})
    assert run_command(["ls", "encoders"]) == 0
    out = capsys.readouterr().out
    assert "wave-good" in out and "resnet1d18" in out and f"BROKEN: package plug_bad, entry point nets = {point}" in out
    assert run_command(["check", "nets"]) == 1
    assert message in capsys.readouterr().out


def test_a_broken_card_of_a_package_hides_no_other(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(site, "plug_one", {"wave-one": CARD, "wave-bad": CARD.replace("dim: 8", "dim: none")})
    assert run_command(["ls", "encoders", "--json"]) == 0
    rows = {row["name"]: row["summary"] for row in json.loads(capsys.readouterr().out)}
    assert rows["wave-one"] == "Of a package"
    assert rows["wave-bad"].startswith("BROKEN: encoder card") and "dim" in rows["wave-bad"]


def test_a_package_cannot_take_the_name_of_an_encoder_of_ecgbench(site: Path) -> None:
    install(site, "plug_one", {"resnet1d18": CARD})
    assert load_card(EncoderCard, "resnet1d18").path == ROOT / "registry" / "encoders" / "resnet1d18.yaml"
    (broken,) = all_cards(EncoderCard)[1]
    assert broken.reason.startswith("plug_one brings an encoder 'resnet1d18', and ecgbench itself has that name")


def test_of_two_packages_with_one_name_the_first_keeps_it(site: Path) -> None:
    install(site, "plug_two", {"wave": CARD})
    install(site, "plug_one", {"wave": CARD})
    assert load_card(EncoderCard, "wave").path == site / "plug_one" / "cards" / "wave.yaml"
    (broken,) = all_cards(EncoderCard)[1]
    assert broken.reason.startswith("plug_two brings an encoder 'wave', and ") and "plug_one" in broken.reason


def test_an_overlay_may_replace_a_package_s_encoder(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(site, "plug_one", {"pooled": CARD})
    assert load_card(EncoderCard, "pooled").path == site / "plug_one" / "cards" / "pooled.yaml"
    monkeypatch.setenv("ECGBENCH_PATH", str(OVERLAY))
    assert load_card(EncoderCard, "pooled").path == OVERLAY / "registry" / "encoders" / "pooled.yaml"


def test_cards_may_lie_at_the_package_s_top(site: Path) -> None:
    install(site, "plug_one", {}, point="plug_one")
    (site / "plug_one" / "top.yaml").write_text(CARD.format(name="top", package="plug_one"), "utf-8")
    assert load_card(EncoderCard, "top").dim == 8


def test_the_readme_s_entry_point_is_one(site: Path) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = readme[readme.index("    [project.entry-points") :].split("\n\n")[0]
    points = tomllib.loads("\n".join(line[4:] for line in block.splitlines()))["project"]["entry-points"]
    assert points == {"ecgbench.encoders": {"waves": "waves.cards"}}
    assert "`waves/cards/*.yaml`" in readme and "`entry_point: waves.nets:Wave`" in readme
    install(site, "waves", {"wave": CARD.replace("{package}.nets.wave", "waves.nets")}, point="waves.cards")
    (site / "waves" / "nets" / "__init__.py").write_text(CODE, "utf-8")
    assert check_contract(load_card(EncoderCard, "wave")).faults == {}
