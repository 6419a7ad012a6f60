// What an answer rests on: the photo is asked again with one part covered after the other, and where that costs the label
// most of its score, there it looked. It is the same batch route as for any photos, at the least urgency, and costs as much.

import { classifyBatch } from "./batch.js";
import { png } from "./png.js";

const CELLS = 8; // along each side of the map
const COVER = 3; // cells along each side of what is covered at once
const PLACES = CELLS - COVER + 1;
const LONGEST = 256; // pixels; models look at little more, and all of them have to be sent
const LEAST_URGENT = 7;
const VEIL = 0.72;

export const ASKED = PLACES ** 2 + 1; // photos

// Gives a picture that is lit where it counts, the label, its score, the lowest one that it fell to, and the seconds.
export async function whyOf({ file, model, answer }, signal) {
  const started = performance.now();
  const { label } = answer.predictions[0];
  const small = await shrunk(file);
  const places = Array.from({ length: PLACES ** 2 }, (_, index) => [index % PLACES, Math.floor(index / PLACES)]);
  const pictures = [{ file: await encoded(small) }];
  const colour = meanColour(small);
  for (const place of places) pictures.push({ file: await encoded(covered(small, colour, place)) });
  const [whole, ...scores] = await scoresOf(label, model, pictures, signal);
  const heat = heatOf(places, scores.map((score) => Math.max(evidence(whole) - evidence(score), 0)));
  const seconds = (performance.now() - started) / 1000;
  return { picture: lit(small, heat), label, whole, least: Math.min(...scores), seconds };
}

// Over white, as the service sees what is transparent: a cover would shine through, too.
async function shrunk(file) {
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, LONGEST / Math.max(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
  const canvas = canvasOf(width, height);
  const context = canvas.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high"; // else a large photo is not averaged, but pixels are picked from it
  context.drawImage(bitmap, 0, 0, width, height);
  return canvas;
}

function canvasOf(width, height, drawn) {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  if (drawn) canvas.getContext("2d").drawImage(drawn, 0, 0, width, height);
  return canvas;
}

function covered(small, colour, [column, row]) {
  const canvas = canvasOf(small.width, small.height, small);
  const context = canvas.getContext("2d");
  const [width, height] = [small.width / CELLS, small.height / CELLS];
  context.fillStyle = colour;
  context.fillRect(column * width, row * height, COVER * width, COVER * height);
  return canvas;
}

// The photo's own mean colour says less than black would, which models know from clothes.
function meanColour(small) {
  const { data } = small.getContext("2d").getImageData(0, 0, small.width, small.height);
  const sums = [0, 0, 0, 0];
  data.forEach((value, index) => (sums[index % 4] += value));
  const [red, green, blue] = sums.map((sum) => Math.round((4 * sum) / data.length));
  return `rgb(${red} ${green} ${blue})`;
}

// Frames are drawn between one and the next.
async function encoded(canvas) {
  await new Promise((resolve) => setTimeout(resolve));
  return png(canvas, "covered.png");
}

async function scoresOf(label, { name, card }, pictures, signal) {
  const scores = new Map();
  const told = (picture, { answer, problem }) => {
    if (problem) throw problem;
    scores.set(picture, answer.predictions.find((each) => each.label === label)?.score ?? 0);
  };
  const silent = await classifyBatch(name, pictures, signal, told, { labels: card.labels.length, urgency: LEAST_URGENT });
  if (silent.length) throw new Error("The service broke off its answer.");
  return pictures.map((picture) => scores.get(picture));
}

// The logarithm of the odds: from 99.9 % to 99 % is as far as from 50 % to 10 %, where the share itself hardly moves.
function evidence(score) {
  const inside = Math.min(Math.max(score, 1e-6), 1 - 1e-6);
  return Math.log(inside / (1 - inside));
}

// For each cell the mean of what its covers cost, as a share of the largest.
function heatOf(places, costs) {
  const heat = Array.from({ length: CELLS ** 2 }, (_, cell) => {
    const [column, row] = [cell % CELLS, Math.floor(cell / CELLS)];
    const over = costs.filter((_, index) => {
      const [left, top] = places[index];
      return left <= column && column < left + COVER && top <= row && row < top + COVER;
    });
    return over.reduce((sum, cost) => sum + cost, 0) / over.length;
  });
  const most = Math.max(...heat);
  return heat.map((each) => (most ? each / most : 0));
}

function lit(small, heat) {
  const veil = canvasOf(CELLS, CELLS);
  const context = veil.getContext("2d");
  heat.forEach((each, cell) => {
    context.fillStyle = `rgb(20 18 14 / ${VEIL * (1 - each)})`;
    context.fillRect(cell % CELLS, Math.floor(cell / CELLS), 1, 1);
  });
  const picture = canvasOf(small.width, small.height, small);
  picture.setAttribute("role", "img");
  picture.setAttribute("aria-label", "The photo, lit where the answer rests on it");
  picture.getContext("2d").drawImage(veil, 0, 0, small.width, small.height);
  return picture;
}
