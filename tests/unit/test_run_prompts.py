"""Runs whose classes are asked for by a prompt set of one's choice: what changes, what does not, what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ecgbench.cards import PromptSet, TaskCard
from ecgbench.catalogue import card_paths, load_card
from ecgbench.cli.main import run_command
from ecgbench.ecg.inputs import encoder_inputs
from ecgbench.errors import EcgbenchError
from ecgbench.evaluation.scores import Scores
from ecgbench.pipeline.model import build_side
from ecgbench.pipeline.prepare import Prepared, prepare
from ecgbench.pipeline.reporting import Clock, Silent
from ecgbench.pipeline.request import make_request
from ecgbench.pipeline.run import run
from ecgbench.text.prompts import joined_prompt
from ecgbench.text.tower import open_tower
from tests.unit.test_text_prompts import BANK

ASKED = {"encoder": "pooled", "text": "random", "data": "tiny", "epochs": 1}


def prepared(**asked: object) -> Prepared:
    return prepare(make_request(**{**ASKED, **asked}), Silent(), Clock())  # type: ignore[arg-type]


def hashes(of: Prepared) -> dict[str, str]:
    return {task: identity.prompts for task, identity in of.comparable.items()}


def test_the_set_that_a_task_has_anyway_changes_nothing(overlay: Path) -> None:
    assert prepared(prompts="paper").run_id == prepared().run_id


@pytest.mark.parametrize("name", ["bare", "paraphrases", "members", "descriptors"])
def test_another_set_is_another_run(overlay: Path, name: str) -> None:
    plain, other = prepared(), prepared(prompts=name)
    assert other.run_id != plain.run_id
    changed = {task for task in hashes(plain) if hashes(plain)[task] != hashes(other)[task]}
    assert changed == {"superclass", "rhythm", "mitbih", *([] if name == "members" else ["retrieval98"])}
    assert other.texts.training == plain.texts.training  # what is trained on stays the recipe's


def test_the_training_sentences_are_the_recipe_s_whatever_is_asked(overlay: Path) -> None:
    plain, other = prepared(tasks=("rhythm",)), prepared(tasks=("rhythm",), prompts="bare")
    used = sorted({place for places in plain.texts.training for place in places})
    assert used == list(range(len(used)))
    np.testing.assert_array_equal(plain.texts.vectors[used], other.texts.vectors[used])


def test_to_a_tower_that_sees_the_names_alone_a_descriptor_says_nothing(overlay: Path) -> None:
    plain, described = (prepared(prompts=name).texts for name in ("paper", "descriptors"))
    for task, asked in plain.classes.items():
        places = [[place for said in each.classes[task].sentences for place in said] for each in (plain, described)]
        np.testing.assert_array_equal(plain.vectors[places[0]], described.vectors[places[1]])
        assert asked.combine == described.classes[task].combine


@pytest.mark.parametrize("mode", ["joined", "one", "mean"])
def test_a_recipe_may_train_on_descriptors(overlay: Path, mode: str) -> None:
    """A record's vectors are those of the sentences with its findings' descriptors."""
    recipe = f"quick+prompt={mode}+prompt_set=descriptors"
    ready = prepared(text="char-ngram", recipe=recipe, tasks=("rhythm",))
    findings, described = ready.store.findings(), load_card(PromptSet, "descriptors")
    tower = open_tower(ready.request.text)
    for row, places in list(zip(ready.train_rows, ready.texts.training, strict=True))[:20]:
        said = [
            joined_prompt(described, BANK, "ja", ids)
            for ids in ([findings[row]] if mode == "joined" else [[f] for f in findings[row]])
        ]
        np.testing.assert_array_equal(ready.texts.vectors[places], tower.embed(said))


@pytest.mark.parametrize("mapping", ["paper", "clinical"])
def test_members_are_those_of_the_mapping_in_use(overlay: Path, mapping: str) -> None:
    texts = prepared(prompts="members", mapping=mapping, tasks=("superclass",)).texts
    column = BANK.column(f"superclass_{mapping}")
    classes = ["Normal ECG", "Conduction Disturbance", "Myocardial Infarction", "Hypertrophy", "ST/T change"]
    sizes = [sum(value == name for value in column.values()) for name in classes]
    assert [len(said) for said in texts.classes["superclass"].sentences] == sizes
    assert texts.classes["superclass"].combine == "max"


def test_the_two_mappings_of_members_are_two_runs_with_two_prompts(overlay: Path) -> None:
    paper, clinical = (prepared(prompts="members", mapping=each, tasks=("rhythm",)) for each in ("paper", "clinical"))
    assert paper.comparable["rhythm"].prompts != clinical.comparable["rhythm_clinical"].prompts


def test_how_sentences_are_put_together_is_of_the_identity(
    overlay: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same five sentences, once averaged and once the best of them."""
    text = card_paths(PromptSet)["paraphrases"].read_text(encoding="utf-8")
    (tmp_path / "tasks" / "prompts").mkdir(parents=True)
    best = text.replace("name: paraphrases", "name: best").replace("combine: mean", "combine: max")
    (tmp_path / "tasks" / "prompts" / "best.yaml").write_text(best, encoding="utf-8")
    monkeypatch.setenv("ECGBENCH_PATH", f"{overlay}:{tmp_path}")
    mean, highest = (prepared(prompts=name, tasks=("rhythm",)) for name in ("paraphrases", "best"))
    np.testing.assert_array_equal(mean.texts.vectors, highest.texts.vectors)
    assert mean.run_id != highest.run_id and hashes(mean) != hashes(highest)


