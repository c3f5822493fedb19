"""A run's own page: whole, self-contained, in two languages, and silent about patients."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ecgbench.cli.main import run_command
from ecgbench.ecg.build import store_for
from ecgbench.evaluation.scores import Scores
from ecgbench.findings import label_bank
from ecgbench.pages import words as shared_words
from ecgbench.pipeline import report
from ecgbench.pipeline.report import write_report
from ecgbench.pipeline.report.curves import charts, ticks
from ecgbench.pipeline.report.examples import chosen, gaps
from ecgbench.pipeline.report.view import task_views
from ecgbench.results import read_result

ROOM = Path(report.__file__).parent


class Page(HTMLParser):
    """Tags as they open and close, what they refer to, and the text."""

    VOID = frozenset({"meta", "input", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(autouse=True)
def own_cards(overlay: Path) -> None:
    """The tests' own encoder and data set."""


@pytest.fixture
def folder(tiny_run: Path) -> Path:
    return tiny_run


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    """The run's folder, to be changed."""
    return Path(shutil.copytree(folder, tmp_path / "run"))


def changed(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / "result.json"
    result = json.loads(path.read_text(encoding="utf-8"))
    change(result)
    path.write_text(json.dumps(result), encoding="utf-8")


def text_of(folder: Path) -> str:
    return (folder / "report.html").read_text(encoding="utf-8")


def test_a_run_leaves_a_page_that_needs_nothing_else(folder: Path) -> None:
    text = text_of(folder)
    page = Page(text)
    assert len(text.encode()) < 3_000_000
    assert not {"script", "link", "iframe", "img", "object"} & {tag for tag, _ in page.tags}
    for tag, attributes in page.tags:
        for name, value in attributes.items():
            assert not name.startswith("on") and name != "src", (tag, name)
            assert name != "href" or str(value).startswith("#")
            assert not re.search(r"url\((?!#)", str(value))
    assert "url(" not in text.partition("<style>")[2].partition("</style>")[0]
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(set(ids)) == len(ids)  # the sheets' own among them
    used = re.findall(r'(?:url\(|href="|for=")#?([^)"]+)[)"]', text)
    assert used and set(used) <= set(ids)
    assert "Not a medical device" in page.text and "医療機器ではありません" in page.text


def test_every_number_of_the_result_is_on_it(folder: Path) -> None:
    result, text = read_result(folder / "result.json"), unescape(text_of(folder))
    for task in result.tasks.values():
        for metric in task.metrics.values():
            assert metric.value is None or f">{metric.value:.3f}<" in text
            assert metric.ci is None or f"{metric.ci[0]:.3f} – {metric.ci[1]:.3f}" in text
    for finding in label_bank().findings:
        assert finding.names["ja"] in text and finding.names["en"] in text
    for stated in (
        result.run_id,
        result.data.data_hash,
        result.encoder.card,
        "learning_rate",
        result.provenance.device,
    ):
        assert stated in text


def test_the_confusion_matrix_has_the_order_of_the_card(folder: Path) -> None:
    """A result file sorts its classes by name; the matrix has the card's order."""
    result = read_result(folder / "result.json")
    view = next(view for view in task_views(result) if view.key == "superclass")
    scores = Scores.load(folder / "scores" / "superclass.npz").rows("test")
    assert tuple(view.classes) == tuple(scores.class_id.tolist()) != tuple(result.tasks["superclass"].per_class)
    best = scores.scores.argmax(axis=1)
    for row, name in enumerate(view.classes):
        assert sum(count for count, _ in view.confusion[row]) == view.classes[name].n
        for column in range(len(view.classes)):
            counted = int(scores.labels[best == column, row].sum())
            assert view.confusion[row][column][0] == pytest.approx(counted)
    assert view.kind == "zero_shot" and view.primary == "accuracy"


def test_public_records_are_shown_without_their_patients(folder: Path) -> None:
    page = Page(text_of(folder))
    scores = Scores.load(folder / "scores" / "retrieval98.npz").rows("test")
    right, wrong = chosen(scores)
    assert 1 <= len(wrong) <= 3 and len([1 for tag, _ in page.tags if tag == "article"]) == len(right) + len(wrong)
    words = set(re.findall(r"[\w.-]+", page.text))
    assert {str(scores.record_id[row]) for row in [*right, *wrong]} <= words
    assert not set(scores.patient_id.tolist()) & words


def test_the_worst_and_the_surest_have_a_naive_twin(folder: Path) -> None:
    scores = Scores.load(folder / "scores" / "retrieval98.npz").rows("test")
    told = gaps(scores.scores, scores.labels > 0)
    for row in range(len(told)):
        true = [s for s, label in zip(scores.scores[row], scores.labels[row], strict=True) if label]
        false = [s for s, label in zip(scores.scores[row], scores.labels[row], strict=True) if not label]
        assert told[row] == pytest.approx(max(true) - max(false))
    right, wrong = chosen(scores)
    assert all(told[row] > 0 for row in right) and all(told[row] < 0 for row in wrong)
    assert wrong[0] == int(np.argmin(told)) and (not right or right[0] == int(np.argmax(told)))
    assert len({str(scores.patient_id[row]) for row in [*wrong]}) == len(wrong)


def test_gaps_of_records_that_cannot_be_ranked() -> None:
    assert np.isnan(gaps(np.ones((2, 2)), np.array([[True, True], [False, False]]))).all()
    assert gaps(np.zeros((0, 3)), np.zeros((0, 3), bool)).shape == (0,)


def test_a_data_set_that_is_not_public(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed(copied, lambda result: result["data"].update(public=False))
    records = set(Scores.load(copied / "scores" / "retrieval98.npz").record_id.tolist())
    assert run_command(["report", str(copied)]) == 0
    assert capsys.readouterr().out.strip() == str(copied / "report.html")
    page = Page(text_of(copied))
    assert "the data set is not public" in page.text and "article" not in {tag for tag, _ in page.tags}
    assert not records & set(re.findall(r"[\w.-]+", page.text))
    assert run_command(["report", str(copied), "--data", "tiny", "--with-signals"]) == 0
    assert "shows ECGs of a data set that is not public" in capsys.readouterr().err
    page = Page(text_of(copied))
    assert "article" in {tag for tag, _ in page.tags} and "shows ECGs of a data set that is not public" in page.text


def test_a_store_that_is_not_public_is_not_drawn_either(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_for("tiny")
    monkeypatch.setattr(store, "manifest", store.manifest.model_copy(update={"public": False, "ids": "kept"}))
    write_report(copied, store)
    assert "<article" not in text_of(copied)
    write_report(copied, store, with_signals=True)
    page = Page(text_of(copied))
    assert "article" in {tag for tag, _ in page.tags} and "record not named" in page.text
    assert "shows ECGs of a data set that is not public" in page.text
    assert not set(store.records["record"]) & set(re.findall(r"[\w.-]+", page.text))


def test_a_failed_run_says_why(copied: Path) -> None:
    def fail(result: dict[str, Any]) -> None:
        result.update(status="failed", reason="the loss was <b>nan</b> & 'worse' at step 3", tasks={}, references=None)

    changed(copied, fail)
    log = [{"step": step, "loss": 3.0 / step} for step in (1, 2)]
    (copied / "log.jsonl").write_text("\n".join(map(json.dumps, log)), encoding="utf-8")
    write_report(copied)
    text = text_of(copied)
    assert "the loss was &lt;b&gt;nan&lt;/b&gt; &amp; &#39;worse&#39; at step 3" in text and "<b>nan" not in text
    page = Page(text)
    assert "This run failed" in page.text and "article" not in {tag for tag, _ in page.tags} and "損失" in page.text


def test_what_is_missing_is_said(copied: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ECGBENCH_CACHE", str(tmp_path / "empty"))
    write_report(copied)
    assert "the data are not at hand here" in text_of(copied)
    shutil.rmtree(copied / "scores")
    (copied / "log.jsonl").unlink()
    write_report(copied)
    assert "the scores files of the run are not here" in text_of(copied) and 'id="curves"' not in text_of(copied)


def test_other_data_are_refused(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = text_of(copied)
    line = ["report", str(copied), "--data", "synth98:balanced=6,labels=atrial-fibrillation+normal,seed=5"]
    assert run_command(line) == 2
    assert "was scored on other data" in capsys.readouterr().err and text_of(copied) == before
    assert run_command(["report", str(copied / "nowhere")]) == 2


def test_a_page_that_cannot_be_made_costs_no_run(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    class Listener:
        quiet = True

        def say(self, text: str) -> None:
            said.append(text)

    (copied / "log.jsonl").write_text("no JSON\n", encoding="utf-8")
    report.leave_page(copied, store_for("tiny"), Listener())  # type: ignore[arg-type]
    assert len(said) == 1 and "could not be made (JSONDecodeError" in said[0]


def test_curves_are_those_of_the_log(tmp_path: Path) -> None:
    log = [
        {"step": step, "loss": 10 / step, "temperature": 0.07, "learning_rate": 1e-3} for step in range(10, 5010, 10)
    ]
    log.append({"step": 5000, "train_loss": 99.0, "train_runtime": 3.0})
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, log)), encoding="utf-8")
    judged = [{"epoch": epoch, "step": 1000 * epoch, "value": epoch / 10} for epoch in range(1, 6)]
    (tmp_path / "selection.jsonl").write_text("\n".join(map(json.dumps, judged)), encoding="utf-8")
    found = {chart.name: chart for chart in charts(tmp_path)}
    assert list(found) == ["loss", "validation", "temperature", "learning_rate"]
    (line,) = found["loss"].lines
    assert line.last == "0.002" and 200 < line.path.count(",") <= 401
    heights = [float(pair.split(",")[1]) for pair in line.path[1:].split(" ")]
    assert heights == sorted(heights) and heights[0] < heights[-1]  # a loss that falls, drawn downwards
    assert found["validation"].lines[0].last == "0.5"
    assert charts(tmp_path / "nowhere") == []


@given(st.floats(-1e6, 1e6), st.floats(1e-9, 1e6))
def test_ticks_are_round_and_reach_both_ends(low: float, span: float) -> None:
    high = low + span
    if not low < high or span < 1e-9 * abs(low):
        return
    found = ticks(low, high)
    slack = 1e-6 * max(span, abs(low) * 1e-3)
    assert 2 <= len(found) <= 7 and found == sorted(found)
    assert found[0] <= low + slack and found[-1] >= high - slack
    assert ticks(3.0, 3.0)[0] <= 3.0 <= ticks(3.0, 3.0)[-1]


def test_every_word_has_its_japanese_and_none_is_left_over() -> None:
    words = yaml.safe_load((ROOM / "words.yaml").read_text(encoding="utf-8"))
    templates = "".join(path.read_text(encoding="utf-8") for path in (ROOM / "templates").glob("*.jinja"))
    asked = set(re.findall(r't\("([^"]+)"', templates))
    named_by_data = {"loss", "validation", "temperature", "learning rate", "sex", "age", "site", "female", "male"}
    assert asked | named_by_data == set(words)
    for english, japanese in words.items():
        assert set(re.findall(r"\{\w+\}", english)) == set(re.findall(r"\{\w+\}", japanese))
    from ecgbench.evaluation.metrics import METRICS

    per_class = {metric.per_class for metric in METRICS.values() if metric.per_class}
    assert set(METRICS) | per_class == set(shared_words.named_metrics())
    assert shared_words.metric_title("<b>") == "&lt;b&gt;"


def test_a_class_table_without_its_card_keeps_ids(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ecgbench.pipeline.report import view

    monkeypatch.setattr(view, "task_card", lambda key: None)
    views = task_views(read_result(folder / "result.json"))
    assert all(not each.confusion and str(each.names[name]) == name for each in views for name in each.classes)
