"""The main job: request -> store -> texts -> training -> scores -> result file."""

from __future__ import annotations

import shutil
import time
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ecgbench.contrastive.stopping import StoppedError
from ecgbench.ecg.build import store_for, store_is_built
from ecgbench.ecg.inputs import encoder_inputs
from ecgbench.ecg.store import SPLITS, Store
from ecgbench.entry_points import source_hash
from ecgbench.errors import EcgbenchError, RunFailedError
from ecgbench.evaluation.bootstrap import REPLICATES
from ecgbench.evaluation.bootstrap import SEED as BOOTSTRAP_SEED
from ecgbench.evaluation.scoring import score_task
from ecgbench.evaluation.tables import TaskRecords, task_records
from ecgbench.files import write_text
from ecgbench.findings import LabelBank, label_bank
from ecgbench.pipeline.provenance import provenance
from ecgbench.pipeline.request import Request, make_request
from ecgbench.pipeline.texts import Texts, check_text, embed_texts
from ecgbench.results import (
    PROTOCOL_VERSION,
    DataPart,
    EncoderPart,
    RecipePart,
    References,
    Result,
    SplitCount,
    TaskIdentity,
    TaskScore,
    TextPart,
    read_result,
    run_id_of,
    write_result,
)

if TYPE_CHECKING:
    from ecgbench.pipeline.model import Side


class Reporter(Protocol):
    """Who is told how far a run is. `stage` gives a callback (done, total) for the length of a block."""

    def stage(self, name: str) -> AbstractContextManager[Callable[[int, int], None]]: ...

    def say(self, text: str) -> None: ...

    @property
    def quiet(self) -> bool: ...


class Silent:
    """Says nothing."""

    quiet = True

    @contextmanager
    def stage(self, name: str) -> Any:
        yield lambda done, total: None

    def say(self, text: str) -> None:
        return None


