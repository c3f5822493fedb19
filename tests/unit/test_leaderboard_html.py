"""The HTML pages: the numbers of the markdown pages, both languages, nothing that runs or loads but their own."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from ecgbench.evaluation.metrics import METRICS
from ecgbench.leaderboard import check_pages, write_pages
from ecgbench.leaderboard.html.figures import count_text
from ecgbench.leaderboard.html.strips import Bar, Strip, rank_bar, rank_ticks, share_strip
from ecgbench.leaderboard.html.words import _tables
from ecgbench.leaderboard.rows import UNVERIFIED
from ecgbench.leaderboard.tables import metric_cell, with_interval
from ecgbench.pages.words import named_metrics
from ecgbench.results import read_result
from tests.conftest import ROOT
from tests.unit.html_made import BOARD, HOSTILE, boards
from tests.unit.html_read import Element, read

NUMBER = re.compile(r"[-+]?\d+\.\d+(?: \[[-+]?\d+\.\d+, [-+]?\d+\.\d+\])?")
HTML = ROOT / "ecgbench" / "leaderboard" / "html"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return boards(tmp_path_factory.getbasetemp()) / "results"


@pytest.fixture(scope="module")
def pages(results: Path) -> dict[str, str]:
    return {path.name: path.read_text("utf-8") for path in results.parent.iterdir() if path.is_file()}


@pytest.fixture(scope="module")
def page(pages: dict[str, str]) -> Element:
    return read(pages[f"{BOARD}.html"])


def section(page: Element, task: str) -> Element:
    (found,) = [each for each in page.all("section", css="group") if each.attributes["id"].startswith(f"{task}-")]
    return found


def ranking(page: Element, task: str, language: str = "en") -> list[dict[str, str]]:
    (table,) = section(page, task).all("table", css="ranking")
    head, *lines = table.cells(language)
    return [dict(zip(head, line, strict=True)) for line in lines]


def markdown_tables(text: str) -> list[list[list[str]]]:
    blocks = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    return [[[c.strip() for c in line.strip("|").split("|")] for line in block.splitlines()] for block in blocks]


def test_every_number_of_the_markdown_tables_stands_on_the_page_and_no_other(
    pages: dict[str, str], page: Element, results: Path
) -> None:
    """Numbers with a point. The page has some more: classes' AUPRC and F1, and all classes of all systems to choose from."""
    markdown = {
        number
        for table in markdown_tables(pages[f"{BOARD}.md"])
        for row in table[2:]
        for cell in row
        for number in NUMBER.findall(cell)
    }
    shown = {
        number
        for table in page.all("table")
        for row in table.cells()
        for cell in row
        for number in NUMBER.findall(cell)
    }
    levels = {number for line in re.findall(r"Ceiling: .*", pages[f"{BOARD}.md"]) for number in NUMBER.findall(line)}
    assert len(markdown) > 200 and levels
    assert markdown - shown == set()
    assert shown - markdown - levels - classes_of(results) == set()


def classes_of(results: Path) -> set[str]:
    """Every number of a class, and every metric, of the committed results."""
    kinds = sorted({metric.per_class for metric in METRICS.values() if metric.per_class})
    found = set()
    for path in results.rglob("result.json"):
        for score in read_result(path).tasks.values():
            found |= {metric_cell(metric) for metric in score.metrics.values()}
            for each in score.per_class.values():
                found |= {with_interval(getattr(each, kind), getattr(each, f"{kind}_ci")) for kind in kinds}
    return found


def test_the_ranking_is_the_markdown_one_line_by_line(pages: dict[str, str], page: Element) -> None:
    tables = markdown_tables(pages[f"{BOARD}.md"])
    for task, primary, title in (("superclass", "accuracy", "Accuracy"), ("retrieval98", "macro_auroc", "Macro AUROC")):
        (table,) = [each for each in tables if each[0][0] == "Rank" and primary == each[0][6]]
        wanted = [dict(zip(table[0], row, strict=True)) for row in table[2:]]
        *found, ceiling = ranking(page, task)
        assert [(row["Rank"], row[title]) for row in found] == [(row["Rank"], row[primary]) for row in wanted]
        assert [row["Parameters, M"] for row in found] == [row["Encoder, M"] for row in wanted]
        if f"{primary}, over seeds" in table[0]:
            over = [row[f"{title}, over seeds"] for row in found]
            assert over == [row[f"{primary}, over seeds"].removeprefix("seeds: ") for row in wanted]
            assert any(each != "—" for each in over)
        assert ceiling["Encoder"] == "ceiling" and ceiling[title] not in ("", "—")
        assert sum("control" in row["Encoder"] for row in found) == sum("*control*" in row["Recipe"] for row in wanted)


