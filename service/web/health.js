// Whether the service is there and ready: looked at every few seconds while somebody looks at the page.

import { byId } from "./dom.js";

const WORDS = { ready: "ready", unready: "not ready", away: "no answer" };
const SECONDS = { ready: 5, unready: 2, away: 1 };

let state = null;
let timer = null;
const waiting = [];

export function watchHealth() {
  document.addEventListener("visibilitychange", look);
  look();
}

// A request that found nobody says so at once.
export function noticeAway() {
  if (state !== "away") become("away");
}

// Resolves when the service is there again.
export function back() {
  return new Promise((resolve) => waiting.push(resolve));
}

async function look() {
  if (document.hidden) return;
  let found = "away";
  try {
    const response = await fetch("health/ready", { cache: "no-store" });
    found = response.ok ? "ready" : "unready";
  } catch {
    // nobody is there
  }
  become(found);
}

function become(found) {
  clearTimeout(timer);
  timer = setTimeout(look, 1000 * SECONDS[found]);
  if (found === state) return;
  state = found;
  byId("health").dataset.is = found;
  byId("health").textContent = WORDS[found];
  for (const alert of document.querySelectorAll(".away")) {
    alert.hidden = found !== "away";
    alert.textContent = "The service does not answer. As soon as it is back, this page goes on by itself.";
  }
  if (found !== "away") waiting.splice(0).forEach((resolve) => resolve());
}
