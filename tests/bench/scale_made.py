"""What the stages of `tests.bench.scale` are measured on: an index of records, scores, a label table, rows of a board."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from ecgbench.cards import DatasetCard, TaskCard
from ecgbench.catalogue import load_card
from ecgbench.ecg.index import Names, write_index
from ecgbench.ecg.recording import LEADS, STORE_SAMPLES, Entry
from ecgbench.ecg.store import Store, open_store, shard_name
from ecgbench.ecg.workplace import SHARD_RECORDS, Progressed, Row
from ecgbench.evaluation.scores import Scores
from ecgbench.evaluation.targets import class_ids
from ecgbench.findings import label_bank
from ecgbench.leaderboard.collect import Submission
from ecgbench.results import read_result
from tests.unit.leaderboard_made import make

MOST_FINDINGS = 3
VALIDATION_SHARE = 0.2
SPLITS = ("train",) * 8 + ("validation", "test")


def findings_of(records: int, ids: tuple[str, ...], seed: int = 0) -> list[tuple[str, ...]]:
    """One to three findings a record, the i-th of the table as frequent as 1 / i."""
    random = np.random.default_rng(seed)
    share = 1 / np.arange(1, len(ids) + 1)
    drawn = random.choice(len(ids), (records, MOST_FINDINGS), p=share / share.sum())
    counts = random.integers(1, MOST_FINDINGS + 1, records)
    return [
        tuple(ids[place] for place in sorted(set(row[:count])))
        for row, count in zip(drawn.tolist(), counts, strict=True)
    ]


def index_parts(records: int) -> tuple[DatasetCard, list[Entry], Progressed]:
    """The entries of a data set, two records a patient, and what a build knows of their signals."""
    card = DatasetCard.model_validate({
        "name": "made", "summary": "Made", "entry_point": "tests.bench.build_memory:Noise", "version": 1,
        "labels": "labels98.csv", "builtin": True, "public": True, "licence": None, "reference": None,
    })  # fmt: skip
    entries = [
        Entry(
            record=f"{number:07d}", patient=f"p{number // 2:07d}", split=SPLITS[number // 2 % len(SPLITS)],
            findings=findings, age=float(20 + number % 70), sex="female" if number // 2 % 2 else "male",
            source_sha256=f"{number:064x}",
        )
        for number, findings in enumerate(findings_of(records, label_bank(card.labels).ids))
    ]  # fmt: skip
    rows = [
        Row(
            number,
            0.0,
            "1" * len(LEADS),
            STORE_SAMPLES,
            False,
            False,
            number.to_bytes(32, "big"),
            f"{number:064x}",
            True,
        )
        for number in range(records)
    ]
    return card, entries, Progressed(done=records, rows=rows)


def write(folder: Path, parts: tuple[DatasetCard, list[Entry], Progressed]) -> None:
    """The index and the manifest of a store."""
    card, entries, state = parts
    whole, rest = divmod(len(entries), SHARD_RECORDS)
    shards = [SHARD_RECORDS] * whole + [rest] * (rest > 0)
    folder.mkdir(parents=True, exist_ok=True)
    write_index(
        folder, card, entries, state, Names(None, window="first"),
        shards=shards, signals_sha256="0" * 64, ids="public", remarks={},
    )  # fmt: skip
    for number, rows in enumerate(shards):  # files with holes: flat signals that take no room on the disk
        np.lib.format.open_memmap(
            folder / shard_name(number), mode="w+", dtype=np.int16, shape=(rows, len(LEADS), STORE_SAMPLES)
        )


def store_of(records: int, folder: Path) -> Store:
    write(folder, index_parts(records))
    return open_store(folder)


def label_table(labels: int, folder: Path) -> TaskCard:
    """The card of a task like retrieval98 on a table of so many labels, in an overlay that this process sees."""
    if labels == len(label_bank("labels98.csv")):
        return load_card(TaskCard, "retrieval98")
    (folder / "tasks").mkdir(parents=True)
    rows = [f"label-{number},finding {number},所見{number}" for number in range(labels)]
    (folder / "tasks" / "labels-made.csv").write_text("\n".join(["id,label_en,label_ja", *rows, ""]), encoding="utf-8")
    (folder / "tasks" / "retrieval-made.yaml").write_text(
        "name: retrieval-made\nsummary: Made\nkind: retrieval\nlabels: labels-made.csv\n", encoding="utf-8"
    )
    os.environ["ECGBENCH_PATH"] = str(folder)
    own = load_card(TaskCard, "retrieval-made")
    return own.model_copy(update={"metrics": load_card(TaskCard, "retrieval98").metrics})


def scores_of(card: TaskCard, records: int, labelled: bool = True) -> Scores:
    """Cosines that know the labels a little; a fifth of the records are validation ones."""
    ids = class_ids(card, label_bank(card.labels))
    labels = np.zeros((records, len(ids)), np.int16)
    place = {name: column for column, name in enumerate(ids)}
    for row, findings in enumerate(findings_of(records, ids)):
        labels[row, [place[name] for name in findings]] = 1
    scores = np.random.default_rng(1).standard_normal(labels.shape, dtype=np.float32)
    scores *= np.float32(0.1)
    scores += np.float32(0.15) * labels
    unknown = np.full(records, "")
    split = np.where(np.arange(records) < VALIDATION_SHARE * records, "validation", "test")
    return Scores(
        task=card.name, task_version=card.version, record_id=np.arange(records).astype(str),
        patient_id=np.char.add(split, (np.arange(records) // 2).astype(str)), split=split, class_id=np.array(ids),
        scores=scores, labels=labels, sex=unknown, age_band=unknown, site=unknown,
    )  # fmt: skip


def submissions_of(rows: int, folder: Path) -> list[Submission]:
    """Results of `rows` systems on one test set: ten encoders, ten text towers, a recipe for every hundred, five seeds. They
    share the files of one result: what a row costs when the scores are measured."""
    made = make(folder, "one", tasks=("superclass",))
    one = read_result(made / "result.json")
    first = Submission(made, "made/one", "made", one, "0" * 64)
    found = []
    for number in range(rows):
        seed, system = number % 5, number // 5
        tower = "random" if system // 10 % 10 == 0 else f"tower-{system // 10 % 10}"
        fields = {**one.recipe.fields, "learning_rate": system // 100}
        result = one.model_copy(
            update={
                "run_id": f"{number:016x}",
                "seed": seed,
                "encoder": one.encoder.model_copy(
                    update={"name": f"encoder-{system % 10}", "card": f"{system % 10:064x}"}
                ),
                "text": one.text.model_copy(
                    update={"name": tower, "identity": {"name": tower}, "control": tower == "random"}
                ),
                "recipe": one.recipe.model_copy(update={"fields": fields, "hash": f"{system // 100:064x}"}),
            }
        )
        found.append(replace(first, where=f"made/{number:04d}", result=result, content=f"{number:064x}"))
    return found
