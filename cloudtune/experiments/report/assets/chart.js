// A picture of lines and bands, drawn as SVG: drag to zoom, double-click for the whole, point to read values.
//
// What it shows: { xlabel, ylabel, logx, logy, fromZero, rungs: [x], lines, bands, first, span }, where
//   a line is { x, y, colour, dash, width, opacity, isStep, dots, className, label, mark, pauses, key }
//   a band is { x, lower, upper, colour }
// With fromZero the horizontal axis begins at 0. Missing values are null. `mark` stands at a line's last point: "stop" or
// "pause"; `pauses` are further points with a mark. `first` is a part { x, y } that is shown at first, each from the low
// to the high value. `span`, { x, y }, are the values that the whole picture has room for; by default those it shows.

const WIDTH = 760;
const HEIGHT = 400;
const NEAR = 40;

class Chart {
  // tell(chart, x, y): lines of text for a place in the picture, and the line that stands out; or null.
  constructor(title, tell) {
    this.tell = tell;
    this.zoom = null;
    this.svg = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": title || "Curves" });
    this.tip = element("div", { class: "tip", hidden: true });
    this.figure = element("figure", {}, title ? element("figcaption", {}, title) : null, this.svg, this.tip);
    this.svg.addEventListener("pointermove", (event) => this.moved(event));
    this.svg.addEventListener("pointerleave", () => this.left());
    this.svg.addEventListener("pointerdown", (event) => this.pressed(event));
    this.svg.addEventListener("pointerup", (event) => this.released(event));
    this.svg.addEventListener("dblclick", () => this.whole());
  }

  show(content, keepsZoom) {
    this.content = content;
    if (!keepsZoom) this.zoom = content.first || null;
    this.draw();
  }

  whole() {
    this.zoom = null;
    this.draw();
  }

  ranges() {
    const { lines, bands, logx, logy, fromZero } = this.content;
    const span = this.content.span || {
      x: [...lines, ...bands].flatMap((one) => one.x),
      y: [...lines.flatMap((one) => one.y), ...bands.flatMap((one) => [...one.lower, ...one.upper])],
    };
    const xs = extent(span.x.concat(fromZero ? [0] : []), logx);
    const ys = extent(span.y, logy);
    if (!xs || !ys) return null;
    return { x: logx ? widened(xs, true, 0.02) : widened(xs, false, 0.01), y: widened(ys, logy, 0.05) };
  }

  draw() {
    const { lines, bands, rungs, xlabel, ylabel, logx, logy } = this.content;
    this.svg.replaceChildren();
    this.left();
    const ranges = this.zoom || this.ranges();
    if (!ranges) {
      this.x = null;
      this.svg.append(shape("text", { x: WIDTH / 2, y: HEIGHT / 2, "text-anchor": "middle" }, "There are no values to draw."));
      return;
    }
    const labelled = lines.filter((line) => line.label && line.x.length);
    const longest = Math.max(0, ...labelled.map((line) => line.label.length));
    const named = labelled.length <= 16 ? labelled : [];
    const area = { left: 72, right: WIDTH - (named.length ? Math.min(220, 16 + 7.8 * longest) : 14), top: 12, bottom: HEIGHT - 44 };
    this.area = area;
    this.x = new Scale(ranges.x, [area.left, area.right], logx);
    this.y = new Scale(ranges.y, [area.bottom, area.top], logy);
    this.axes(area, xlabel, ylabel, rungs || []);
    const id = `clip-${(Chart.count = (Chart.count || 0) + 1)}`;
    const box = { x: area.left, y: area.top, width: area.right - area.left, height: area.bottom - area.top };
    this.svg.append(shape("clipPath", { id }, shape("rect", box)));
    this.inside = shape("g", { "clip-path": `url(#${id})` });
    for (const band of bands) this.inside.append(shape("path", { d: this.bandPath(band), fill: band.colour, "fill-opacity": 0.18 }));
    for (const line of lines) this.inside.append(...this.drawn(line));
    this.svg.append(this.inside, shape("rect", { class: "frame", ...box }));
    this.labels(named, area);
    this.over = shape("g", { "clip-path": `url(#${id})` });
    this.svg.append(this.over);
  }

