// How large the batches of the last two minutes were: a column for each size.

import { bar } from "./bars.js";
import { element } from "./dom.js";

export class Sizes {
  constructor() {
    this._rows = element("ol", { class: "sizes" });
    this.place = element(
      "section",
      { class: "panel chart", "aria-label": "Photos in a run of a model" },
      element("h2", {}, "Photos in a run"),
      this._rows,
    );
  }

  draw(buckets) {
    const all = buckets.reduce((sum, { count }) => sum + count, 0);
    let low = 1;
    const rows = buckets.filter(({ bound }) => bound !== Infinity).map(({ bound, count }) => {
      const words = low === bound ? `${bound}` : `${low}–${bound}`;
      low = bound + 1;
      return element(
        "li",
        {},
        element("span", {}, words),
        element("span", { class: "track", "aria-hidden": "true" }, bar(all ? count / all : 0)),
        element("span", { class: "small" }, `${Math.round(count)}`),
      );
    });
    this._rows.replaceChildren(...rows);
  }
}
