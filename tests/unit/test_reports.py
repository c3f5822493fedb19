"""`prompt: report`: records trained with their free-text reports, as they stand, and what is refused."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from ecgbench.cards import PromptSet, TextCard
from ecgbench.catalogue import load_card
from ecgbench.cli.main import run_command
from ecgbench.ecg.store import Store
from ecgbench.errors import EcgbenchError
from ecgbench.findings import label_bank
from ecgbench.pipeline.evaluate import evaluate
from ecgbench.pipeline.prepare import Prepared, prepare
from ecgbench.pipeline.reporting import Clock, Silent
from ecgbench.pipeline.reports import has_report, report_prompts, without_report
from ecgbench.pipeline.request import make_request
from ecgbench.pipeline.run import run
from ecgbench.text.prompts import Prompt, label_prompts
from ecgbench.text.tower import open_tower
from tests.conftest import OVERLAY
from tests.unit.tiny_llama import save_tiny_llama

SOURCE = '''
from dataclasses import replace

from ecgbench.ecg.sources.builtin import SynthSource

WORDS = ("sinusrhythmus  normales ekg ", "Zeile eins\\nZeile zwei", "房室伝導は保たれる。")


class Unreported(SynthSource):
    def entries(self):
        return super().entries()[::6]


class Reported(Unreported):
    """Every ninth record without a report, or with a blank one; every fifth without a finding."""

    def entries(self):
        return [replace(each, report=report(n), findings=each.findings if n % 5 else (), origin=each)
                for n, each in enumerate(super().entries())]

    def load(self, entry):
        return super().load(entry.origin)


def report(n):
    if n % 9 == 0:
        return None if n % 2 else "  "
    return WORDS[n % 5] if n % 5 < 3 else f"befund nr {n}, q in iii {{findings}}" + " usw" * n
'''
CARD = """
name: {name}
summary: Records with reports, for tests
entry_point: reported.py:{made}
version: 1
params: {{size: S, seed: 0}}
builtin: true
public: {public}
licence: Apache-2.0
reference: null
"""
ASKED = {"encoder": "pooled", "text": "char-ngram", "data": "reported", "recipe": "quick+prompt=report", "epochs": 1}


class Heard(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An overlay with the data sets `reported` and, of the same records, `private` and `silent` (without reports)."""
    folder = tmp_path_factory.mktemp("reported")
    datasets = folder / "registry" / "datasets"
    datasets.mkdir(parents=True)
    (datasets / "reported.py").write_text(SOURCE, encoding="utf-8")
    for name, made, public in (
        ("reported", "Reported", "true"), ("private", "Reported", "false"), ("silent", "Unreported", "true"),
    ):  # fmt: skip
        (datasets / f"{name}.yaml").write_text(CARD.format(name=name, made=made, public=public), encoding="utf-8")
    return folder


@contextmanager
def cards_of(folder: Path):  # type: ignore[no-untyped-def]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ECGBENCH_PATH", f"{OVERLAY}:{folder}")
        yield


@pytest.fixture(autouse=True)
def own_cards(folder: Path):  # type: ignore[no-untyped-def]
    with cards_of(folder):
        yield


def prepared(reporter: Silent | None = None, **asked: object) -> Prepared:
    return prepare(make_request(**{**ASKED, **asked}), reporter or Silent(), Clock())  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def ready(folder: Path) -> Prepared:
    with cards_of(folder):
        return prepared()


def reports_of(store: Store) -> list[str]:
    return store.records["report"].tolist()


def test_every_training_record_with_a_report_is_paired_with_it_as_it_stands(ready: Prepared) -> None:
    """Held against the tower itself, record by record."""
    reports = reports_of(ready.store)
    train = [row for row, split in enumerate(ready.store.records["split"]) if split == "train"]
    assert ready.train_rows.tolist() == [row for row in train if reports[row].strip()]
    tower = open_tower(ready.request.text)
    for row, places in zip(ready.train_rows, ready.texts.training, strict=True):
        expected = tower.embed([Prompt(reports[row], (reports[row],))])
        np.testing.assert_array_equal(ready.texts.vectors[places], expected)
    said = {reports[row] for row in ready.train_rows}
    assert "sinusrhythmus  normales ekg " in said and "Zeile eins\nZeile zwei" in said


def test_each_distinct_report_is_embedded_once(ready: Prepared) -> None:
    places = {place for said in ready.texts.training for place in said}
    distinct = {reports_of(ready.store)[row] for row in ready.train_rows}
    assert len(places) == len(distinct) < len(ready.train_rows)


def test_what_is_asked_stays_in_the_recipe_s_language_and_prompt_set(ready: Prepared) -> None:
    by_findings = prepared(recipe="quick")
    assert {name: each.prompts for name, each in ready.comparable.items()} == {
        name: each.prompts for name, each in by_findings.comparable.items()
    }
    english = prepared(language="en")
    assert english.texts.training == ready.texts.training and english.run_id != ready.run_id
    asked = label_prompts(load_card(PromptSet, "paper"), label_bank(), "en")
    vectors = english.texts.vectors[[place for (place,) in english.texts.classes["retrieval98"].sentences]]
    np.testing.assert_array_equal(vectors, open_tower(load_card(TextCard, "char-ngram")).embed(asked))


def test_a_record_needs_no_finding_to_be_trained_on_by_its_report(ready: Prepared) -> None:
    findings = ready.store.findings()
    assert any(not findings[row] for row in ready.train_rows)
    balanced = prepared(recipe="quick+prompt=report+sampling=class-balanced")
    assert balanced.train_rows.tolist() == [row for row in ready.train_rows if findings[row]]


