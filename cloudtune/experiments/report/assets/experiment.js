// One experiment: the learning curve of each trial, the best value so far, and a table of the trials.

const MARKS = { STOP: "stop", PAUSE: "pause" };
const BEST = "var(--s1)";
const OTHERS = "var(--s0)";
const ENDED = "var(--ended)";
const MAX_ROWS = 200;
const [ID, STATUS, REPORTS, VALUE, COST, CONFIG] = [0, 1, 2, 3, 4, 5];

// The better share of all values, where those of trials that diverge would make a flat line of it; else null.
const BETTER = 0.95;
const MUCH_MORE = 5;

function better(lines, isMin, isLog) {
  const values = lines.flatMap((line) => line.y).filter((value) => value !== null && Number.isFinite(value)).sort((a, b) => a - b);
  if (isLog || values.length < 2) return null;
  const [low, high] = [values[0], values[values.length - 1]];
  const last = Math.floor(BETTER * (values.length - 1));
  const part = isMin ? [low, values[last]] : [values[values.length - 1 - last], high];
  if (high - low <= MUCH_MORE * (part[1] - part[0]) || part[0] === part[1]) return null;
  const xs = extent(lines.flatMap((line) => line.x).concat([0]), false);
  return xs && { x: widened(xs, false, 0.01), y: widened(part, false, 0.05) };
}

function configText(data, trial) {
  return data.config.map((name, index) => `${name}=${shown(trial[CONFIG][index])}`).filter((_, index) => trial[CONFIG][index] !== null);
}

function drawExperiment(host) {
  const data = parsed(host.dataset.from);
  if (!data.curves.length) host.append(element("p", { class: "soft" }, "No trial has reported anything yet."));
  else drawCurves(host, data);
  drawTrials(host, data);
  const [points, trials] = data.left_out;
  if (points || trials) {
    const missing = [points && `${points} reports`, trials && `${trials} trials that were not among the best`].filter(Boolean);
    host.append(element("p", { class: "soft" }, `Left out to keep this page small: ${missing.join(" and ")}. Values and counts above are those of all.`));
  }
}

