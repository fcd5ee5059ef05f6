// The comparison of methods on one benchmark: choose the axis, hide setups, read all values at one place.

const AXES = { time: "time", cost: "cost", resource: "resource", trials: "trials" };

// Of a curve that stays as it is between two points: the last point that does not lie beyond x; -1: it begins later.
function upTo(xs, x) {
  let low = 0;
  let high = xs.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (xs[middle] <= x) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

// Thin from where on all of its runs have ended: there they are only carried on.
function linesOf(curve, style) {
  const line = { isStep: true, width: 2.2, label: curve.setup, ...style };
  const ended = curve.until === null ? curve.x.length : upTo(curve.x, curve.until) + 1;
  if (ended === 0 || ended >= curve.x.length) return [{ ...line, x: curve.x, y: curve.centre }];
  const first = { x: [...curve.x.slice(0, ended), curve.until], y: [...curve.centre.slice(0, ended), curve.centre[ended - 1]] };
  const rest = { x: [curve.until, ...curve.x.slice(ended)], y: [curve.centre[ended - 1], ...curve.centre.slice(ended)] };
  return [{ ...line, ...first, label: null }, { ...line, ...rest, width: 1, opacity: 0.7 }];
}

// Without the steep beginning, beside which all that matters would look alike.
function settled(curves, isLog) {
  const xs = extent(curves.flatMap((curve) => curve.x).concat([0]), false);
  if (!curves.length || isLog) return null;
  const from = Math.min(...curves.map((curve) => curve.x[0])) + 0.05 * (xs[1] - xs[0]);
  const ys = curves.flatMap((curve) => {
    const kept = curve.x.map((x, index) => index).filter((index) => curve.x[index] >= from);
    kept.push(Math.max(0, upTo(curve.x, from)));
    return [curve.centre, curve.lower, curve.upper].flatMap((values) => kept.map((index) => values[index]));
  });
  const range = extent(ys, false);
  return range && { x: widened(xs, false, 0.01), y: widened(range, false, 0.08) };
}

function drawComparison(host) {
  const views = parsed(host.dataset.from);
  const setups = [...new Set(views.flatMap((view) => view.panels.flatMap((panel) => panel.curves.map((curve) => curve.setup))))];
  const hidden = new Set();
  const state = { view: 0, logx: false, logy: false };
  const panels = element("div", { class: "panels" });

  function tell(curves, chart, x) {
    const at = chart.x.valueAt(x);
    const text = [`${views[state.view].xlabel}: ${shown(Number(at.toPrecision(4)))}`];
    for (const curve of curves) {
      const index = upTo(curve.x, at);
      if (index < 0) continue;
      const range = curve.lower[index] === null ? "" : ` [${shown(curve.lower[index])}, ${shown(curve.upper[index])}]`;
      const ended = curve.until !== null && at > curve.until ? ", has ended" : "";
      text.push(`${curve.setup}: ${shown(curve.centre[index])}${range} (${curve.counts[index]} of ${curve.runs} runs${ended})`);
    }
    return { text, at: x };
  }

  function draw() {
    const view = views[state.view];
    panels.replaceChildren();
    const visible = (panel) => panel.curves.filter((curve) => !hidden.has(curve.setup) && curve.x.length);
    // Panels are there to be compared: all have the same axes.
    const every = view.panels.flatMap(visible);
    const span = { x: every.flatMap((curve) => curve.x), y: every.flatMap((curve) => [...curve.centre, ...curve.lower, ...curve.upper]) };
    const first = settled(every, state.logx || state.logy);
    for (const panel of view.panels) {
      const curves = visible(panel);
      const chart = new Chart(panel.title, (drawn, x) => tell(curves, drawn, x));
      chart.show({
        first,
        span,
        xlabel: view.xlabel,
        ylabel: view.ylabel,
        fromZero: true,
        logx: state.logx,
        logy: state.logy,
        lines: curves.flatMap((curve) => linesOf(curve, styleOf(setups.indexOf(curve.setup)))),
        bands: curves.map((curve) => ({ ...curve, ...styleOf(setups.indexOf(curve.setup)) })),
      });
      panels.append(chart.figure);
    }
  }

  const severalMetrics = new Set(views.map((view) => view.metric)).size > 1;
  const names = views.map((view, index) => [index, severalMetrics ? `${AXES[view.over]}, ${view.metric}` : AXES[view.over]]);
  const controls = element("div", { class: "controls" });
  if (views.length > 1) controls.append(choice("over", names, (value) => { state.view = Number(value); draw(); }));
  controls.append(
    check("logarithmic x", false, (isOn) => { state.logx = isOn; draw(); }),
    check("logarithmic y", false, (isOn) => { state.logy = isOn; draw(); }),
  );
  for (const setup of setups.length > 1 ? setups : []) {
    const label = check(setup, true, (isOn) => { hidden[isOn ? "delete" : "add"](setup); draw(); });
    label.style.color = styleOf(setups.indexOf(setup)).colour;
    controls.append(label);
  }
  controls.append(element("span", { class: "soft" }, "Drag to zoom, double-click for the whole picture."));
  draw();
  host.append(controls, panels);
}
