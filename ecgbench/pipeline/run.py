"""The main job: request -> store -> texts -> training -> scores -> result file."""

from __future__ import annotations

import shutil
import traceback
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecgbench.contrastive.stopping import StoppedError
from ecgbench.ecg.inputs import encoder_inputs
from ecgbench.errors import EcgbenchError, RunFailedError
from ecgbench.files import write_text
from ecgbench.pipeline.alone import alone_on
from ecgbench.pipeline.outcome import outcome
from ecgbench.pipeline.prepare import Prepared, prepare
from ecgbench.pipeline.report import REPORT_FILE, leave_page
from ecgbench.pipeline.reporting import Clock, Reporter, Silent
from ecgbench.pipeline.request import Request, make_request
from ecgbench.pipeline.scoring import score_all, scores_of
from ecgbench.processes import LeaderFailedError, leader_first, leader_only, leader_says, process_group, rank
from ecgbench.results import Result, read_result, write_result

if TYPE_CHECKING:
    import numpy as np

    from ecgbench.evaluation.scores import Scores
    from ecgbench.pipeline.model import Side

WEIGHTS_FILE = "model.safetensors"
GEOMETRY_FILE = "text_geometry.npz"
"""What an evaluation needs of a run, beside its result."""


def run(
    *,
    out: Path | str = "runs",
    again: bool = False,
    resume: bool = False,
    reporter: Reporter | None = None,
    **asked: Any,
) -> Result:
    """Run one encoder against one text tower and return its result; the keywords are those of `make_request`
    (`encoder`, `text`, `data`, `recipe`, `tasks`, `language`, `mapping`, `prompts`, `epochs`, `seed`, `control`, `text_path`,
    `text_pack`, `text_device`).

    The result and all that belongs to it lie in `out/<run_id>/`. A run that is there already is read, not repeated, unless
    `again`. EcgbenchError for a wrong request, RunFailedError for a run that failed (its result file says why).
    """
    return execute(make_request(**asked), Path(out), again=again, resume=resume, reporter=reporter or Silent())


def execute(request: Request, out: Path, *, again: bool, resume: bool, reporter: Reporter) -> Result:
    """Carry a request out, or read the result where the same run is done. Of several processes (torchrun, accelerate) the
    leading one prepares, scores and writes; all train. `out` must be a folder that all of them see."""
    with process_group(), ExitStack() as held:
        clock = Clock()
        reporter = reporter if rank() == 0 else Silent()
        prepared = leader_first(lambda: prepare(request, reporter, clock))
        folder = out / prepared.run_id
        done = folder / "result.json"
        if leader_says(lambda: _is_done(done, again or resume, reporter)):
            return read_result(done)
        leader_only(lambda: held.enter_context(alone_on(folder, reporter)))
        if leader_says(lambda: _is_done(done, again or resume, reporter)):  # by who worked on it until now
            return read_result(done)
        leader_only(lambda: _begin(request, folder, resume, again, reporter))
        from ecgbench.pipeline.model import build_side

        side = build_side(prepared)
        result = _carried_out(prepared, side, folder, resume, reporter, clock)
        return read_result(done) if result is None else result


def _is_done(done: Path, repeat: bool, reporter: Reporter) -> bool:
    if repeat or not done.is_file() or read_result(done).status != "ok":
        return False
    reporter.say(f"This run is done already: {done} (--again repeats it).")
    return True


def _begin(request: Request, folder: Path, resume: bool, again: bool, reporter: Reporter) -> None:
    _settle_checkpoints(folder, resume, again)
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    fields = request.recipe.model_dump(mode="json")
    write_text(folder / "recipe.yaml", _recipe_text(request.recipe_name, fields))
    reporter.say(f"Run {folder.name} in {folder}")


def _carried_out(
    prepared: Prepared, side: Side, folder: Path, resume: bool, reporter: Reporter, clock: Clock
) -> Result | None:
    """Train and score; the result is written whatever happens. None in a process that does not lead."""
    done = folder / "result.json"

    def fail(reason: str) -> None:
        if rank() == 0:
            write_result(done, outcome(prepared, side, clock, reason=reason))
            leave_page(folder, prepared.store, reporter)
            if not any(folder.glob("checkpoints/checkpoint-*")):  # nothing to go on from
                shutil.rmtree(folder / "checkpoints", ignore_errors=True)

    try:
        untrained, inputs = _before(prepared, side, reporter, clock)
        with clock.timing("training"):
            side.train(inputs, folder, resume=resume, quiet=reporter.quiet)
        return leader_only(lambda: _after(prepared, side, inputs, untrained, folder, reporter, clock))
    except (EcgbenchError, StoppedError, LeaderFailedError):
        raise
    except RunFailedError as error:
        if rank() == 0:  # going on from a checkpoint would end the same way
            shutil.rmtree(folder / "checkpoints", ignore_errors=True)
        fail(str(error))
        raise
    except Exception as error:  # whatever it was, the run leaves a result that says so
        if rank() == 0:
            write_text(folder / "error.txt", traceback.format_exc())
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        fail(reason)
        raise RunFailedError(f"{reason} (the whole story is in {folder / 'error.txt'})") from error


def _settle_checkpoints(folder: Path, resume: bool, again: bool) -> None:
    checkpoints = folder / "checkpoints"
    if resume and not checkpoints.is_dir():
        raise EcgbenchError(f"there is no stopped run to resume at {folder}: leave out --resume.")
    if checkpoints.is_dir() and not resume and not again:
        raise EcgbenchError(f"a stopped run lies at {folder}: go on with --resume, or start it anew with --again.")
    if not resume:  # nothing of an earlier run may lie beside what this one will write
        for leftover in (checkpoints, folder / "scores", folder / "tensorboard"):
            shutil.rmtree(leftover, ignore_errors=True)
        for name in ("result.json", WEIGHTS_FILE, GEOMETRY_FILE, "error.txt", "selection.jsonl", REPORT_FILE):
            (folder / name).unlink(missing_ok=True)


def _before(
    prepared: Prepared, side: Side, reporter: Reporter, clock: Clock
) -> tuple[dict[str, Scores] | None, np.ndarray]:
    """What is asked of the untrained model, by the leading process, and the encoder's input."""
    request = prepared.request

    def inputs() -> np.ndarray:
        with clock.timing("inputs"), reporter.stage("Preparing the encoder's input") as progress:
            return encoder_inputs(prepared.store, request.encoder.input, request.rate, progress)

    mapped = leader_first(inputs)

    def untrained() -> dict[str, Scores]:
        with clock.timing("untrained"):
            return scores_of(side, mapped)

    return leader_only(untrained), mapped


def _after(
    prepared: Prepared,
    side: Side,
    inputs: np.ndarray,
    untrained: dict[str, Scores] | None,
    folder: Path,
    reporter: Reporter,
    clock: Clock,
) -> Result:
    """The trained model's weights, scores and result file."""
    side.save(folder / WEIGHTS_FILE)
    prepared.texts.geometry.save(folder / GEOMETRY_FILE)
    with clock.timing("evaluation"), reporter.stage("Scoring") as progress:
        own = scores_of(side, inputs)
        tasks, references = score_all(prepared.tasks, own, untrained or {}, folder, progress)
    result = outcome(prepared, side, clock, tasks=tasks, references=references)
    write_result(folder / "result.json", result)
    leave_page(folder, prepared.store, reporter)
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    return result


def _recipe_text(name: str, fields: dict[str, Any]) -> str:
    import yaml

    return f"# recipe {name} as resolved for this run\n" + yaml.safe_dump(fields, sort_keys=True, allow_unicode=True)
