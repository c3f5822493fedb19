"""A run, done or failed -> its result."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ecgbench.ecg.store import SPLITS
from ecgbench.evaluation.bootstrap import LEVEL, REPLICATES
from ecgbench.evaluation.bootstrap import SEED as BOOTSTRAP_SEED
from ecgbench.pipeline.provenance import provenance
from ecgbench.pipeline.reports import reads_reports, without_report
from ecgbench.results import (
    RESULT_SCHEMA,
    DataPart,
    EncoderPart,
    RecipePart,
    References,
    Result,
    SplitCount,
    TaskScore,
    TextPart,
    TrainedOn,
)

if TYPE_CHECKING:
    from ecgbench.pipeline.model import Side
    from ecgbench.pipeline.prepare import Prepared
    from ecgbench.pipeline.reporting import Clock


def outcome(
    prepared: Prepared,
    side: Side,
    clock: Clock,
    *,
    tasks: dict[str, TaskScore] | None = None,
    references: References | None = None,
    reason: str | None = None,
    trained_on: TrainedOn | None = None,
) -> Result:
    """What a run leaves: with scores, or with the reason why there are none."""
    request, manifest = prepared.request, prepared.store.manifest
    records = prepared.store.records
    splits = {
        split: SplitCount(records=len(part), patients=int(part["patient"].nunique()))
        for split in SPLITS
        for part in [records[records["split"] == split]]
    }
    return Result(
        schema_version=RESULT_SCHEMA,
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
        recipe=RecipePart(name=request.recipe_name, hash=request.recipe.hash, fields=request.recipe.identity()),
        seed=request.seed,
        control=request.control,
        trained_on=trained_on,
        comparable=prepared.comparable,
        tasks=tasks or {},
        references=references,
        settings={
            "training_records": len(prepared.train_rows),
            **_left_out(prepared, trained_on),
            "input_rate": request.rate,
            "evaluation_precision": "fp32",
            "bootstrap": {"unit": "patient", "replicates": REPLICATES, "seed": BOOTSTRAP_SEED, "level": LEVEL},
            "prompts_hash": prepared.texts.hash,
            "class_prompts": request.class_prompts.name if request.class_prompts else None,
            **side.facts,
        },
        provenance=provenance(side.device, clock.seconds),
    )


def _left_out(prepared: Prepared, trained_on: TrainedOn | None) -> dict[str, int]:
    """Where reports are trained on, how many training records had none."""
    if trained_on is not None or not reads_reports(prepared.request.recipe):
        return {}
    return {"training_records_without_report": len(without_report(prepared.store))}
