// The page of the models: a card each, from what the service says of them.

import { Problem, askJson } from "./api.js";
import { drawCard } from "./card.js";
import { byId } from "./dom.js";
import { watchHealth } from "./health.js";
import { Scrape } from "./metrics.js";
import { count } from "./words.js";

watchHealth();
try {
  await show();
} catch ({ message }) {
  byId("said").textContent = message;
}

async function show() {
  const { models } = await askJson("v1/models");
  const scrape = await Scrape.take();
  const cards = await Promise.all(models.map(({ name }) => cardOf(`v1/models/${encodeURIComponent(name)}`, scrape)));
  byId("models").append(...cards);
  byId("said").textContent = `${count(models.length, "model")} in service.`;
}

async function cardOf(path, scrape) {
  const [detail, { versions }] = await Promise.all([askJson(path), askJson(`${path}/versions`)]);
  return drawCard(detail, versions, detail.card && (await figuresOf(path)), scrape);
}

// Null where the version was published without a report.
async function figuresOf(path) {
  try {
    return await askJson(`${path}/figures`);
  } catch (error) {
    if (error instanceof Problem) return null;
    throw error;
  }
}
