// Photos come in: dropped anywhere, pasted, chosen, taken, or one of the drawn samples. Each is given on as a file and a path.

import { byId, element } from "./dom.js";

const SAMPLES = {
  "t-shirt.svg": "T-shirt",
  "trousers.svg": "Trousers",
  "shoes.svg": "Shoes",
  "dress.svg": "Dress",
  "sofa.svg": "Sofa",
  "boot.png": "Small grey boot", // as the photos that fashion-mnist knows
};

export function takePhotos(given) {
  const giveAny = (found) => found.length && given(found);
  for (const id of ["choose", "choose-folder", "take"]) {
    byId(id).addEventListener("change", ({ target }) => {
      const files = [...target.files].map((file) => ({ file }));
      target.value = ""; // so that the same photo can be chosen again
      giveAny(id === "choose-folder" ? files.filter(isPhoto) : files);
    });
  }
  document.addEventListener("paste", ({ clipboardData }) => giveAny([...clipboardData.files].map((file) => ({ file }))));
  takeDropped(giveAny);
  byId("samples").append(...Object.entries(SAMPLES).map(([file, title]) => sample(file, title, given)));
}

function takeDropped(given) {
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
    given(entries.some(({ isDirectory }) => isDirectory) ? (await Promise.all(entries.map(within))).flat() : files);
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

function sample(file, title, given) {
  const image = element("img", { src: `web/samples/${file}`, alt: title, width: 60, height: 60 });
  const draw = async () => given([{ file: await pixels(image, file.replace(/\.\w+$/, ".png")) }]);
  return element("li", {}, element("button", { type: "button", onclick: draw, title }, image));
}

// A model looks at pixels: the drawing becomes a PNG, here in the browser.
async function pixels(image, name) {
  await image.decode();
  const canvas = element("canvas", { width: image.naturalWidth, height: image.naturalHeight });
  canvas.getContext("2d").drawImage(image, 0, 0);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  return new File([blob], name, { type: blob.type });
}
