// Says something to those who do not see it. Under an open dialog nothing is heard, so that of a photo has a place for it.

export function say(words) {
  const place = document.querySelector("dialog[open] > .unseen[role=status]") ?? document.querySelector("main > .unseen[role=status]");
  place.textContent = words;
}
