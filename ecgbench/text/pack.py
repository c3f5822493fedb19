"""An embedding pack: a tower's vectors of given prompts as one file of a few MB, which stands in for the
tower.

The file is a `vectorfile`; its `about` holds the format's version, the identity of the tower (card and
weights), the prompts in the order of the rows, where they come from, and the licence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ecgbench.cards import PromptSet, TextCard
from ecgbench.catalogue import load_card
from ecgbench.errors import EcgbenchError
from ecgbench.files import canonical_json
from ecgbench.text.cache import prompt_key, tower_identity
from ecgbench.text.prompts import Prompt
from ecgbench.text.vectorfile import VectorFileError, read_vectors, write_vectors
from ecgbench.text.weights import COMMIT

FORMAT = 1
LONGEST_SHOWN = 120
"""Characters of a prompt in a message: a report may have thousands."""


@dataclass(frozen=True)
class Pack:
    """A pack that fits `card`: `vectors` (n, dim) float32, one a text of `texts`. `weights` identifies the
    model it was made with; `about` is everything it says of itself."""

    path: Path
    card: TextCard
    weights: str | None
    texts: tuple[str, ...]
    vectors: np.ndarray
    about: dict[str, Any]

    def find(self, prompts: Sequence[Prompt]) -> dict[str, np.ndarray]:
        """prompt key -> (dim,) float32 for every prompt; EcgbenchError naming the first that is not in the
        pack."""
        row = {text: i for i, text in enumerate(self.texts)}
        lacking = [prompt for prompt in prompts if prompt.text not in row]
        if lacking:
            raise EcgbenchError(
                f"the embedding pack {self.path} lacks the prompt {named(lacking)}: it holds "
                f"{self.contents()}; ask for a pack that covers this language, prompt set and data (`ecgbench text export "
                "--for STORE` makes one), or use a recipe whose prompts are single findings (prompt: one or mean)."
            )
        return {prompt_key(self.card, prompt): self.vectors[row[prompt.text]] for prompt in prompts}

    def contents(self) -> str:
        """What it holds, in a few words."""
        sets = ", ".join(f"{item['name']} {item['version']}" for item in self.about["prompt_sets"])
        languages = ", ".join(self.about["languages"])
        data_hash = self.about.get("data_hash")
        joined = f", those of the records of data {data_hash[:12]} among them" if data_hash else ""
        return f"{len(self.texts)} prompts of {sets or 'no named prompt set'} in {languages}{joined}"


def named(prompts: Sequence[Prompt]) -> str:
    """The first of several prompts, shortened where it is long, and how many distinct ones follow."""
    texts = list(dict.fromkeys(prompt.text for prompt in prompts))
    more = f" and {len(texts) - 1} more" if len(texts) > 1 else ""
    first = texts[0] if len(texts[0]) <= LONGEST_SHOWN else texts[0][:LONGEST_SHOWN] + "…"
    return f"'{first}'{more}"


def write_pack(
    path: Path,
    card: TextCard,
    prompts: Sequence[Prompt],
    vectors: np.ndarray,
    identity: dict[str, Any],
    *,
    prompt_sets: Sequence[PromptSet],
    languages: Sequence[str],
    data_hash: str | None = None,
) -> None:
    """Write the vectors (n, dim) of prompts, as `embed_prompts` gave them with their `identity`, to a pack.
    Equal prompts are written once. `data_hash` names the store whose joined prompts the pack covers, where it
    covers one."""
    refuse_controls(card)
    if len(prompts) != len(vectors):
        raise ValueError(f"{len(prompts)} prompts, {len(vectors)} vectors")
    first = {prompt.text: i for i, prompt in reversed(list(enumerate(prompts)))}
    texts = sorted(first)
    about = {
        "format": FORMAT,
        "tower": card.name,
        "identity": identity,
        "prompts": texts,
        "prompt_sets": [{"name": item.name, "version": item.version, "hash": item.hash} for item in prompt_sets],
        "languages": sorted(languages),
        "data_hash": data_hash,
        "licence": card.licence,
    }
    write_vectors(path, vectors[[first[text] for text in texts]], about)


def read_pack(path: Path, card: TextCard) -> Pack:
    """Read a pack and check that it was made by the tower of `card`, with the settings of `card`.
    EcgbenchError where the file is absent, damaged, or of another tower or settings, naming the field that
    differs."""
    refuse_controls(card)
    return _fitting(path, card, *_sound(path))


def read_any_pack(path: Path) -> Pack:
    """As `read_pack`, of whichever tower the pack is of; EcgbenchError where there is no card of it."""
    about, vectors = _sound(path)
    try:
        card = load_card(TextCard, about["tower"])
    except EcgbenchError as error:
        raise EcgbenchError(f"the embedding pack {path} is of a text tower that cannot be had here: {error}") from None
    return _fitting(path, card, about, vectors)


def _sound(path: Path) -> tuple[dict[str, Any], np.ndarray]:
    """What a pack says of itself, and its vectors (n, dim)."""
    try:
        about, vectors = read_vectors(path)
        _check_form(about, vectors.shape)
    except OSError as error:
        raise EcgbenchError(f"the embedding pack {path} cannot be read: {error.strerror or error}.") from None
    except VectorFileError as error:
        raise EcgbenchError(f"{path} is not a sound embedding pack: {error}; fetch it again.") from None
    if not np.isfinite(vectors).all():
        raise EcgbenchError(f"the embedding pack {path} holds vectors that are not finite: make it again.")
    return about, vectors


def _fitting(path: Path, card: TextCard, about: dict[str, Any], vectors: np.ndarray) -> Pack:
    """The pack, where it was made by the tower of `card` with its settings."""
    identity = about["identity"]
    # Only a model that the maker gave by --text-path may be of another width than the card's.
    own_model = identity["weights"].startswith("files:")
    wanted = {
        **tower_identity(card, identity["weights"]),
        "dim": identity["dim"] if own_model else card.dim,
    }
    for field in sorted(wanted.keys() | identity.keys()):
        if _shown(identity, field) != _shown(wanted, field):
            raise EcgbenchError(
                f"the embedding pack {path} was made with {field} {_shown(identity, field)}, but text tower "
                f"{card.name} has {field} {_shown(wanted, field)}: use a pack of this tower, or the card "
                "that the pack was made with."
            )
    _refuse_strange_weights(path, card, identity["weights"])
    return Pack(path, card, identity["weights"], tuple(about["prompts"]), vectors, about)


def _refuse_strange_weights(path: Path, card: TextCard, weights: str) -> None:
    """EcgbenchError where a pack of a hub model names weights that are neither files of the maker's own nor of that model."""
    pinned = card.revision if COMMIT.fullmatch(card.revision or "") else None
    hub_id, _, commit = weights.rpartition("@")
    if card.kind != "huggingface" or weights.startswith("files:"):
        return
    if hub_id != card.hub_id or pinned not in (None, commit):
        raise EcgbenchError(
            f"the embedding pack {path} names the weights {weights}, but text tower {card.name} is "
            f"{card.hub_id}@{card.revision}: use a pack that was made with that model."
        )


