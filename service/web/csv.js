// What was answered and corrected, as CSV files to download.

import { element } from "./dom.js";

const RUN_BY_SPREADSHEETS = /^[=+\-@\t\r\n']/; // or dropped by them, as the sign is that keeps it from that
const ANSWER_COLUMNS = ["path", "label", "score", "decision", "threshold", "model", "version", "correction", "problem"];

export function downloadAnswers(photos) {
  const rows = photos.map(({ path, answer, correction, problem }) => {
    const [best] = answer?.predictions ?? [];
    const [name, label, corrected, message] = [path, best?.label, correction, problem?.message].map(harmless);
    return [name, label, best?.score, answer?.decision, answer?.threshold, answer?.model, answer?.version, corrected, message];
  });
  download("answers.csv", [ANSWER_COLUMNS, ...rows]);
}

// A text that a spreadsheet shows as it is, and does not run: the same as `hangtag classify` writes.
function harmless(text) {
  return RUN_BY_SPREADSHEETS.test(text ?? "") ? `'${text}` : text;
}

// A manifest for `hangtag train`, which looks for the photos, by their very names, from the folder that it stands in.
export function downloadCorrections(photos) {
  const rows = photos.filter(({ correction }) => correction).map(({ path, correction }) => [path, correction]);
  download("corrections.csv", [["path", "label"], ...rows]);
}

function download(name, rows) {
  const text = rows.map((row) => `${row.map(field).join(",")}\r\n`).join("");
  const url = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  element("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url));
}

function field(value) {
  const text = String(value ?? "");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
