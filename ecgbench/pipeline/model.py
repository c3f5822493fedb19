"""The learning side of a run: the model that a recipe asks for, its training set, and the scores it gives.

Two kinds: `contrastive` (encoder and text meet in a common space) and `supervised` (the control without text).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors.torch import save_model
from torch import nn
from transformers import set_seed

from ecgbench.contrastive.augment import Augmenter
from ecgbench.contrastive.data import ContrastiveSet, LabelledSet, TextTargets, TrainingSet, multi_hot
from ecgbench.contrastive.model import ContrastiveModel, SupervisedModel
from ecgbench.contrastive.sampling import BalancedSampler
from ecgbench.contrastive.trainer import train
from ecgbench.ecg.inputs import encoder_inputs
from ecgbench.ecg.recording import LEADS, STORE_RATE
from ecgbench.encoders.build import build_encoder, count_parameters
from ecgbench.evaluation.areas import weighted_auroc
from ecgbench.evaluation.embed import class_scores, embed_ecgs, embed_sentences, encoder_features, finding_logits
from ecgbench.evaluation.probed import probed
from ecgbench.evaluation.tables import TaskRecords, class_maximum
from ecgbench.files import atomic_path

if TYPE_CHECKING:
    from ecgbench.pipeline.prepare import Prepared


class Side:
    """What both kinds share."""

    def __init__(self, prepared: Prepared, encoder: nn.Module, model: nn.Module) -> None:
        self.prepared = prepared
        self.encoder_parameters = count_parameters(encoder)
        self.model = model
        self.facts: dict[str, Any] = {}
        self.model.to("cuda" if torch.cuda.is_available() else "cpu")
        if prepared.request.recipe.memory_format == "channels_last":
            self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def device(self) -> str:
        device = next(self.model.parameters()).device
        return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type

    def train(self, inputs: np.ndarray, folder: Path, *, resume: bool, quiet: bool) -> None:
        request = self.prepared.request
        balanced = request.recipe.sampling == "class-balanced"
        trained = train(
            self.model,
            self.training_set(inputs),
            request.recipe,
            seed=request.seed,
            folder=folder,
            resume=resume,
            quiet=quiet,
            judge=partial(self.validation_value, inputs),
            sampler=BalancedSampler(self.labels_of(self.prepared.train_rows), request.seed) if balanced else None,
        )
        self.facts = {"steps": trained.steps, "last_loss": trained.last_loss, **self.trained_facts()}
        if trained.best_epoch is not None:
            self.facts["best_epoch"] = trained.best_epoch

    def labels_of(self, rows: np.ndarray) -> torch.Tensor:
        """(rows, labels) float32: 1 where a record has the finding."""
        findings = self.prepared.store.findings()
        return multi_hot([findings[row] for row in rows], self.prepared.bank)

    def augmenter(self) -> Augmenter | None:
        """What draws the encoder's input anew each epoch, where the recipe asks for it."""
        request, store = self.prepared.request, self.prepared.store
        if request.recipe.augmentation is None:
            return None
        contract = request.encoder.input
        columns = [LEADS.index(lead) for lead in contract.leads]
        return Augmenter(
            inputs=encoder_inputs(store, contract.model_copy(update={"normalisation": "none"}), request.rate),
            real_leads=store.lead_masks()[:, columns],
            ends=-(-store.records["valid_samples"].to_numpy() * request.rate // STORE_RATE),
            contract=contract,
            rate=request.rate,
            settings=request.recipe.augmentation,
            seed=request.seed,
        )

    def validation_value(self, inputs: np.ndarray) -> float:
        """Macro AUROC of the label table's findings on the validation rows, by the model as it is now; NaN where no finding
        has both a record with it and one without."""
        rows = self.prepared.validation_rows
        if not len(rows):
            return math.nan
        scores = self.finding_scores(inputs, rows)
        values = weighted_auroc(scores, self.labels_of(rows).numpy(), np.ones((1, len(rows)), np.int64))[0]
        return float(np.nanmean(values)) if np.isfinite(values).any() else math.nan

    def finding_scores(self, inputs: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """(rows, labels) by the model as it is now."""
        raise NotImplementedError

    def save(self, path: Path) -> None:
        """The weights as safetensors, whole or not at all."""
        with atomic_path(path) as temporary:
            save_model(self.model, str(temporary))

    def training_set(self, inputs: np.ndarray) -> TrainingSet:
        raise NotImplementedError

    def matrices(self, inputs: np.ndarray) -> Iterator[tuple[TaskRecords, np.ndarray]]:
        """Each task with its scores (rows, classes) by the model as it is now."""
        probes = [task for task in self.prepared.tasks if task.probe]
        asked = [task for task in self.prepared.tasks if not task.probe]
        if asked:
            yield from self.asked(asked, inputs)
        if probes:
            encoder: nn.Module = self.model.encoder  # type: ignore[assignment]
            yield from probed(probes, lambda rows: encoder_features(encoder, inputs, rows))

    def asked(self, tasks: list[TaskRecords], inputs: np.ndarray) -> Iterator[tuple[TaskRecords, np.ndarray]]:
        """As `matrices`, of the tasks that are asked of the whole model."""
        raise NotImplementedError

    def trained_facts(self) -> dict[str, Any]:
        return {}


class ContrastiveSide(Side):
    """Encoder, two heads, temperature."""

    model: ContrastiveModel

    def training_set(self, inputs: np.ndarray) -> TrainingSet:
        texts, request = self.prepared.texts, self.prepared.request
        draw_seed = request.seed if request.recipe.prompt == "one" else None
        targets = TextTargets.of(texts.vectors, texts.training, draw_seed)
        rows = self.prepared.train_rows
        findings = self.labels_of(rows) if request.recipe.loss == "soft-target" else None
        return ContrastiveSet(inputs, rows, targets, findings, self.augmenter())

    def finding_scores(self, inputs: np.ndarray, rows: np.ndarray) -> np.ndarray:
        texts = self.prepared.texts
        return np.asarray(
            embed_ecgs(self.model, inputs, rows) @ embed_sentences(self.model, texts.vectors[texts.labels]).T
        )

    def asked(self, tasks: list[TaskRecords], inputs: np.ndarray) -> Iterator[tuple[TaskRecords, np.ndarray]]:
        rows = np.unique(np.concatenate([task.rows for task in tasks]))
        ecgs = embed_ecgs(self.model, inputs, rows)
        for task in tasks:
            asked = self.prepared.texts.classes[task.card.name]
            places = list(dict.fromkeys(place for said in asked.sentences for place in said))
            row_of = {place: row for row, place in enumerate(places)}
            sentences = embed_sentences(self.model, self.prepared.texts.vectors[places])
            classes = [[row_of[place] for place in said] for said in asked.sentences]
            yield task, class_scores(ecgs[np.searchsorted(rows, task.rows)], sentences, classes, asked.combine)

    def trained_facts(self) -> dict[str, Any]:
        return {"temperature": self.model.temperature}


class SupervisedSide(Side):
    """The `supervised` control; a zero-shot class scores as the highest of its findings."""

    model: SupervisedModel

    def training_set(self, inputs: np.ndarray) -> TrainingSet:
        findings = self.prepared.store.findings()
        rows = self.prepared.train_rows
        return LabelledSet(inputs, rows, [findings[row] for row in rows], self.prepared.bank, self.augmenter())

    def finding_scores(self, inputs: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return finding_logits(self.model, inputs, rows)

    def asked(self, tasks: list[TaskRecords], inputs: np.ndarray) -> Iterator[tuple[TaskRecords, np.ndarray]]:
        rows = np.unique(np.concatenate([task.rows for task in tasks]))
        logits = finding_logits(self.model, inputs, rows)
        for task in tasks:
            own = logits[np.searchsorted(rows, task.rows)]
            yield task, class_maximum(task.card, self.prepared.bank, self.prepared.request.mapping, own)


def build_side(prepared: Prepared) -> Side:
    """The freshly initialised model of a run, from the run's seed."""
    request, recipe = prepared.request, prepared.request.recipe
    torch.set_num_threads(recipe.threads)
    # fp32 means fp32 unless the recipe says otherwise: left alone, cuDNN's convolutions take TF32 on a GPU.
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = recipe.tf32
    torch.backends.cudnn.deterministic = recipe.deterministic
    torch.use_deterministic_algorithms(recipe.deterministic)
    set_seed(request.seed)
    encoder = build_encoder(request.encoder, request.rate)
    if recipe.objective == "supervised":
        return SupervisedSide(
            prepared, encoder, SupervisedModel(encoder, request.encoder.dim, len(prepared.bank), recipe)
        )
    text_dim = int(prepared.texts.vectors.shape[1])
    return ContrastiveSide(prepared, encoder, ContrastiveModel(encoder, request.encoder.dim, text_dim, recipe))
