"use strict";

// Elements are made one by one and text is set as text: nothing that is shown can become markup.

const SVG = "http://www.w3.org/2000/svg";

function filled(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

function element(name, attributes, ...children) {
  return filled(document.createElement(name), attributes, children);
}

function shape(name, attributes, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function parsed(id) {
  return JSON.parse(document.getElementById(id).textContent);
}

// A drop-down list with a label. options: [[value, text], ...]
function choice(label, options, changed) {
  const list = element("select", { onchange: () => changed(list.value) });
  for (const [value, text] of options) list.append(element("option", { value }, text));
  return element("label", {}, label, list);
}

function check(label, isOn, changed) {
  const box = element("input", { type: "checkbox", onchange: () => changed(box.checked) });
  box.checked = isOn;
  return element("label", {}, box, label);
}