  axes(area, xlabel, ylabel, rungs) {
    const text = (x, y, anchor, words, more) => this.svg.append(shape("text", { x, y, "text-anchor": anchor, ...more }, words));
    for (const tick of this.x.ticks(7)) {
      const x = this.x.at(tick);
      this.svg.append(shape("line", { class: "grid", x1: x, x2: x, y1: area.top, y2: area.bottom }));
      text(x, area.bottom + 16, "middle", shown(tick), { class: "tick" });
    }
    for (const tick of this.y.ticks(6)) {
      const y = this.y.at(tick);
      this.svg.append(shape("line", { class: "grid", x1: area.left, x2: area.right, y1: y, y2: y }));
      text(area.left - 6, y + 4, "end", shown(tick), { class: "tick" });
    }
    for (const rung of rungs) {
      const x = this.x.at(rung);
      if (x !== null && x >= area.left && x <= area.right) this.svg.append(shape("line", { class: "rung", x1: x, x2: x, y1: area.top, y2: area.bottom }));
    }
    text((area.left + area.right) / 2, HEIGHT - 8, "middle", xlabel);
    const middle = (area.top + area.bottom) / 2;
    text(14, middle, "middle", ylabel, { transform: `rotate(-90 14 ${middle})` });
  }

  // [x, y] of each point in the picture; null where there is none.
  places(line) {
    return line.x.map((value, index) => {
      const x = this.x.at(value);
      const y = this.y.at(line.y[index]);
      return x === null || y === null ? null : [x, y];
    });
  }

  path(places, isStep) {
    let path = "";
    let before = null;
    for (const place of places) {
      if (place) {
        const [x, y] = place.map((one) => one.toFixed(1));
        path += !before ? `M${x} ${y}` : isStep ? `H${x}V${y}` : `L${x} ${y}`;
      }
      before = place;
    }
    return path;
  }

  bandPath(band) {
    let path = "";
    const flush = (stretch) => {
      if (stretch.length < 2) return;
      const upper = stretch.map(([x, , high]) => [x, high]);
      const lower = stretch.map(([x, low]) => [x, low]);
      const back = [];
      for (let index = lower.length - 1; index > 0; index -= 1) back.push(lower[index], [lower[index][0], lower[index - 1][1]]);
      back.push(lower[0]);
      path += `${this.path(upper, true)}${back.map(([x, y]) => `L${x.toFixed(1)} ${y.toFixed(1)}`).join("")}Z`;
    };
    let stretch = [];
    band.x.forEach((value, index) => {
      const [x, low, high] = [this.x.at(value), this.y.at(band.lower[index]), this.y.at(band.upper[index])];
      if (x === null || low === null || high === null) {
        flush(stretch);
        stretch = [];
      } else stretch.push([x, low, high]);
    });
    flush(stretch);
    return path;
  }

  drawn(line) {
    line.places = this.places(line);
    const known = line.places.filter(Boolean);
    const colour = line.className ? {} : { stroke: line.colour };
    const pieces = [
      shape("path", {
        d: this.path(line.places, line.isStep), fill: "none", "stroke-width": line.width || 1.5, "stroke-opacity": line.opacity || 1,
        "stroke-dasharray": line.dash, "stroke-linejoin": "round", class: line.className, ...colour,
      }),
    ];
    // A single point is no line.
    if (line.dots || known.length === 1) {
      const radius = known.length === 1 ? 2.5 : 1.8;
      const d = known.map(([x, y]) => `M${(x - radius).toFixed(1)} ${y.toFixed(1)}a${radius} ${radius} 0 1 0 ${2 * radius} 0a${radius} ${radius} 0 1 0 ${-2 * radius} 0`).join("");
      pieces.push(shape("path", { d, fill: line.colour, "fill-opacity": line.opacity || 1 }));
    }
    const square = ([x, y]) => `M${x - 3} ${y - 3}h6v6h-6z`;
    const cross = ([x, y]) => `M${x - 3.5} ${y - 3.5}l7 7m-7 0l7 -7`;
    const marks = (line.pauses || []).map((index) => line.places[index]).filter(Boolean).map(square);
    if (line.mark && known.length) marks.push((line.mark === "stop" ? cross : square)(known[known.length - 1]));
    if (marks.length) pieces.push(shape("path", { d: marks.join(""), fill: "none", stroke: line.colour, "stroke-width": 1.4 }));
    return pieces;
  }

