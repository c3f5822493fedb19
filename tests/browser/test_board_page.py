"""A board's page in a browser: sorted, filtered, in two languages, in the dark, on a phone, and without its script."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.unit.html_made import BOARD, HOSTILE, boards

ENTER, SPACE, TAB = "\ue007", "\ue00d", "\ue004"  # as the driver names keys

SEEN = "return [...document.querySelectorAll(arguments[0])].filter((each) => each.getClientRects().length).length"
CELLS_BELOW = """
const [head] = arguments;
return [...head.closest("table").tBodies].flatMap((body) => [...body.rows]).map((row) => row.cells[head.cellIndex].innerText.trim());
"""
FOCUSED = """
const e = document.activeElement;
const name = e.className || e.id || e.dataset.language || e.dataset.theme || e.tagName;
return [name, getComputedStyle(e).outlineStyle, e.getBoundingClientRect().left >= 0];
"""
CONTRAST = """
const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
function rgb(colour, below = [0, 0, 0]) {
  canvas.fillStyle = `rgb(${below})`; canvas.fillRect(0, 0, 1, 1);
  canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
}
const light = (c) => { const [r, g, b] = c.map((v) => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
  return .2126 * r + .7152 * g + .0722 * b; };
const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + .05) / (y + .05); };
const page = getComputedStyle(document.body);
const found = [];
for (const each of document.querySelectorAll("main *, header *, footer *")) {
  if (!each.getClientRects().length || ![...each.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) continue;
  let ground = each;
  while (ground && /, 0\\)$|transparent/.test(getComputedStyle(ground).backgroundColor)) ground = ground.parentElement;
  let below = rgb(getComputedStyle(ground || document.body).backgroundColor);
  const cell = each.closest(".confusion td");
  const rect = cell && cell.querySelector("rect");
  if (rect) {
    const shade = getComputedStyle(rect).fill.replace("rgb(", "rgba(").replace(")", `, ${rect.getAttribute("fill-opacity")})`);
    below = rgb(shade, below);
  }
  const svg = each instanceof SVGElement;
  found.push([ratio(rgb(getComputedStyle(each)[svg ? "fill" : "color"]), below), each.outerHTML.slice(0, 90)]);
}
return found.sort((a, b) => a[0] - b[0]).slice(0, 3).concat([[found.length, "elements"]]);
"""


class Page:
    """One page in the browser, from the start: light, 1280 pixels wide, English, nothing remembered."""

    def __init__(self, driver: Any, path: Path) -> None:
        self.driver = driver
        self.path = path
        self.address = path.as_uri()

    def load(self, *, width: int = 1280, scheme: str = "light", language: str = "en-GB", script: bool = True) -> None:
        self.cdp("Emulation.setScriptExecutionDisabled", value=not script)
        mobile = width < 600
        features = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=mobile)
        self.cdp("Emulation.setEmulatedMedia", media="", features=features)
        self.cdp("Emulation.setUserAgentOverride", userAgent="test", acceptLanguage=language)
        self.driver.get(self.address)

    def cdp(self, command: str, **values: object) -> Any:
        return self.driver.execute_cdp_cmd(command, values)

    def run(self, script: str, *values: object) -> Any:
        return self.driver.execute_script(script, *values)

    def find(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def count(self, selector: str) -> int:
        """Elements that can be seen."""
        return int(self.run(SEEN, selector))

    def column(self, head: Any) -> list[str]:
        """The cells below the head of a column, as they are read."""
        return list(self.run(CELLS_BELOW, head))

    def head(self, table: str, title: str) -> Any:
        heads = self.driver.find_elements("css selector", f"{table} thead th")
        return next(each for each in heads if " ".join(each.text.split()) == title)


@pytest.fixture
def page(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    path = boards(tmp_path_factory.getbasetemp()) / f"{BOARD}.html"
    found = Page(browser, path)
    found.load()
    yield found
    found.run("localStorage.clear()")
    assert browser.get_log("browser") == []
    assert requested(browser) <= {found.address, path.with_name("index.html").as_uri()}


def requested(browser: Any) -> set[str]:
    """Every address that was asked for since the log was read last, those inside the page (data:) apart."""
    messages = [json.loads(each["message"])["message"] for each in browser.get_log("performance")]
    urls = [each["params"]["request"]["url"] for each in messages if each["method"] == "Network.requestWillBeSent"]
    return {url.split("#")[0].split("?")[0] for url in urls if not url.startswith("data:")}


SUPERCLASS = "section[id^=superclass]"


def first_number(text: str) -> float:
    return float(re.findall(r"-?\d+(?:\.\d+)?", text)[0])


def test_sorting_by_click(page: Page) -> None:
    head = page.head(f"{SUPERCLASS} .ranking", "Macro AUROC")
    assert head.get_attribute("aria-sort") is None
    assert page.head(f"{SUPERCLASS} .ranking", "Accuracy").get_attribute("aria-sort") == "descending"
    before = page.column(head)
    head.find_element("tag name", "button").click()
    values = [first_number(each) for each in page.column(head)]
    assert values == sorted(values, reverse=True) and head.get_attribute("aria-sort") == "descending"
    assert sorted(page.column(head)) == sorted(before)
    head.find_element("tag name", "button").click()
    assert [first_number(each) for each in page.column(head)] == sorted(values)
    assert len(page.driver.find_elements("css selector", f"{SUPERCLASS} .ranking [aria-sort]")) == 1


def test_sorting_by_keyboard_leaves_what_is_missing_last(page: Page) -> None:
    head = page.head(f"{SUPERCLASS} .ranking", "Rank")
    button = head.find_element("tag name", "button")
    for key, order in ((ENTER, "ascending"), (SPACE, "descending")):
        button.send_keys(key)
        assert head.get_attribute("aria-sort") == order
        ranks = page.column(head)
        ranked = [each for each in ranks if each != "—"]
        assert ranks == [*ranked, "—", "—", "—"], "chance, and the system without scores with its control"
        lows = [first_number(each) for each in ranked]
        assert lows == sorted(lows, reverse=order == "descending")
    assert page.run("return document.activeElement === arguments[0]", button)


def test_text_is_sorted_by_the_language_that_is_shown(page: Page) -> None:
    page.find("[data-language=ja]").click()
    head = page.head("section[id^=retrieval98] .classes", "ラベル")
    head.find_element("tag name", "button").click()
    labels = page.column(head)
    assert labels[0] == "すべて"  # the line of all stays on top
    assert labels[1:] == page.run(
        "return arguments[0].toSorted((a, b) => a.localeCompare(b, 'ja', { numeric: true }))", labels[1:]
    )


def test_the_tab_key_reaches_everything_in_order(page: Page) -> None:
    body = page.find("body")
    reached = []
    for _ in range(14):
        page.driver.switch_to.active_element.send_keys(TAB) if reached else body.send_keys(TAB)
        reached.append(page.run(FOCUSED))
    names = [each[0] for each in reached]
    assert names[:6] == ["skip", "en", "ja", "auto", "light", "dark"]
    assert all(outline != "none" and seen for _, outline, seen in reached)
    page.load()
    page.find("body").send_keys(TAB)
    page.driver.switch_to.active_element.send_keys(ENTER)
    assert page.run("return document.activeElement.id") == "main"


def test_japanese_and_english(page: Page) -> None:
    assert page.run("return document.documentElement.lang") == "en"
    assert page.count(".ja") == 0 and page.count(".en") > 100
    page.find("[data-language=ja]").click()
    assert page.run("return [document.documentElement.lang, document.title.includes('リーダーボード')]") == ["ja", True]
    assert page.count(".en") == 0 and page.count(".ja") > 100
    assert "テキストタワー" in page.find("#filter").get_attribute("placeholder")
    assert page.find("[data-language=ja]").get_attribute("aria-pressed") == "true"
    assert "対照" in page.run("return document.querySelector('select').textContent")
    page.load()
    assert page.run("return document.documentElement.lang") == "ja", "the choice is remembered"
    page.run("localStorage.clear()")
    page.load(language="ja-JP,en")
    assert page.run("return document.documentElement.lang") == "ja", "the browser's language"
    page.load(language="de-DE")
    assert page.run("return document.documentElement.lang") == "en"


def test_dark_and_light_have_contrast(page: Page) -> None:
    ground = "return getComputedStyle(document.body).backgroundColor"
    light = page.run(ground)
    grounds = {}
    for scheme in ("light", "dark"):
        page.load(scheme=scheme)
        page.run("document.querySelectorAll('details').forEach((each) => (each.open = true))")
        grounds[scheme] = page.run(ground)
        *worst, (elements, _) = page.run(CONTRAST)
        assert elements > 300
        assert worst[0][0] >= 4.5, worst
    assert grounds["light"] == light != grounds["dark"]
    page.find("[data-theme=light]").click()
    assert page.run(ground) == light, "a choice goes before the system's"
    page.load(scheme="dark")
    assert page.run(ground) == light, "the choice is remembered"


@pytest.mark.parametrize("language", ["en", "ja"])
def test_on_a_phone_only_tables_scroll(page: Page, language: str) -> None:
    page.load(width=360, language=language)
    page.run("document.querySelectorAll('details').forEach((each) => (each.open = true))")
    for box in page.driver.find_elements("css selector", "#show-more, #show-seeds"):
        box.click()
    widths = page.run("return [document.documentElement.scrollWidth, window.innerWidth]")
    assert widths == [360, 360]
    box, left = page.run(
        "const box = document.querySelector('.scroll:has(.ranking)'); box.scrollLeft = 200;"
        "return [box.scrollLeft, box.querySelector('tbody th').getBoundingClientRect().left - box.getBoundingClientRect().left]"
    )
    assert box == 200 and abs(left) < 1, "the first column stays"


def test_filter_controls_and_columns(page: Page) -> None:
    rows = f"{SUPERCLASS} .ranking tbody tr"
    everything = page.count(rows)
    page.find("#filter").send_keys("VIT1D quick")
    assert page.count(rows) == page.count(f"{SUPERCLASS} .ranks tbody tr") == 1
    assert page.find("#found").text.startswith("1 of ")
    page.find("#filter").send_keys(" nothing-like-it")
    assert page.count(rows) == 0
    page.find("#filter").clear()
    page.find("#show-controls").click()
    assert 0 < page.count(rows) < everything and page.count("tr.control") == 0
    columns = page.count(f"{SUPERCLASS} .ranking thead th")
    page.find("#show-more").click()
    assert page.count(f"{SUPERCLASS} .ranking thead th") == columns + 6


def test_another_system_and_metric_can_be_looked_at(page: Page) -> None:
    box = page.find(f"{SUPERCLASS} .chooser")
    state = """
      const box = arguments[0];
      return [[...box.querySelectorAll(".classes tbody tr")].map((row) => [...row.cells].slice(3).map((c) => c.textContent)),
        [...box.querySelectorAll(".confusion tbody tr")].map((row) => [...row.cells].slice(1, -1).map((c) => c.textContent)),
        [...box.querySelectorAll("circle")].map((dot) => parseFloat(dot.getAttribute("cx"))),
        JSON.parse(box.querySelector("script").textContent)]"""
    cells, matrix, dots, systems = page.run(state, box)
    assert cells == systems[0]["cells"] and matrix == systems[0]["confusion"]
    page.head(f"{SUPERCLASS} .classes", "n").find_element("tag name", "button").click()  # the order must not matter
    choose = "const s = arguments[0].querySelector(arguments[1]); s.value = arguments[2]; s.dispatchEvent(new Event('change'))"
    page.run(choose, box, "[data-choose=system]", "2")
    page.run(choose, box, "[data-choose=metric]", "1")
    page.head(f"{SUPERCLASS} .classes", "n").find_element("tag name", "button").click()
    found, matrix, moved, _ = page.run(state, box)
    assert sorted(found) == sorted(systems[2]["cells"]) != sorted(cells)
    assert matrix == systems[2]["confusion"] and moved != dots
    for row, dot in zip(found, moved, strict=True):
        assert row[1] == "—" or dot == pytest.approx(100 * first_number(row[1]))


def test_hostile_names_do_nothing(page: Page) -> None:
    """An alert would end the test with an error."""
    page.find("[data-language=ja]").click()
    assert page.run("return document.images.length") == 0
    assert HOSTILE in page.find(f"{SUPERCLASS} .ranking").text
    assert HOSTILE in page.find(f"{SUPERCLASS} select").get_attribute("textContent")


def test_without_its_script_the_tables_stand(page: Page) -> None:
    page.load(script=False)
    page.cdp("Emulation.setScriptExecutionDisabled", value=False)  # for the driver's own questions; the page is loaded
    assert page.count(".ranking") == 2 and page.count(".classes") == 2
    assert page.count(".ja") == 0 and page.count(".settings") == 0 and page.count("#filter") == 0
    assert page.count("th button") == 0 and page.count("select") == 0
    page.find("#show-controls").click()
    assert page.count("tr.control") == 0, "style alone hides the controls"


def test_on_paper(page: Page) -> None:
    page.cdp("Emulation.setEmulatedMedia", media="print")
    assert page.count(".tools") == page.count(".settings") == 0 and page.count(".ranking") == 2
    page.cdp("Emulation.setEmulatedMedia", media="")


def test_the_list_of_boards_leads_to_a_table(page: Page) -> None:
    page.driver.get((page.path.parent / "index.html").as_uri())
    page.driver.find_element("link text", "superclass").click()
    address = urlsplit(page.driver.current_url)
    assert address.path.endswith(page.path.name) and address.fragment.startswith("superclass-")
    assert page.run("return document.getElementById(decodeURIComponent(location.hash.slice(1))) !== null")