def test_seeds_link_to_their_result_files(page: Element) -> None:
    (table,) = section(page, "superclass").all("table", css="ranking")
    (line,) = [row for row in table.all("tr", css="system") if row.all("th")[0].attributes["data-key"] == "resnet1d18"]
    links = [(link.text(), link.attributes["href"]) for link in line.all("a")]
    assert links == [("0", "results/made/a0/result.json"), ("1", "results/made/a1/result.json")]


def test_what_a_result_says_is_text(pages: dict[str, str], page: Element) -> None:
    for name, text in pages.items():
        if name.endswith(".html"):
            assert "<img" not in text and "alert('e')" not in text
            scripts = [each for each in read(text).all("script") if "type" not in each.attributes]
            assert len(scripts) == 1
    assert HOSTILE in {each.attributes["data-key"] for each in page.all("th") if "data-key" in each.attributes}
    names = {each.text() for each in page.all("span", css="name")}
    assert HOSTILE in names and "49" not in names
    assert any("*t*_<b> · quick" in each.text() for each in page.all("span", css="rest"))
    assert HOSTILE in page.all("section", id="left-out")[0].text()


def test_nothing_is_loaded_and_only_its_own_style_and_script_may_run(pages: dict[str, str]) -> None:
    for name in (f"{BOARD}.html", "index.html"):
        text, page = pages[name], read(pages[name])
        assert set(re.findall(r"https?://[^'\"\s)]*", text)) == {"http://www.w3.org/2000/svg"}
        assert not re.search(r"url\(|@import|\bfetch\(|XMLHttpRequest|innerHTML|eval\(", text)
        loading = [each for each in page.all() if {"src", "srcset", "style", "onclick"} & each.attributes.keys()]
        assert loading == [] and [each.attributes["rel"] for each in page.all("link")] == ["icon"]
        targets = [each.attributes["href"] or "" for each in page.all("a")]
        assert all(re.match(r"#|results/|index\.html$|made-[0-9a-f]{8}\.html", each) for each in targets)
        policy = next(each for each in page.all("meta") if each.attributes.get("http-equiv")).attributes["content"]
        (style,), script = page.all("style"), page.all("script")[0]
        for kind, element in (("style", style), ("script", script)):
            digest = base64.b64encode(hashlib.sha256("".join(map(str, element.children)).encode()).digest()).decode()
            assert f"{kind}-src 'sha256-{digest}'" in str(policy)
        assert str(policy).startswith("default-src 'none'; ")


def test_structure(pages: dict[str, str]) -> None:
    """What assistive technology leans on."""
    for name in (f"{BOARD}.html", "index.html"):
        page = read(pages[name])
        assert page.all("html")[0].attributes["lang"] == "en"
        ids = [each.attributes["id"] for each in page.all() if "id" in each.attributes]
        assert len(ids) == len(set(ids))
        named = [each.attributes["aria-labelledby"] for each in page.all() if "aria-labelledby" in each.attributes]
        assert named and set(named) <= set(ids)
        anchors = [link.attributes["href"] or "" for link in page.all("a")]
        assert {each[1:] for each in anchors if each.startswith("#")} <= set(ids)
        assert all(each.all("caption") or "aria-labelledby" in each.attributes for each in page.all("table"))
        assert all("scope" in each.attributes for each in page.all("th"))
        levels = [int(each.tag[1]) for each in page.all() if re.fullmatch(r"h\d", each.tag)]
        assert levels[0] == 1 and all(b - a <= 1 for a, b in pairwise(levels))
        for box in page.all("div", css="scroll"):
            assert (box.attributes["tabindex"], box.attributes["role"]) == ("0", "region")
        for table in page.all("table"):
            widths = {len(row) for row in table.cells()}
            assert len(widths) == 1 or "ranks" in str(table.attributes["class"])


