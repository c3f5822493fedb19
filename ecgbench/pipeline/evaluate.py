"""Train on A, test on B: the model of a finished run asked on other data, in another language, or under stress."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ecgbench.ecg.inputs import encoder_inputs
from ecgbench.errors import EcgbenchError
from ecgbench.files import write_text
from ecgbench.pipeline.outcome import outcome
from ecgbench.pipeline.prepare import Prepared, labelled_store, unseen_findings, with_texts
from ecgbench.pipeline.reporting import Clock, Reporter, Silent
from ecgbench.pipeline.request import Request, assemble
from ecgbench.pipeline.scoring import score_all, scores_of
from ecgbench.pipeline.stress import Cost, stress_costs
from ecgbench.pipeline.trained import TrainedRun, trained_run
from ecgbench.processes import world_size
from ecgbench.results import Result, read_result, write_result

if TYPE_CHECKING:
    from ecgbench.pipeline.model import Side

EVALUATIONS = "evaluations"
"""The folder of a run that its evaluations lie in."""


def evaluate(run: Path | str, *, again: bool = False, reporter: Reporter | None = None, **asked: Any) -> Result:
    """Score a finished run's model on the validation and test rows of a SOURCE; nothing is trained.

    Keywords, beside those here: `data` (a SOURCE), `tasks` (all of the data's label table where None), `language` (that
    classes are asked in, the trained one where None), `mapping`, `prompts`, `text_path`, `text_pack`, `text_device`,
    `out`. The result, whose `trained_on` names the run, lies in `RUN/evaluations/<id>/`, or `out/<id>/`. EcgbenchError where the run has no
    model, or its model cannot be asked these tasks.
    """
    reporter = reporter or Silent()
    clock = Clock()
    prepared, trained, folder = _ready(run, reporter, clock, **asked)
    done = folder / "result.json"
    if done.is_file() and not again:
        reporter.say(f"This evaluation is done already: {done} (--again repeats it).")
        return read_result(done)
    with clock.timing("inputs"), reporter.stage("Preparing the encoder's input") as progress:
        inputs = encoder_inputs(prepared.store, prepared.request.encoder.input, prepared.request.rate, progress)
    side = _build_side(prepared)
    untrained = scores_of(side, inputs)
    trained.load_weights(side.model)
    with clock.timing("evaluation"), reporter.stage("Scoring") as progress:
        scored, references = score_all(prepared.tasks, scores_of(side, inputs), untrained, folder, progress)
    result = outcome(prepared, side, clock, tasks=scored, references=references, trained_on=trained.trained_on)
    write_result(done, result)
    reporter.say(f"Result: {done}")
    return result


def stress_run(run: Path | str, *, again: bool = False, reporter: Reporter | None = None, **asked: Any) -> list[Cost]:
    """What each stress costs a finished run's model; keywords as for `evaluate`, beside whose result `stress.json` lies."""
    reporter = reporter or Silent()
    prepared, trained, folder = _ready(run, Silent(), Clock(), **asked)
    done = folder / "stress.json"
    if done.is_file() and not again:
        return [Cost(**each) for each in json.loads(done.read_text(encoding="utf-8"))]
    side = _build_side(prepared)
    trained.load_weights(side.model)
    with reporter.stage("Stressing the recordings") as progress:
        costs = stress_costs(prepared, side, progress)
    write_text(done, json.dumps([asdict(cost) for cost in costs], indent=2, ensure_ascii=False) + "\n")
    return costs


def _ready(
    run: Path | str,
    reporter: Reporter,
    clock: Clock,
    *,
    data: str,
    tasks: tuple[str, ...] | None = None,
    language: str | None = None,
    mapping: str = "paper",
    prompts: str | None = None,
    out: Path | str | None = None,
    text_path: Path | None = None,
    text_pack: Path | None = None,
    text_device: str = "auto",
) -> tuple[Prepared, TrainedRun, Path]:
    """What is asked, the run that is asked, and the folder of the evaluation."""
    if world_size() > 1:
        raise EcgbenchError("nothing is trained in an evaluation: start it without torchrun or accelerate launch.")
    trained = trained_run(Path(run))
    request = request_of(trained, data, tasks, language, mapping, prompts, text_path, text_pack, text_device)
    prepared = prepare_evaluation(request, trained, reporter, clock)
    return prepared, trained, (Path(out) if out else trained.folder / EVALUATIONS) / prepared.run_id


def request_of(
    trained: TrainedRun, data: str, tasks: tuple[str, ...] | None, language: str | None, mapping: str, prompts: str | None,
    text_path: Path | None, text_pack: Path | None, text_device: str = "auto",
) -> Request:  # fmt: skip
    """What is asked of the model: the run's own cards, recipe and seed, on other data."""
    result = trained.result
    return assemble(
        encoder=result.encoder.name, text=result.text.name, data=data, recipe_name=result.recipe.name,
        recipe=trained.recipe, tasks=tasks, mapping=mapping, prompts=prompts, seed=result.seed, text_path=text_path,
        text_pack=text_pack, text_device=text_device,
        asking=None if language == trained.recipe.language else language,
    )  # fmt: skip


def prepare_evaluation(request: Request, trained: TrainedRun, reporter: Reporter, clock: Clock) -> Prepared:
    """As `prepare`, without anything to train. EcgbenchError where the tower is not the one of the run, and where a
    supervised model is asked labels that it was not trained on."""
    bank, store = labelled_store(request, reporter, clock)
    known = {identity.labels for identity in trained.result.comparable.values()}
    if request.recipe.objective == "supervised" and bank.hash not in known:
        raise EcgbenchError(
            f"a supervised model knows the labels that it was trained on, not those of {bank.table}: give data and tasks on "
            "the same label table."
        )
    if unseen_findings(request):
        trained_so = {identity.card for identity in trained.result.comparable.values()}
        if not all(card.hash in trained_so for card in request.tasks):
            raise EcgbenchError(
                f"task {request.tasks[0].name} keeps findings out of training, and run {trained.result.run_id} was trained "
                "with them: train a run with that task."
            )
    none = np.zeros(0, np.int64)
    prepared = with_texts(
        request, bank, store, none, reporter, clock, trained_on=trained.trained_on, geometry=trained.geometry
    )
    if prepared.texts.identity != trained.result.text.identity:
        raise EcgbenchError(
            f"the text tower {request.text.name} that is at hand is not the one that run {trained.result.run_id} was "
            "trained with: give its weights by --text-path, or a pack of them by --text-pack."
        )
    return prepared


def _build_side(prepared: Prepared) -> Side:
    from ecgbench.pipeline.model import build_side

    return build_side(prepared)