@dataclass
class Clock:
    """Seconds a stage took, by stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timing(self, stage: str) -> Any:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = time.perf_counter() - start


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


def run(
    *,
    out: Path | str = "runs",
    again: bool = False,
    resume: bool = False,
    reporter: Reporter | None = None,
    **asked: Any,
) -> Result:
    """Run one encoder against one text tower and return its result; the keywords are those of `make_request`
    (`encoder`, `text`, `data`, `recipe`, `tasks`, `language`, `mapping`, `epochs`, `seed`, `control`, `text_path`,
    `text_pack`).

    The result and all that belongs to it lie in `out/<run_id>/`. A run that is there already is read, not repeated, unless
    `again`. EcgbenchError for a wrong request, RunFailedError for a run that failed (its result file says why).
    """
    return execute(make_request(**asked), Path(out), again=again, resume=resume, reporter=reporter or Silent())


def execute(request: Request, out: Path, *, again: bool, resume: bool, reporter: Reporter) -> Result:
    """Carry a request out, or read the result where the same run is done."""
    clock = Clock()
    prepared = prepare(request, reporter, clock)
    folder = out / prepared.run_id
    done = folder / "result.json"
    if done.is_file() and not again and not resume:
        result = read_result(done)
        if result.status == "ok":
            reporter.say(f"This run is done already: {done} (--again repeats it).")
            return result
    _settle_checkpoints(folder, resume, again)
    folder.mkdir(parents=True, exist_ok=True)
    fields = request.recipe.model_dump(mode="json")
    write_text(folder / "recipe.yaml", _recipe_text(request.recipe_name, fields))
    reporter.say(f"Run {prepared.run_id} in {folder}")
    from ecgbench.pipeline.model import build_side

    side = build_side(prepared)
    try:
        tasks, references = _train_and_score(prepared, side, folder, resume, reporter, clock)
    except (EcgbenchError, StoppedError):
        raise
    except RunFailedError as error:
        write_result(done, _result(prepared, side, clock, reason=str(error)))
        raise
    except Exception as error:  # whatever it was, the run leaves a result that says so
        write_text(folder / "error.txt", traceback.format_exc())
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        write_result(done, _result(prepared, side, clock, reason=reason))
        raise RunFailedError(f"{reason} (the whole story is in {folder / 'error.txt'})") from error
    result = _result(prepared, side, clock, tasks=tasks, references=references)
    write_result(done, result)
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    return result


def prepare(request: Request, reporter: Reporter, clock: Clock) -> Prepared:
    """Check, build and embed everything that training needs."""
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
    findings = store.findings()
    train_rows = np.array([row for row in store.rows_of("train") if findings[row]], np.int64)
    if not len(train_rows):
        raise EcgbenchError(f"{request.source} has no training record with a finding of {bank.table}.")
    if len(train_rows) < request.recipe.batch_size:
        raise EcgbenchError(
            f"{request.source} has {len(train_rows)} training records with a finding, fewer than one batch of "
            f"{request.recipe.batch_size}: take a recipe with a smaller batch_size."
        )
    with clock.timing("text"), reporter.stage(f"Embedding prompts with {request.text.name}") as progress:
        texts = embed_texts(request, bank, store, train_rows, progress)
    tasks = tuple(task_records(card, bank, request.mapping, store) for card in request.tasks)
    tasks = _with_test_records(tasks, request, store, reporter)
    comparable = {
        task.key: TaskIdentity(
            version=task.card.version,
            card=task.card.hash,
            labels=bank.hash,
            mapping=request.mapping,
            language=request.recipe.language,
            prompts=texts.class_hashes[task.card.name],
        )
        for task in tasks
    }
    identity = {
        "protocol_version": PROTOCOL_VERSION,
        "encoder": {"card": request.encoder.hash, "source": source_hash(request.encoder, request.encoder.entry_point)},
        "text": texts.identity,
        "recipe": request.recipe.model_dump(mode="json"),
        "data_hash": store.data_hash,
        "splits_hash": store.manifest.splits_hash,
        "prompts": texts.hash,
        "tasks": {key: task.model_dump(mode="json") for key, task in comparable.items()},
        "seed": request.seed,
    }
    return Prepared(request, bank, store, train_rows, texts, tasks, identity, comparable)


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


def _settle_checkpoints(folder: Path, resume: bool, again: bool) -> None:
    checkpoints = folder / "checkpoints"
    if resume and not checkpoints.is_dir():
        raise EcgbenchError(f"there is no stopped run to resume at {folder}: leave out --resume.")
    if checkpoints.is_dir() and not resume and not again:
        raise EcgbenchError(f"a stopped run lies at {folder}: go on with --resume, or start it anew with --again.")
    if not resume:  # nothing of an earlier run may lie beside what this one will write
        for leftover in (checkpoints, folder / "scores"):
            shutil.rmtree(leftover, ignore_errors=True)
        for name in ("result.json", "model.safetensors", "error.txt"):
            (folder / name).unlink(missing_ok=True)


def _train_and_score(
    prepared: Prepared, side: Side, folder: Path, resume: bool, reporter: Reporter, clock: Clock
) -> tuple[dict[str, TaskScore], References]:
    request = prepared.request
    with clock.timing("inputs"), reporter.stage("Preparing the encoder's input") as progress:
        inputs = encoder_inputs(prepared.store, request.encoder.input, request.rate, progress)
    with clock.timing("untrained"):
        untrained = {task.key: task.scores(matrix) for task, matrix in side.matrices(inputs)}
    with clock.timing("training"):
        side.train(inputs, folder, resume=resume, quiet=reporter.quiet)
    side.save(folder / "model.safetensors")
    with clock.timing("evaluation"), reporter.stage("Scoring") as progress:
        tasks: dict[str, TaskScore] = {}
        references: dict[str, dict[str, TaskScore]] = {"majority": {}, "untrained": {}}
        chance: dict[str, dict[str, float]] = {}
        for number, (task, matrix) in enumerate(side.matrices(inputs)):
            named = {"": task.scores(matrix), "majority": task.majority(), "untrained": untrained[task.key]}
            for name, scores in named.items():
                scores.save(folder / "scores" / ("references" if name else "") / name / f"{task.key}.npz")
                values = TaskScore.model_validate(score_task(scores, task.card, n_excluded=task.n_excluded))
                (references[name] if name else tasks)[task.key] = values
            metrics = tasks[task.key].metrics
            chance[task.key] = {name: metric.chance for name, metric in metrics.items() if metric.chance is not None}
            progress(number + 1, len(prepared.tasks))
    return tasks, References(chance=chance, **references)


def _result(
    prepared: Prepared,
    side: Side,
    clock: Clock,
    *,
    tasks: dict[str, TaskScore] | None = None,
    references: References | None = None,
    reason: str | None = None,
) -> Result:
    request, manifest = prepared.request, prepared.store.manifest
    records = prepared.store.records
    splits = {
        split: SplitCount(records=len(part), patients=int(part["patient"].nunique()))
        for split in SPLITS
        for part in [records[records["split"] == split]]
    }
    return Result(
        schema_version=1,
        run_id=prepared.run_id,
        status="ok" if reason is None else "failed",
        reason=reason,
        identity=prepared.identity,
        encoder=EncoderPart(
            name=request.encoder.name,
            card=request.encoder.hash,
            source=prepared.identity["encoder"]["source"],
            parameters=side.encoder_parameters,
            licence=request.encoder.licence,
        ),
        text=TextPart(
            name=request.text.name,
            identity=prepared.texts.identity,
            control=request.text.control,
            licence=request.text.licence,
        ),
        data=DataPart(
            name=manifest.name,
            version=manifest.version,
            data_hash=manifest.data_hash,
            splits_hash=manifest.splits_hash,
            splits=splits,
            damaged=manifest.damaged,
            duplicates=manifest.duplicates,
            clipped_records=manifest.clipped_records,
            resampled_records=manifest.resampled_records,
            public=manifest.public,
            licence=manifest.licence,
        ),
        recipe=RecipePart(
            name=request.recipe_name, hash=request.recipe.hash, fields=request.recipe.model_dump(mode="json")
        ),
        seed=request.seed,
        control=request.control,
        comparable=prepared.comparable,
        tasks=tasks or {},
        references=references,
        settings={
            "training_records": len(prepared.train_rows),
            "input_rate": request.rate,
            "evaluation_precision": "fp32",
            "bootstrap": {"unit": "patient", "replicates": REPLICATES, "seed": BOOTSTRAP_SEED, "level": 0.95},
            "prompts_hash": prepared.texts.hash,
            **side.facts,
        },
        provenance=provenance(side.device, clock.seconds),
    )


def _recipe_text(name: str, fields: dict[str, Any]) -> str:
    import yaml

    return f"# recipe {name} as resolved for this run\n" + yaml.safe_dump(fields, sort_keys=True, allow_unicode=True)
