// What a model mixes up: how often photos of each label were answered as each label, or of many labels the worst mix-ups.

import { element } from "./dom.js";
import { count, percent } from "./words.js";

const MOST_LABELS = 24; // that a person can look over
const MOST_MIXUPS = 10;

// `mixups` have a label, the answer in its place, how often, and the label's share, the worst first.
export function confusion(labels, counts, mixups) {
  return labels.length > MOST_LABELS ? worst(mixups) : matrix(labels, counts);
}

function worst(mixups) {
  const rows = mixups.slice(0, MOST_MIXUPS).map(({ label, answer, count: times, share }) =>
    element("li", {}, `${label} as ${answer}: ${count(times, "photo")}, ${percent(share)} of them`),
  );
  return element("div", {}, element("h3", {}, "What it mixes up most"), element("ol", {}, ...rows));
}

function matrix(labels, counts) {
  const head = element("tr", {}, element("th", { scope: "col" }, "It is"), ...labels.map((label) => element("th", { scope: "col" }, label)));
  const rows = counts.map((row, index) => {
    const total = row.reduce((sum, times) => sum + times, 0);
    const cells = row.map((times, answered) => cell(times, times / Math.max(total, 1), answered === index));
    return element("tr", {}, element("th", { scope: "row" }, labels[index]), ...cells);
  });
  return element(
    "div",
    { class: "wide", tabindex: 0, role: "group", "aria-label": "Confusion matrix" },
    element(
      "table",
      { class: "confusion" },
      element("caption", {}, "Photos of each label (rows), by what the model said (columns)"),
      element("thead", {}, head),
      element("tbody", {}, ...rows),
    ),
  );
}

function cell(times, share, isRight) {
  const drawn = element("td", { class: isRight ? "right" : "wrong", title: percent(share) }, times || "·");
  drawn.style.setProperty("--share", share);
  return drawn;
}
