// Whether a model is right as often as it says: for answers of about the same score, the share of right ones.

import { drawing } from "./dom.js";

const SIDE = 200;
const EDGE = 30;

// `points` have a mean score, the share that was right, its interval, and how many answers they are of.
export function calibration(points, words) {
  const across = (share) => EDGE + share * (SIDE - EDGE - 6);
  const up = (share) => SIDE - across(share);
  const most = Math.max(...points.map(({ count }) => count));
  return drawing(
    "svg",
    { class: "calibration", viewBox: `0 0 ${SIDE} ${SIDE}`, role: "img", "aria-label": words },
    drawing("path", { class: "axis", d: `M${EDGE} 6V${SIDE - EDGE}H${SIDE - 6}` }),
    drawing("path", { class: "even", d: `M${across(0)} ${up(0)}L${across(1)} ${up(1)}` }),
    ...points.flatMap(({ score, right, interval: [low, high], count }) => [
      drawing("path", { class: "interval", d: `M${across(score)} ${up(low)}V${up(high)}` }),
      drawing("circle", { cx: across(score), cy: up(right), r: 2.5 + 4 * Math.sqrt(count / most) }),
    ]),
    drawing("text", { x: (SIDE + EDGE) / 2, y: SIDE - 8, "text-anchor": "middle" }, "how sure it was →"),
    drawing("text", { transform: `translate(14 ${(SIDE - EDGE) / 2}) rotate(-90)`, "text-anchor": "middle" }, "how often right →"),
  );
}
