"""Request -> everything that decides the numbers: store, sentences, tasks, identity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ecgbench.ecg.build import store_for, store_is_built
from ecgbench.ecg.store import Store
from ecgbench.entry_points import source_hash
from ecgbench.errors import EcgbenchError
from ecgbench.evaluation.tables import TaskRecords, holds_any, task_records
from ecgbench.findings import LabelBank, label_bank
from ecgbench.pipeline.reporting import Clock, Reporter
from ecgbench.pipeline.reports import reads_reports, refuse_unfit, say_without_report, trainable
from ecgbench.pipeline.request import Request
from ecgbench.pipeline.texts import Texts, check_text, embed_texts
from ecgbench.results import PROTOCOL_VERSION, TaskIdentity, TrainedOn, run_id_of
from ecgbench.text.geometry import FittedGeometry

NO_PROMPTS = "none"
"""In place of the hash of a task's prompts, where it asks by none."""


@dataclass(frozen=True)
class Prepared:
    """A request whose data and texts are there: all that decides the numbers is known, nothing is trained."""

    request: Request
    bank: LabelBank
    store: Store
    train_rows: np.ndarray
    texts: Texts
    tasks: tuple[TaskRecords, ...]
    identity: dict[str, Any]
    comparable: dict[str, TaskIdentity]

    @property
    def run_id(self) -> str:
        return run_id_of(self.identity)

    def identity_for(self, request: Request) -> dict[str, Any]:
        """The identity of a run that differs from this one in encoder and seed alone."""
        return {**self.identity, "encoder": _encoder_identity(request), "seed": request.seed}

    @property
    def validation_rows(self) -> np.ndarray:
        """The validation records with a finding, without those that have one the tasks keep out."""
        findings, kept = self.store.findings(), ~holds_any(self.store, unseen_findings(self.request))
        return np.array([row for row in self.store.rows_of("validation") if findings[row] and kept[row]], np.int64)


def prepare(request: Request, reporter: Reporter, clock: Clock) -> Prepared:
    """Check, build and embed everything that training needs."""
    unseen_findings(request)
    if reads_reports(request.recipe):
        refuse_unfit(request, store_is_built(request.source))
    bank, store = labelled_store(request, reporter, clock)
    train_rows = training_rows(request, store, reporter)
    return with_texts(request, bank, store, train_rows, reporter, clock)


def training_rows(request: Request, store: Store, reporter: Reporter) -> np.ndarray:
    """The records that are trained on; EcgbenchError where they are none, or fewer than one batch."""
    kept = ~holds_any(store, unseen_findings(request)) & trainable(request.recipe, store)
    train_rows = np.array([row for row in store.rows_of("train") if kept[row]], np.int64)
    needed = "finding"
    if reads_reports(request.recipe):
        needed = "report"
        say_without_report(store, request.source, reporter)
    if not len(train_rows):
        raise EcgbenchError(f"{request.source} has no training record with a finding of {store.manifest.labels}.")
    if len(train_rows) < request.recipe.batch_size:
        raise EcgbenchError(
            f"{request.source} has {len(train_rows)} training records with a {needed}, fewer than one batch of "
            f"{request.recipe.batch_size}: take a recipe with a smaller batch_size."
        )
    return train_rows


def unseen_findings(request: Request) -> frozenset[str]:
    """What the tasks keep out of training. EcgbenchError where they do not agree: one training serves all tasks of a run."""
    wanted = {card.unseen for card in request.tasks}
    if len(wanted) > 1:
        holding = next(card.name for card in request.tasks if card.held_out)
        raise EcgbenchError(
            f"task {holding} keeps findings out of training and the others do not: run it alone, with --tasks {holding}."
        )
    bank = label_bank(request.tasks[0].labels)
    (unseen,) = wanted
    strange = sorted(finding for finding in unseen if finding not in bank)
    if strange:
        raise EcgbenchError(
            f"task card {request.tasks[0].path}: held_out names '{strange[0]}', which is no label of {bank.table}."
        )
    return unseen


