// A model's card: what it tells apart, how good it is, what it mixes up, what it promises, and its versions.

import { ask } from "./api.js";
import { calibration } from "./calibration.js";
import { confusion } from "./confusion.js";
import { element } from "./dom.js";
import { tested } from "./figures.js";
import { key } from "./key.js";
import { history, trials } from "./versions.js";
import { count, duration, percent, size } from "./words.js";

const MOST_LABELS = 60; // that a card has room for

// `detail` is what the service knows of it; `figures` are those of its report, null where it has none.
export function drawCard(detail, versions, figures, scrape) {
  const { name, card } = detail;
  return element(
    "article",
    { class: "panel model", "aria-labelledby": `model-${name}` },
    heading(detail),
    ...(card ? body(detail, figures, scrape).filter(Boolean) : [element("p", { class: "problem" }, detail.reason ?? `It is ${detail.status}.`)]),
    ...trials(detail, scrape),
    element("details", {}, element("summary", {}, count(versions.length, "version")), history(versions)),
  );
}

function heading({ name, status, version, card }) {
  const links = card
    ? [
        element("a", { class: "button", href: `./?${new URLSearchParams({ model: name })}` }, "Try it"),
        ...("report/report.html" in card.files ? [report(name)] : []),
      ]
    : [];
  return element(
    "header",
    { class: "row between" },
    element(
      "div",
      {},
      element("h2", { id: `model-${name}` }, name, " ", element("span", { class: "soft version" }, `version ${version}, ${status}`)),
      card ? element("p", { class: "soft" }, card.description) : null,
    ),
    element("div", { class: "row" }, ...links),
  );
}

// A link brings no key: where there is one, the page is asked for as everything is, and saved.
function report(name) {
  const path = `v1/models/${encodeURIComponent(name)}/report`;
  const link = element("a", { class: "button", href: path }, "Full report");
  link.addEventListener("click", async (event) => {
    if (!key()) return;
    event.preventDefault();
    const url = URL.createObjectURL(await (await ask(path)).blob());
    element("a", { href: url, download: `${name}.html` }).click();
    setTimeout(() => URL.revokeObjectURL(url));
  });
  return link;
}

function body({ name, version, card }, figures, scrape) {
  return [
    element("ul", { class: "classes", "aria-label": "What it tells apart" }, ...labels(card).map((label) => element("li", {}, label))),
    element("dl", { class: "figures" }, ...facts(card, speed(scrape, name, version))),
    element(
      "div",
      { class: "charts" },
      figures ? confusion(card.labels, figures.test.confusion, figures.test.mixups) : null,
      figures ? calibrated(figures) : null,
    ),
    figures && card.export.quantised ? element("p", { class: "soft small" }, asTrained(card.export.quantised)) : null,
  ];
}

function labels({ labels: all }) {
  return all.length > MOST_LABELS ? [...all.slice(0, MOST_LABELS), `and ${count(all.length - MOST_LABELS, "other")}`] : all;
}

// The report is of the trained model, which the figures above are not when this one is in 8 bits.
function asTrained({ agreement }) {
  return `The charts are of the model as it was trained; in 8 bits it gives ${percent(agreement)} of the photos the same label.`;
}

function facts(card, seconds) {
  const { accuracy, accuracy_interval: [low, high], count: photos, accepted_share: accepted, accepted_precision: precision } = tested(card);
  const promised = card.accept_precision ? `promised: at least ${percent(card.accept_precision, 0)}` : "nothing was promised";
  return [
    fact("Right", percent(accuracy), `of ${count(photos, "photo")}; ${percent(0.95, 0)} sure: ${percent(low)} to ${percent(high)}`),
    fact("Accepted", percent(accepted), `without a person, from a score of ${percent(card.accept_threshold)}`),
    fact("Right of those", precision === null ? "–" : percent(precision), promised),
    fact("Speed", seconds === null ? "–" : duration(seconds), seconds === null ? "nobody has asked it yet" : "a photo in the model, on average"),
    fact("Size", size(card.export.model_bytes), `${card.export.precision}, ${card.input.width} × ${card.input.height} pixels`),
  ];
}

function fact(term, value, words) {
  return element("div", {}, element("dt", {}, term), element("dd", { class: "value" }, value), element("dd", { class: "soft small" }, words));
}

// Seconds of the model's runs for each photo, null where there was none.
function speed(scrape, name, version) {
  const labels = { model_name: name, model_version: version };
  const photos = scrape.sum("hangtag_batch_size_sum", labels);
  return photos ? scrape.sum("hangtag_stage_duration_seconds_sum", { ...labels, stage: "infer" }) / photos : null;
}

function calibrated({ calibration: { reliability, calibration_error: errors } }) {
  const error = (errors.test ?? Object.values(errors)[0]).after;
  const words = `What it says of how sure it is, is off by ${percent(error)} on average.`;
  return element("figure", {}, calibration(reliability.after, words), element("figcaption", { class: "soft small" }, words));
}
