// A chart of the last two minutes that moves: a line for each series, with its name and its value now.

import { drawing, element } from "./dom.js";

const [WIDTH, HEIGHT] = [240, 80];

export const POINTS = 120; // seconds
const FEWEST = 30; // before there are so many, the line begins in the midst

export class Chart {
  // `series` are names, most telling first; `shown` makes words of a value.
  constructor(title, series, shown) {
    this._shown = shown;
    this._title = title;
    this._lines = series.map((name, index) => ({
      points: [],
      name,
      path: drawing("path", { class: `line line-${index}` }),
      now: element("dd", {}, "–"),
      index,
    }));
    this._most = element("p", { class: "most soft small", "aria-hidden": "true" });
    this._svg = drawing(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" },
      ...this._lines.map(({ path }) => path),
    );
    const legend = this._lines.map(({ name, now, index }) => element("div", { class: `legend-${index}` }, element("dt", {}, name), now));
    this.place = element(
      "section",
      { class: "panel chart", "aria-label": title },
      element("h2", {}, title),
      element("dl", {}, ...legend),
      element("div", { class: "plot" }, this._svg, this._most),
    );
    this._draw();
  }

  // The next value of each series; null where there is none.
  add(...values) {
    this._lines.forEach((line, index) => {
      line.points.push(values[index]);
      if (line.points.length > POINTS) line.points.shift();
      line.now.textContent = this._words(values[index]);
    });
    this._draw();
  }

  _words(value) {
    return value === null || value === undefined ? "–" : this._shown(value);
  }

  _draw() {
    const most = Math.max(...this._lines.flatMap(({ points }) => points.map((value) => value ?? 0)), 0);
    this._most.textContent = most ? `up to ${this._shown(most)}` : "";
    for (const { path, points } of this._lines) path.setAttribute("d", pathOf(points, most || 1));
    this._svg.setAttribute("aria-label", `${this._title}: ${this._lines.map(({ name, points }) => `${name} ${this._words(points.at(-1))}`).join(", ")}`);
  }
}

// A line through the values, the newest at the right edge; where there is none, it stops.
function pathOf(points, most) {
  let isOn = false;
  return points.map((value, index) => {
    if (value === null) {
      isOn = false;
      return "";
    }
    const x = WIDTH - ((points.length - 1 - index) * WIDTH) / (Math.max(points.length, FEWEST) - 1);
    const y = HEIGHT - 2 - (value / most) * (HEIGHT - 4);
    const step = `${isOn ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}${isOn ? "" : "h.01"}`;
    isOn = true;
    return step;
  }).join("");
}
