"""`docs/encoders.md`, made from the encoders' cards; with the speed of each as a ratio to resnet1d18.

    python -m tests.bench.encoders                    # print the page, its ratios as they stand there
    python -m tests.bench.encoders --write            # write it
    python -m tests.bench.encoders --write --measure  # and measure the ratios: minutes of an idle machine

Encoders take turns, one batch each a round, so that what else the machine does falls on all alike; of each the fastest
round counts.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from ecgbench.cards import EncoderCard
from ecgbench.catalogue import all_cards, shipped_folder
from ecgbench.ecg.inputs import input_samples
from ecgbench.encoders.contract import Checked, built, check_contract, megaflops
from ecgbench.files import write_text
from ecgbench.leaderboard.tables import MISSING, plain, table

PAGE = Path(__file__).resolve().parents[2] / "docs" / "encoders.md"
BASE = "resnet1d18"
STANDARD = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
COUNTED = ["encoder", "dimension", "parameters", "at Hz", "MFLOPs", "ECG/s, ratio"]
UNMEASURED = "Not measured yet."

HEAD = """\
<!-- Made by `python -m tests.bench.encoders --write` from registry/encoders/: do not edit. -->

# Encoders

What came with ecgbench; `ecgbench ls encoders` lists it with what you added. Beside these, `timm:NAME` is any image backbone of timm
with the ECG as its image, and `hf:ID` a transformer of the Hugging Face hub that takes a signal, from the local cache or a
folder, without code of its own. Your own: [CONTRIBUTING.md](../CONTRIBUTING.md#an-encoder)."""

COUNTS = """\
## Size and speed

MFLOPs are of one recording at the rate beside them, the lowest of the card: two for each multiply-add of matrix products,
convolutions and attention (`torch.utils.flop_counter`); what is done by other means, as the measuring of `stats`, is not in
them. The ratio is recordings a second forward on a CPU over those of `resnet1d18` at the same rate: above 1 is faster."""

INPUTS = """\
## What each is fed

The toolkit converts every recording to this. The first rate is the one that the encoder was made for; a recipe picks another of
those listed by its field `rate`."""

SOURCES = """\
## Where each is from

*Verified*: whether published weights were loaded from their true file. An encoder with `no` gets no rank on a board; `—` has no published
weights and begins untrained."""

Row = list[str]


def shipped() -> list[EncoderCard]:
    """The cards that came with this package; no overlay's, no plug-in's."""
    own = shipped_folder()
    return [card for card in all_cards(EncoderCard)[0] if card.path and card.path.is_relative_to(own)]


def checked_at_lowest(card: EncoderCard) -> Checked:
    return check_contract(card, min(card.input.rates))


def page(measured: tuple[dict[str, str], str], checked: Callable[[EncoderCard], Checked] = checked_at_lowest) -> str:
    """The page, of what `measured_in` gives."""
    ratios, said = measured
    cards = shipped()
    counts = [_counts(checked(card), ratios.get(card.name, MISSING)) for card in cards]
    blocks = [
        *(HEAD, COUNTS, table(COUNTED, counts), said),
        *(INPUTS, table(["encoder", *_INPUT], [_input(card) for card in cards], text_columns=7)),
        *(
            SOURCES,
            table(["encoder", "verified", "licence", "what, and from where"], [_source(card) for card in cards], 4),
        ),
    ]
    return "\n\n".join(blocks) + "\n"


_INPUT = ("leads", "Hz", "seconds", "unit", "normalisation", "missing lead")


def _counts(found: Checked, ratio: str) -> Row:
    card = found.card
    return [card.name, str(card.dim), f"{found.parameters:,}", str(found.rate), megaflops(found.flops), ratio]


def _input(card: EncoderCard) -> Row:
    fed = card.input
    leads = "the 12, in their usual order" if fed.leads == STANDARD else ", ".join(fed.leads)
    rates = ", ".join(map(str, fed.rates))
    missing = {"zero": "fed as 0", "refuse": "refused"}[fed.missing_lead]
    return [card.name, leads, rates, f"{fed.seconds:g}", fed.unit, fed.normalisation, missing]


def _source(card: EncoderCard) -> Row:
    verified = {True: "yes", False: "no", None: MISSING}[card.verified]
    said = ". ".join(plain(part).rstrip(".") for part in (card.summary, card.reference or "") if part)
    return [card.name, verified, plain(card.licence or "unknown"), f"{said}."]


def measured_in(text: str) -> tuple[dict[str, str], str]:
    """The ratios on a page by encoder, and the line that says how they were measured."""
    lines = text.splitlines()
    start = next((i for i, line in enumerate(lines) if line.startswith("| encoder") and "ECG/s" in line), None)
    if start is None:
        return {}, UNMEASURED
    rows = [re.split(r"\s*\|\s*", line.strip("| ")) for line in lines[start + 2 :]]
    end = next(i for i, line in enumerate(lines[start:]) if not line.startswith("|")) - 2
    said = next((line for line in lines if line.startswith("Measured")), UNMEASURED)
    return {row[0]: row[-1] for row in rows[:end]}, said


def measure(names: Sequence[str], rounds: int, batch: int, threads: int) -> tuple[dict[str, str], str]:
    """Ratio of each to resnet1d18 at the same rate, and the line that says how."""
    torch.set_num_threads(threads)
    cards = {card.name: card for card in shipped()}
    rates = {name: min(cards[name].input.rates) for name in names}
    subjects = {(name, rate): _fed(cards[name], rate, batch) for name, rate in rates.items()}
    subjects |= {(BASE, rate): _fed(cards[BASE], rate, batch) for rate in set(rates.values())}
    seconds: dict[tuple[str, int], list[float]] = {key: [] for key in subjects}
    for number in range(rounds + 1):  # the first warms up
        for key, run in subjects.items():
            took = run()
            seconds[key] += [took] if number else []
            print(f"round {number}: {key[0]} at {key[1]} Hz, {batch / took:.1f} ECG/s", flush=True)
    ratios = {name: min(seconds[BASE, rate]) / min(seconds[name, rate]) for name, rate in rates.items()}
    counted = "1 thread" if threads == 1 else f"{threads} threads"
    said = (
        f"Measured in one run with {counted}: the fastest of {rounds} rounds, a batch of {batch} each, in evaluation mode, "
        f"fp32, torch {torch.__version__.partition('+')[0]}."
    )
    return {name: f"{ratio:.2g}" if ratio < 10 else f"{ratio:.0f}" for name, ratio in ratios.items()}, said


def _fed(card: EncoderCard, rate: int, batch: int) -> Callable[[], float]:
    """What runs a batch through the encoder and gives the seconds."""
    torch.manual_seed(0)
    encoder = built(card, rate)[0].eval()
    ecg = torch.randn(batch, len(card.input.leads), input_samples(card.input, rate))

    def run() -> float:
        start = time.perf_counter()
        with torch.inference_mode():
            encoder(ecg)
        return time.perf_counter() - start

    return run


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    measured = measured_in(PAGE.read_text(encoding="utf-8") if PAGE.is_file() else "")
    if asked.measure:
        measured = measure([card.name for card in shipped()], asked.rounds, asked.batch, asked.threads)
    text = page(measured)
    if asked.write:
        write_text(PAGE, text)
    else:
        print(text)


if __name__ == "__main__":
    main()