def _shown(identity: dict[str, Any], field: str) -> str:
    return canonical_json(identity[field]) if field in identity else "absent"


def _check_form(about: dict[str, Any], shape: tuple[int, ...]) -> None:
    """VectorFileError unless `about` is that of a pack whose vectors have this shape, (n, dim)."""
    rows, dim = shape
    if about.get("format") != FORMAT:
        raise VectorFileError(f"its format is {about.get('format')!r}, this version reads {FORMAT}")
    identity, prompts = about.get("identity"), about.get("prompts")
    if not isinstance(identity, dict) or not isinstance(identity.get("weights"), str):
        raise VectorFileError("it does not say which tower and weights made it")
    if identity.get("dim") != dim:
        raise VectorFileError(f"its vectors are {dim} wide, but it says {identity.get('dim')}")
    if not isinstance(prompts, list) or not all(isinstance(text, str) for text in prompts):
        raise VectorFileError("it does not list its prompts")
    if len(prompts) != rows or len(set(prompts)) != rows:
        raise VectorFileError(f"it lists {len(set(prompts))} distinct prompts for {rows} vectors")
    if not isinstance(about.get("tower"), str) or not isinstance(about.get("data_hash"), str | None):
        raise VectorFileError("it does not name its tower, or names its data in another way")
    sets, languages = about.get("prompt_sets"), about.get("languages")
    if not isinstance(languages, list) or not all(isinstance(item, str) for item in languages):
        raise VectorFileError("it does not list its languages")
    if not isinstance(sets, list) or not all(
        isinstance(item, dict) and {"name", "version"} <= set(item) for item in sets
    ):
        raise VectorFileError("it does not list its prompt sets")


def refuse_controls(card: TextCard) -> None:
    """EcgbenchError for a tower that needs no packs."""
    if card.kind in ("char-ngram", "random"):
        raise EcgbenchError(f"text tower {card.name} is computed in an instant: it has no embedding packs.")
