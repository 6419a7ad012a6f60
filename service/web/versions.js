// The versions of a model: which one answers, which are on trial and how that goes, and which there were.

import { element } from "./dom.js";
import { percent, size } from "./words.js";

const AGREES = "same";
const LOOKED_AT = ["same", "other_label", "other_decision"];

// What is said of versions on trial, a sentence each.
export function trials({ name, reason, labels, canary_share: canaryShare, shadow_share: shadowShare, failures }, scrape) {
  return [
    labels.canary && canary(scrape, name, labels, canaryShare),
    labels.shadow && shadow(scrape, name, labels.shadow, shadowShare),
    ...failures
      .filter((failure) => failure.reason !== reason) // which stands there already
      .map((failure) => `Version ${failure.version} (${failure.label}) is not in service: ${failure.reason}`),
  ].filter(Boolean).map((words) => element("p", {}, words));
}

function canary(scrape, name, { canary: version, stable }, share) {
  const accepted = (which) => acceptedShare(scrape.by("decision", "hangtag_predictions_total", { model_name: name, model_version: which }));
  const [trial, usual] = [accepted(version), accepted(stable)];
  const so = trial === null ? "Nobody has asked it yet." : `It accepts ${percent(trial)}, the stable one ${usual === null ? "nothing yet" : percent(usual)}.`;
  return `Version ${version} is a canary: it answers ${percent(share, 0)} of the requests. ${so}`;
}

function acceptedShare({ accept = 0, review = 0 }) {
  return accept + review ? accept / (accept + review) : null;
}

function shadow(scrape, name, version, share) {
  const compared = scrape.by("comparison", "hangtag_shadow_comparisons_total", { model_name: name, model_version: version });
  const all = LOOKED_AT.reduce((sum, how) => sum + (compared[how] ?? 0), 0);
  const so = all ? `It agrees on ${percent(compared[AGREES] / all)} of ${all.toLocaleString("en")}.` : "It has seen none yet.";
  return `Version ${version} is a shadow: it looks at ${percent(share, 0)} of the photos and answers nobody. ${so}`;
}

export function history(versions) {
  const head = ["Version", "", "Made", "Right", "Precision", "Size"];
  return element(
    "div",
    { class: "wide", tabindex: 0, role: "group", "aria-label": "Versions" },
    element(
      "table",
      {},
      element("caption", {}, "Every version, the newest first"),
      element("thead", {}, element("tr", {}, ...head.map((word) => (word ? element("th", { scope: "col" }, word) : element("td"))))),
      element("tbody", {}, ...versions.map(row)),
    ),
  );
}

function row({ version, labels, created, test, precision, model_bytes: bytes }) {
  const cells = [
    element("td", {}, ...labels.map((label) => element("span", { class: "label" }, label))),
    element("td", {}, created ? new Date(created).toLocaleDateString("en", { dateStyle: "medium" }) : "its card cannot be read"),
    ...[test && percent(test.accuracy), precision, bytes && size(bytes)].map((value) => element("td", {}, value ?? "–")),
  ];
  return element("tr", {}, element("th", { scope: "row" }, version), ...cells);
}
