"""The text side of a run: which sentences it needs, and their vectors, embedded before anything is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ecgbench.cards import Combine, PromptSet, TaskCard
from ecgbench.catalogue import load_card
from ecgbench.ecg.store import Store
from ecgbench.files import hash_of
from ecgbench.findings import LabelBank
from ecgbench.pipeline.reports import reads_reports, refuse_long, report_prompts
from ecgbench.pipeline.request import Request
from ecgbench.text.embed import check_available, embed_prompts
from ecgbench.text.geometry import FittedGeometry, fit
from ecgbench.text.prompts import Prompt, class_prompts, joined_prompt, label_prompts


@dataclass(frozen=True)
class ClassTexts:
    """How a task's classes are asked for: the sentences of each class, and how one score is made of a class's several."""

    sentences: list[list[int]]
    combine: Combine


@dataclass(frozen=True)
class Texts:
    """`vectors` (n, dim): every sentence once. `training`: for each training row, the sentences it may be paired with.
    `labels`: the sentence of each finding of the label table, where the recipe chooses an epoch by them. `classes`: for each
    task, how its classes are asked for. `class_hashes`: over what decides the scores of that, the sentences and, where a
    class has several, what is stated and how they are put together. `identity` is the tower's; `hash` covers all
    sentences."""

    vectors: np.ndarray
    training: list[list[int]]
    labels: list[int]
    classes: dict[str, ClassTexts]
    class_hashes: dict[str, str]
    identity: dict[str, Any]
    hash: str
    geometry: FittedGeometry


def check_text(request: Request, bank: LabelBank, store_is_built: bool) -> None:
    """EcgbenchError within seconds where the tower's sentences can be had from nowhere.

    Which joined sentences or reports a run needs is known once the store is there; before that, and without a pack, the
    weights must be at hand.
    """
    needed = [
        prompt for task in _asking_by_prompt(request) for said in asked_prompts(request, task, bank) for prompt in said
    ]
    if request.recipe.chooses or not reads_reports(request.recipe):
        needed = [*label_prompts(request.prompt_set, bank, request.recipe.language), *needed]
    if request.recipe.prompt in ("joined", "report") and request.text_pack is None and not store_is_built:
        check_available(request.text, request.text_path, device=request.text_device)
        return
    check_available(request.text, request.text_path, request.text_pack, needed, device=request.text_device)


def embed_texts(
    request: Request,
    bank: LabelBank,
    store: Store,
    rows: np.ndarray,
    progress: Callable[[int, int], None] | None,
    geometry: FittedGeometry | None = None,
) -> Texts:
    """Embed what training on `rows` and every task need. `geometry`: of a trained model; fitted here where None."""
    findings = store.findings()
    sentences: dict[Prompt, int] = {}

    def place(prompt: Prompt) -> int:
        return sentences.setdefault(prompt, len(sentences))

    if request.recipe.objective == "supervised":
        training: list[list[int]] = []
    elif request.recipe.prompt == "report":
        refuse_long(request, store, rows)
        training = [[place(prompt)] for prompt in report_prompts(store, rows)]
    elif request.recipe.prompt == "joined":
        language = request.recipe.language
        training = [[place(joined_prompt(request.prompt_set, bank, language, findings[row]))] for row in rows]
    else:
        single = label_prompts(request.prompt_set, bank, request.recipe.language)
        training = [[place(single[bank.position(finding)]) for finding in findings[row]] for row in rows]
    by_prompt = _asking_by_prompt(request)
    asked = {task.name: asked_prompts(request, task, bank) for task in by_prompt}
    sets = {task.name: _set_of(request, task) for task in by_prompt}
    classes = {
        task: ClassTexts([[place(prompt) for prompt in said] for said in each], sets[task].combine)
        for task, each in asked.items()
    }
    labels: list[int] = []
    if request.recipe.chooses:
        labels = [place(prompt) for prompt in label_prompts(request.prompt_set, bank, request.recipe.language)]
    prompts = list(sentences)
    embedded = embed_prompts(
        request.text,
        prompts,
        text_path=request.text_path,
        pack=request.text_pack,
        device=request.text_device,
        threads=request.recipe.threads,
        progress=progress,
    )
    if geometry is None:
        paired = np.unique([place for places in training for place in places]).astype(np.int64)
        geometry = fit(embedded.vectors[paired], request.recipe.text_geometry)
    return Texts(
        vectors=geometry.apply(embedded.vectors),
        training=training,
        labels=labels,
        classes=classes,
        class_hashes={task: hash_of(decisive(sets[task], each)) for task, each in asked.items()},
        identity=embedded.identity,
        hash=hash_of([[prompt.text for prompt in prompts], training]),
        geometry=geometry,
    )


def _asking_by_prompt(request: Request) -> list[TaskCard]:
    """The tasks that name their classes to the tower; a linear probe does not."""
    return [task for task in request.tasks if task.kind != "linear_probe"]


def asked_prompts(request: Request, task: TaskCard, bank: LabelBank) -> list[list[Prompt]]:
    """The sentences by which a task's classes are asked for, class by class."""
    return class_prompts(task, _set_of(request, task), bank, request.asked_language, request.mapping)


def _set_of(request: Request, task: TaskCard) -> PromptSet:
    if request.class_prompts is not None:
        return request.class_prompts
    shared = task.prompt_set == request.prompt_set.name
    return request.prompt_set if shared else load_card(PromptSet, task.prompt_set)


def decisive(prompt_set: PromptSet, asked: list[list[Prompt]]) -> Any:
    """What decides the scores besides the tower. Where every class has one sentence nothing is put together, so that two
    prompt sets with the same sentences ask the same."""
    texts = [[prompt.text for prompt in said] for said in asked]
    if all(len(said) == 1 for said in texts):
        return [said[0] for said in texts]
    return {"sentences": texts, "states": prompt_set.states, "combine": prompt_set.combine}
