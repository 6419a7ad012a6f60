// Work that may fail: what went wrong is told where its result would stand, and it can be tried again.

import { element } from "./dom.js";

export async function tried(place, work) {
  try {
    await work();
  } catch ({ message }) {
    place.replaceChildren(message, " ", element("button", { type: "button", onclick: () => tried(place, work) }, "Try again"));
  }
}
