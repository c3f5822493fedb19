"""How long the paper's whole recipe takes on this device, worked out from measured steps, beside what its arithmetic alone would take.

    python -m tests.bench.whole_recipe [--steps 1166] [--precision bf16] [--encoder resnet1d18]

The trainer takes the steps as a run does (12 x 5000 samples, batch 32, log and checkpoints; on a GPU with the data in its
memory). The limit is the operations of a step over the rate of a large matrix product in the same precision, measured here too.
On a GPU also: the share of the time in which no kernel ran, which launches and the processor are to blame for.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from tests.bench.training import TEXT_DIM, model, recipe, seconds_of_trainer, training_set

RECORDS, EPOCHS, SAMPLES = 37_285, 200, 5000
"""The paper's section 2.4 and 2.5."""

MATRIX = 4096


def operations_of_a_step(asked, encoder: str) -> int:
    """Multiplications and additions, forwards and backwards."""
    net = model(asked, encoder).train()
    ecg, text = torch.randn(asked.batch_size, 12, SAMPLES), torch.randn(asked.batch_size, TEXT_DIM)
    with FlopCounterMode(display=False) as counter:
        net(ecg, text)["loss"].backward()
    return counter.get_total_flops()


def rate_of_a_product(device: str, precision: str) -> float:
    """Operations a second."""
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    one, other = (torch.randn(MATRIX, MATRIX, device=device, dtype=kind) for _ in range(2))
    best = math.inf
    for _ in range(5):
        start = time.perf_counter()
        one @ other
        _wait(device)
        best = min(best, time.perf_counter() - start)
    return 2 * MATRIX**3 / best


def share_without_kernels(asked, encoder: str, steps: int = 20) -> float:
    """Of the time of some steps on a GPU."""
    from torch.profiler import ProfilerActivity, profile

    net = model(asked, encoder).to("cuda").train()
    optimizer = torch.optim.AdamW(net.parameters(), asked.learning_rate)
    ecg = torch.randn(asked.batch_size, 12, SAMPLES, device="cuda")
    text = torch.randn(asked.batch_size, TEXT_DIM, device="cuda")

    def step() -> None:
        with torch.autocast("cuda", torch.bfloat16, enabled=asked.precision == "bf16"):
            loss = net(ecg, text)["loss"]
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    step()
    _wait("cuda")
    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        start = time.perf_counter()
        for _ in range(steps):
            step()
        _wait("cuda")
        whole = time.perf_counter() - start
    return 1 - sum(each.self_device_time_total for each in seen.key_averages()) / 1e6 / whole


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="bf16")
    parser.add_argument("--encoder", default="resnet1d18")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    asked = recipe(SAMPLES, precision=given.precision)
    with tempfile.TemporaryDirectory() as folder:
        data = training_set(Path(folder), asked.batch_size * given.steps, SAMPLES)
        a_step = seconds_of_trainer(asked, data, Path(folder), given.encoder)[0] / given.steps
    steps = math.ceil(RECORDS / asked.batch_size) * EPOCHS
    limit = operations_of_a_step(asked, given.encoder) / rate_of_a_product(device, given.precision)
    name = torch.cuda.get_device_name() if device == "cuda" else f"{given.threads} cores"
    print(
        "| device | precision | ECG/s | the whole recipe, hours | its arithmetic alone, hours | ratio |\n|---|---|---:|---:|---:|---:|"
    )
    print(f"| {name} | {given.precision} | {asked.batch_size / a_step:.0f} | {a_step * steps / 3600:.2f} |"
          f" {limit * steps / 3600:.2f} | {a_step / limit:.1f} |")  # fmt: skip
    if device == "cuda":
        print(f"\nNo kernel ran in {share_without_kernels(asked, given.encoder):.0%} of the time.")


if __name__ == "__main__":
    main()