def test_every_sentence_is_embedded_once(overlay: Path) -> None:
    """Four tasks of members over one label table need no sentence beyond the 98 and those trained on."""
    texts = prepared(prompts="members").texts
    places = {place for asked in texts.classes.values() for said in asked.sentences for place in said}
    assert len(places) == 98 and len(np.unique(texts.vectors, axis=0)) == len(texts.vectors)


def untrained(of: Prepared) -> dict[str, Scores]:
    """The scores of a model that has learned nothing, by task."""
    encoder = of.request.encoder
    inputs = encoder_inputs(of.store, encoder.input, of.request.rate, lambda done, total: None)
    return {task.card.name: task.scores(matrix) for task, matrix in build_side(of).matrices(inputs)}


@pytest.mark.parametrize("mapping", ["paper", "clinical"])
def test_a_class_of_members_scores_as_the_best_of_its_findings(overlay: Path, mapping: str) -> None:
    """Its score is the highest of its findings' scores in retrieval98, on the same records."""
    scores = untrained(prepared(prompts="members", mapping=mapping))
    single = scores["retrieval98"]
    for name in ("superclass", "rhythm", "mitbih"):
        grouped, column = scores[name], BANK.column(f"{name}_{mapping}")
        rows = [single.record_id.tolist().index(record) for record in grouped.record_id]
        for place, item in enumerate(load_card(TaskCard, name).classes):
            members = [i for i, finding in enumerate(single.class_id) if column.get(finding) == item.value]
            expected = single.scores[rows][:, members].max(1)
            np.testing.assert_allclose(grouped.scores[:, place], expected, atol=1e-6)


def test_averaged_paraphrases_score_otherwise_than_the_paper_s_sentence(overlay: Path) -> None:
    plain, averaged = (
        untrained(prepared(text="char-ngram", tasks=("rhythm",), prompts=name))["rhythm"]
        for name in ("paper", "paraphrases")
    )
    assert plain.scores.shape == averaged.scores.shape and (np.abs(averaged.scores) <= 1 + 1e-6).all()
    assert np.abs(plain.scores - averaged.scores).max() > 1e-3


def test_a_run_leaves_the_task_asked_by_the_set(overlay: Path, tmp_path: Path) -> None:
    result = run(out=tmp_path, prompts="members", mapping="clinical", tasks=("rhythm",), **ASKED)  # type: ignore[arg-type]
    assert list(result.tasks) == ["rhythm_clinical"]
    expected = hashes(prepared(prompts="members", mapping="clinical", tasks=("rhythm",)))
    assert {"rhythm_clinical": result.comparable["rhythm_clinical"].prompts} == expected


def test_an_unknown_set_is_told_with_those_near(capsys: pytest.CaptureFixture[str]) -> None:
    line = "run --encoder resnet1d18 --text random --prompts paraphrase"
    assert run_command(line.split()) == 2
    assert "unknown prompt set 'paraphrase': did you mean paraphrases" in capsys.readouterr().err


def test_a_set_without_the_language_is_refused_before_anything_is_built(
    overlay: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tasks" / "prompts").mkdir(parents=True)
    english = "name: english\nversion: 1\nsummary: no Japanese\ntemplates: {en: 'It shows {findings}.'}\njoiners: {en: ', '}\n"
    (tmp_path / "tasks" / "prompts" / "english.yaml").write_text(english, encoding="utf-8")
    monkeypatch.setenv("ECGBENCH_PATH", f"{overlay}:{tmp_path}")
    monkeypatch.setenv("ECGBENCH_CACHE", str(tmp_path / "cache"))
    with pytest.raises(EcgbenchError, match="prompt set english has no sentence in 'ja': type --lang en"):
        prepared(prompts="english")
    assert not (tmp_path / "cache" / "stores").exists()
