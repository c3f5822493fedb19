"""A run's folder -> its model, held to the cards it was made by."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from ecgbench.cards import EncoderCard, TextCard
from ecgbench.catalogue import load_card
from ecgbench.entry_points import source_hash
from ecgbench.errors import EcgbenchError
from ecgbench.pipeline.run import GEOMETRY_FILE, WEIGHTS_FILE
from ecgbench.recipe import Recipe, check_recipe
from ecgbench.results import Result, TrainedOn, read_result
from ecgbench.text.geometry import FittedGeometry


@dataclass(frozen=True)
class TrainedRun:
    """What a run left: its result, the recipe as resolved, and what was fitted on the tower's vectors."""

    folder: Path
    result: Result
    recipe: Recipe
    geometry: FittedGeometry

    @property
    def trained_on(self) -> TrainedOn:
        data = self.result.data
        return TrainedOn(run_id=self.result.run_id, data=data.name, version=data.version, data_hash=data.data_hash)

    def load_weights(self, model: nn.Module) -> None:
        """Put the run's weights into a model of the same make; every one must be there and none be left over."""
        from safetensors import SafetensorError
        from safetensors.torch import load_model

        path = self.folder / WEIGHTS_FILE
        try:
            load_model(model, str(path), strict=True)
        except (OSError, RuntimeError, SafetensorError) as error:
            said = " ".join(str(error).split())[:200]
            raise EcgbenchError(
                f"the weights {path} do not fit the encoder and recipe of their result: {said}"
            ) from None


def trained_run(path: Path) -> TrainedRun:
    """The run in a folder. EcgbenchError where it failed, is an evaluation itself, has no weights, or where the encoder's
    card or source is not what it was trained with."""
    folder = path.parent if path.name == "result.json" else path
    result = read_result(folder / "result.json")
    if result.status != "ok":
        raise EcgbenchError(f"the run {folder} failed ({result.reason}) and has no model: give a finished run.")
    if result.trained_on is not None:
        raise EcgbenchError(
            f"{folder} is an evaluation of run {result.trained_on.run_id}: give the folder of that run itself."
        )
    if not (folder / WEIGHTS_FILE).is_file():
        raise EcgbenchError(
            f"{folder} has no {WEIGHTS_FILE}: give the folder that `ecgbench run` wrote, not a copied result."
        )
    _held_to_cards(result)
    recipe = check_recipe(result.recipe.name, result.recipe.fields)
    return TrainedRun(folder, result, recipe, FittedGeometry.load(folder / GEOMETRY_FILE, recipe.text_geometry))


def _held_to_cards(result: Result) -> None:
    try:
        encoder = load_card(EncoderCard, result.encoder.name)
    except EcgbenchError as error:
        raise EcgbenchError(
            f"run {result.run_id} was trained with encoder '{result.encoder.name}', whose card is not here: run the notebook "
            "cell with its @ecgbench.encoder, name the folder of its card in ECGBENCH_PATH, or install its package, as the "
            f"run had it ({error})"
        ) from None
    load_card(TextCard, result.text.name)
    now = {"card": encoder.hash, "source file": source_hash(encoder, encoder.entry_point)}
    then = {"card": result.encoder.card, "source file": result.encoder.source}
    for what, value in now.items():
        if value != then[what]:
            raise EcgbenchError(
                f"the {what} of encoder {encoder.name} is not the one that run {result.run_id} was trained with: check out "
                "that version, or run it again."
            )
