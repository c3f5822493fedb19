"""The main job: request -> store -> texts -> training -> scores -> result file."""

from __future__ import annotations

import shutil
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ecgbench.contrastive.stopping import StoppedError
from ecgbench.ecg.inputs import encoder_inputs
from ecgbench.errors import EcgbenchError, RunFailedError
from ecgbench.files import write_text
from ecgbench.pipeline.outcome import outcome
from ecgbench.pipeline.prepare import Prepared, prepare
from ecgbench.pipeline.reporting import Clock, Reporter, Silent
from ecgbench.pipeline.request import Request, make_request
from ecgbench.pipeline.scoring import score_all, scores_of
from ecgbench.results import References, Result, TaskScore, read_result, write_result

if TYPE_CHECKING:
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
        write_result(done, outcome(prepared, side, clock, reason=str(error)))
        raise
    except Exception as error:  # whatever it was, the run leaves a result that says so
        write_text(folder / "error.txt", traceback.format_exc())
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        write_result(done, outcome(prepared, side, clock, reason=reason))
        raise RunFailedError(f"{reason} (the whole story is in {folder / 'error.txt'})") from error
    result = outcome(prepared, side, clock, tasks=tasks, references=references)
    write_result(done, result)
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    return result


def _settle_checkpoints(folder: Path, resume: bool, again: bool) -> None:
    checkpoints = folder / "checkpoints"
    if resume and not checkpoints.is_dir():
        raise EcgbenchError(f"there is no stopped run to resume at {folder}: leave out --resume.")
    if checkpoints.is_dir() and not resume and not again:
        raise EcgbenchError(f"a stopped run lies at {folder}: go on with --resume, or start it anew with --again.")
    if not resume:  # nothing of an earlier run may lie beside what this one will write
        for leftover in (checkpoints, folder / "scores"):
            shutil.rmtree(leftover, ignore_errors=True)
        for name in ("result.json", WEIGHTS_FILE, GEOMETRY_FILE, "error.txt"):
            (folder / name).unlink(missing_ok=True)


def _train_and_score(
    prepared: Prepared, side: Side, folder: Path, resume: bool, reporter: Reporter, clock: Clock
) -> tuple[dict[str, TaskScore], References]:
    request = prepared.request
    with clock.timing("inputs"), reporter.stage("Preparing the encoder's input") as progress:
        inputs = encoder_inputs(prepared.store, request.encoder.input, request.rate, progress)
    with clock.timing("untrained"):
        untrained = scores_of(side, inputs)
    with clock.timing("training"):
        side.train(inputs, folder, resume=resume, quiet=reporter.quiet)
    side.save(folder / WEIGHTS_FILE)
    prepared.texts.geometry.save(folder / GEOMETRY_FILE)
    with clock.timing("evaluation"), reporter.stage("Scoring") as progress:
        return score_all(prepared.tasks, scores_of(side, inputs), untrained, folder, progress)


def _recipe_text(name: str, fields: dict[str, Any]) -> str:
    import yaml

    return f"# recipe {name} as resolved for this run\n" + yaml.safe_dump(fields, sort_keys=True, allow_unicode=True)
