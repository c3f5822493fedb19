"""The stages of a run and of a board, each by itself: made at a size, then handed over as the work to be measured."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ecgbench.cards import PromptSet, TaskCard, TextCard
from ecgbench.catalogue import load_card, table_path
from ecgbench.evaluation.scores import Scores
from ecgbench.evaluation.scoring import score_task
from ecgbench.findings import label_bank, read_label_table
from tests.bench.scale_made import index_parts, label_table, scores_of, store_of, submissions_of, write

RECORDS = (1_000, 10_000, 100_000)
LABELS = (98, 1_000, 10_000)
ROWS = (42, 200, 1_000)
RECORDS_OF_LABELS = 5_000
"""Records, a fifth of them for validation, that are scored against a growing table of labels."""
DIM = 512

Work = Callable[[], object]
"""What is measured. Text that it returns is shown below the table."""


@dataclass(frozen=True)
class Stage:
    """`make(size, folder)` prepares, unmeasured, and returns the work."""

    axis: str
    name: str
    sizes: tuple[int, ...]
    make: Callable[[int, Path], Work]


def _written(records: int, folder: Path) -> Work:
    parts = index_parts(records)

    def work() -> str:
        write(folder / "store", parts)
        return f"index {(folder / 'store' / 'index.csv').stat().st_size / 1e6:,.1f} MB"

    return work


def _opened(records: int, folder: Path) -> Work:
    from ecgbench.ecg.store import open_store

    write(folder / "store", index_parts(records))
    return lambda: open_store(folder / "store")


def _tasks(records: int, folder: Path) -> Work:
    from ecgbench.evaluation.tables import task_records
    from ecgbench.pipeline.request import DEFAULT_TASKS

    store, bank = store_of(records, folder / "store"), label_bank()
    cards = [load_card(TaskCard, name) for name in DEFAULT_TASKS]
    return lambda: [task_records(card, bank, "paper", store) for card in cards]


def _texts(records: int, folder: Path, known: bool) -> Work:
    """Every record's joined sentence by the tower `random`, which costs next to nothing itself."""
    from ecgbench.pipeline.request import make_request
    from ecgbench.pipeline.texts import embed_texts

    store = store_of(records, folder / "store")
    request = make_request(encoder="resnet1d18", text="random", recipe="paper", data=str(store.folder))
    rows = np.arange(records)

    def work() -> object:
        return embed_texts(request, label_bank(), store, rows, None)

    if known:
        work()
    return work


def _training_set(records: int, folder: Path) -> Work:
    """What is made of findings and sentences before training, and anew at the start of an epoch; no signal is read."""
    from ecgbench.contrastive.data import ContrastiveSet, TextTargets, multi_hot

    bank, store = label_bank(), store_of(records, folder / "store")
    findings = store.findings()
    members = [[bank.position(name) for name in named] for named in findings]
    vectors = np.zeros((len(bank), DIM), np.float32)

    def work() -> None:
        made = ContrastiveSet(
            np.empty((0,)), np.arange(records), TextTargets.of(vectors, members, 0), multi_hot(findings, bank)
        )
        made.set_epoch(1)

    return work


def _inputs(records: int, folder: Path) -> Work:
    """Signals read and converted; most of the memory is pages of mapped files, which the system takes back."""
    from ecgbench.cards import EncoderCard
    from ecgbench.ecg.inputs import encoder_inputs

    store = store_of(records, folder / "store")
    contract = load_card(EncoderCard, "resnet1d18").input
    return lambda: encoder_inputs(store, contract, 100)


def _scores_file(card: TaskCard, records: int, folder: Path) -> Work:
    """Cosines of every record with every class, the scores file written and read."""
    from ecgbench.evaluation.embed import class_scores

    scores = scores_of(card, records)
    n_classes = len(scores.class_id)
    random = np.random.default_rng(0)
    ecgs, sentences = (random.standard_normal((n, DIM), dtype=np.float32) for n in (records, n_classes))
    path = folder / "scores.npz"

    def work() -> str:
        found = class_scores(ecgs, sentences, [[row] for row in range(n_classes)], "mean")
        replace(scores, scores=np.ascontiguousarray(found)).save(path)
        Scores.load(path)
        return f"scores file {path.stat().st_size / 1e6:,.1f} MB"

    return work


def _metrics(card: TaskCard, records: int, folder: Path) -> Work:
    scores = scores_of(card, records)
    return lambda: score_task(scores, card)


