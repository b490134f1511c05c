"use strict";

const figures = JSON.parse(document.getElementById("figures").textContent);
const config = {
  responsive: true,
  displaylogo: false,
  displayModeBar: matchMedia("(hover: hover)").matches && "hover",
  modeBarButtons: [["zoom2d", "resetScale2d", "toImage"]],
  toImageButtonOptions: { format: "svg" },
};

// Plotly starts with the first figure, and a figure is drawn when it comes near the window: the page opens at once.
const watcher = new IntersectionObserver(
  (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => draw(entry.target)),
  { rootMargin: "500px" }
);

function startPlotly() {
  const script = document.createElement("script");
  script.text = document.getElementById("plotly").textContent;
  document.head.append(script);
}

function draw(element) {
  if (!window.Plotly) startPlotly();
  watcher.unobserve(element);
  const { data, layout } = figures[element.id];
  if (!element.drawing && data.some((trace) => trace.type === "parcoords")) makeRoom(element);
  element.drawing ??= Plotly.newPlot(element, data, layout, config).then(() => { element.dataset.drawn = ""; });
  return element.drawing;
}

// Browsers keep 16 WebGL contexts, and parallel coordinates take three: those drawn first go, until they are seen again.
const MOST_COORDINATES = 4, coordinates = [];
function makeRoom(element) {
  coordinates.push(element);
  if (coordinates.length <= MOST_COORDINATES) return;
  const first = coordinates.shift();
  Plotly.purge(first);
  delete first.drawing;
  delete first.dataset.drawn;
  watcher.observe(first);
}

const isOpen = (element) => !element.closest("details:not([open])");
const drawAll = () => Promise.all([...document.querySelectorAll(".figure")].filter(isOpen).map(draw));

function sortTable(header) {
  const table = header.closest("table"), column = header.cellIndex, numbers = header.dataset.sort === "number";
  const descending = header.getAttribute("aria-sort") !== "descending";
  const value = (row) => {
    const cell = row.cells[column], text = cell.dataset.value ?? cell.textContent.trim();
    return numbers ? parseFloat(text) : text;
  };
  const order = (a, b) => (numbers ? a - b : a.localeCompare(b, undefined, { numeric: true }));
  const rows = [...table.tBodies[0].rows].map((row) => [value(row), row]);
  const missing = ([x]) => Number.isNaN(x);
  rows.sort((a, b) => missing(a) - missing(b) || (descending ? order(b[0], a[0]) : order(a[0], b[0])));
  table.tBodies[0].append(...rows.map(([, row]) => row));
  for (const other of header.parentNode.cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", descending ? "descending" : "ascending");
}

for (const header of document.querySelectorAll(".sortable th[data-sort]")) {
  header.tabIndex = 0;
  header.addEventListener("click", () => sortTable(header));
  header.addEventListener("keydown", (event) => { if (event.key === "Enter") sortTable(header); });
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = "copied";
    } catch { // no clipboard outside of secure pages
      prompt("Copy this:", button.dataset.copy);
    }
  });
}

// Two pairs of any tables, one next to the other: what is known of them, and the choices in which they differ.
const compared = document.getElementById("compared"), chosen = [];
function compare(button) {
  const place = chosen.indexOf(button);
  if (place >= 0) chosen.splice(place, 1);
  else chosen.push(button);
  while (chosen.length > 2) chosen.shift();
  for (const other of document.querySelectorAll("[data-compare]")) other.setAttribute("aria-pressed", chosen.includes(other));
  const pairs = chosen.map((one) => JSON.parse(one.closest("[data-pair]").dataset.pair));
  compared.hidden = !pairs.length;
  if (pairs.length === 2) compared.replaceChildren(...differences(...pairs), closing());
  else compared.textContent = "Choose a second pair to compare.";
}

function closing() {
  const button = document.createElement("button");
  button.textContent = "close";
  button.addEventListener("click", () => { chosen.length = 1; compare(chosen[0]); });
  return button;
}

function differences(one, other) {
  const table = document.createElement("table"), note = document.createElement("p"), choices = one.choices, others = other.choices;
  const add = (...words) => {
    const row = table.insertRow();
    for (const word of words) row.insertCell().textContent = word ?? "-";
  };
  add("", one.name, other.name);
  for (const name of new Set([...Object.keys(one.facts), ...Object.keys(other.facts)])) add(name, one.facts[name], other.facts[name]);
  const names = [...new Set([...Object.keys(choices), ...Object.keys(others)])];
  const unlike = names.filter((name) => choices[name] !== others[name]);
  for (const name of unlike) add(name, choices[name], others[name]);
  note.textContent = `${unlike.length} choices differ, ${names.length - unlike.length} are the same.`;
  note.className = "note";
  return [table, note];
}

for (const button of document.querySelectorAll("[data-compare]")) button.addEventListener("click", () => compare(button));

document.getElementById("all-answers")?.addEventListener("change", (event) => {
  document.querySelector(".answers").classList.toggle("all", event.target.checked);
});

// What was not looked at yet is drawn while nothing else is to be done, so that all of it can be printed.
const whenIdle = window.requestIdleCallback ?? ((work) => setTimeout(work, 200));
async function drawTheRest() {
  const left = [...document.querySelectorAll(".figure")].find((element) => isOpen(element) && !element.drawing);
  if (!left || coordinates.length === MOST_COORDINATES) return;
  await draw(left);
  whenIdle(drawTheRest);
}

document.querySelectorAll(".figure").forEach((element) => watcher.observe(element));
document.querySelectorAll("details").forEach((part) => part.addEventListener("toggle", () => whenIdle(drawTheRest)));
whenIdle(drawTheRest);
addEventListener("beforeprint", drawAll);

// A search goes on: look for a newer page, with the same parts open. The last one that it writes does not ask for it.
const parts = [...document.querySelectorAll("details")];
const openParts = "open parts of " + location.pathname;
if (document.getElementById("live")) {
  for (const i of JSON.parse(sessionStorage.getItem(openParts) ?? "[]")) parts[i]?.setAttribute("open", "");
  setInterval(() => {
    if (document.hidden) return;
    sessionStorage.setItem(openParts, JSON.stringify(parts.flatMap((part, i) => (part.open ? [i] : []))));
    location.reload();
  }, 30_000);
}
