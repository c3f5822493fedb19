"use strict";
// Language and colours before anything is drawn; the rest when the page is there. The tables stand without it.
const root = document.documentElement;
root.classList.add("scripted");

function kept(name, value) {
  try {
    if (value !== undefined) localStorage.setItem(`ecgbench-${name}`, value);
    return localStorage.getItem(`ecgbench-${name}`);
  } catch {
    return null; // storage is forbidden: the choice lasts as long as the page
  }
}

function among(values, ...wanted) {
  return wanted.find((each) => values.includes(each));
}

const asked = new URLSearchParams(location.search).get("lang");
const own = (navigator.languages || [navigator.language]).map((each) => each.slice(0, 2));
root.lang = among(["en", "ja"], asked, kept("language"), ...own) || "en";
root.dataset.theme = among(["auto", "light", "dark"], kept("theme")) || "auto";

const MISSING = "—";
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

function relabel() {
  for (const each of all("[data-en]")) {
    const text = each.dataset[root.lang];
    if ("placeholder" in each.dataset) each.placeholder = text;
    else if ("label" in each.dataset) each.setAttribute("aria-label", text);
    else if (each.id !== "found") each.textContent = text;
  }
  for (const each of all("[data-language]")) each.setAttribute("aria-pressed", each.dataset.language === root.lang);
  for (const each of all("[data-theme]", document.body)) each.setAttribute("aria-pressed", each.dataset.theme === root.dataset.theme);
  filter();
}

// The text of a cell in the language that is shown.
function shown(cell) {
  if (cell.dataset.key) return cell.dataset.key;
  const copy = cell.cloneNode(true);
  for (const each of all(root.lang === "ja" ? ".en" : ".ja", copy)) each.remove();
  return copy.textContent.trim();
}

// Numbers by their value and then their interval, text as the language sorts it, what is missing always last.
function compare(a, b, numeric, direction) {
  const gone = (text) => text === "" || text === MISSING;
  if (gone(a) || gone(b)) return gone(a) - gone(b);
  if (!numeric) return direction * a.localeCompare(b, root.lang, { numeric: true });
  const [x, y] = [a, b].map((text) => (text.match(/[-+]?\d+(\.\d+)?/g) || []).map(Number));
  for (let i = 0; i < Math.min(x.length, y.length); i += 1) if (x[i] !== y[i]) return direction * (x[i] - y[i]);
  return 0;
}

function sortBy(head) {
  const table = head.closest("table");
  const numeric = head.dataset.kind === "number";
  const before = head.getAttribute("aria-sort");
  const first = numeric && head.dataset.best !== "low" ? "descending" : "ascending";
  const order = before === null ? first : before === "ascending" ? "descending" : "ascending";
  for (const each of all("th[aria-sort]", table)) each.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", order);
  for (const body of all("tbody:not(.pinned)", table)) {
    const keyed = [...body.rows].map((row) => [shown(row.cells[head.cellIndex]), row]);
    keyed.sort((a, b) => compare(a[0], b[0], numeric, order === "ascending" ? 1 : -1) || a[1].place - b[1].place);
    body.append(...keyed.map(([, row]) => row));
  }
}

function makeSortable(table) {
  all("tbody tr", table).forEach((row, i) => (row.place = i)); // equal ones stand in the order of the page
  for (const head of all("thead th", table)) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => sortBy(head));
  }
}

function filter() {
  const words = document.getElementById("filter")?.value.toLowerCase().split(/\s+/).filter(Boolean);
  const found = document.getElementById("found");
  if (!words || !found) return;
  const rows = all("tr[data-find]");
  for (const row of rows) row.hidden = !words.every((word) => row.dataset.find.includes(word));
  const ranking = all(".ranking tr[data-find]");
  const visible = ranking.filter((row) => row.getClientRects().length).length;
  const text = found.dataset[root.lang].replace("{n}", visible).replace("{all}", ranking.length);
  found.textContent = visible < ranking.length ? text : "";
}

// Put a number and its interval into a cell, as the page itself does.
function fill(cell, text) {
  const [value, interval] = text.split(" [");
  cell.textContent = value;
  if (interval === undefined) return;
  const small = document.createElement("small");
  small.textContent = `[${interval}`;
  cell.append(" ", small);
}

function place(strip, text) {
  const numbers = (text.match(/\d+(\.\d+)?/g) || []).map((each) => `${Math.min(100, 100 * each)}%`);
  const [line, dot] = [strip.querySelector(".interval"), strip.querySelector("circle")];
  line.setAttribute("visibility", numbers.length === 3 ? "visible" : "hidden");
  dot.setAttribute("visibility", numbers.length ? "visible" : "hidden");
  if (numbers.length) dot.setAttribute("cx", numbers[0]);
  if (numbers.length === 3) [line.attributes.x1.value, line.attributes.x2.value] = numbers.slice(1);
}

function makeChooser(box) {
  const systems = JSON.parse(box.querySelector("script").textContent);
  const [system, metric] = ["system", "metric"].map((name) => box.querySelector(`[data-choose="${name}"]`));
  const rows = all(".classes tbody tr", box); // before anything is sorted: the order of the data
  const matrix = all(".confusion tbody tr", box);
  const show = () => {
    const chosen = systems[system.value];
    rows.forEach((row, i) => {
      const strip = row.querySelector(".strip");
      place(strip, chosen.cells[i][metric.value]);
      chosen.cells[i].forEach((text, j) => fill(row.cells[j + 3], text));
    });
    matrix.forEach((row, i) => {
      const counts = chosen.confusion?.[i];
      const total = counts ? counts.reduce((sum, each) => sum + Number(each), 0) : 0;
      all("td:not(.total)", row).forEach((cell, j) => {
        cell.querySelector("span").textContent = counts ? counts[j] : MISSING;
        cell.querySelector("rect").setAttribute("fill-opacity", total ? (counts[j] / total).toFixed(2) : 0);
      });
    });
    box.classList.toggle("control", "control" in system.selectedOptions[0].dataset);
  };
  system.addEventListener("change", show);
  metric.addEventListener("change", show);
}

document.addEventListener("DOMContentLoaded", () => {
  all("table.data").forEach(makeSortable);
  all("[data-plot]").forEach(makeChooser);
  for (const each of all("[data-language]"))
    each.addEventListener("click", () => {
      kept("language", (root.lang = each.dataset.language));
      relabel();
    });
  for (const each of all("[data-theme]", document.body))
    each.addEventListener("click", () => {
      kept("theme", (root.dataset.theme = each.dataset.theme));
      relabel();
    });
  document.getElementById("filter")?.addEventListener("input", filter);
  document.getElementById("show-controls")?.addEventListener("change", filter);
  addEventListener("beforeprint", () => all("details").forEach((each) => (each.open = true)));
  relabel();
});
