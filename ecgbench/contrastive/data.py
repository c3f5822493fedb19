"""Training records as batches: the encoder's inputs beside what each record is paired with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset

from ecgbench.contrastive.augment import Augmenter
from ecgbench.findings import LabelBank


@dataclass(frozen=True)
class TextTargets:
    """The frozen text side of a training set. Each record owns `members[starts[i]:starts[i + 1]]`, rows of `vectors`.

    prompt mode `joined`: one row a record; `one`: a row a finding, one drawn each epoch; `mean`: as `one`, but their mean
    is taken. `draw_seed` is None where nothing is drawn. `groups` (records,) is equal where records have the same members.
    """

    vectors: torch.Tensor
    members: torch.Tensor
    starts: torch.Tensor
    groups: torch.Tensor
    draw_seed: int | None

    @classmethod
    def of(cls, vectors: np.ndarray, members: Sequence[Sequence[int]], draw_seed: int | None = None) -> TextTargets:
        starts = np.cumsum([0, *(len(rows) for rows in members)])
        flat = np.concatenate([np.asarray(rows, np.int64) for rows in members])
        places: dict[tuple[int, ...], int] = {}
        groups = [places.setdefault(tuple(sorted(rows)), len(places)) for rows in members]
        arrays = (vectors, flat, starts, np.asarray(groups, np.int64))
        return cls(*map(torch.from_numpy, arrays), draw_seed)

    def drawn(self, epoch: int) -> torch.Tensor:
        """(records,) the row of `vectors` that each record is paired with in an epoch: a function of seed and epoch alone,
        so that neither reading ahead nor a restart changes it."""
        counts = (self.starts[1:] - self.starts[:-1]).numpy()
        offsets = np.random.default_rng([self.draw_seed or 0, epoch]).integers(0, counts)
        return self.members[self.starts[:-1] + torch.from_numpy(offsets)]

    def mean(self, rows: torch.Tensor) -> torch.Tensor:
        """(batch, text dim): the mean of each record's vectors."""
        spans = zip(self.starts[rows].tolist(), self.starts[rows + 1].tolist(), strict=True)
        return torch.stack([self.vectors[self.members[first:end]].mean(0) for first, end in spans])


class TrainingSet(Dataset[dict[str, torch.Tensor]]):
    """Whole batches at once: `__getitems__` reads all rows of a batch from the memory map in one go. `augmenter`, where there
    is one, makes the encoder's input of the epoch in place of `inputs`."""

    def __init__(self, inputs: np.ndarray, rows: np.ndarray, augmenter: Augmenter | None = None) -> None:
        self.inputs = inputs
        self.rows = rows
        self.augmenter = augmenter
        self.epoch = 0
        self.resident: torch.Tensor | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def set_epoch(self, epoch: int) -> None:
        """Called by the data loader at the start of every epoch."""
        self.epoch = epoch

    def hold_on(self, device: torch.device) -> None:
        """Keep all records of the training set on a device, from which batches then come."""
        self.resident = torch.from_numpy(self.inputs[self.rows]).to(device)

    def __getitem__(self, item: int) -> dict[str, torch.Tensor]:
        return {key: value[0] for key, value in self.__getitems__([item]).items()}

    def __getitems__(self, items: list[int]) -> dict[str, torch.Tensor]:
        order = torch.tensor(items)
        return {"ecg": self._ecgs(items, order), **self.targets(order)}

    def _ecgs(self, items: list[int], order: torch.Tensor) -> torch.Tensor:
        if self.resident is not None:
            return self.resident[order.to(self.resident.device)]
        if self.augmenter is not None:
            return torch.from_numpy(self.augmenter.batch(self.rows[items], self.epoch))
        return torch.from_numpy(self.inputs[self.rows[items]])

    def targets(self, items: torch.Tensor) -> dict[str, torch.Tensor]:
        raise NotImplementedError


class ContrastiveSet(TrainingSet):
    """ECGs with the text vectors of their findings. `findings` (records, labels) float32, where the loss asks for them."""

    def __init__(
        self,
        inputs: np.ndarray,
        rows: np.ndarray,
        text: TextTargets,
        findings: torch.Tensor | None = None,
        augmenter: Augmenter | None = None,
    ) -> None:
        super().__init__(inputs, rows, augmenter)
        self.text = text
        self.findings = torch.zeros(len(rows), 0) if findings is None else findings
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        super().set_epoch(epoch)
        self.drawn = None if self.text.draw_seed is None else self.text.drawn(epoch)

    def targets(self, items: torch.Tensor) -> dict[str, torch.Tensor]:
        findings = self.findings[items]
        if self.drawn is None:
            return {"text": self.text.mean(items), "sentences": self.text.groups[items], "findings": findings}
        rows = self.drawn[items]
        return {"text": self.text.vectors[rows], "sentences": rows, "findings": findings}


class LabelledSet(TrainingSet):
    """ECGs with their findings as 0/1 (n, findings), for the `supervised` control."""

    def __init__(
        self,
        inputs: np.ndarray,
        rows: np.ndarray,
        findings: Sequence[Sequence[str]],
        bank: LabelBank,
        augmenter: Augmenter | None = None,
    ) -> None:
        super().__init__(inputs, rows, augmenter)
        self.labels = multi_hot(findings, bank)

    def targets(self, items: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"labels": self.labels[items]}


def multi_hot(findings: Sequence[Sequence[str]], bank: LabelBank) -> torch.Tensor:
    """(records, labels) float32: 1 where a record has the finding."""
    labels = torch.zeros(len(findings), len(bank))
    for row, ids in enumerate(findings):
        labels[row, [bank.position(finding) for finding in ids]] = 1.0
    return labels


def keep_batch(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The collate function: a batch is already one."""
    return batch
