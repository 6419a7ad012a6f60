// Which labels the models gave in the last two minutes, and how many of these answers were accepted.

import { bar } from "./bars.js";
import { byId, element } from "./dom.js";
import { count, percent } from "./words.js";

const MOST_LABELS = 12;

export function drawMix(between) {
  const models = new Map();
  for (const { labels, value } of between.grown("hangtag_predictions_total")) {
    if (!value) continue;
    const of = models.get(labels.model_name) ?? new Map();
    const mix = of.get(labels.label) ?? { accept: 0, review: 0 };
    mix[labels.decision] += value;
    models.set(labels.model_name, of.set(labels.label, mix));
  }
  const drawn = [...models].sort().map(([name, labels]) => drawModel(name, labels));
  byId("mix").replaceChildren(...(drawn.length ? drawn : [element("p", {}, "Nobody has asked a model anything.")]));
}

function drawModel(name, labels) {
  const all = [...labels].map(([label, { accept, review }]) => ({ label, accept, number: accept + review }));
  const total = all.reduce((sum, { number }) => sum + number, 0);
  const accepted = all.reduce((sum, { accept }) => sum + accept, 0);
  const rows = all.sort((one, other) => other.number - one.number).slice(0, MOST_LABELS).map(({ label, number }) =>
    element(
      "li",
      {},
      element("span", {}, label),
      element("span", { class: "track", "aria-hidden": "true" }, bar(number / total)),
      element("span", { class: "small" }, percent(number / total)),
    ),
  );
  return element(
    "div",
    {},
    element("h3", {}, name),
    element("p", { class: "soft small" }, `${count(total, "answer")}, ${percent(accepted / total)} accepted`),
    element("ol", { class: "sizes" }, ...rows),
  );
}
