"""What an outsider says of a system, and the scores or bootstrap values that stand for it -> a marked result."""

from __future__ import annotations

import math
import platform
import re
import shutil
import tempfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import numpy as np

import ecgbench
from ecgbench.cards import TaskCard
from ecgbench.errors import EcgbenchError
from ecgbench.evaluation.scores import Scores
from ecgbench.evaluation.scoring import fitted_metrics, score_task, task_rows
from ecgbench.evaluation.values import BootstrapValues, scores_hash
from ecgbench.files import hash_of
from ecgbench.leaderboard.collect import Boards
from ecgbench.leaderboard.naming import clash
from ecgbench.leaderboard.testset import TestSet
from ecgbench.leaderboard.verify import TOLERANCE, value_mismatches
from ecgbench.results import (
    PROTOCOL_VERSION,
    RESULT_SCHEMA,
    EncoderPart,
    Provenance,
    RecipePart,
    Result,
    Submitted,
    TaskIdentity,
    TaskScore,
    TextPart,
    read_result,
    run_id_of,
    write_result,
)

RECIPE = "submitted"

Evidence = Scores | BootstrapValues
Kind = Literal["scores", "bootstrap values"]


@dataclass(frozen=True)
class Claims:
    """What the submitter says of a system, and nobody checked. `name` is what the board calls it."""

    name: str
    trained_on: str
    encoder: str | None = None
    text: str | None = None
    parameters: int | None = None
    licence: str | None = None
    text_licence: str | None = None
    reference: str | None = None
    seed: int | None = None
    class_prompts: str | None = None


def submission_of(
    evidence: Evidence, claims: Claims, test_set: TestSet, asked: TaskIdentity
) -> tuple[Result, Evidence]:
    """A result whose numbers were computed here, from scores (`read_scores`), or told by bootstrap values and held to them;
    and the scores or values as they are kept beside it. EcgbenchError where claims or values cannot be."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", claims.name):
        raise EcgbenchError(
            f"--name {claims.name!r} is no name for a system: 1 to 64 letters, digits, dots, dashes and underscores are needed."
        )
    if not claims.trained_on.strip():
        raise EcgbenchError("--trained-on is empty: say on which records the system was trained, 'none' if on none.")
    if isinstance(evidence, Scores):
        if not test_set.data.public:
            raise EcgbenchError(
                f"the data {test_set.data.name} are not public, and scores hold record ids: submit bootstrap values "
                "(`ecgbench rescore RUN --bootstrap-out DIR`) with --bootstrap."
            )
        score = TaskScore.model_validate(score_task(evidence, test_set.card, n_excluded=test_set.n_excluded))
        kept = kept_scores(evidence, test_set.card)
        return _result(score, scores_hash(kept), "scores", claims, test_set, asked), kept
    score = _told_score(evidence, test_set)
    return _result(score, evidence.content_hash(), "bootstrap values", claims, test_set, asked), evidence


def kept_scores(scores: Scores, card: TaskCard) -> Scores:
    """What a committed copy holds: scores rounded to float16 as a run's are, or as they are where that would move a number
    further than the boards' tolerance (probabilities near 1, large logits)."""
    with np.errstate(over="ignore"):
        coarse = scores.scores.astype(np.float16).astype(np.float32)
    if not np.isfinite(coarse).all():
        return scores
    rounded = replace(scores, scores=coarse)
    moved = [abs(a - b) for a, b in zip(_plain(scores, card), _plain(rounded, card), strict=True)]
    return scores if max(moved) > TOLERANCE else rounded


def _plain(scores: Scores, card: TaskCard) -> list[float]:
    """Every metric that is defined, without intervals."""
    task = task_rows(scores, card)
    test = task.rows("test")
    once = np.ones((1, len(test.record_id)), np.int16)
    values = [metric.values(test.scores, test.labels, once)[0][0] for metric in fitted_metrics(task, card)]
    return [0.0 if math.isnan(value) else float(value) for value in values]