  labels(lines, area) {
    const ends = lines.map((line) => line.places.filter((place) => place && place[0] <= area.right + 1).pop());
    const visible = lines.map((line, index) => [line, ends[index]]).filter(([, end]) => end && end[1] >= area.top && end[1] <= area.bottom);
    const places = spread(visible.map(([, end]) => end[1]), 14, area.top + 6, area.bottom - 4);
    visible.forEach(([line], index) => {
      const text = line.label.length > 28 ? `${line.label.slice(0, 27)}\u2026` : line.label;
      const label = shape("text", { x: area.right + 6, y: places[index] + 4 }, text);
      label.style.fill = line.colour;
      this.svg.append(label);
    });
  }

  // Of the lines that can be read, the one with the point nearest to a place: [line, index of the point], or null.
  nearest(x, y) {
    let found = null;
    let least = NEAR * NEAR;
    for (const line of this.content.lines) {
      if (line.key === undefined) continue;
      line.places.forEach((place, index) => {
        if (!place) return;
        const distance = (place[0] - x) ** 2 + (place[1] - y) ** 2;
        if (distance < least) {
          least = distance;
          found = [line, index];
        }
      });
    }
    return found;
  }

  // Lets a line stand out.
  light(line) {
    if (!this.over) return;
    this.over.replaceChildren();
    if (line) this.over.append(...this.drawn({ ...line, width: 3, opacity: 1, dots: true }));
  }

  placeOf(event) {
    const box = this.svg.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * WIDTH, ((event.clientY - box.top) / box.height) * HEIGHT];
  }

  moved(event) {
    if (!this.x) return;
    const [x, y] = this.placeOf(event);
    if (this.start) {
      this.drawChosen(x, y);
      return;
    }
    const { left, right, top, bottom } = this.area;
    const told = x < left || x > right || y < top || y > bottom ? null : this.tell(this, x, y);
    if (!told) {
      this.left();
      return;
    }
    this.light(told.line || null);
    if (told.at !== undefined) this.over.append(shape("line", { class: "cross", x1: told.at, x2: told.at, y1: top, y2: bottom }));
    this.tip.textContent = told.text.join("\n");
    this.tip.hidden = false;
    this.placeTip(x, y);
  }

  // Beside the pointer, on the side where there is more room.
  placeTip(x, y) {
    const whole = this.figure.getBoundingClientRect();
    const box = this.svg.getBoundingClientRect();
    const [left, top] = [(x / WIDTH) * box.width, box.top - whole.top + (y / HEIGHT) * box.height];
    const style = this.tip.style;
    style.left = x > WIDTH / 2 ? "auto" : `${left + 14}px`;
    style.right = x > WIDTH / 2 ? `${whole.width - left + 14}px` : "auto";
    style.top = y > HEIGHT / 2 ? "auto" : `${top + 10}px`;
    style.bottom = y > HEIGHT / 2 ? `${whole.height - top + 10}px` : "auto";
  }

  left() {
    this.tip.hidden = true;
    if (this.over && !this.start) this.over.replaceChildren();
  }

  pressed(event) {
    if (!this.x || event.button !== 0 || event.pointerType === "touch") return;
    this.start = this.placeOf(event);
    this.svg.setPointerCapture(event.pointerId);
    this.tip.hidden = true;
  }

  drawChosen(x, y) {
    const [left, top, right, bottom] = this.chosen(x, y);
    this.over.replaceChildren(shape("rect", { class: "chosen", x: left, y: top, width: right - left, height: bottom - top }));
  }

  // The stretch dragged over; all of the height, or of the width, where the pointer has hardly moved the other way.
  chosen(x, y) {
    const { left, right, top, bottom } = this.area;
    const clipped = (value, low, high) => Math.max(low, Math.min(high, value));
    const xs = [this.start[0], x].map((one) => clipped(one, left, right)).sort((a, b) => a - b);
    const ys = [this.start[1], y].map((one) => clipped(one, top, bottom)).sort((a, b) => a - b);
    if (ys[1] - ys[0] < 12) [ys[0], ys[1]] = [top, bottom];
    else if (xs[1] - xs[0] < 12) [xs[0], xs[1]] = [left, right];
    return [xs[0], ys[0], xs[1], ys[1]];
  }

  released(event) {
    if (!this.start) return;
    const [x, y] = this.placeOf(event);
    const isDrag = Math.hypot(x - this.start[0], y - this.start[1]) > 8;
    const [left, top, right, bottom] = this.chosen(x, y);
    this.start = null;
    if (!isDrag) {
      this.over.replaceChildren();
      return;
    }
    this.zoom = { x: [this.x.valueAt(left), this.x.valueAt(right)], y: [this.y.valueAt(bottom), this.y.valueAt(top)] };
    this.draw();
  }
}
