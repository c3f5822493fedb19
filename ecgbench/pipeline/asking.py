"""What a finished run's model is asked of an ECG: the findings of its label table, or the classes of one of its tasks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import softmax

from ecgbench.cards import Combine, PromptSet
from ecgbench.catalogue import load_card
from ecgbench.errors import EcgbenchError
from ecgbench.evaluation.embed import class_scores
from ecgbench.evaluation.probability import fit_curves
from ecgbench.evaluation.scores import Scores
from ecgbench.files import hash_of
from ecgbench.pipeline.texts import decisive
from ecgbench.text.prompts import Prompt, class_names, class_prompts, label_prompts

if TYPE_CHECKING:
    from ecgbench.pipeline.loaded import LoadedRun

Probabilities = Callable[[np.ndarray], np.ndarray]
"""Similarities (n, c) -> probabilities (n, c), NaN where there is none."""

LEAST_INSTANCES = 10
"""Validation label instances that a task's temperature must rest on before its classes are given probabilities."""


@dataclass(frozen=True)
class Ranked:
    """A finding of the label table, or a class of a task: its id, its name in the language asked for, the cosine of its
    sentence to the ECG, and the probability where the run's validation records carry one (`evaluation/probability.py`)."""

    finding: str
    name: str
    similarity: float
    probability: float | None = None


@dataclass(frozen=True, eq=False)
class Asked:
    """n findings or classes. `sentences` are unit vectors in the common space, `classes` names the rows of each; `note` says
    what the probabilities rest on, or why there are none."""

    ids: tuple[str, ...]
    names: tuple[str, ...]
    sentences: np.ndarray
    classes: list[list[int]]
    combine: Combine
    probabilities: Probabilities | None
    note: str

    def rank(self, ecgs: np.ndarray, top: int | None = None) -> list[list[Ranked]]:
        """For each ECG of unit vectors (n, dimension) the likeliest first, equals in their own order."""
        similarity = class_scores(ecgs, self.sentences, self.classes, self.combine)
        probability = self.probabilities(similarity) if self.probabilities else np.full(similarity.shape, np.nan)
        order = np.argsort(-similarity, axis=1, kind="stable")[:, :top]
        return [
            [
                Ranked(self.ids[i], self.names[i], float(similarity[row, i]), _defined(probability[row, i]))
                for i in order[row]
            ]
            for row in range(len(ecgs))
        ]


def asked_findings(run: LoadedRun, language: str | None = None) -> Asked:
    """All findings of the run's label table, by the sentences that its retrieval task was scored with; without such a task
    by those that it was trained on."""
    key = next((key for key in run.result.comparable if run.task_card(key).kind == "retrieval"), None)
    if key is not None:
        return asked_classes(run, key, language)
    bank, recipe = run.bank(), run.trained.recipe
    prompt_set = load_card(PromptSet, recipe.prompt_set)
    said = label_prompts(prompt_set, bank, language or recipe.language)
    names = [prompt.parts[0] for prompt in said]
    note = f"run {run.result.run_id} scored no retrieval task, so that its findings have no validation scores"
    return _asked(run, bank.ids, names, [[prompt] for prompt in said], prompt_set.combine, None, note)


def asked_classes(run: LoadedRun, key: str, language: str | None = None) -> Asked:
    """The classes of a task that the run scored, asked as it asked them, in its language or another. EcgbenchError for a
    task that it did not score, or that has no sentence in the language."""
    result, bank = run.result, run.bank()
    if key not in result.comparable:
        raise EcgbenchError(f"run {result.run_id} has not scored the task '{key}': name {_askable(run)}.")
    card, identity = run.task_card(key), result.comparable[key]
    if card.kind == "linear_probe":
        raise EcgbenchError(f"task {key} is a linear probe, which a run does not keep: name {_askable(run)}.")
    prompt_set = load_card(PromptSet, result.settings.get("class_prompts") or card.prompt_set)
    language = language or identity.language
    said = class_prompts(card, prompt_set, bank, language, identity.mapping)
    names = class_names(card, bank, language)
    if hash_of(decisive(prompt_set, said)) == identity.prompts:
        probabilities, note = _of_findings(run, key) if card.kind == "retrieval" else _of_classes(run, key)
    else:
        probabilities = None
        note = f"the run's validation records were scored with other sentences ({identity.language}) than these ({language})"
    return _asked(run, tuple(names), list(names.values()), said, prompt_set.combine, probabilities, note)


def _asked(
    run: LoadedRun,
    ids: tuple[str, ...],
    names: list[str],
    said: list[list[Prompt]],
    combine: Combine,
    probabilities: Probabilities | None,
    note: str,
) -> Asked:
    prompts = list(dict.fromkeys(prompt for each in said for prompt in each))
    place = {prompt: row for row, prompt in enumerate(prompts)}
    classes = [[place[prompt] for prompt in each] for each in said]
    return Asked(ids, tuple(names), run.embed_sentences(prompts), classes, combine, probabilities, note)


def _of_findings(run: LoadedRun, key: str) -> tuple[Probabilities | None, str]:
    """A curve a finding, from the validation rows of the run's own scores file."""
    path = run.trained.folder / "scores" / f"{key}.npz"
    if not path.is_file():
        return None, f"the run's scores file {path} is not there"
    curves = fit_curves(Scores.load(path).with_classes(run.bank().ids))
    if not curves.known.any():
        return None, f"no finding is frequent enough among the run's {curves.n_validation} validation records"
    note = (
        f"fitted on the run's {curves.n_validation} validation records, for the {curves.known.sum()} of "
        f"{len(curves.known)} findings that are frequent enough there"
    )
    return curves.probabilities, note


def _of_classes(run: LoadedRun, key: str) -> tuple[Probabilities | None, str]:
    """The softmax over the task's classes, at the temperature that the run fitted on its validation rows."""
    calibration = run.result.tasks[key].calibration
    if calibration is None or calibration.n_validation < LEAST_INSTANCES:
        return None, f"the run has too few validation records of {key}"

    def shares(similarity: np.ndarray) -> np.ndarray:
        return np.asarray(softmax(similarity.astype(np.float64) / calibration.temperature, axis=1))

    return shares, f"of one class of {key} against its others, fitted on {calibration.n_validation} validation records"


def _askable(run: LoadedRun) -> str:
    keys = [key for key in run.result.comparable if run.task_card(key).kind != "linear_probe"]
    return " or ".join(keys) or "none: the run has no other"


def _defined(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
