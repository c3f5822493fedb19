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
from ecgbench.errors import EcgbenchError
from ecgbench.files import canonical_json
from ecgbench.text.cache import prompt_key, tower_identity
from ecgbench.text.prompts import Prompt
from ecgbench.text.vectorfile import VectorFileError, read_vectors, write_vectors

FORMAT = 1


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
        lacking = list(dict.fromkeys(prompt.text for prompt in prompts if prompt.text not in row))
        if lacking:
            more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
            raise EcgbenchError(
                f"the embedding pack {self.path} lacks the prompt '{lacking[0]}'{more}: it holds "
                f"{self._contents()}; ask for a pack that covers this language, prompt set and data, or use "
                "a recipe whose prompts are single findings (prompt: one or mean)."
            )
        return {prompt_key(self.card, prompt): self.vectors[row[prompt.text]] for prompt in prompts}

    def _contents(self) -> str:
        sets = ", ".join(f"{item['name']} {item['version']}" for item in self.about["prompt_sets"])
        languages = ", ".join(self.about["languages"])
        return f"{len(self.texts)} prompts of {sets or 'no named prompt set'} in {languages}"


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
    _refuse_controls(card)
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
    _refuse_controls(card)
    try:
        about, vectors = read_vectors(path)
        _check_form(about, vectors.shape)
    except OSError as error:
        raise EcgbenchError(f"--text-pack {path} cannot be read: {error.strerror or error}.") from None
    except VectorFileError as error:
        raise EcgbenchError(f"--text-pack {path} is not a sound embedding pack: {error}; fetch it again.") from None
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
    if not np.isfinite(vectors).all():
        raise EcgbenchError(f"the embedding pack {path} holds vectors that are not finite: make it again.")
    return Pack(path, card, identity["weights"], tuple(about["prompts"]), vectors, about)


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
    sets, languages = about.get("prompt_sets"), about.get("languages")
    if not isinstance(languages, list) or not all(isinstance(item, str) for item in languages):
        raise VectorFileError("it does not list its languages")
    if not isinstance(sets, list) or not all(
        isinstance(item, dict) and {"name", "version"} <= set(item) for item in sets
    ):
        raise VectorFileError("it does not list its prompt sets")


def _refuse_controls(card: TextCard) -> None:
    if card.kind in ("char-ngram", "random"):
        raise EcgbenchError(f"text tower {card.name} is computed in an instant: it has no embedding packs.")
