"""`ecgbench new encoder NAME`: a card, a module and a test that pass as they stand."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Annotated

import typer

from ecgbench.errors import EcgbenchError

NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")

CARD = """\
name: {quoted}
summary: {name}, not yet described
entry_point: {module}.py:Encoder   # called with leads=, samples=, rate= and params
params: {{width: 64}}
dim: 64                            # of the vector that it gives
input:                             # what it is fed: the toolkit converts every recording to this
  leads: [I, II, III, aVR, aVL, aVF, V1, V2, V3, V4, V5, V6]
  rates: [100, 500]                # Hz it can take; the first is the one it was made for
  seconds: 10
  unit: mV                         # or uV
  normalisation: center            # or none, zscore-lead, zscore-record, minmax-lead
  missing_lead: zero               # or refuse
licence: null                      # null: unknown
reference: null
"""

MODULE = '''\
"""{name}: three convolutions and a mean over time. Put your own encoder in their place."""

import torch
from torch import Tensor, nn


class Encoder(nn.Module):
    """float32 (batch, leads, samples) -> float32 (batch, width)."""

    def __init__(self, *, leads: int, samples: int, rate: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.Conv1d(leads, width, 15, stride=4, padding=7), nn.BatchNorm1d(width), nn.ReLU()),
            *(nn.Conv1d(width, width, 9, stride=2, padding=4), nn.BatchNorm1d(width), nn.ReLU()),
            *(nn.Conv1d(width, width, 9, stride=2, padding=4), nn.BatchNorm1d(width), nn.ReLU()),
        )

    def forward(self, ecg: Tensor) -> Tensor:
        return self.layers(ecg).mean(2)
'''

TEST = '''\
"""{name} keeps the contract of an encoder, and does what is its own."""

from pathlib import Path

import pytest
import torch

from ecgbench.cards import EncoderCard, read_card
from ecgbench.encoders.build import build_encoder
from ecgbench.encoders.contract import check_contract

CARD = read_card(EncoderCard, Path(__file__).parent / "registry" / "encoders" / "{name}.yaml")


@pytest.mark.parametrize("rate", CARD.input.rates)
def test_it_keeps_the_contract(rate: int) -> None:
    assert check_contract(CARD, rate).faults == {{}}


def test_two_recordings_have_two_vectors() -> None:
    encoder = build_encoder(CARD).eval()
    samples = round(CARD.input.seconds * CARD.input.rates[0])
    with torch.no_grad():
        one, other = encoder(torch.randn(2, len(CARD.input.leads), samples))
    assert not torch.allclose(one, other)
'''

new = typer.Typer(
    help="Begin something of your own.",
    epilog="First steps: ecgbench new encoder mine",
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@new.callback()
def _new() -> None:
    """Without it typer would make the only verb here the group itself."""


@new.command(epilog="Examples: ecgbench new encoder mine · ecgbench new encoder mine --dir encoders")
def encoder(
    name: Annotated[str, typer.Argument(help="Small letters, digits, '.', '_' and '-'.")],
    folder: Annotated[
        Path | None, typer.Option("--dir", help="The folder for your cards; the encoder's name where not given.")
    ] = None,
) -> None:
    """Write an encoder's card, module and test, which pass as they stand."""
    module = _checked(name)
    folder = folder or Path(name)
    files = {
        folder / "registry" / "encoders" / f"{name}.yaml": CARD,
        folder / f"{module}.py": MODULE,
        folder / f"test_{module}.py": TEST,
    }
    there = [path for path in files if path.exists() or path.is_symlink()]
    if there:
        raise EcgbenchError(f"{there[0]} is there already, and nothing was written: take another name, or --dir.")
    if folder.exists() and not folder.is_dir():
        raise EcgbenchError(f"--dir {folder} is a file: name a folder, which is made where it is not there.")
    import json

    import yaml

    from ecgbench.files import write_text

    quoted = name if yaml.safe_load(name) == name else json.dumps(name)  # 12 and no are no names to YAML
    for path, text in files.items():
        write_text(path, text.format(name=name, module=module, quoted=quoted))
    typer.echo("\n".join(map(str, files)))
    where = shlex.quote(str(folder))
    typer.echo(
        f"\nNext:\n  ecgbench --path {where} check {name} --load\n  python -m pytest {where}\n"
        f"  ecgbench --path {where} run --encoder {name} --text use-multilingual"
    )


def _checked(name: str) -> str:
    """The name of the module's file. EcgbenchError for a name that a card cannot have, or that is taken."""
    from importlib.util import find_spec

    from ecgbench.cards import EncoderCard
    from ecgbench.catalogue import card_paths

    if not NAME.fullmatch(name):
        raise EcgbenchError(
            f"'{name}' is no name for an encoder: write small letters, digits, '.', '_' and '-', beginning with a letter or "
            "a digit, such as my-net."
        )
    taken = card_paths(EncoderCard).get(name)
    if taken is not None:
        raise EcgbenchError(f"there is an encoder '{name}' already ({taken}): choose another name.")
    module = re.sub(r"[.-]", "_", name)
    if find_spec(module) is not None:
        raise EcgbenchError(f"'{name}' would hide the Python module {module}: choose another name, such as {name}-net.")
    return module


def add_to(app: typer.Typer) -> None:
    app.add_typer(new, name="new")
