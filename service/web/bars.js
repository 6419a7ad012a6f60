// Scores as bars, with the threshold as a line across, and how a photo stands as a word with a sign.

import { element } from "./dom.js";

const STATES = { accept: "✓ Accept", review: "◔ Review", failed: "✕ No answer", corrected: "✎ Corrected" };

export function bar(share) {
  const fill = element("div", { class: "fill moves" });
  fill.style.width = `${100 * share}%`;
  return fill;
}

export function mark(threshold) {
  const line = element("div", { class: "threshold" });
  line.style.left = `${100 * threshold}%`;
  return line;
}

export function stateOf({ state }) {
  return element("span", { class: `decision ${state}` }, STATES[state]);
}
