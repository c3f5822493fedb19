"""Files of ECGs -> ranked findings, by a finished run's model. Not a medical device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ecgbench.ecg.formats.layout import PlainLayout
from ecgbench.ecg.reading import read_window
from ecgbench.ecg.recording import Recording
from ecgbench.ecg.sheet import sheet
from ecgbench.ecg.sheet_list import Listed
from ecgbench.ecg.sources import source_path
from ecgbench.errors import EcgbenchError
from ecgbench.pipeline.asking import Asked, Ranked, asked_classes, asked_findings
from ecgbench.pipeline.loaded import LoadedRun

NOTICE = "ecgbench is not a medical device: what it ranks is for research, not for the care of a patient"
FINDINGS = "findings"
"""What the label table's findings are called among the rankings."""

_WORDS = {
    "en": {FINDINGS: "findings", "similarity": "similarity", "probability": "probability"},
    "ja": {FINDINGS: "所見", "similarity": "類似度", "probability": "確率"},
}
BATCH = 64
"""Files that are read before they are embedded together."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """One file as the user named it: its 10 s in the store's form, of which `samples` are no padding, the leads that the
    encoder asks for and was fed zeros for, what was done to the signal, and a ranking of the findings and of each task.

    With leads fed as zeros there is no probability: what it would rest on are validation records with their leads."""

    file: str
    recording: Recording
    samples: int
    lacking: tuple[str, ...]
    remarks: tuple[str, ...]
    rankings: dict[str, list[Ranked]]


@dataclass(frozen=True)
class Unusable:
    """A file that has no prediction, and the sentence that says why."""

    file: str
    reason: str


class Predictor:
    """A run's model, and what it is asked: the findings, and the classes of `tasks`. `language` ja or en, the run's where
    None. EcgbenchError for a task or a language that the run cannot be asked in, and where its text tower is not at hand."""

    def __init__(self, run: LoadedRun, language: str | None = None, tasks: Sequence[str] = ()) -> None:
        self.run = run
        self.language = language or run.trained.recipe.language
        asked = {FINDINGS: asked_findings(run, language)}
        self.asked: dict[str, Asked] = {**asked, **{task: asked_classes(run, task, language) for task in tasks}}

    def predict(
        self,
        files: Sequence[str],
        *,
        window: Literal["first", "middle"] = "first",
        layout: PlainLayout | None = None,
        top: int | None = None,
    ) -> Iterator[Prediction | Unusable]:
        """Each file's prediction in the order given, or why it has none; a batch of files is read at a time. `top`: how many
        findings, and classes of each task, are told."""
        for start in range(0, len(files), BATCH):
            read = [self._read(file, window, layout) for file in files[start : start + BATCH]]
            usable = [each for each in read if isinstance(each, Prediction)]
            told = iter(self._ranked(usable, top))
            for each in read:
                yield next(told) if isinstance(each, Prediction) else each

    def _read(self, file: str, window: Literal["first", "middle"], layout: PlainLayout | None) -> Prediction | Unusable:
        try:
            recording, samples, remarks = read_window(source_path(file), layout, window)
        except EcgbenchError as error:
            said = str(error)
            named = file in said or str(Path(file)) in said
            return Unusable(file, said if named else f"'{file}': {said}")
        lacking = self.run.lacking(recording)
        if lacking and not self.run.may_lack_leads:
            name = self.run.result.encoder.name
            return Unusable(
                file,
                f"'{file}' lacks {named_leads(lacking)}, which the card of encoder {name} does not allow to be missing: give a "
                "recording that has all leads, or a run of another encoder.",
            )
        return Prediction(file, recording, samples, lacking, remarks, {})

    def _ranked(self, read: Sequence[Prediction], top: int | None) -> list[Prediction]:
        if not read:
            return []
        # Without the padding, which is not part of what was recorded.
        ecgs = self.run.embed(
            [replace(each.recording, signal=each.recording.signal[:, : each.samples]) for each in read]
        )
        rankings = {name: asked.rank(ecgs, top) for name, asked in self.asked.items()}
        return [
            replace(each, rankings={name: _sayable(of[row], each.lacking) for name, of in rankings.items()})
            for row, each in enumerate(read)
        ]


def prediction_sheet(told: Prediction, run_id: str, language: str) -> str:
    """The 12-lead sheet (SVG) of a prediction, its rankings beside the traces, headed in a language. The file's name is not
    on it."""
    recording = told.recording
    drawn = replace(recording, record=recording.source)
    lines, words = [], _WORDS[language]
    for name, ranked in told.rankings.items():
        lines += [Listed(words.get(name, name), (words["similarity"], words["probability"])), *map(_listed, ranked)]
    heading = [f"{recording.source} · ranked by run {run_id}"]
    if told.lacking:
        heading.append(f"Not recorded: {', '.join(told.lacking)}")
    return sheet(drawn, [*heading, *told.remarks], lines, told.samples)


def _listed(ranked: Ranked) -> Listed:
    probability = "—" if ranked.probability is None else f"{ranked.probability:.2f}"
    return Listed(ranked.name, (f"{ranked.similarity:z.2f}", probability), ranked.similarity)


def _sayable(ranked: list[Ranked], lacking: Sequence[str]) -> list[Ranked]:
    return [replace(each, probability=None) for each in ranked] if lacking else ranked


def named_leads(names: Sequence[str]) -> str:
    """`lead V1`, `the leads V1, V2 and V3`."""
    return f"lead {names[0]}" if len(names) == 1 else f"the leads {', '.join(names[:-1])} and {names[-1]}"