def _told_score(values: BootstrapValues, test_set: TestSet) -> TaskScore:
    """The task's numbers as a values file tells them, where it is of the task and the data and fits itself."""
    given = (values.task, values.task_version)
    if given != (test_set.key, test_set.card.version):
        raise EcgbenchError(
            f"the values are of task {given[0]} version {given[1]}, and --task {test_set.key} is version "
            f"{test_set.card.version} now: name the task that was scored, or make the values again."
        )
    if values.data_hash != test_set.data.data_hash:
        raise EcgbenchError(
            f"the values are of data with the hash {values.data_hash[:12]}…, and these have "
            f"{test_set.data.data_hash[:12]}…: give the data that were scored."
        )
    score = values.told_score(test_set.n_excluded)
    wrong = value_mismatches(score, test_set.card, values)
    if wrong:
        raise EcgbenchError(f"the values file does not fit itself: {wrong[0]}.")
    return score


def _result(
    score: TaskScore, digest: str, evidence: Kind, claims: Claims, test_set: TestSet, asked: TaskIdentity
) -> Result:
    submitted = Submitted(
        name=claims.name,
        evidence=evidence,
        sha256={test_set.key: digest},
        trained_on=" ".join(claims.trained_on.split()),
        reference=claims.reference,
    )
    encoder = EncoderPart(
        name=claims.encoder or claims.name, card=None, source=None, parameters=claims.parameters, licence=claims.licence
    )
    text = {"name": claims.text or "—", "licence": claims.text_licence}
    identity = {
        "protocol_version": PROTOCOL_VERSION,
        "submitted": submitted.model_dump(mode="json"),
        "encoder": encoder.model_dump(mode="json"),
        "text": text,
        "recipe": {},
        "data_hash": test_set.data.data_hash,
        "splits_hash": test_set.data.splits_hash,
        "tasks": {test_set.key: asked.model_dump(mode="json")},
        "seed": claims.seed,
    }
    return Result.model_validate(
        {
            "schema": RESULT_SCHEMA,
            "run_id": run_id_of(identity),
            "status": "ok",
            "identity": identity,
            "encoder": encoder,
            "text": TextPart(name=str(text["name"]), identity=text, control=False, licence=claims.text_licence),
            "data": test_set.data,
            "recipe": RecipePart(name=RECIPE, hash=hash_of({}), fields={}),
            "seed": claims.seed,
            "control": "none",
            "submitted": submitted,
            "comparable": {test_set.key: asked},
            "tasks": {test_set.key: score},
            "settings": {"class_prompts": claims.class_prompts},
            "provenance": _provenance(),
        }
    )


def _provenance() -> Provenance:
    """Of the numbers: where the model ran is not known."""
    return Provenance(
        version=ecgbench.__version__,
        git_commit=None,
        git_dirty=None,
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        processor="",
        device="model not run here",
        packages={"numpy": version("numpy")},
        seconds={},
        finished=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


def folder_name(result: Result) -> str:
    """`submitted--NAME--TASK--RUN_ID`."""
    assert result.submitted is not None
    (task,) = result.tasks
    return "--".join(["submitted", result.submitted.name, task, result.run_id])


def write_submission(result: Result, kept: Evidence, parent: Path) -> Path:
    """Write a result and what is kept beside it into a folder of their own below `parent`, whole or not at all."""
    (task,) = result.tasks
    target = parent / folder_name(result)
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".adding-", dir=parent) as workplace:
        folder = Path(workplace, target.name)
        write_result(folder / "result.json", result)
        if isinstance(kept, Scores):
            half = np.array_equal(kept.scores.astype(np.float16), kept.scores)
            kept.save(folder / "scores" / f"{task}.npz", dtype=np.float16 if half else np.float32)
        else:
            kept.save(folder / "values" / f"{task}.npz")
        if target.exists():
            shutil.rmtree(target)
        folder.rename(target)
    return target


def board_folder(result: Result, leaderboards: Path) -> Path:
    """Where a result of these data belongs below a folder of boards."""
    return leaderboards / "results" / Boards().name(result)


def check_name(result: Result, board: Path) -> None:
    """EcgbenchError where another system has the name: a card's encoder, a run's on the board, or another submission's."""
    assert result.submitted is not None
    there = {path.parent.name: read_result(path) for path in sorted(board.glob("*/result.json"))}
    there = {where: other for where, other in there.items() if other.run_id != result.run_id}
    reason = clash(result, there)
    if reason:
        raise EcgbenchError(f"--name {result.submitted.name}: {reason}")