def test_the_same_records_with_one_other_report_are_another_run(ready: Prepared) -> None:
    """The data hash does not cover reports; the run's identity does, by what is trained on."""
    from ecgbench.pipeline.texts import embed_texts

    changed = Store(ready.store.folder)
    changed.records.loc[ready.train_rows[0], "report"] = "ein anderer befund"
    assert changed.data_hash == ready.store.data_hash
    texts = embed_texts(ready.request, ready.bank, changed, ready.train_rows, None)
    assert texts.hash != ready.texts.hash == ready.identity["prompts"]


@pytest.mark.parametrize("geometry", ["center", "standardize"])
def test_geometry_is_fitted_on_the_distinct_reports_alone(ready: Prepared, geometry: str) -> None:
    fitted = prepared(recipe=f"quick+prompt=report+text_geometry={geometry}").texts.geometry
    distinct = sorted({reports_of(ready.store)[row] for row in ready.train_rows})
    vectors = open_tower(ready.request.text).embed([Prompt(text, (text,)) for text in distinct])
    np.testing.assert_allclose(fitted.mean, vectors.astype(np.float64).mean(0), atol=1e-12)


def test_a_run_says_and_keeps_how_many_records_had_no_report(ready: Prepared, tmp_path: Path) -> None:
    heard = Heard()
    result = run(out=tmp_path, reporter=heard, tasks=("superclass",), **ASKED)  # type: ignore[arg-type]
    lacking, training = len(without_report(ready.store)), len(ready.store.rows_of("train"))
    assert 0 < lacking < training
    assert f"{lacking} of {training} training records have no report and are left out of training." in heard.said
    assert result.settings["training_records"] == training - lacking
    assert result.settings["training_records_without_report"] == lacking
    asked = evaluate(tmp_path / result.run_id, data="private", tasks=("superclass",))  # testing needs no reports
    assert "training_records_without_report" not in asked.settings


def test_the_supervised_control_reads_no_report(ready: Prepared) -> None:
    control = prepared(control="supervised")
    findings = ready.store.findings()
    assert control.train_rows.tolist() == [row for row in ready.store.rows_of("train") if findings[row]]


def test_report_prompts_are_those_of_the_rows_asked_for(ready: Prepared) -> None:
    rows = np.flatnonzero(has_report(ready.store))[::-2]
    assert [prompt.text for prompt in report_prompts(ready.store, rows)] == [reports_of(ready.store)[r] for r in rows]
    blank = int(np.flatnonzero(~has_report(ready.store))[0])
    with pytest.raises(EcgbenchError, match=f"record {ready.store.records['record'].iloc[blank]} has no report"):
        report_prompts(ready.store, np.array([blank]))


# --- what is refused --------------------------------------------------------------------------------------------------


def test_data_without_any_report_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    line = "run --encoder pooled --text char-ngram --data silent --recipe quick+prompt=report --epochs 1"
    assert run_command(line.split()) == 2
    error = capsys.readouterr().err
    assert "no training record of silent has a report" in error and "set prompt to joined, one or mean" in error


def test_data_that_are_not_public_are_refused_before_anything_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ECGBENCH_CACHE", str(tmp_path / "cache"))
    with pytest.raises(EcgbenchError, match="data set private is not public, and reports then stay out of its store"):
        prepared(data="private")
    assert not (tmp_path / "cache" / "stores").exists()


def test_a_built_store_of_data_that_are_not_public_is_refused_with_the_reason(tmp_path: Path) -> None:
    from ecgbench.ecg.build import store_for

    store_for("private")
    with pytest.raises(
        EcgbenchError, match="no training record of private has a report: data set private is not public"
    ):
        prepared(data="private")


def test_findings_that_are_kept_out_of_training_cannot_be_kept_out_of_reports() -> None:
    with pytest.raises(
        EcgbenchError, match="task unseen-labels keeps findings out of training, and a free-text report"
    ):
        prepared(tasks=("unseen-labels",))


def test_a_report_that_the_tower_cannot_read_whole_is_refused_by_its_record(ready: Prepared, tmp_path: Path) -> None:
    tower = {"text": "medllama3-jp+max_tokens=60", "text_path": save_tiny_llama(tmp_path)}
    with pytest.raises(EcgbenchError) as refused:
        prepared(**tower)
    from ecgbench.text.tokens import tokens_of

    prompts = report_prompts(ready.store, ready.train_rows)
    counts = tokens_of(load_card(TextCard, str(tower["text"])), prompts, tmp_path).counts  # type: ignore[union-attr]
    longest = ready.train_rows[int(np.argmax(counts))]
    record = ready.store.records["record"].iloc[longest]
    assert max(counts) > 60
    assert f"record {record}'s, has {max(counts)}. No report is cut" in str(refused.value)
    prepared(text=f"medllama3-jp+max_tokens={max(counts)}", text_path=tmp_path)


def test_too_few_records_with_a_report_for_a_batch_are_counted() -> None:
    with pytest.raises(EcgbenchError, match="training records with a report, fewer than one batch of 500"):
        prepared(recipe="quick+prompt=report+batch_size=500")


def test_the_reports_of_real_records(ptbxl_folder: Path) -> None:
    """PTB-XL's are German, English and Swedish; one of the first 500 is blank."""
    ready = prepared(data=f"ptbxl:{ptbxl_folder}", tasks=("superclass",))
    rows = ready.store.rows_of("train")
    assert len(ready.train_rows) == len(rows) - 1
    texts = {prompt.text for prompt in report_prompts(ready.store, ready.train_rows)}
    assert "sinusrhythmus normales ekg" in texts and "sinus rhythm. normal ecg." in texts
