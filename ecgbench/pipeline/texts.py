"""The text side of a run: which sentences it needs, and their vectors, embedded before anything is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ecgbench.cards import PromptSet
from ecgbench.catalogue import load_card
from ecgbench.ecg.store import Store
from ecgbench.files import hash_of
from ecgbench.findings import LabelBank
from ecgbench.pipeline.request import Request
from ecgbench.text.embed import check_available, embed_prompts
from ecgbench.text.geometry import reshape
from ecgbench.text.prompts import Prompt, class_prompts, joined_prompt, label_prompts


@dataclass(frozen=True)
class Texts:
    """`vectors` (n, dim): every sentence once. `training`: for each training row, the sentences it may be paired with.
    `classes`: for each task, the sentence of each class. `identity` is the tower's; `hash` covers all sentences."""

    vectors: np.ndarray
    training: list[list[int]]
    classes: dict[str, list[int]]
    class_hashes: dict[str, str]
    identity: dict[str, Any]
    hash: str


def check_text(request: Request, bank: LabelBank, store_is_built: bool) -> None:
    """EcgbenchError within seconds where the tower's sentences can be had from nowhere.

    Which joined sentences a run needs is known once the store is there; before that, and without a pack, the weights must
    be at hand.
    """
    if request.recipe.prompt == "joined" and request.text_pack is None and not store_is_built:
        check_available(request.text, request.text_path)
        return
    needed = [*label_prompts(request.prompt_set, bank, request.recipe.language), *_all_class_prompts(request, bank)]
    check_available(request.text, request.text_path, request.text_pack, needed)


def embed_texts(
    request: Request, bank: LabelBank, store: Store, rows: np.ndarray, progress: Callable[[int, int], None] | None
) -> Texts:
    """Embed what training on `rows` and every task need."""
    findings = store.findings()
    sentences: dict[Prompt, int] = {}

    def place(prompt: Prompt) -> int:
        return sentences.setdefault(prompt, len(sentences))

    if request.recipe.objective == "supervised":
        training: list[list[int]] = []
    elif request.recipe.prompt == "joined":
        language = request.recipe.language
        training = [[place(joined_prompt(request.prompt_set, bank, language, findings[row]))] for row in rows]
    else:
        single = label_prompts(request.prompt_set, bank, request.recipe.language)
        training = [[place(single[bank.position(finding)]) for finding in findings[row]] for row in rows]
    classes = {
        task.name: [
            place(p) for p in class_prompts(task, _set_of(request, task.prompt_set), bank, request.recipe.language)
        ]
        for task in request.tasks
    }
    prompts = list(sentences)
    embedded = embed_prompts(
        request.text,
        prompts,
        text_path=request.text_path,
        pack=request.text_pack,
        threads=request.recipe.threads,
        progress=progress,
    )
    paired = np.unique([place for places in training for place in places]).astype(np.int64)
    return Texts(
        vectors=reshape(embedded.vectors, paired, request.recipe.text_geometry),
        training=training,
        classes=classes,
        class_hashes={task: hash_of([prompts[i].text for i in places]) for task, places in classes.items()},
        identity=embedded.identity,
        hash=hash_of([[prompt.text for prompt in prompts], training]),
    )


def _set_of(request: Request, name: str) -> PromptSet:
    return request.prompt_set if name == request.prompt_set.name else load_card(PromptSet, name)


def _all_class_prompts(request: Request, bank: LabelBank) -> list[Prompt]:
    language = request.recipe.language
    return [
        prompt
        for task in request.tasks
        for prompt in class_prompts(task, _set_of(request, task.prompt_set), bank, language)
    ]
