"""Training steps a second by precision, memory format and torch.compile, all in one run, as ratios to fp32 contiguous.

python tests/bench/precision.py [--rate 100] [--steps 10] [--encoders resnet1d18,vit1d-tiny] [--compile] [--device cuda]
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch

from ecgbench.cards import EncoderCard
from ecgbench.catalogue import load_card
from ecgbench.ecg.inputs import input_samples
from ecgbench.encoders.build import build_encoder

BATCH = 32
PLAIN = [(precision, layout, False) for precision in ("fp32", "bf16") for layout in ("contiguous", "channels_last")]
COMPILED = [("fp32", "contiguous", True), ("bf16", "channels_last", True)]


def prepared(name: str, rate: int, precision: str, layout: str, compiled: bool, device: str):
    card = load_card(EncoderCard, name)
    torch.manual_seed(0)
    encoder = build_encoder(card, rate).to(device)
    if compiled:
        encoder.compile()
    if layout == "channels_last":
        encoder.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(encoder.parameters(), 1e-3)
    ecg = torch.randn(BATCH, len(card.input.leads), input_samples(card.input, rate), device=device)

    def step() -> None:
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
            loss = encoder(ecg).float().square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if device == "cuda":
            torch.cuda.synchronize()

    for _ in range(2):
        step()
    return step


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=int, default=100)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--encoders", default="resnet1d18,vit1d-tiny")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    settings = [*PLAIN, *(COMPILED if asked.compile else [])]
    print("| encoder | precision | layout | compiled | ECG/s | ratio to fp32 contiguous |\n|---|---|---|---|---:|---:|")
    for name in asked.encoders.split(","):
        steps = {setting: prepared(name, asked.rate, *setting, asked.device) for setting in settings}
        speeds: dict[tuple[str, str, bool], list[float]] = {setting: [] for setting in settings}
        for _ in range(asked.rounds):  # in turn, so that a drift of the machine's speed meets all alike
            for setting, step in steps.items():
                start = time.perf_counter()
                for _ in range(asked.steps):
                    step()
                speeds[setting].append(BATCH * asked.steps / (time.perf_counter() - start))
        base = speeds[settings[0]]
        for (precision, layout, compiled), found in speeds.items():
            ratio = statistics.median(a / b for a, b in zip(found, base, strict=True))
            told = f"| {name} | {precision} | {layout} | {'yes' if compiled else 'no'} |"
            print(f"{told} {statistics.median(found):.0f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
