// The choice of a model, which stands in the address, too, so that a link leads to the same one.

import { askJson } from "./api.js";
import { byId, element } from "./dom.js";
import { tested } from "./figures.js";
import { tried } from "./tried.js";
import { count, percent } from "./words.js";

const LOADING_MS = 1000;

let chosen = null; // what the service says of it; its card is null unless it is ready

// Fills the choice; `changed` is called with each model that is chosen, the first one, too, where another `may` be.
export async function pickModel(changed, may) {
  await tried(byId("about"), () => fill(byId("model"), changed, may));
}

async function fill(select, changed, may) {
  const { models } = await askJson("v1/models");
  select.replaceChildren(
    ...models.map(({ name, status }) => element("option", { value: name }, status === "ready" ? name : `${name} (${status})`)),
  );
  const wanted = new URLSearchParams(location.search).get("model");
  select.value = models.some(({ name }) => name === wanted) ? wanted : firstReady(models).name;
  select.disabled = false;
  select.onchange = () => tried(byId("about"), () => choose(select.value, changed, may));
  await choose(select.value, changed, may);
}

// The model that is chosen.
export function model() {
  return chosen;
}

async function choose(name, changed, may) {
  const found = await settled(name);
  if (byId("model").value !== name) return; // another one was chosen meanwhile
  if (chosen && !may(found)) {
    byId("model").value = chosen.name;
    byId("about").replaceChildren(...about(chosen));
    return;
  }
  chosen = found;
  history.replaceState(null, "", `?${new URLSearchParams({ model: name })}`);
  byId("about").replaceChildren(...about(chosen));
  changed(chosen);
}

// A model that is being loaded is waited for, unless another one is chosen meanwhile.
async function settled(name) {
  for (;;) {
    const found = await askJson(`v1/models/${encodeURIComponent(name)}`);
    if (found.status !== "loading" || byId("model").value !== name) return found;
    byId("about").textContent = unready(found);
    await new Promise((resolve) => setTimeout(resolve, LOADING_MS));
  }
}

function firstReady(models) {
  const first = (wanted) => models.find(({ status }) => status === wanted);
  return first("ready") ?? first("loading") ?? models[0];
}

// Why a model that is not ready is not.
export function unready({ reason, status }) {
  return reason ?? `The model is ${status}.`;
}

function about(model) {
  const { card } = model;
  if (!card) return [unready(model)];
  const { accuracy, count: photos } = tested(card);
  return [
    card.description,
    ` ${count(card.labels.length, "label")}; ${percent(accuracy)} of ${count(photos, "photo")} right that it`,
    " had never seen.",
  ];
}
