"""How fast the shared trainer is, as ratios measured in one run.

python -m tests.bench.training loop      # the trainer beside a bare PyTorch loop; the share of a step that waits for input
python -m tests.bench.training field     # beside the field's way: files read in __getitem__, a BERT-size tower in every step
python -m tests.bench.training inference # ECG/s of embedding
python -m tests.bench.training memory    # peak memory against records and batch size, each in a process of its own
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from ecgbench.cards import EncoderCard
from ecgbench.catalogue import load_card
from ecgbench.contrastive.data import ContrastiveSet, TextTargets
from ecgbench.contrastive.model import ContrastiveModel
from ecgbench.contrastive.trainer import train
from ecgbench.encoders.build import build_encoder
from ecgbench.recipe import Recipe, load_recipe
from tests.bench.scale import memory as megabytes

TEXT_DIM = 768
PTBXL = Path("../shared/ecg/ptbxl")


def recipe(samples: int, **changes: object) -> Recipe:
    """`quick` as it computes, at 100 or 500 Hz."""
    return load_recipe("quick").model_copy(update={"rate": samples // 10, "epochs": 1, **changes})


def model(asked: Recipe, encoder: str = "resnet1d18") -> ContrastiveModel:
    torch.manual_seed(0)
    card = load_card(EncoderCard, encoder)
    net = ContrastiveModel(build_encoder(card, int(asked.rate or 0)), card.dim, TEXT_DIM, asked)
    if asked.memory_format == "channels_last":
        net.to(memory_format=torch.channels_last)
    return net


class Timed(ContrastiveSet):
    """Counts the seconds in which a step waits for its batch."""

    seconds = 0.0

    def __getitems__(self, items: list[int]) -> dict[str, torch.Tensor]:
        start = time.perf_counter()
        try:
            return super().__getitems__(items)
        finally:
            Timed.seconds += time.perf_counter() - start


def training_set(folder: Path, records: int, samples: int) -> Timed:
    """Records in a memory map, as a run has them, with one text each."""
    path = folder / f"{records}-{samples}.npy"
    if not path.is_file():
        inputs = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(records, 12, samples))
        source = np.random.default_rng(0)
        for start in range(0, records, 64):
            inputs[start : start + 64] = source.normal(size=inputs[start : start + 64].shape)
        inputs.flush()
    text = np.random.default_rng(1).normal(size=(98, TEXT_DIM)).astype(np.float32)
    members = [[row % 98] for row in range(records)]
    return Timed(np.load(path, mmap_mode="r"), np.arange(records), TextTargets.of(text, members))


def seconds_of_trainer(asked: Recipe, data: Timed, folder: Path, encoder: str = "resnet1d18") -> tuple[float, float]:
    """Seconds of a training by the trainer from its first step to its last, with log and checkpoints, and of these the ones in
    which it waited for batches. What is done once, before it, does not grow with a run's length and is not counted."""
    net, Timed.seconds = model(asked, encoder), 0.0
    with tempfile.TemporaryDirectory(dir=folder) as out:
        train(net, data, asked, seed=0, folder=Path(out), resume=False, quiet=True)
        last = json.loads((Path(out) / "log.jsonl").read_text(encoding="utf-8").splitlines()[-1])
        return float(last["train_runtime"]), Timed.seconds


def seconds_of_bare_loop(asked: Recipe, steps: int, samples: int) -> float:
    """The same steps without anything around them: random tensors that are there already."""
    net = model(asked).train()
    optimizer = torch.optim.AdamW(net.parameters(), asked.learning_rate, weight_decay=asked.weight_decay)
    ecg, text = torch.randn(asked.batch_size, 12, samples), torch.randn(asked.batch_size, TEXT_DIM)
    start = time.perf_counter()
    for _ in range(steps):
        with torch.autocast("cpu", torch.bfloat16, enabled=asked.precision == "bf16"):
            loss = net(ecg, text)["loss"]
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), asked.gradient_clip)
        optimizer.step()
        optimizer.zero_grad()
    return time.perf_counter() - start


def loop(folder: Path, rounds: int) -> None:
    print("| samples | precision | bare loop, ECG/s | trainer, ECG/s | ratio | waiting for input |")
    print("|---:|---|---:|---:|---:|---:|")
    for samples, epochs in ((1000, 12), (5000, 3)):  # the first as many steps as `quick` takes on synth98
        records = 672 * epochs
        asked = recipe(samples, epochs=epochs)
        data = training_set(folder, 672, samples)
        found, steps = [], records // asked.batch_size
        seconds_of_bare_loop(asked, 2, samples)
        for _ in range(rounds):  # in turn, so that a drift of the machine's speed meets both alike
            bare = seconds_of_bare_loop(asked, steps, samples)
            own, waited = seconds_of_trainer(asked, data, folder)
            found.append((records / bare, records / own, bare / own, waited / own))
        bare_speed, speed, ratio, waiting = (statistics.median(values) for values in zip(*found, strict=True))
        print(f"| {samples} | {asked.precision}, {asked.memory_format} | {bare_speed:.1f} | {speed:.1f} | {ratio:.2f} |"
              f" {waiting:.1%} |", flush=True)  # fmt: skip


