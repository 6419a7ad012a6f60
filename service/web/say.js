// Says something to those who do not see it. Under an open dialog nothing is heard, so a dialog has a place of its own for it,
// but the one that asks for a key.

export function say(words) {
  const place = document.querySelector("dialog[open]:has(> .unseen[role=status])") ?? document.getElementById("main");
  place.querySelector(":scope > .unseen[role=status]").textContent = words;
}