def labelled_store(request: Request, reporter: Reporter, clock: Clock) -> tuple[LabelBank, Store]:
    """The label table that the tasks ask for and the store, which must be labelled by it."""
    bank = label_bank(request.tasks[0].labels)
    with clock.timing("text_check"):
        check_text(request, bank, store_is_built(request.source))
    with clock.timing("store"), reporter.stage(f"Building the store of {request.source}") as progress:
        store = store_for(request.source, progress)
    if store.manifest.labels != bank.table:
        raise EcgbenchError(
            f"{request.source} has labels of {store.manifest.labels}, and the tasks ask for those of {bank.table}: name "
            f"tasks on {store.manifest.labels} with --tasks (`ecgbench ls tasks`)."
        )
    if store.manifest.labels_hash != bank.hash:
        raise EcgbenchError(
            f"the store '{store.folder}' was built with another version of {store.manifest.labels}: build it again."
        )
    _say_what_is_left_out(store, reporter)
    return bank, store


def with_texts(
    request: Request,
    bank: LabelBank,
    store: Store,
    train_rows: np.ndarray,
    reporter: Reporter,
    clock: Clock,
    *,
    trained_on: TrainedOn | None = None,
    geometry: FittedGeometry | None = None,
) -> Prepared:
    """Embed the sentences, find the tasks' records, and put together what decides the numbers. `trained_on` and
    `geometry`: of a model that is trained already; `train_rows` are then none."""
    with clock.timing("text"), reporter.stage(f"Embedding prompts with {request.text.name}") as progress:
        texts = embed_texts(request, bank, store, train_rows, progress, geometry)
    tasks = tuple(each for card in request.tasks for each in task_records(card, bank, request.mapping, store))
    tasks = _with_test_records(tasks, request, store, reporter)
    comparable = {
        task.key: TaskIdentity(
            version=task.card.version,
            card=task.card.hash,
            labels=bank.hash,
            mapping=request.mapping,
            language=request.asked_language,
            prompts=texts.class_hashes.get(task.card.name, NO_PROMPTS),
        )
        for task in tasks
    }
    identity = {
        "protocol_version": PROTOCOL_VERSION,
        "encoder": _encoder_identity(request),
        "text": texts.identity,
        "recipe": request.recipe.identity(),
        "data_hash": store.data_hash,
        "splits_hash": store.manifest.splits_hash,
        "prompts": texts.hash,
        "tasks": {key: task.model_dump(mode="json") for key, task in comparable.items()},
        "seed": request.seed,
    }
    if trained_on is not None:
        identity["trained_on"] = trained_on.model_dump(mode="json")
    return Prepared(request, bank, store, train_rows, texts, tasks, identity, comparable)


def _encoder_identity(request: Request) -> dict[str, str]:
    return {"card": request.encoder.hash, "source": source_hash(request.encoder, request.encoder.entry_point)}


def _with_test_records(
    tasks: tuple[TaskRecords, ...], request: Request, store: Store, reporter: Reporter
) -> tuple[TaskRecords, ...]:
    """The tasks that can be scored. A task that was asked for by name and cannot be is an error."""
    splits = store.records["split"].to_numpy()
    lacking = [task.key for task in tasks if not (splits[task.rows] == "test").any()]
    if lacking and (request.tasks_were_named or len(lacking) == len(tasks)):
        raise EcgbenchError(f"{request.source} has no test record for task {lacking[0]}: leave it out with --tasks.")
    if lacking:
        reporter.say(f"Tasks left out, for want of test records: {', '.join(lacking)}.")
    return tuple(task for task in tasks if task.key not in lacking)


def _say_what_is_left_out(store: Store, reporter: Reporter) -> None:
    """Records of the source that are not in the store, by name: a person should know before the numbers come."""
    manifest = store.manifest
    for damaged in manifest.damaged[:5]:
        reporter.say(f"Record {damaged['record']} is damaged and left out: {damaged['reason']}")
    if len(manifest.damaged) > 5:
        reporter.say(f"… and {len(manifest.damaged) - 5} more damaged records, all named in the result file.")
    if manifest.duplicates:
        pairs = ", ".join(f"{pair['record']} (as {pair['same_as']})" for pair in manifest.duplicates[:5])
        more = ", …" if len(manifest.duplicates) > 5 else ""
        reporter.say(
            f"{len(manifest.duplicates)} records have the very samples of another and are left out: {pairs}{more}"
        )
    if manifest.clipped_records:
        reporter.say(f"{manifest.clipped_records} records exceed ±32.767 mV and were clipped.")
