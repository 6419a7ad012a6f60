// All photos on the page: one is shown whole; of several each has a tile, and opens in a dialog.

import { drawAnswer } from "./answer.js";
import { downloadAnswers, downloadCorrections } from "./csv.js";
import { byId, element, replace } from "./dom.js";
import { arranged, onChange } from "./order.js";
import { say } from "./say.js";
import { Tile } from "./tile.js";
import { count, duration } from "./words.js";

const REARRANGED_MS = 250; // tiles that jump with each answer that comes in cannot be clicked

const tiles = new Map(); // by photo, in the order in which they came

let opened = null;
let place = 0; // of the opened one among those that are shown, when it was last among them
let timer = null;
let began = 0;
let asked = 0; // photos, since then
let took = null; // seconds

// `cleared` is called when no photo is wanted any more.
export function setUpAlbum(cleared) {
  onChange(arrange);
  byId("answers-csv").addEventListener("click", () => downloadAnswers(photos()));
  byId("corrections-csv").addEventListener("click", saveCorrections);
  addEventListener("beforeunload", (event) => unsaved().length && event.preventDefault());
  byId("clear").addEventListener("click", () => clear(cleared));
  byId("answers").addEventListener("focusout", arrangeSoon);
  byId("detail-close").addEventListener("click", () => byId("detail").close());
  byId("detail-before").addEventListener("click", () => step(-1));
  byId("detail-after").addEventListener("click", () => step(1));
  byId("detail").addEventListener("close", () => (opened = null));
  byId("detail").addEventListener("keydown", ({ key, target }) => {
    if (target.matches("select, pre")) return; // which the arrows move in, too
    if (key === "ArrowLeft") step(-1);
    if (key === "ArrowRight") step(1);
  });
}

export function photos() {
  return [...tiles.keys()];
}

export function addPhotos(added) {
  for (const photo of added) tiles.set(photo, new Tile(photo, { open, corrected: redraw }));
  begin();
  byId("photos").scrollIntoView({ block: tiles.size === 1 ? "nearest" : "start" });
}

// All are asked again, of another model.
export function beginAnew() {
  tiles.forEach((tile) => tile.draw());
  begin();
}

function begin() {
  began = performance.now();
  asked = waitingOf(photos());
  took = null;
  byId("photos").hidden = !tiles.size;
  byId("main").classList.toggle("has-photos", tiles.size > 0);
  arrange();
}

// Something is known of a photo that was not before.
export function redraw(photo) {
  tiles.get(photo)?.draw();
  if (photo === opened) drawOpened();
  tell();
  if (tiles.size === 1) arrange();
  else arrangeSoon();
}

function arrangeSoon() {
  timer ??= setTimeout(arrange, REARRANGED_MS);
}

function arrange() {
  clearTimeout(timer);
  timer = null;
  const isOne = tiles.size === 1;
  const [only] = tiles.keys();
  byId("tools").hidden = isOne && !only.correction;
  byId("answers").className = isOne ? "one" : "many";
  const places = isOne
    ? [element("li", { class: "panel" }, drawAnswer(only, redraw))]
    : arranged(photos()).map((photo) => tiles.get(photo).place);
  // What stands where it should is left alone: who has the focus there keeps it.
  const there = byId("answers");
  // Nor does a photo go away while its label is chosen: the next key would be for another one.
  const isChosen = there.contains(document.activeElement) && document.activeElement.matches("select");
  if (!isOne && isChosen && places.length <= there.children.length) return tell();
  if (isOne || places.length !== there.children.length || places.some((place, index) => place !== there.children[index])) {
    replace(there, ...places);
  }
  tell();
}

function tell() {
  const all = photos();
  const waiting = waitingOf(all);
  byId("progress").max = all.length;
  byId("progress").value = all.length - waiting;
  byId("progress").hidden = !waiting;
  byId("corrections-csv").disabled = !all.some(({ correction }) => correction);
  if (waiting) byId("summary").textContent = `${all.length - waiting} of ${count(all.length, "photo")} answered`;
  else if (all.length) tellAtTheEnd(all);
}

function waitingOf(all) {
  return all.filter(({ state }) => state === "waiting").length;
}

function tellAtTheEnd(all) {
  const isNew = took === null;
  took ??= (performance.now() - began) / 1000;
  const words = { accept: "accepted", review: "to review", corrected: "corrected", failed: "without an answer" };
  const parts = Object.entries(words).map(([state, word]) => [all.filter((photo) => photo.state === state).length, word]);
  const said = parts.filter(([number]) => number).map((part) => part.join(" ")).join(", ");
  // The time is that of the last ones who came; of all it would be too little.
  const time = asked === all.length ? ` in ${duration(took)}` : "";
  byId("summary").textContent = `${count(all.length, "photo")}${time}: ${said}`;
  if (isNew) say(all.length === 1 ? `${all[0].path}: ${all[0].label ?? all[0].problem.message}, ${said}` : byId("summary").textContent);
}

function open(photo) {
  show(photo);
  byId("detail").showModal();
}

function drawOpened() {
  replace(byId("detail-answer"), drawAnswer(opened, redraw));
}

function step(by) {
  const shown = arranged(photos());
  const here = shown.indexOf(opened);
  const next = shown[here < 0 ? place - (by < 0) : here + by];
  if (next) show(next);
}

function show(photo) {
  opened = photo;
  place = arranged(photos()).indexOf(photo);
  drawOpened();
}

function saveCorrections() {
  downloadCorrections(photos());
  photos().forEach((photo) => (photo.saved = photo.correction));
}

function unsaved() {
  return photos().filter(({ isUnsaved }) => isUnsaved);
}

// Whether another model may be asked: corrections that it has no label for would be lost.
export function mayAsk(model) {
  const lost = unsaved().filter((photo) => photo.losesBy(model)).length;
  return !lost || confirm(`${count(lost, "correction")} would be lost, not downloaded: ${model.name} has no such label. Ask it all the same?`);
}

function clear(cleared) {
  if (unsaved().length && !confirm("Your corrections were not downloaded. Clear them all the same?")) return;
  cleared();
  photos().forEach((photo) => photo.forget());
  tiles.clear();
  byId("answers").replaceChildren();
  begin();
  byId("choose").focus();
}