def _verified(card: TaskCard, records: int, folder: Path) -> Work:
    from ecgbench.leaderboard.replay import replay

    scores_of(card, records).save(folder / "half.npz", dtype=np.float16)
    scores = Scores.load(folder / "half.npz")
    return lambda: replay(scores, card)


def _prompts(labels: int, folder: Path) -> Work:
    """The label table read, its prompts made, embedded, kept and found again."""
    from ecgbench.text.embed import embed_prompts
    from ecgbench.text.prompts import class_prompts

    card, text, prompt_set = label_table(labels, folder), load_card(TextCard, "random"), load_card(PromptSet, "paper")

    def work() -> None:
        bank = read_label_table(table_path(card.labels))
        prompts = [said for (said,) in class_prompts(card, prompt_set, bank, "ja", "paper")]
        for _ in range(2):
            embed_prompts(text, prompts)

    return work


def _result(labels: int, folder: Path) -> Work:
    """A task's part of a result, written and read as JSON."""
    from ecgbench.results import TaskScore

    card = label_table(labels, folder)
    values = score_task(scores_of(card, RECORDS_OF_LABELS), card, replicates=2)

    def work() -> str:
        text = TaskScore.model_validate(values).model_dump_json()
        TaskScore.model_validate_json(text)
        return f"a task's part of a result {len(text) / 1e6:,.2f} MB"

    return work


def _rows(rows: int, folder: Path, html: bool) -> Work:
    """A page of a board whose scores are measured already."""
    from ecgbench.leaderboard.html import board_html
    from ecgbench.leaderboard.page import board_page
    from ecgbench.leaderboard.replay import Replays

    submissions, replays = submissions_of(rows, folder / "results"), Replays()
    page = board_html if html else board_page
    page("made", submissions[:1], [], "results", replays)
    return lambda: f"page {len(page('made', submissions, [], 'results', replays)) / 1e6:,.2f} MB"


def _collected(results: int, folder: Path) -> Work:
    """Results read and held to their scores: 50 records against 98 labels, which a board has by the thousand."""
    from ecgbench.leaderboard.collect import collect
    from tests.unit.leaderboard_made import make

    for number in range(results):
        make(folder / "results", f"r{number:04d}", encoder=f"e{number}", tasks=("retrieval98",))

    def work() -> None:
        good, left_out = collect(folder / "results")
        assert len(good) == results, left_out[:1]

    return work


def _by_labels(make: Callable[[TaskCard, int, Path], Work]) -> Callable[[int, Path], Work]:
    return lambda labels, folder: make(label_table(labels, folder / "overlay"), RECORDS_OF_LABELS, folder)


def _by_records(make: Callable[[TaskCard, int, Path], Work]) -> Callable[[int, Path], Work]:
    return lambda records, folder: make(load_card(TaskCard, "retrieval98"), records, folder)


STAGES = (
    Stage("records", "index written", RECORDS, _written),
    Stage("records", "store opened", RECORDS, _opened),
    Stage("records", "tasks found", RECORDS, _tasks),
    Stage("records", "sentences embedded", RECORDS, lambda size, folder: _texts(size, folder, known=False)),
    Stage("records", "sentences found in the cache", RECORDS, lambda size, folder: _texts(size, folder, known=True)),
    Stage("records", "encoder input, 100 Hz", (300, 1_000, 3_000), _inputs),
    Stage("records", "training set", RECORDS, _training_set),
    Stage("records", "scores file", RECORDS, _by_records(_scores_file)),
    Stage("records", "metrics and intervals", RECORDS, _by_records(_metrics)),
    Stage("records", "scores file verified", (1_000, 10_000, 30_000), _by_records(_verified)),
    Stage("labels", "label prompts", LABELS, _prompts),
    Stage("labels", "scores file", LABELS, _by_labels(_scores_file)),
    Stage("labels", "metrics and intervals", LABELS, _by_labels(_metrics)),
    Stage("labels", "result file", LABELS, _result),
    Stage("labels", "scores file verified", LABELS[:-1], _by_labels(_verified)),
    Stage("rows", "results verified", (5, 20, 80), _collected),
    Stage("rows", "markdown page", ROWS, lambda size, folder: _rows(size, folder, html=False)),
    Stage("rows", "HTML page", ROWS, lambda size, folder: _rows(size, folder, html=True)),
)


def caches_in(folder: Path) -> None:
    """What is measured finds no cache of another run."""
    os.environ["ECGBENCH_CACHE"] = str(folder / "cache")
    os.environ.pop("ECGBENCH_PATH", None)
