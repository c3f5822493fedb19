"""Small results made for the tests of the boards, written as a run writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ecgbench.cards import PromptSet, TaskCard
from ecgbench.catalogue import load_card
from ecgbench.evaluation.references import majority_scores
from ecgbench.evaluation.scores import Scores
from ecgbench.evaluation.scoring import score_task
from ecgbench.evaluation.targets import class_ids
from ecgbench.files import hash_of
from ecgbench.findings import label_bank
from ecgbench.pipeline.texts import decisive
from ecgbench.results import Result, TaskScore, run_id_of, write_result
from ecgbench.text.prompts import class_prompts

DATA = hash_of("data")
OTHER_DATA = hash_of("other data")
N_VALIDATION, N_TEST, N_EXCLUDED = 10, 40, 3


def labels_of(task: str, data_hash: str) -> np.ndarray:
    """(records, classes) int16, the same for every system; the last class of each task is absent."""
    card = load_card(TaskCard, task)
    n_classes = len(class_ids(card, label_bank(card.labels)))
    random = np.random.default_rng([int(data_hash[:8], 16), n_classes])
    labels = np.zeros((N_VALIDATION + N_TEST, n_classes), np.int16)
    first = random.integers(0, min(n_classes - 1, 12), len(labels))
    labels[np.arange(len(labels)), first] = 1
    labels[np.arange(len(labels)), (first * 7 + 1) % (n_classes - 1)] += random.integers(0, 2, len(labels), np.int16)
    return labels


def scores_of(task: str, data_hash: str, skill: float, noise: int) -> Scores:
    """Cosines that know the labels with a certain skill."""
    card = load_card(TaskCard, task)
    labels = labels_of(task, data_hash)
    random = np.random.default_rng([noise, len(labels[0])])
    matrix = np.tanh(0.3 * random.standard_normal(labels.shape) + 0.3 * skill * (labels > 0))
    return _scores(card, labels, matrix.astype(np.float32))


def _scores(card: TaskCard, labels: np.ndarray, matrix: np.ndarray) -> Scores:
    n = len(labels)
    unknown = np.full(n, "")
    return Scores(
        task=card.name,
        task_version=card.version,
        record_id=np.array([f"r{i:03d}" for i in range(n)]),
        patient_id=np.array([f"p{i // 2:03d}" for i in range(n)]),
        split=np.array(["validation"] * N_VALIDATION + ["test"] * N_TEST),
        class_id=np.array(class_ids(card, label_bank(card.labels))),
        scores=matrix,
        labels=labels,
        sex=unknown,
        age_band=unknown,
        site=unknown,
    )


def all_scores(task: str, data_hash: str, skill: float, noise: int) -> dict[str, Scores]:
    """The run's own scores ('') and its references."""
    own = scores_of(task, data_hash, skill, noise)
    train = labels_of(task, hash_of("train"))
    majority = majority_scores(train, len(own.record_id))
    card = load_card(TaskCard, task)
    return {
        "": own,
        "majority": _scores(card, own.labels, majority),
        "untrained": scores_of(task, data_hash, 0.0, noise + 500),
    }


def own_prompts(task: str, language: str) -> str:
    """The hash of the sentences that a run asks a task's classes by."""
    card = load_card(TaskCard, task)
    prompt_set = load_card(PromptSet, card.prompt_set)
    return hash_of(decisive(prompt_set, class_prompts(card, prompt_set, label_bank(card.labels), language, "paper")))


def rounded(scores: Scores, folder: Path) -> Scores:
    """The scores as a committed copy holds them."""
    scores.save(folder / "rounded.npz", dtype=np.float16)
    return Scores.load(folder / "rounded.npz")


