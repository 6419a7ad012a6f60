// All that is said of one photo: labels as bars, the threshold on the best one, the decision, the time, and the curl.

import { bar, mark, stateOf } from "./bars.js";
import { labelChoice } from "./correction.js";
import { curl } from "./curl.js";
import { element } from "./dom.js";
import { tested } from "./figures.js";
import { drawReason } from "./reason.js";
import { duration, percent } from "./words.js";

// `changed` is called with the photo when a person says what it really is, or asked why.
export function drawAnswer(photo, changed) {
  const said = element("div", { class: "said" }, ...parts(photo, changed));
  return element("article", { class: "answer" }, picture(photo), said);
}

function picture({ url, why }) {
  if (why) return element("div", { class: "photo" }, why.picture);
  const image = element("img", { src: url, alt: "", decoding: "async" });
  const frame = element("div", { class: "photo" }, image);
  image.addEventListener("error", () => frame.replaceChildren(element("p", { class: "soft small" }, "This browser cannot show it.")));
  return frame;
}

function parts(photo, changed) {
  if (photo.state === "waiting") return [title(photo, "…")];
  const command = curl(photo.model.name, photo.file);
  if (photo.state === "failed") {
    return [title(photo, "No answer"), element("p", { class: "problem" }, photo.problem.message), command];
  }
  return [
    title(photo, photo.label, stateOf(photo)),
    bars(photo.answer),
    element("p", { class: "soft small" }, why(photo.answer, photo.model.card)),
    element("label", { class: "row small" }, "Not right? It is", labelChoice(photo, changed)),
    drawReason(photo, changed),
    facts(photo),
    command,
  ];
}

function title({ path }, text, ...more) {
  return element("div", { class: "title" }, element("p", { class: "soft small file" }, path), element("h2", {}, text), ...more);
}

function bars({ predictions, threshold }) {
  const rows = predictions.map(({ label, score }, rank) =>
    element(
      "li",
      {},
      element("span", {}, label),
      element("span", { class: "track", "aria-hidden": "true" }, bar(score), rank ? null : mark(threshold)),
      element("span", { class: "score" }, percent(score)),
    ),
  );
  return element("ol", { class: "bars", "aria-label": "Labels, best first" }, ...rows);
}

function why({ decision, threshold }, card) {
  const { accepted_precision: precision } = tested(card); // measured; what the card promises was measured on other photos
  const promise = precision === null ? "" : ` When the model was tested, ${percent(precision)} of the answers over it were right.`;
  const side = decision === "accept" ? "Sure enough: over" : "Let a person look: under";
  return `${side} the line at ${percent(threshold)}.${promise}`;
}

function facts({ answer, seconds }) {
  return element(
    "p",
    { class: "facts soft small" },
    element("span", {}, `${answer.model}, version ${answer.version}`),
    seconds === null ? null : element("span", {}, `answered in ${duration(seconds)}`),
  );
}
