// The label of a photo as a choice: whoever sees that it is wrong clicks on it and takes the right one.

import { element } from "./dom.js";

export function labelChoice(photo, changed) {
  const choice = element("select", { class: "label", "aria-label": `Label of ${photo.path}` }, option(photo.label));
  // A model may have a thousand labels, and a page hundreds of photos: the others come when they are wanted.
  const offer = () => {
    if (choice.length > 1) return;
    choice.replaceChildren(...photo.model.card.labels.map(option));
    choice.value = photo.label;
  };
  choice.addEventListener("pointerdown", offer);
  choice.addEventListener("focus", offer);
  choice.addEventListener("change", () => {
    photo.correct(choice.value);
    changed(photo);
  });
  return choice;
}

function option(label) {
  return element("option", { value: label }, label);
}
