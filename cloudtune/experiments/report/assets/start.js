// Begins when the page is read: tables can be sorted, comparisons are drawn, an experiment is drawn when it is opened.

function openTarget() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target && target.tagName === "DETAILS") {
    target.hidden = false;
    target.open = true;
    target.scrollIntoView();
  }
}

function addFilter(table) {
  const experiments = [...document.querySelectorAll("details.experiment")];
  const rows = [...table.tBodies[0].rows];
  const found = element("span", { class: "soft" });
  const input = element("input", { type: "search", placeholder: "Filter experiments, such as ASHA", "aria-label": "Filter experiments" });
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = (text) => words.every((word) => text.toLowerCase().includes(word));
    for (const row of rows) row.hidden = !fits(row.textContent);
    const names = new Set(rows.filter((row) => !row.hidden).map((row) => row.cells[0].textContent));
    for (const one of experiments) one.hidden = !names.has(one.dataset.name);
    found.textContent = words.length ? `${names.size} of ${rows.length} shown` : "";
  });
  table.parentElement.before(element("div", { class: "controls" }, input, found));
}

function start() {
  for (const table of document.querySelectorAll("table[data-sortable]")) makeSortable(table);
  const experiments = document.getElementById("table-of-experiments");
  if (experiments) addFilter(experiments);
  for (const host of document.querySelectorAll(".comparison")) drawComparison(host);
  for (const details of document.querySelectorAll("details.experiment")) {
    details.addEventListener("toggle", () => {
      const host = details.querySelector(".curves");
      if (!details.open || host.childElementCount) return;
      drawExperiment(host);
    });
  }
  addEventListener("hashchange", openTarget);
  openTarget();
}

start();
