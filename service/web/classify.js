// Asks a model about one photo, as any client would.

import { ask } from "./api.js";

export const LABELS_SHOWN = 5;

// The answer, and the seconds from asking to having it.
export async function classify(model, file, signal) {
  const started = performance.now();
  const response = await ask(pathFor(model), {
    method: "POST",
    headers: { "Content-Type": typeOf(file) },
    body: file,
    signal,
  });
  const answer = await response.json();
  return { answer, seconds: (performance.now() - started) / 1000 };
}

export function pathFor(model) {
  return `v1/models/${encodeURIComponent(model)}/classify?top_k=${LABELS_SHOWN}`;
}

export function typeOf(file) {
  return file.type || "application/octet-stream";
}
