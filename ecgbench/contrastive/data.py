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

    prompt mode `joined`: one row a record; `one`: a row a finding, one drawn each time the record is seen; `mean`: as
    `one`, but their mean is taken.
    """

    vectors: torch.Tensor
    members: torch.Tensor
    starts: torch.Tensor
    draw: bool

    @classmethod
    def of(cls, vectors: np.ndarray, members: Sequence[Sequence[int]], *, draw: bool) -> TextTargets:
        starts = np.cumsum([0, *(len(rows) for rows in members)])
        flat = np.concatenate([np.asarray(rows, np.int64) for rows in members])
        return cls(torch.from_numpy(vectors), torch.from_numpy(flat), torch.from_numpy(starts), draw)

    def batch(self, rows: torch.Tensor) -> torch.Tensor:
        """(batch, text dim) for records `rows`; drawing uses torch's global random state, which a checkpoint keeps."""
        first, count = self.starts[rows], self.starts[rows + 1] - self.starts[rows]
        if self.draw:
            chosen = first + (torch.rand(len(rows)) * count).long().clamp(max=count - 1)
            return self.vectors[self.members[chosen]]
        return torch.stack(
            [self.vectors[self.members[a : a + n]].mean(0) for a, n in zip(first.tolist(), count.tolist(), strict=True)]
        )


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

    def targets(self, items: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"text": self.text.batch(items)}


class LabelledSet(TrainingSet):
    """ECGs with their findings as 0/1 (n, findings), for the `supervised` control."""

    def __init__(self, inputs: np.ndarray, rows: np.ndarray, findings: Sequence[Sequence[str]], bank: LabelBank) -> None:
        super().__init__(inputs, rows)
        self.labels = torch.zeros(len(rows), len(bank))
        for row, ids in enumerate(findings):
            self.labels[row, [bank.position(finding) for finding in ids]] = 1.0

    def targets(self, items: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"labels": self.labels[items]}


def keep_batch(batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The collate function: a batch is already one."""
    return batch
