"use strict";

async function drawFigures() {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const config = {
    responsive: true,
    displaylogo: false,
    displayModeBar: matchMedia("(hover: hover)").matches && "hover",
    modeBarButtons: [["zoom2d", "resetScale2d", "toImage"]],
    toImageButtonOptions: { format: "svg" },
  };
  for (const [id, { data, layout }] of Object.entries(figures)) {
    await Plotly.newPlot(id, data, layout, config);
    await new Promise(requestAnimationFrame); // what is drawn is shown before the next figure is worked on
  }
  document.body.dataset.drawn = "all";
}

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

for (const button of document.querySelectorAll(".copy button")) {
  button.addEventListener("click", async () => {
    const code = button.previousElementSibling;
    getSelection().selectAllChildren(code);
    await navigator.clipboard?.writeText(code.textContent);
    button.textContent = "copied";
  });
}

document.getElementById("all-answers")?.addEventListener("change", (event) => {
  document.querySelector(".answers").classList.toggle("all", event.target.checked);
});

drawFigures();
