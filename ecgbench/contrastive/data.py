"""Training records as batches: the encoder's inputs beside what each record is paired with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import Dataset

from ecgbench.findings import LabelBank


@dataclass(frozen=True)
class TextTargets:
    """The frozen text side of a training set. Each record owns `members[starts[i]:starts[i + 1]]`, rows of `vectors`.

    prompt mode `joined`: one row a record; `one`: a row a finding, one drawn each epoch; `mean`: as `one`, but their mean
    is taken. `draw_seed` is None where nothing is drawn.
    """

    vectors: torch.Tensor
    members: torch.Tensor
    starts: torch.Tensor
    draw_seed: int | None

    @classmethod
    def of(cls, vectors: np.ndarray, members: Sequence[Sequence[int]], draw_seed: int | None = None) -> TextTargets:
        starts = np.cumsum([0, *(len(rows) for rows in members)])
        flat = np.concatenate([np.asarray(rows, np.int64) for rows in members])
        return cls(torch.from_numpy(vectors), torch.from_numpy(flat), torch.from_numpy(starts), draw_seed)

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
    """Whole batches at once: `__getitems__` reads all rows of a batch from the memory map in one go."""

    def __init__(self, inputs: np.ndarray, rows: np.ndarray) -> None:
        self.inputs = inputs
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, item: int) -> dict[str, torch.Tensor]:
        return {key: value[0] for key, value in self.__getitems__([item]).items()}

    def __getitems__(self, items: list[int]) -> dict[str, torch.Tensor]:
        order = torch.tensor(items)
        return {"ecg": torch.from_numpy(self.inputs[self.rows[items]]), **self.targets(order)}

    def targets(self, items: torch.Tensor) -> dict[str, torch.Tensor]:
        raise NotImplementedError


class ContrastiveSet(TrainingSet):
    """ECGs with the text vectors of their findings."""

    def __init__(self, inputs: np.ndarray, rows: np.ndarray, text: TextTargets) -> None:
        super().__init__(inputs, rows)
        self.text = text
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Called by the data loader at the start of every epoch."""
        self.drawn = None if self.text.draw_seed is None else self.text.drawn(epoch)

    def targets(self, items: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"text": self.text.mean(items) if self.drawn is None else self.text.vectors[self.drawn[items]]}


class LabelledSet(TrainingSet):
    """ECGs with their findings as 0/1 (n, findings), for the `supervised` control."""

    def __init__(
        self, inputs: np.ndarray, rows: np.ndarray, findings: Sequence[Sequence[str]], bank: LabelBank
    ) -> None:
        super().__init__(inputs, rows)
        self.labels = torch.zeros(len(rows), len(bank))
        for row, ids in enumerate(findings):
            self.labels[row, [bank.position(finding) for finding in ids]] = 1.0

    def targets(self, items: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"labels": self.labels[items]}


def keep_batch(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The collate function: a batch is already one."""
    return batch
