"use strict";

// Runs the script of a report in a browser that is just large enough for it, and tells what it has drawn.
//
// Standard input: { script, data: { id: text }, comparisons: [id], experiments: [{ name, from }], rows: [[cell]] }

class Node {
  constructor(tag) {
    Object.assign(this, { tagName: tag.toUpperCase(), childNodes: [], attributes: {}, dataset: {}, style: {}, listeners: {}, text: "" });
    Object.assign(this, { hidden: false, parentElement: null });
  }

  get children() { return this.childNodes.filter((child) => child instanceof Node); }
  get childElementCount() { return this.children.length; }
  get textContent() { return this.text + this.childNodes.map((child) => (child instanceof Node ? child.textContent : child)).join(""); }
  set textContent(text) { this.childNodes = []; this.text = String(text); }
  get rows() { return this.all((one) => one.tagName === "TR"); }
  get cells() { return this.children; }
  get tHead() { return this.all((one) => one.tagName === "THEAD")[0]; }
  get tBodies() { return this.all((one) => one.tagName === "TBODY"); }

  append(...children) {
    for (const child of children) {
      if (child instanceof Node) {
        if (child.parentElement) child.parentElement.childNodes = child.parentElement.childNodes.filter((one) => one !== child);
        child.parentElement = this;
      }
      this.childNodes.push(child instanceof Node ? child : String(child));
    }
  }
  replaceChildren(...children) {
    this.text = "";
    for (const child of this.children) child.parentElement = null;
    this.childNodes = [];
    this.append(...children);
  }
  before(...children) { this.parentElement.append(...children); }
  remove() { this.parentElement.childNodes = this.parentElement.childNodes.filter((one) => one !== this); }
  setAttribute(name, value) {
    this.attributes[name] = String(value);
    if (name.startsWith("data-")) this.dataset[name.slice(5)] = String(value);
    if (name === "value") this.value = String(value);
  }
  getAttribute(name) { return this.attributes[name] ?? null; }
  removeAttribute(name) { delete this.attributes[name]; }
  addEventListener(kind, listener) { (this.listeners[kind] ||= []).push(listener); }
  fire(kind, event = {}) { for (const listener of this.listeners[kind] || []) listener({ target: this, button: 0, ...event }); }
  setPointerCapture() {}
  getBoundingClientRect() { return { left: 0, top: 0, width: 760, height: 400 }; }
  scrollIntoView() {}
  all(fits) { return this.children.flatMap((child) => [...(fits(child) ? [child] : []), ...child.all(fits)]); }
  querySelector(selector) { return this.querySelectorAll(selector)[0] || null; }
  querySelectorAll(selector) {
    const [tag, name] = selector.startsWith("table[") ? ["TABLE", null] : [selector.split(".")[0].toUpperCase(), selector.split(".")[1]];
    return this.all((one) => (!tag || one.tagName === tag) && (!name || (one.attributes.class || "").split(" ").includes(name)));
  }
}

function made(tag, attributes, ...children) {
  const node = new Node(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

const given = JSON.parse(require("fs").readFileSync(0, "utf8"));
const [heads, ...rows] = given.rows;
const line = (cell) => (cells) => made("tr", {}, ...cells.map((text) => made(cell, {}, text)));
const table = made("table", { id: "table-of-experiments" }, made("thead", {}, line("th")(heads)), made("tbody", {}, ...rows.map(line("td"))));
const comparisons = given.comparisons.map((from) => {
  const host = made("div", { class: "comparison" });
  host.dataset.from = from;
  return host;
});
const experiments = given.experiments.map(({ name, from }, index) => {
  const host = made("div", { class: "curves" });
  host.dataset.from = from;
  const details = made("details", { class: "experiment", id: `experiment-${index}` }, host);
  details.dataset.name = name;
  return details;
});
const scripts = Object.entries(given.data).map(([id, text]) => {
  const script = made("script", { id });
  script.textContent = text;
  return script;
});
const body = made("body", {}, made("div", {}, table), ...comparisons, ...experiments, ...scripts);
global.document = {
  createElement: (tag) => new Node(tag),
  createElementNS: (_, tag) => new Node(tag),
  getElementById: (id) => body.all((one) => one.attributes.id === id)[0] || null,
  querySelectorAll: (selector) => body.querySelectorAll(selector),
};
global.location = { hash: "#experiment-0" };
global.addEventListener = () => {};

new Function(given.script)();

const texts = (host, name) => host.all((one) => (one.attributes.class || "") === name).map((one) => one.textContent);
const seen = {};
seen.lazily = experiments.map((one) => Boolean(one.open));
for (const one of experiments) {
  one.open = true;
  one.fire("toggle");
}

// Sorted by each column, then filtered by the first experiment's name.
seen.sorted = heads.map((_, column) => {
  table.tHead.rows[0].cells[column].children[0].fire("click");
  return table.tBodies[0].rows.map((row) => row.cells[0].textContent);
});
const filter = body.all((one) => one.attributes["aria-label"] === "Filter experiments")[0];
filter.value = given.experiments[0].name.toUpperCase();
filter.fire("input");
seen.filtered = experiments.filter((one) => !one.hidden).map((one) => one.dataset.name);

seen.comparisons = comparisons.map((host) => {
  const select = host.all((one) => one.tagName === "SELECT")[0];
  const views = select ? select.children.map((option) => option.value) : [];
  return ["", ...views].map((view) => {
    if (view) {
      select.value = view;
      select.fire("change");
    }
    const svg = host.all((one) => one.tagName === "SVG")[0];
    svg.fire("pointermove", { clientX: 500, clientY: 200 });
    const paths = svg.all((one) => one.tagName === "PATH").map((one) => one.attributes.d);
    const panels = host.all((one) => one.tagName === "SVG").map((one) => texts(one, "tick"));
    return { ticks: texts(svg, "tick"), tip: texts(host, "tip")[0], paths, panels };
  });
});

seen.experiments = experiments.map((details) => {
  const svg = details.all((one) => one.tagName === "SVG")[0];
  const drawn = () => (svg ? { ticks: texts(svg, "tick"), lines: svg.all((one) => one.tagName === "PATH").map((one) => one.attributes.d) } : null);
  const whole = drawn();
  let tip = null;
  let zoomed = null;
  if (svg) {
    for (let x = 80; x < 740 && !tip; x += 4) {
      for (let y = 20; y < 350 && !tip; y += 4) {
        svg.fire("pointermove", { clientX: x, clientY: y });
        const found = details.all((one) => one.attributes.class === "tip")[0];
        tip = found.hidden ? null : found.textContent;
      }
    }
    svg.fire("pointerdown", { clientX: 200, clientY: 100 });
    svg.fire("pointermove", { clientX: 400, clientY: 200 });
    svg.fire("pointerup", { clientX: 400, clientY: 200 });
    zoomed = drawn();
    svg.fire("dblclick");
  }
  const again = drawn();
  const trials = details.all((one) => one.tagName === "TBODY")[0];
  const count = texts(details, "soft").find((text) => / of \d+ trials/.test(text)) || "";
  return { whole, zoomed, again, tip, count, trials: trials ? trials.rows.map((row) => row.cells.map((cell) => cell.textContent)) : [] };
});
process.stdout.write(JSON.stringify(seen));
