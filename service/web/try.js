// The page on which photos are tried: each that comes in is asked of the chosen model, and again when another is chosen.

import { addPhotos, beginAnew, mayAsk, photos, redraw, setUpAlbum } from "./album.js";
import { askMany } from "./asking.js";
import { watchHealth } from "./health.js";
import { Photo } from "./photo.js";
import { takePhotos } from "./photos.js";
import { model, pickModel, unready } from "./picker.js";

let asking = new AbortController();

watchHealth();
setUpAlbum(stop);
takePhotos(add);
pickModel(askAll, mayAsk);

function add(files) {
  const added = files.map(({ file, path }) => new Photo(file, path));
  added.forEach((photo) => photo.ask(model()));
  addPhotos(added);
  ask(added);
}

function askAll() {
  stop();
  const all = photos();
  all.forEach((photo) => photo.ask(model()));
  beginAnew();
  ask(all);
}

// Where no model is chosen yet, they wait for that.
function ask(some) {
  if (!model()) return;
  if (model().card) askMany(model(), some, asking.signal, redraw);
  else some.forEach((photo) => redraw(Object.assign(photo, { problem: new Error(unready(model())) })));
}

function stop() {
  asking.abort();
  asking = new AbortController();
}
