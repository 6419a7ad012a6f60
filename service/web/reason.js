// The question why, beside an answer: what it will cost, and, once it was asked, what the answer rests on.

import { element } from "./dom.js";
import { duration, percent } from "./words.js";
import { ASKED, whyOf } from "./why.js";

const LITTLE = 0.05; // of the score

// `changed` is called with the photo when there is something to show.
export function drawReason(photo, changed) {
  if (photo.why) return element("p", { class: "small reason", tabindex: -1 }, wordsOf(photo.why));
  const said = element("span", { class: "soft small", role: "status" }, `asks for ${ASKED} more photos, with a part covered in each`);
  const button = element("button", { type: "button" }, "Why?");
  button.addEventListener("click", async () => {
    if (button.ariaDisabled) return;
    const { answer } = photo;
    button.ariaDisabled = "true"; // it keeps the focus, which a disabled one would lose
    said.textContent = `asking for ${ASKED} photos…`;
    try {
      const why = await whyOf(photo, AbortSignal.timeout(60_000));
      if (photo.answer !== answer) return; // another model was asked meanwhile
      photo.why = why;
      const isWaitedFor = document.activeElement === button;
      const place = button.closest("#answers, #detail");
      changed(photo);
      if (isWaitedFor) place.querySelector(".reason")?.focus(); // and so it is read out
    } catch ({ message }) {
      said.textContent = message;
      button.ariaDisabled = null;
    }
  });
  return element("div", { class: "row" }, button, said);
}

function wordsOf({ label, whole, least, seconds }) {
  const fell = `from ${percent(whole)} to ${percent(Math.min(least, whole))}.`;
  const found =
    whole - least < LITTLE
      ? `No single part decides: wherever it was covered, “${label}” lost little, at most ${fell}`
      : `Where the photo is lit, “${label}” lost most when that was covered: ${fell}`;
  return `${found} That took ${ASKED} photos' work, ${duration(seconds)}. It shows where the model looked, not that it is right.`;
}