def test_both_languages_stand_side_by_side(page: Element) -> None:
    for parent in page.all():
        languages = [
            each.attributes["class"]
            for each in parent.children
            if isinstance(each, Element) and each.tag == "span" and each.attributes.get("class") in ("en", "ja")
        ]
        assert languages == ["en", "ja"] * (len(languages) // 2)
    assert all(each.attributes["lang"] == each.attributes["class"] for each in page.all("span", css="ja"))
    japanese, english = ranking(page, "superclass", "ja"), ranking(page, "superclass")
    assert [row["正解率"] for row in japanese] == [row["Accuracy"] for row in english]
    assert {"対照" in row["エンコーダ"] for row in japanese} == {True, False}
    classes = section(page, "superclass").all("table", css="classes")[0]
    assert ["心肥大" in row[0] for row in classes.cells("ja")] == ["Hypertrophy" in row[0] for row in classes.cells()]
    labels = section(page, "retrieval98").all("table", css="classes")[0].cells("ja")
    assert "洞性頻脈†" in {row[0] for row in labels}


def test_every_word_is_used_and_every_metric_has_a_name() -> None:
    tables = _tables()
    paths = [
        *HTML.glob("*.py"),
        *HTML.glob("templates/*.jinja"),
        HTML.parent / "sections.py",
        HTML.parent / "summary.py",
    ]
    sources = re.sub(r"[*`]", "", "\n".join(path.read_text("utf-8") for path in paths))
    sources = re.sub(r'"\s*f?"', "", sources).replace("{SUBMITTED}", "submitted").replace("{UNVERIFIED}", UNVERIFIED)
    assert [each for each in tables["sentences"] if json.dumps(each, ensure_ascii=False)[1:-1] not in sources] == []
    kinds = {metric.per_class for metric in METRICS.values()} - {None}
    assert set(METRICS) | kinds == set(named_metrics())
    for english, japanese in tables["sentences"].items():
        assert sorted(re.findall(r"{\w+}", english)) == sorted(re.findall(r"{\w+}", japanese)), english


def test_what_the_page_tells_is_told_in_japanese_too(page: Element) -> None:
    """The sentences that the markdown page has as well may be worded anew there."""
    told = [*page.all("ul", css="trust")[0].all("li"), *page.all("p", css="note")]
    assert len(told) > 8
    for each in told:
        assert each.text("ja") != each.text("en"), f"{each.text('en')} has no Japanese in words.yaml"


def test_a_submission_is_marked(page: Element) -> None:
    (row,) = [row for row in ranking(page, "superclass") if row["Encoder"].startswith("our-net")]
    assert "submitted" in row["Encoder"] and row["Trained on"] == "claimed: MIMIC-IV-ECG" and row["Rank"] != "—"
    lines = section(page, "superclass").all("tr", css="submitted")
    assert {line.attributes["data-find"] for line in lines} == {"our-net"}
    notes = [each.text() for each in section(page, "superclass").all("p", css="note")]
    assert any(each.startswith("submitted: scores submitted, model not run here.") for each in notes)
    japanese = next(row for row in ranking(page, "superclass", "ja") if row["エンコーダ"].startswith("our-net"))
    assert "提出" in japanese["エンコーダ"]


def test_summaries_of_shipped_tasks_and_data_sets_are_translated() -> None:
    paths = sorted([*(ROOT / "tasks").glob("*.yaml"), *(ROOT / "registry" / "datasets").glob("*.yaml")])
    cards = [yaml.safe_load(path.read_text("utf-8")) for path in paths]
    assert [card["summary"] for card in cards if card["summary"] not in _tables()["card_texts"]] == []


def test_the_confusion_matrix_and_all_classes_to_choose_from(page: Element, results: Path) -> None:
    (table,) = section(page, "superclass").all("table", css="confusion")
    confusion = read_result(results / "made" / "a0" / "result.json").tasks["superclass"].confusion
    assert confusion is not None
    _, *lines = table.cells()
    assert [line[1:] for line in lines] == [[count_text(c) for c in [*row, sum(row)]] for row in confusion]
    assert [len(row.all("td", css="right")) for row in table.all("tr")] == [0] + [1] * len(confusion)
    shades = [float(each.attributes["fill-opacity"] or "") for each in table.all("rect")]
    wanted = [each / sum(row) if sum(row) else 0 for row in confusion for each in row]
    assert shades == pytest.approx(wanted, abs=0.005)
    (script,) = section(page, "superclass").all("script")
    chosen = json.loads(script.text())
    options = section(page, "superclass").all("select")[0].all("option")
    assert (
        len(chosen)
        == len(options)
        == sum(len(row.all("tr")) for row in section(page, "superclass").all("table", css="ranks")) - 2
    )
    vit = next(i for i, each in enumerate(options) if each.text() == "vit1d-tiny × use-multilingual × quick")
    score = read_result(results / "made" / "vit" / "result.json").tasks["superclass"]
    normal = score.per_class["normal-ecg"]
    assert chosen[vit]["cells"][1][0] == with_interval(normal.accuracy, normal.accuracy_ci)
    assert chosen[vit]["confusion"] == [[count_text(each) for each in row] for row in score.confusion or []]


def test_the_dot_and_the_interval_lie_where_the_numbers_are(page: Element) -> None:
    (table,) = section(page, "retrieval98").all("table", css="classes")
    head, *rows = table.all("tr")
    place = [each.text() for each in head.children if isinstance(each, Element)].index("AUROC")
    for row in rows:
        cell = [each for each in row.children if isinstance(each, Element)][place].text()
        value, low, high = map(float, re.findall(r"\d\.\d+", cell))
        (line,), (dot,) = row.all("line"), row.all("circle")
        drawn = [dot.attributes["cx"], line.attributes["x1"], line.attributes["x2"]]
        assert [float(str(each).removesuffix("%")) for each in drawn] == pytest.approx(
            [100 * v for v in (value, low, high)]
        )


def test_places_on_an_axis() -> None:
    assert share_strip("0.712 [0.690, 0.733]") == Strip("71.2%", "69%", "73.3%")
    assert share_strip("0.500") == Strip("50%") and share_strip("—") == Strip()
    assert share_strip("1.250 [-0.100, 2.000]") == Strip("100%", "0%", "100%")
    assert rank_bar((1, 1), 4) == Bar("0%", "25%") and rank_bar((2, 4), 4) == Bar("25%", "75%")
    assert rank_bar(None, 4) is None
    assert [text for text, _ in rank_ticks(4)] == ["1", "2", "3", "4"]
    assert rank_ticks(20)[:2] == [("1", "2.5%"), ("5", "22.5%")]
    assert [count_text(each) for each in (3.0, 2.5, 0.3333333, 6.9999999)] == ["3", "2.5", "0.3", "7"]


def test_a_system_without_scores_or_controls_says_so(page: Element) -> None:
    bare = next(
        row for row in ranking(page, "superclass") if row["Encoder"].startswith("bare") and row["Recipe"] == "quick"
    )
    assert bare["Rank"] == "—"
    notes = [each.text() for each in section(page, "superclass").all("p", css="note")]
    assert any(each.startswith("No rank, because no scores stand beside the result: bare ×") for each in notes)
    assert any(each.startswith("Controls not run here: frozen-random encoder") for each in notes)


def test_no_record_and_no_patient_is_named(pages: dict[str, str]) -> None:
    assert not re.search(r"\b[rp]\d{3}\b", pages[f"{BOARD}.html"])


def test_html_pages_are_checked_and_go_with_their_results(results: Path, tmp_path: Path) -> None:
    folder = tmp_path / "boards"
    shutil.copytree(results / "made" / "vit", folder / "results" / "made" / "vit")
    write_pages(folder)
    assert check_pages(folder) == []
    path = folder / f"{BOARD}.html"
    path.write_text(path.read_text("utf-8").replace("vit1d-tiny", "vit1d-huge", 1), encoding="utf-8")
    (found,) = check_pages(folder)
    assert found.startswith(f"{BOARD}.html is not what the results give")
    (folder / "notes.html").write_text("by hand", encoding="utf-8")
    shutil.rmtree(folder / "results" / "made" / "vit")
    write_pages(folder)
    assert sorted(each.name for each in folder.glob("*.html")) == ["index.html", "notes.html"]
    assert check_pages(folder) == ["notes.html belongs to no results: remove it."]
    assert "No results yet." in (folder / "index.html").read_text("utf-8")


def test_the_index_links_to_every_table(pages: dict[str, str], page: Element) -> None:
    links = [each.attributes["href"] for each in read(pages["index.html"]).all("a")]
    anchors = [each.attributes["id"] for each in page.all("section", css="group")]
    assert links[1:] == [f"{BOARD}.html", *(f"{BOARD}.html#{anchor}" for anchor in anchors)]


def test_pages_stay_small() -> None:
    """A page that is committed opens on a phone."""
    sizes = {path.name: path.stat().st_size for path in (ROOT / "leaderboards").glob("*.html")}
    assert sizes and max(sizes.values()) < 2_000_000
