// Asks a model about photos, and tells of each as soon as there is something to tell: one alone, many in batches.

import { classifyBatch } from "./batch.js";
import { classify } from "./classify.js";

// A browser reads nothing of an answer before it has sent the request, so a batch is small, and the next is on its way.
const BATCH = 16;
const BATCH_BYTES = 4e6; // a form of large photos is sent for a minute, in which nothing would be shown
const AT_ONCE = 2;
const TRIES = 3;

export async function askMany({ name }, photos, signal, told) {
  const tell = (photo, outcome) => {
    if (signal.aborted) return;
    Object.assign(photo, outcome);
    told(photo);
  };
  if (photos.length === 1) {
    for (const photo of await readable(photos, tell)) await askOne(name, photo, signal, tell);
    return;
  }
  const rest = [...photos];
  const work = async () => {
    while (rest.length && !signal.aborted) await askBatch(name, nextOf(rest), signal, tell);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

// Takes the photos that are asked together out of the rest: one at least.
function nextOf(rest) {
  let bytes = 0;
  const most = rest.findIndex(({ file }, index) => (bytes += file.size) > BATCH_BYTES && index > 0);
  return rest.splice(0, most < 0 ? BATCH : Math.min(most, BATCH));
}

// The photos that can still be read; of others it tells so, since a request with one of them would break off.
async function readable(photos, tell) {
  const looks = await Promise.allSettled(photos.map(({ file }) => file.slice(0, 1).arrayBuffer()));
  return photos.filter((photo, index) => {
    const isRead = looks[index].status === "fulfilled";
    if (!isRead) tell(photo, { problem: new Error("The browser cannot read it: it was moved or changed, or is no file.") });
    return isRead;
  });
}

async function askOne(model, photo, signal, tell) {
  try {
    tell(photo, await classify(model, photo.file, signal));
  } catch (problem) {
    tell(photo, { problem });
  }
}

async function askBatch(model, photos, signal, tell) {
  let silent = await readable(photos, tell);
  try {
    for (let tries = 1; silent.length && tries <= TRIES; tries += 1) silent = await classifyBatch(model, silent, signal, tell);
    if (silent.length) throw new Error("The service broke off its answer again and again.");
  } catch (problem) {
    silent.forEach((photo) => tell(photo, { problem }));
  }
}
