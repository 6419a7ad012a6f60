// Photos come in: dropped anywhere, pasted, chosen, taken, or one of the drawn samples. Each is given on as a file and a path.

import { byId, element } from "./dom.js";
import { png } from "./png.js";

const SAMPLES = {
  "t-shirt.svg": "T-shirt",
  "trousers.svg": "Trousers",
  "shoes.svg": "Shoes",
  "dress.svg": "Dress",
  "sofa.svg": "Sofa",
  "boot.png": "Small grey boot", // as the photos that fashion-mnist knows
};

const timesNamed = new Map(); // of what has no name of its own

export function takePhotos(given) {
  const giveAny = (found) => {
    byId("none").textContent = found.length ? "" : "There is no photo in it.";
    if (found.length) given(found);
  };
  for (const id of ["choose", "choose-folder", "take"]) {
    byId(id).addEventListener("change", ({ target }) => {
      const files = [...target.files].map((file) => ({ file }));
      target.value = ""; // so that the same photo can be chosen again
      giveAny(id === "choose-folder" ? files.filter(isPhoto) : files);
    });
  }
  document.addEventListener("paste", ({ clipboardData }) => {
    const files = [...clipboardData.files].map((file) => ({ file, path: ownName(file) }));
    if (files.length) giveAny(files);
  });
  takeDropped(giveAny);
  byId("samples").append(...Object.entries(SAMPLES).map(([file, title]) => sample(file, title, giveAny)));
}

// Browsers call all that is pasted the same, and a manifest must tell one from the other.
function ownName({ name }) {
  const times = 1 + (timesNamed.get(name) ?? 0);
  timesNamed.set(name, times);
  return times === 1 ? name : name.replace(/(\.\w+)?$/, `-${times}$1`);
}

function takeDropped(giveAny) {
  const over = (event) => {
    event.preventDefault();
    byId("intake").classList.toggle("over", event.type === "dragover");
  };
  document.addEventListener("dragover", over);
  document.addEventListener("dragleave", over);
  document.addEventListener("drop", async (event) => {
    over(event);
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    const files = [...event.dataTransfer.files].map((file) => ({ file }));
    giveAny(entries.some(({ isDirectory }) => isDirectory) ? (await Promise.all(entries.map(within))).flat() : files);
  });
}

// The photos of a folder and those below it.
async function within(entry) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return [{ file, path: entry.fullPath.slice(1) }].filter(isPhoto);
  }
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)); // a hundred at most
    if (!some.length) return (await Promise.all(found.map(within))).flat();
    found.push(...some);
  }
}

// Folders have other files in them, too.
function isPhoto({ file }) {
  return file.type.startsWith("image/");
}

function sample(file, title, giveAny) {
  const image = element("img", { src: `web/samples/${file}`, alt: title, width: 60, height: 60 });
  const draw = async () => {
    const drawn = await pixels(image, file.replace(/\.\w+$/, ".png"));
    giveAny([{ file: drawn, path: ownName(drawn) }]);
  };
  return element("li", {}, element("button", { type: "button", onclick: draw, title }, image));
}

// A model looks at pixels: the drawing becomes a PNG, here in the browser.
async function pixels(image, name) {
  await image.decode();
  const canvas = element("canvas", { width: image.naturalWidth, height: image.naturalHeight });
  canvas.getContext("2d").drawImage(image, 0, 0);
  return png(canvas, name);
}
