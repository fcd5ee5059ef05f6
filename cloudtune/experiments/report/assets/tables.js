// Tables that are sorted by a click on a heading; rows without a value come last either way.

function keyOf(row, column) {
  const cell = row.cells[column];
  const key = cell.dataset.key === undefined ? cell.textContent : cell.dataset.key;
  if (key === "" || key === "\u2013") return null;
  const number = Number(key);
  return Number.isNaN(number) ? key : number;
}

function before(a, b) {
  if (typeof a === typeof b) return typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true });
  return typeof a === "number" ? -1 : 1;
}

// rowsOf(): all rows, where not all of them are in the table.
function makeSortable(table, rowsOf) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const sort = () => {
      const factor = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      heads.forEach((one) => one.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", factor > 0 ? "ascending" : "descending");
      const body = table.tBodies[0];
      const count = body.rows.length;
      const keyed = (rowsOf ? rowsOf() : [...body.rows]).map((row, index) => [keyOf(row, column), index, row]);
      keyed.sort(([a, i], [b, j]) => (a === null || b === null ? (a === null) - (b === null) : factor * before(a, b)) || i - j);
      body.replaceChildren(...keyed.slice(0, count).map(([, , row]) => row));
    };
    head.replaceChildren(element("button", { type: "button", onclick: sort }, ...head.childNodes));
  });
}