function drawCurves(host, data) {
  const state = { x: "time", metric: 0, logy: false, which: "all", words: "" };
  const ranked = data.trials.map((_, index) => index).filter((index) => data.trials[index][VALUE] !== null);
  const sign = data.metrics.map(([, mode]) => (mode === "max" ? -1 : 1));
  ranked.sort((a, b) => sign[0] * (data.trials[a][VALUE] - data.trials[b][VALUE]));
  const isBest = new Map(ranked.map((index, rank) => [index, rank]));

  function wanted(index) {
    const trial = data.trials[index];
    if (state.which === "best" && !(isBest.get(index) < 10)) return false;
    if (!["all", "best"].includes(state.which) && trial[STATUS] !== state.which) return false;
    return !state.words || `${trial[ID]} ${configText(data, trial).join(" ")}`.toLowerCase().includes(state.words);
  }

  function tell(chart, x, y) {
    const near = chart.nearest(x, y);
    if (!near) return null;
    const [line, index] = near;
    const trial = data.trials[line.key];
    const text = [`trial ${trial[ID]}, ${trial[STATUS].toLowerCase()}: ${data.metrics[state.metric][0]} ${shown(line.y[index])}`];
    text.push(`at ${shown(line.times[index])} s${line.levels ? `, ${data.resource} ${shown(line.levels[index])}` : ""}`);
    return { text: [...text, ...configText(data, trial)], line };
  }

  const chart = new Chart("", tell);
  const count = element("span", { class: "soft" });

  function draw(keepsZoom) {
    const lines = [];
    for (const [index, decision, times, levels, values, pauses] of data.curves) {
      if (!wanted(index)) continue;
      const isFirst = isBest.get(index) === 0;
      const colour = isFirst ? BEST : data.trials[index][STATUS] === "Completed" ? OTHERS : ENDED;
      const x = state.x === "time" ? times : state.x === "resource" ? levels : times.map((_, number) => number + 1);
      lines.push({
        x, y: values[state.metric], times, levels, colour, key: index, mark: MARKS[decision], pauses, dots: times.length < 40,
        width: isFirst ? 2.4 : 1.2, opacity: isFirst ? 1 : 0.55, label: isFirst ? `trial ${data.trials[index][ID]}, best` : null,
      });
    }
    lines.sort((a, b) => a.width - b.width);
    const first = better(lines, sign[state.metric] > 0, state.logy);
    count.textContent = `${lines.length} of ${data.curves.length} trials${first ? "; the worst values lie outside, see the whole picture" : ""}`;
    const [xs, ys] = data.best[state.metric] || [[], []];
    if (state.x === "time" && xs.length) lines.push({ x: xs, y: ys, isStep: true, width: 2, className: "best", opacity: 0.9 });
    chart.show({
      first,
      lines,
      bands: [],
      rungs: state.x === "resource" ? data.rungs : [],
      xlabel: { time: "time since the experiment began [s]", resource: data.resource, reports: "reports" }[state.x],
      ylabel: (data.metrics[state.metric] || ["value"])[0],
      fromZero: true,
      logx: false,
      logy: state.logy,
    }, keepsZoom);
  }

  const set = (name, keepsZoom) => (value) => { state[name] = value; draw(keepsZoom); };
  const axes = [["time", "time"], ...(data.resource ? [["resource", data.resource]] : []), ["reports", "reports"]];
  const statuses = [...new Set(data.curves.map(([index]) => data.trials[index][STATUS]))].sort();
  const words = element("input", { type: "search", placeholder: "trial or configuration, such as lr=0.1" });
  words.addEventListener("input", () => set("words", true)(words.value.trim().toLowerCase()));
  const controls = element(
    "div", { class: "controls" },
    choice("over", axes, set("x")),
    data.metrics.length > 1 ? choice("metric", data.metrics.map(([name], index) => [index, name]), (value) => set("metric")(Number(value))) : null,
    choice("trials", [["all", "all"], ["best", "the ten best"], ...statuses.map((status) => [status, status.toLowerCase()])], set("which", true)),
    check("logarithmic", false, set("logy")),
    words,
    count,
    element("button", { type: "button", onclick: () => chart.whole() }, "Whole picture"),
  );
  draw();
  const legend = "The step line is the best value so far. A cross: stopped by the method; a square: paused, perhaps to go on; grey: did not train to the end. Drag to zoom, point to read.";
  host.append(controls, chart.figure, element("p", { class: "soft" }, legend));
  host.light = (index) => chart.light(chart.content.lines.find((line) => line.key === index));
}

function drawTrials(host, data) {
  if (!data.trials.length) return;
  const hasCost = data.trials.some((trial) => trial[COST] !== null);
  const metric = data.metrics.length ? `best ${data.metrics[0][0]}` : "best";
  const columns = ["trial", "status", "reports", metric, ...(hasCost ? ["cost [$]"] : []), ...data.config];
  const body = element("tbody");
  const rows = data.trials.map((trial, index) => {
    const cells = [trial[ID], trial[STATUS], trial[REPORTS], trial[VALUE], ...(hasCost ? [trial[COST]] : []), ...trial[CONFIG]];
    return element(
      "tr", { onpointerenter: () => host.light && host.light(index), onpointerleave: () => host.light && host.light(-1) },
      ...cells.map((cell) => element("td", { class: typeof cell === "number" ? "number" : null, "data-key": cell }, shown(cell))),
    );
  });
  const heads = columns.map((name) => element("th", { scope: "col" }, name));
  const table = element("table", {}, element("thead", {}, element("tr", {}, ...heads)), body);
  const more = element("button", { type: "button" }, `Show all ${rows.length}`);
  more.addEventListener("click", () => { body.replaceChildren(...rows); more.remove(); });
  body.append(...rows.slice(0, MAX_ROWS));
  makeSortable(table, () => rows);
  const about = element("summary", {}, `Trials (${rows.length})`);
  host.append(element("details", {}, about, element("div", { class: "wide" }, table), rows.length > MAX_ROWS ? more : null));
}
