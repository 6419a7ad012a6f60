// Asks a model about many photos in one request, and tells of each when its line comes.

import { Problem, ask } from "./api.js";
import { LABELS_SHOWN } from "./classify.js";

const MOST_LABELS = 1000; // that the service gives
const URGENCY = 5; // behind photos that somebody waits for

// `told` gets a photo and its outcome. Gives the photos of which nothing was said before the answer broke off.
export async function classifyBatch(model, photos, signal, told, { labels = LABELS_SHOWN, urgency = URGENCY } = {}) {
  const started = performance.now();
  const form = new FormData();
  for (const { file } of photos) form.append("images", file, file.name);
  const response = await ask(`v1/models/${encodeURIComponent(model)}/classify-batch?top_k=${Math.min(labels, MOST_LABELS)}`, {
    method: "POST",
    headers: { Accept: "application/x-ndjson", Priority: `u=${urgency}` },
    body: form,
    signal,
  });
  const silent = new Set(photos);
  const tell = (photo, outcome) => {
    silent.delete(photo);
    told(photo, { ...outcome, seconds: (performance.now() - started) / 1000 });
  };
  try {
    for await (const line of lines(response)) {
      const said = JSON.parse(line);
      // The last line may be the problem of the whole, and so of all that have no line.
      for (const photo of said.index === undefined ? [...silent] : [photos[said.index]]) tell(photo, outcomeOf(said));
    }
  } catch (error) {
    if (signal.aborted || error instanceof Problem) throw error;
  }
  return [...silent];
}

function outcomeOf(said) {
  return said.predictions ? { answer: said } : { problem: new Problem(said.status, said.code, said.detail) };
}

async function* lines(response) {
  let rest = "";
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n");
    rest = parts.pop();
    yield* parts;
  }
}