class FilesOneByOne(Dataset[dict[str, torch.Tensor]]):
    """The field's way: each record is read from its file and normalised when it is asked for, its text tokenised."""

    def __init__(self, paths: list[Path], tokens: int) -> None:
        self.paths, self.tokens = paths, tokens

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, item: int) -> dict[str, torch.Tensor]:
        import wfdb

        signal = wfdb.rdrecord(str(self.paths[item])).p_signal.T.astype(np.float32)
        spread = signal.std(1, keepdims=True)
        ecg = (signal - signal.mean(1, keepdims=True)) / np.where(spread > 0, spread, 1)
        source = torch.Generator().manual_seed(item)
        return {"ecg": torch.from_numpy(ecg), "ids": torch.randint(1000, 20000, (self.tokens,), generator=source)}


def field_step(asked: Recipe, tokens: int, records: int) -> Callable[[], float]:
    """Seconds of one pass: a frozen tower of BERT-base's size (random weights: its time is what counts) in every step."""
    from transformers import BertConfig, BertModel

    paths = sorted(PTBXL.glob("records500/*/*.hea"))[:records]
    loader = DataLoader(
        FilesOneByOne([path.with_suffix("") for path in paths], tokens), asked.batch_size, drop_last=True
    )
    tower = BertModel(BertConfig(), add_pooling_layer=False).eval().requires_grad_(False)
    net = model(asked).train()
    optimizer = torch.optim.AdamW(net.parameters(), asked.learning_rate, weight_decay=asked.weight_decay)

    def run() -> float:
        start = time.perf_counter()
        for batch in loader:
            with torch.no_grad():
                text = tower(batch["ids"]).last_hidden_state[:, 0]
            net(batch["ecg"], text)["loss"].backward()
            optimizer.step()
            optimizer.zero_grad()
        return time.perf_counter() - start

    return run


def field(folder: Path, rounds: int, tokens: int = 32, records: int = 128) -> None:
    if not PTBXL.is_dir():
        sys.exit(f"{PTBXL} is not there: the field's way is measured on its files.")
    theirs = recipe(5000, precision="fp32", memory_format="contiguous")
    ours = recipe(5000)
    data = training_set(folder, 672, 5000)
    step = field_step(theirs, tokens, records)
    found = []
    for _ in range(rounds):
        theirs_speed, own_speed = records / step(), 672 / seconds_of_trainer(ours, data, folder)[0]
        found.append((theirs_speed, own_speed, own_speed / theirs_speed))
    slow_speed, speed, ratio = (statistics.median(values) for values in zip(*found, strict=True))
    print("| ResNet1d-18, 12 x 5000, batch 32 | ECG/s | ratio |\n|---|---:|---:|")
    print(
        f"| files read in `__getitem__`, tower of BERT-base's size in the step ({tokens} tokens), fp32 | {slow_speed:.1f} | 1.00 |"
    )
    print(
        f"| `ecgbench`, inputs mapped, vectors cached, {ours.precision} {ours.memory_format} | {speed:.1f} | {ratio:.2f} |"
    )


def inference(folder: Path, rounds: int) -> None:
    from ecgbench.evaluation.embed import embed_ecgs

    print("| encoder | samples | embedding, ECG/s |\n|---|---:|---:|")
    for name, samples in (("resnet1d18", 1000), ("resnet1d18", 5000), ("vit1d-tiny", 1000), ("stats", 1000)):
        net = model(recipe(samples), name).eval()
        data = training_set(folder, 256, samples)
        embed_ecgs(net, data.inputs, np.arange(64))
        speeds = []
        for _ in range(rounds):
            start = time.perf_counter()
            embed_ecgs(net, data.inputs, np.arange(256))
            speeds.append(256 / (time.perf_counter() - start))
        print(f"| {name} | {samples} | {statistics.median(speeds):.0f} |", flush=True)


def memory(folder: Path) -> None:
    print("| records | input on disk, MB | batch | peak memory of training, MB |\n|---:|---:|---:|---:|")
    for records, batch in ((320, 32), (3200, 32), (12800, 32), (320, 8), (320, 128)):
        training_set(folder, records, 1000)
        line = [sys.executable, "-m", "tests.bench.training", "peak", "--folder", str(folder), "--records", str(records),
                "--batch", str(batch)]  # fmt: skip
        told = subprocess.run(line, capture_output=True, text=True, check=True)
        print(
            f"| {records:,} | {records * 48e3 / 1e6:,.0f} | {batch} | {json.loads(told.stdout)['peak_mb']:,.0f} |",
            flush=True,
        )


def peak(folder: Path, records: int, batch: int) -> None:
    """Eight steps over records from all over the map; pages of the map that were read count as they are in memory."""
    asked = recipe(1000, batch_size=batch)
    whole = training_set(folder, records, 1000)
    rows = np.random.default_rng(0).permutation(records)[: 8 * batch]
    text = TextTargets(whole.text.vectors, whole.text.members[: len(rows)], torch.arange(len(rows) + 1),
                       whole.text.groups[: len(rows)], None)  # fmt: skip
    with tempfile.TemporaryDirectory(dir=folder) as out:
        train(
            model(asked),
            ContrastiveSet(whole.inputs, rows, text),
            asked,
            seed=0,
            folder=Path(out),
            resume=False,
            quiet=True,
        )
    print(json.dumps({"peak_mb": megabytes("VmHWM")}))  # not ru_maxrss, which holds the parent's peak too


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["loop", "field", "inference", "memory", "peak"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--records", type=int, default=0)
    parser.add_argument("--batch", type=int, default=0)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.folder or Path(temporary)
        if asked.what == "peak":
            peak(folder, asked.records, asked.batch)
        elif asked.what == "memory":
            memory(folder)
        else:
            {"loop": loop, "field": field, "inference": inference}[asked.what](folder, asked.rounds)


if __name__ == "__main__":
    main()
