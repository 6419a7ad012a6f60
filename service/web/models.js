// The page of the models: a card each, from what the service says of them.

import { Problem, askJson } from "./api.js";
import { drawCard } from "./card.js";
import { byId } from "./dom.js";
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
  place(byId("models"), models.map((model) => drawn.get(JSON.stringify(model))));
  const waiting = models.filter(({ status }) => status === "loading").length;
  tell(`${count(models.length, "model")}${waiting ? `, ${waiting} being loaded` : ""}.`);
  if (waiting) setTimeout(() => tried(byId("said"), show), LOADING_MS);
}

// A card that is put where it is already loses what is marked in it and how far its tables were scrolled.
function place(there, cards) {
  cards.forEach((card, index) => {
    const now = there.children[index];
    if (!now) there.append(card);
    else if (now !== card) now.replaceWith(card);
  });
  while (there.children.length > cards.length) there.lastChild.remove();
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