def make(
    results: Path,
    name: str,
    *,
    encoder: str = "resnet1d18",
    text: str = "use-multilingual",
    text_control: bool = False,
    recipe: dict[str, Any] | None = None,
    control: str = "none",
    seed: int = 0,
    skill: float = 1.0,
    noise: int | None = None,
    tasks: tuple[str, ...] = ("superclass",),
    data_hash: str = DATA,
    data_name: str = "made",
    prompts: str = "prompts",
    language: str = "ja",
    with_scores: bool = True,
    failed: str | None = None,
    board: str = "made",
    task_version: int | None = None,
    public: bool = True,
    dtype: npt.DTypeLike = np.float16,
) -> Path:
    """Write one result with its scores and return its folder; `task_version` is the version that it claims."""
    folder = results / board / name
    fields = recipe or {"epochs": 3}
    noise = noise if noise is not None else int(hash_of([encoder, text, control, seed])[:6], 16)
    found = {task: all_scores(task, data_hash, skill, noise) for task in tasks}
    scored = {
        task: {
            kind: TaskScore.model_validate(score_task(each, load_card(TaskCard, task), n_excluded=N_EXCLUDED))
            for kind, each in kinds.items()
        }
        for task, kinds in found.items()
    }
    comparable = {
        task: {
            "version": task_version or load_card(TaskCard, task).version,
            "card": load_card(TaskCard, task).hash,
            "labels": label_bank(load_card(TaskCard, task).labels).hash,
            "mapping": "paper",
            "language": language,
            "prompts": own_prompts(task, language) if prompts == "prompts" else hash_of([task, prompts, language]),
        }
        for task in tasks
    }
    identity = {
        "protocol_version": 1,
        "encoder": {"card": hash_of(encoder), "source": hash_of([encoder])},
        "text": {"name": text},
        "recipe": fields,
        "data_hash": data_hash,
        "splits_hash": hash_of("splits"),
        "prompts": hash_of([prompts, language]),
        "tasks": comparable,
        "seed": seed,
    }
    result = Result.model_validate(
        {
            "schema": 2,
            "run_id": run_id_of(identity),
            "status": "failed" if failed else "ok",
            "reason": failed,
            "identity": identity,
            "encoder": {
                "name": encoder,
                **identity["encoder"],
                "parameters": 3_850_000,
                "licence": None,
            },
            "text": {"name": text, "identity": identity["text"], "control": text_control, "licence": None},
            "data": {
                "name": data_name,
                "version": 1,
                "data_hash": data_hash,
                "splits_hash": identity["splits_hash"],
                "splits": {
                    "train": {"records": 300, "patients": 150},
                    "test": {"records": N_TEST + N_EXCLUDED, "patients": 20},
                },
                "damaged": [{"record": "x", "reason": "empty"}],
                "duplicates": [],
                "clipped_records": 0,
                "resampled_records": 2,
                "public": public,
                "licence": "CC0",
            },
            "recipe": {"name": "quick", "hash": hash_of(fields), "fields": fields},
            "seed": seed,
            "control": control,
            "comparable": comparable,
            "tasks": {} if failed else {task: kinds[""] for task, kinds in scored.items()},
            "references": None
            if failed
            else {
                "chance": {
                    task: {metric: each.chance for metric, each in kinds[""].metrics.items()}
                    for task, kinds in scored.items()
                },
                "majority": {task: kinds["majority"] for task, kinds in scored.items()},
                "untrained": {task: kinds["untrained"] for task, kinds in scored.items()},
            },
            "settings": {"prompts_hash": identity["prompts"]},
            "provenance": {
                "version": "0.1.0",
                "git_commit": "0123456789abcdef",
                "git_dirty": False,
                "python": "3.12",
                "platform": "linux",
                "processor": "x86",
                "device": "cpu",
                "packages": {},
                "seconds": {},
                "finished": "2025-01-01T00:00:00Z",
            },
        }
    )
    write_result(folder / "result.json", result)
    if with_scores and not failed:
        for task, kinds in found.items():
            for kind, each in kinds.items():
                middle = ("references", kind) if kind else ()
                each.save(folder.joinpath("scores", *middle, f"{task}.npz"), dtype=dtype)
    return folder
