"""A finished run in Python: recordings to vectors, and a recording to ranked findings. Not a medical device."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np
import torch

from ecgbench.cards import EncoderCard, TaskCard, TextCard
from ecgbench.catalogue import all_cards, load_card
from ecgbench.contrastive.model import ContrastiveModel, SupervisedModel
from ecgbench.ecg.inputs import Batch, convert, input_rate
from ecgbench.ecg.recording import LEADS, DamagedRecordError, Recording
from ecgbench.ecg.standardise import COUNTS_PER_MV, StoredSignal, to_store
from ecgbench.encoders.build import build_encoder
from ecgbench.errors import EcgbenchError
from ecgbench.evaluation.embed import embed_ecgs, embed_sentences
from ecgbench.evaluation.targets import keys_of
from ecgbench.findings import LabelBank, label_bank
from ecgbench.pipeline.asking import Ranked, asked_findings
from ecgbench.pipeline.trained import TrainedRun, trained_run
from ecgbench.text.embed import embed_prompts
from ecgbench.text.prompts import Prompt

__all__ = ["LoadedRun", "Ranked", "load_run"]


class LoadedRun:
    """The model of a run. `text_path` or `text_pack` stand in for the tower where its sentences are not in the cache;
    `text_device` says where it is run then (`ecgbench.text.devices`)."""

    def __init__(
        self,
        trained: TrainedRun,
        text_path: Path | None = None,
        text_pack: Path | None = None,
        text_device: str = "auto",
    ) -> None:
        self.trained, self.result = trained, trained.result
        self._text_path, self._text_pack, self._text_device = text_path, text_pack, text_device
        self._card = load_card(EncoderCard, self.result.encoder.name)
        self._rate = input_rate(self._card.input, trained.recipe.rate, self._card.name)
        encoder = build_encoder(self._card, self._rate, weights=False)  # the run's own follow
        if trained.recipe.objective == "supervised":
            bank = self.bank()
            self._model: ContrastiveModel | SupervisedModel = SupervisedModel(
                encoder, self._card.dim, len(bank), trained.recipe
            )
        else:
            text_dim = int(self.result.text.identity["dim"])
            self._model = ContrastiveModel(encoder, self._card.dim, text_dim, trained.recipe)
        trained.load_weights(self._model)
        self._model.eval()

    def embed(self, recordings: Sequence[Recording]) -> np.ndarray:
        """Unit vectors (n, common dimension) float32 of the first 10 s of each recording. EcgbenchError for one that is
        under 5 s, or lacks a lead that the encoder's card does not allow to be missing."""
        model = self._contrastive()
        with torch.inference_mode():
            return embed_ecgs(model, self._inputs(recordings), np.arange(len(recordings)))

    def rank(self, recording: Recording, lang: str | None = None, top: int | None = None) -> list[Ranked]:
        """The findings of the run's label table by their similarity to a recording, the likeliest first, with a probability
        where the run's validation records carry one. `lang`: ja or en, the trained one where None. `top`: how many, all
        where None."""
        asked = asked_findings(self, lang)
        return asked.rank(self.embed([recording]), top)[0]

    def embed_sentences(self, prompts: Sequence[Prompt]) -> np.ndarray:
        """Unit vectors (n, common dimension) float32 of sentences. EcgbenchError where the tower is not at hand, or is not
        the one of the run."""
        model = self._contrastive()
        embedded = embed_prompts(
            load_card(TextCard, self.result.text.name), prompts, text_path=self._text_path, pack=self._text_pack,
            device=self._text_device, threads=self.trained.recipe.threads,
        )  # fmt: skip
        if embedded.identity != self.result.text.identity:
            raise EcgbenchError(
                f"the text tower {self.result.text.name} that is at hand is not the one that run {self.result.run_id} was "
                "trained with: give its weights as text_path (--text-path), or a pack of them as text_pack (--text-pack)."
            )
        return embed_sentences(model, self.trained.geometry.apply(embedded.vectors))

    def lacking(self, recording: Recording) -> tuple[str, ...]:
        """The leads that the encoder's card asks for and the recording lacks."""
        return tuple(lead for lead in self._card.input.leads if not recording.real_leads[LEADS.index(lead)])

    @property
    def may_lack_leads(self) -> bool:
        """Whether the encoder is fed zeros for a lead that is missing; else the recording is refused."""
        return self._card.input.missing_lead == "zero"

    def _contrastive(self) -> ContrastiveModel:
        if not isinstance(self._model, ContrastiveModel):
            raise EcgbenchError(
                f"run {self.result.run_id} is the supervised control, which has no common space with text."
            )
        return self._model

    def task_card(self, task: str) -> TaskCard:
        """The card of a task by the name that its scores have. EcgbenchError where it is not here."""
        card = next((each for each in all_cards(TaskCard)[0] if task in keys_of(each)), None)
        if card is None:
            raise EcgbenchError(
                f"there is no card for the task {task} of run {self.result.run_id}: name its folder in ECGBENCH_PATH."
            )
        return card

    def bank(self) -> LabelBank:
        """The label table of the run. EcgbenchError where it is another than at the time."""
        task = next(iter(self.result.comparable))
        card = self.task_card(task)
        bank = label_bank(card.labels)
        if bank.hash != self.result.comparable[task].labels:
            raise EcgbenchError(
                f"label table {card.labels} is not the one that run {self.result.run_id} was trained with."
            )
        return bank

    def _inputs(self, recordings: Sequence[Recording]) -> np.ndarray:
        stored = [_stored(recording) for recording in recordings]
        batch = Batch(
            signals=np.stack([each.counts for each in stored]).astype(np.float32) / np.float32(COUNTS_PER_MV),
            real_leads=np.array([each.lead_mask for each in stored], bool),
            valid_samples=np.array([each.valid_samples for each in stored]),
            names=[recording.record for recording in recordings],
        )
        return convert(batch, self._card.input, self._rate)


def load_run(
    folder: str | PathLike[str],
    *,
    text_path: Path | None = None,
    text_pack: Path | None = None,
    text_device: str = "auto",
) -> LoadedRun:
    """The model of the run in a folder, as `ecgbench run` left it. EcgbenchError where it has none."""
    return LoadedRun(trained_run(Path(folder)), text_path, text_pack, text_device)


def _stored(recording: Recording) -> StoredSignal:
    leads = {
        lead: recording.signal[row].astype(np.float64) for row, lead in enumerate(LEADS) if recording.real_leads[row]
    }
    try:
        return to_store(leads, recording.rate)
    except DamagedRecordError as error:
        raise EcgbenchError(f"recording '{recording.record}' cannot be used as an ECG: {error}.") from None
