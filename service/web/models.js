// The page of the models: a card each, from what the service says of them.

import { Problem, askJson } from "./api.js";
import { drawCard } from "./card.js";
import { byId, replace } from "./dom.js";
import { watchHealth } from "./health.js";
import { Scrape } from "./metrics.js";
import { tried } from "./tried.js";
import { count } from "./words.js";

const LOADING_MS = 1000;

const drawn = new Map(); // cards, by what the list says of their models

watchHealth();
tried(byId("said"), show);

// What is being loaded is looked at again; the other cards stay as they are, opened or not.
async function show() {
  const { models } = await askJson("v1/models");
  const scrape = await Scrape.take();
  await Promise.all(models.map((model) => draw(JSON.stringify(model), model.name, scrape)));
  place(models.map((model) => drawn.get(JSON.stringify(model))));
  const waiting = models.filter(({ status }) => status === "loading").length;
  tell(`${count(models.length, "model")}${waiting ? `, ${waiting} being loaded` : ""}.`);
  if (waiting) setTimeout(() => tried(byId("said"), show), LOADING_MS);
}

// A card that is put where it is already would lose how far its tables were scrolled.
function place(cards) {
  const there = byId("models").children;
  if (cards.length !== there.length) return replace(byId("models"), ...cards);
  cards.forEach((card, index) => card !== there[index] && there[index].replaceWith(card));
}

// What is said again is read out again.
function tell(words) {
  if (byId("said").textContent !== words) byId("said").textContent = words;
}

async function draw(state, name, scrape) {
  if (!drawn.has(state)) drawn.set(state, await cardOf(`v1/models/${encodeURIComponent(name)}`, scrape));
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
